//! `mosel bench serve` as its users meet it, on models that only take their time: what it prints, what it leaves alone,
//! what it says when something goes wrong.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use mosel_testkit::client::{Client, until};
use mosel_testkit::server::ServerProcess;
use serde_json::{Value, json};
use tempfile::TempDir;

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosel"));
    command.args(["bench", "serve"]).args(arguments).env("MOSEL_POLICY__CACHE_DIR", "");
    command
}

fn run(arguments: &[&str]) -> Output {
    bench(arguments).output().expect("the program runs")
}

fn rows(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn refusal(command: &mut Command) -> String {
    let output = command.output().expect("the program runs");
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn count(row: &Value, field: &str) -> u64 {
    row[field].as_u64().unwrap_or_else(|| panic!("expected a count as {field}: {row}"))
}

#[test]
fn every_policy_gets_the_same_jobs_and_every_job_is_accounted_for() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let journal = folder.path().to_str().expect("a path of ASCII");
    let arguments = ["--timed", "--seconds", "1.5", "--load", "2", "--json", "--journal", journal];
    let output = run(&[&arguments[..], &["--policy", "exact", "--policy", "cheapest"]].concat());
    let rows = rows(&output);
    assert_eq!([&rows[0]["policy"], &rows[1]["policy"]], ["exact", "cheapest"]);
    for row in &rows {
        let ends = ["served", "refused", "dropped", "cancelled", "failed"];
        let accounted: u64 = ends.iter().map(|end| count(row, end)).sum();
        assert_eq!((accounted, count(row, "jobs")), (count(&rows[0], "jobs"), accounted), "{row}");
        assert_eq!((count(row, "no_answer"), count(row, "floors_broken")), (0, 0), "{row}");
        assert_eq!((&row["live"], &row["model"], &row["seed"]), (&json!(true), &json!("emoji"), &json!(1)), "{row}");
        assert_eq!(row["measured_accuracy"], Value::Null, "what only takes its time answers nothing right");
        let policy = row["policy"].as_str().expect("a name");
        let written = std::fs::read_to_string(folder.path().join(policy).join("journal-000001.jsonl"));
        assert!(written.expect("each has a journal of its own").contains(policy));
    }
}

#[test]
fn a_server_that_is_there_is_left_with_its_policy_and_its_models() {
    let mut server = watch_server(&["--policy", "greedy"]);
    let url = server.url().to_owned();
    let arguments = ["--url", &url, "--model", "watch", "--timed", "--seconds", "1", "--load", "0.2", "--json"];
    let rows = rows(&run(&arguments));
    assert_eq!((&rows[0]["policy"], &rows[0]["model"]), (&json!("greedy"), &json!("watch")));
    assert_eq!(count(&rows[0], "served") + count(&rows[0], "refused"), count(&rows[0], "jobs"), "{}", rows[0]);
    assert!(count(&rows[0], "served") > 0, "{}", rows[0]);
    assert!(!server.has_ended(), "it still runs");
    let message = refusal(&mut bench(&["--url", &url, "--model", "emoji", "--timed"]));
    assert!(message.contains(r#"expected one of the models watch, got "emoji""#), "{message}");
}

#[test]
fn more_jobs_than_connections_are_all_seen_through() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let workload = folder.path().join("workload.toml");
    let text = "duration_s = 0.8\n[arrivals]\nkind = \"poisson\"\nload = 4.0\n\
                [jobs]\nrequests = { fixed = 10 }\nslack = { fixed = 100000.0 }\nfloor = { fixed = 0.0 }\n";
    std::fs::write(&workload, text).expect("it is writable");
    let workload = workload.to_str().expect("a path of ASCII");
    let arguments = ["--timed", "--model", "watch", "--workload", workload, "--policy", "highest-accuracy", "--json"];
    let rows = rows(&run(&arguments));
    // they come four times as fast as they are served
    assert!(count(&rows[0], "jobs") > 1000, "{}", rows[0]);
    assert_eq!(count(&rows[0], "served") + count(&rows[0], "refused"), count(&rows[0], "jobs"), "{}", rows[0]);
    assert!(count(&rows[0], "served") > 900, "{}", rows[0]);
}

#[test]
fn the_table_names_what_was_offered_and_what_the_client_saw() {
    let output = run(&["--timed", "--seconds", "0.5", "--seed", "3", "--policy", "greedy", "--quiet"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for expected in ["Live: emoji on 1 lane, profile ", ", seed 3. 0.5 s of Poisson", "floors broken", "greedy: sent "]
    {
        assert!(text.contains(expected), "expected {expected} in {text}");
    }
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_offered() {
    let small = ("MOSEL_QUEUE__MAX_REQUESTS", "8");
    let cases = [
        (refusal(&mut bench(&["--timed", "--policy", "nobody"])), "got \"nobody\""),
        (
            refusal(&mut bench(&["--model", "nobody"])),
            "expected a model of the zoo (emoji, watch, home-tasks, doom-tvlt, doom-tbn) or a profile's file",
        ),
        (refusal(&mut bench(&["--url", "http://127.0.0.1:1"])), "asking the server at http://127.0.0.1:1"),
        (refusal(&mut bench(&["--url", "https://a"])), "expected a URL that begins with http://"),
        (refusal(&mut bench(&["--url", "http://a", "--policy", "exact"])), "cannot be used with"),
        (refusal(&mut bench(&["--timed", "--workload", "/no/such/file.toml"])), "/no/such/file.toml"),
        (refusal(&mut bench(&["--timed", "--load=-1"])), "arrivals.load is -1"),
        (
            refusal(bench(&["--timed"]).env(small.0, small.1)),
            "expected at most 8: the model has no strategies for larger jobs",
        ),
        (refusal(bench(&["--timed"]).env("MOSEL_QUEUE__MAX_CATS", "3")), "max_cats"),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "expected {expected} in {message}");
    }
}

#[test]
fn a_server_that_dies_midway_is_named_with_how_it_ended() {
    let mut command = bench(&["--timed", "--seconds", "60", "--policy", "greedy"]);
    let mut client = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut stderr = BufReader::new(client.stderr.take().expect("it is piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("it says which server it drives");
    let address = line.trim().strip_prefix("greedy decides at http://").expect(&line).to_owned();
    // more than it is warmed up with
    let server = Client(address.parse().expect("an address"), None);
    until("jobs are accepted", || server.metric("mosel_jobs_accepted_total") >= 5.0);
    let servers = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", client.id())).expect("it is Linux");
    Command::new("kill").arg("-9").args(servers.split_whitespace()).status().expect("kill runs");
    let mut words = String::new();
    stderr.read_to_string(&mut words).expect("it says why");
    assert!(!client.wait().expect("it ends").success());
    assert!(words.contains("the server ended (signal: 9 (SIGKILL)) when "), "{words}");
}

fn watch_server(arguments: &[&str]) -> ServerProcess {
    ServerProcess::start_timed(env!("CARGO_BIN_EXE_mosel"), "watch", arguments)
}
