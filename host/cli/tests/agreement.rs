//! The simulator against a live server: the same twenty seconds of jobs, offered to both.
//!
//! The server's model takes its time by sleeping, as the simulator's devices do without spread, so that what is compared
//! is all the rest: arrivals, the scheduler in its driver, the policy in its sandbox, threads, sockets, and how it is
//! counted. This is the one test that takes real time: some 45 seconds.
//!
//! Bounds are wide enough for a machine of two cores that others use too: a policy that is cut off there for lack of a
//! processor is squeezed for, which costs the baseline a little accuracy. Devices that take 1.3 times as long are further
//! apart in violations or completion: the test tries that they are told apart.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Apart by at most: the share of jobs that were not served as asked.
const VIOLATIONS: f64 = 0.07;
/// The mean accuracy of what was served.
const ACCURACY: f64 = 0.01;
/// The mean completion time, as a share of the simulated one.
const COMPLETION: f64 = 0.15;

const POLICIES: [&str; 2] = ["exact", "highest-accuracy"];
/// Batches of 10 to 200 ms: what a busy machine adds to each is a few.
const TIME_SCALE: u64 = 2;

/// Overload for one device: some jobs are refused, dropped or squeezed, most are not.
const WORKLOAD: &str = r#"
duration_s = 20.0
[arrivals]
kind = "poisson"
load = 1.7
[jobs]
requests = { uniform = [2, 8] }
slack = { uniform = [6.0, 18.0] }
floor = { uniform = [0.0, 0.3] }
on_late = "drop"
"#;

#[test]
fn a_live_server_does_what_the_simulator_says() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    write_profile(&folder.path().join("profile.json"));
    std::fs::write(folder.path().join("workload.toml"), WORKLOAD).expect("it is writable");
    let live = rows(folder.path(), &["bench", "serve", "--quiet"]);
    let simulated = rows(folder.path(), &["simulate"]);
    let slower = rows(folder.path(), &["simulate", "--device-factor", "1.3"]);
    for (policy, live) in POLICIES.into_iter().zip(&live) {
        let [same, slower] = [&simulated, &slower].map(|rows| rows.iter().find(|row| row["policy"] == policy));
        let (same, slower) = (same.expect("every policy has a row"), slower.expect("every policy has a row"));
        assert_eq!((&live["policy"], &live["jobs"]), (&json!(policy), &same["jobs"]), "{live}");
        assert_eq!((&live["no_answer"], &live["floors_broken"]), (&json!(0), &json!(0)), "{live}");
        let violations = number(same, "violations");
        assert!((0.05..=0.95).contains(&violations), "{policy}: {violations} violations say nothing");
        assert_eq!(differences(live, same), Vec::<String>::new(), "{policy}\nlive {live}\nsimulated {same}");
        assert_ne!(differences(live, slower), Vec::<String>::new(), "{policy}\nlive {live}\nsimulated {slower}");
    }
}

/// What is further apart than it may be.
fn differences(live: &Value, simulated: &Value) -> Vec<String> {
    let apart = |field: &str| number(live, field) - number(simulated, field);
    let completion = apart("completion_mean_ms") / number(simulated, "completion_mean_ms");
    let bounds = [
        ("violations", apart("violations"), VIOLATIONS),
        ("accuracy", apart("accuracy"), ACCURACY),
        ("completion", completion, COMPLETION),
    ];
    let beyond = bounds.into_iter().filter(|(_, apart, most)| apart.abs() > *most);
    beyond.map(|(what, apart, most)| format!("{what} is {apart:+.4} apart, expected {most} at most")).collect()
}

fn number(row: &Value, field: &str) -> f64 {
    row[field].as_f64().unwrap_or_else(|| panic!("expected a number as {field}: {row}"))
}

/// What the program prints for every policy.
fn rows(folder: &Path, command: &[&str]) -> Vec<Value> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mosel"));
    program.current_dir(folder).env("MOSEL_POLICY__CACHE_DIR", "").args(command);
    program.args(["--model", "profile.json", "--workload", "workload.toml", "--json"]);
    program.args(POLICIES.iter().flat_map(|policy| ["--policy", policy]));
    let ran = program.output().expect("the program runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).expect("JSON is text");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(rows.len(), POLICIES.len(), "{text}");
    rows
}

/// The shipped profile of `emoji`, some times as slow and without any spread.
fn write_profile(path: &Path) {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/zoo/emoji/profile.json");
    let text = std::fs::read_to_string(shipped).expect("the profile is there");
    let mut profile: Value = serde_json::from_str(&text).expect("a profile is JSON");
    let selections = profile["selections"].as_array_mut().expect("a profile has selections");
    let batches = selections.iter_mut().flat_map(|selection| selection["batches"].as_array_mut().expect("and batches"));
    for batch in batches {
        let latency = &mut batch["latency_us"];
        let micros = latency["mean"].as_u64().expect("a mean in microseconds") * TIME_SCALE;
        for field in ["mean", "median", "p95", "p99"] {
            latency[field] = micros.into();
        }
    }
    std::fs::write(path, profile.to_string()).expect("it is writable");
}
