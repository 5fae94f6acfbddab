//! `mosel policy` as an author meets it: from an empty folder to a live swap and back, all by commands, against a server
//! in a process of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mosel_testkit::client::until;
use mosel_testkit::server::ServerProcess;
use serde_json::Value;

const MOSEL: &str = env!("CARGO_BIN_EXE_mosel");
const TOKEN: &str = "a-token-that-nobody-guesses";

/// A folder of this test's own, empty at the start.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-cli").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

fn mosel(folder: &Path, arguments: &[&str]) -> Output {
    let mut mosel = Command::new(MOSEL);
    // what cargo set for this test is not for the cargo that builds a policy
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_")) {
        if !["CARGO_HOME", "CARGO_NET_OFFLINE"].iter().any(|kept| name == *kept) {
            mosel.env_remove(name);
        }
    }
    mosel.current_dir(folder).args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = mosel(folder, arguments);
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn fails(folder: &Path, arguments: &[&str]) -> String {
    let output = mosel(folder, arguments);
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(!output.status.success(), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stdout) + &text(&output.stderr)
}

/// A server that is run with the policies of this folder and asks for a token.
fn serve(folder: &Path) -> ServerProcess {
    let token = folder.join("token");
    fs::write(&token, TOKEN).expect("the folder can be written");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let (token, store) = (token.display().to_string(), folder.join("shelf").display().to_string());
    let arguments = ["--null", "--policy", "greedy", "--admin-token-file", &token, "--policy-dir", &store];
    let server = ServerProcess::start(MOSEL, &arguments);
    let show = ["policy", "show", "--server", server.url(), "--token-file", "token"];
    until("the policy is shown", || mosel(folder, &show).status.success());
    server
}

#[test]
fn from_an_empty_folder_to_a_live_swap_and_back() {
    let folder = folder("tutorial");
    let said = succeeds(&folder, &["policy", "new", "my-policy"]);
    assert!(said.contains("mosel policy build"), "{said}");
    let mine = folder.join("my-policy");
    // the versions that are on this machine already
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock"), mine.join("Cargo.lock")).expect("a lock file");
    let said = succeeds(&mine, &["policy", "build", "--offline"]);
    assert!(said.contains("my-policy.wasm") && said.contains("sha256"), "{said}");
    let said = succeeds(&mine, &["policy", "check", "my-policy.wasm", "--queues", "24"]);
    assert!(said.contains("my-policy is FIT"), "{said}");

    let server = serve(&folder);
    let token = folder.join("token").display().to_string();
    let with_token = |arguments: &[&str]| {
        let mut all = vec!["policy"];
        all.extend(arguments);
        all.extend(["--server", server.url(), "--token-file", &token]);
        all.into_iter().map(String::from).collect::<Vec<String>>()
    };
    let ask = |arguments: &[&str]| {
        let arguments = with_token(arguments);
        succeeds(&mine, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let refused = fails(&mine, &["policy", "push", "my-policy", "my-policy.wasm", "--server", server.url()]);
    assert!(refused.contains("401"), "without the token: {refused}");
    let said = ask(&["push", "my-policy", "my-policy.wasm"]);
    assert!(said.contains("my-policy is on http://"), "{said}");
    let said = ask(&["use", "my-policy"]);
    assert!(said.contains("my-policy 0.1.0 decides from now on"), "{said}");
    let said: Value = serde_json::from_str(&ask(&["show", "--json"])).expect("JSON");
    assert_eq!((&said["name"], &said["previous"]["name"]), (&"my-policy".into(), &"greedy".into()), "{said}");
    let said = ask(&["list"]);
    assert!(said.lines().any(|line| line.contains("decides") && line.contains("my-policy")), "{said}");
    let said = ask(&["shadow", "highest-accuracy"]);
    assert!(said.contains("highest-accuracy is asked"), "{said}");
    assert!(ask(&["shadow"]).contains("snapshots compared"));
    assert!(ask(&["shadow", "--off"]).contains("no policy is in the shadow"));
    let said = ask(&["rollback"]);
    assert!(said.contains("greedy") && said.contains("decides from now on"), "{said}");
    let said = ask(&["show"]);
    assert!(said.contains("greedy") && said.contains("asked / adopted"), "{said}");
}

#[test]
fn on_the_server_s_machine_one_command_changes_the_policy() {
    let folder = folder("local");
    let server = ServerProcess::start(MOSEL, &["--null", "--policy", "greedy"]).ready();
    let said = succeeds(&folder, &["policy", "use", "exact", "--server", server.url()]);
    assert!(said.contains("exact") && said.contains("decides from now on"), "{said}");
    let token = succeeds(&folder, &["token", "local", "--server", server.url()]);
    fs::write(folder.join("token"), token.replace("mosel_", "other_")).expect("the folder can be written");
    let refused = fails(&folder, &["policy", "use", "greedy", "--server", server.url(), "--token-file", "token"]);
    assert!(refused.contains("401"), "{refused}");
    let nobody = fails(&folder, &["token", "local", "--server", "http://127.0.0.1:1"]);
    assert!(nobody.contains("no server of this user"), "{nobody}");
}

#[test]
fn tokens_are_made_shown_once_and_read_again() {
    let folder = folder("tokens");
    let new = |tenant: &str| {
        let token =
            succeeds(&folder, &["token", "new", "--tenant", tenant, "--rights", "submit,read", "--file", "t.toml"]);
        fs::write(folder.join(tenant), &token).expect("the folder can be written");
        token.trim().to_owned()
    };
    let alice = new("alice");
    let mode = fs::metadata(folder.join("t.toml")).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = fs::read_to_string(folder.join("t.toml")).expect("it is text");
    assert!(!kept.contains(&alice) && kept.contains("tenant = \"alice\""), "{kept}");
    let file = folder.join("t.toml").display().to_string();
    let config = folder.join("mosel.toml");
    fs::write(&config, format!("[auth]\ntokens_file = {file:?}\n")).expect("the folder can be written");
    let journal = folder.join("journal").display().to_string();
    let config = config.display().to_string();
    let server = ServerProcess::start(MOSEL, &["--null", "--config", &config, "--journal", &journal]).ready();
    let submit = |token: &str| {
        let arguments =
            ["submit", "--model", "null", "--input", "text=hi", "--token-file", token, "--server", server.url()];
        mosel(&folder, &arguments)
    };
    let done = submit("alice");
    let job: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&job["state"], &job["tenant"]), (&"served".into(), &"alice".into()), "{job}");
    new("bob");
    assert!(!submit("bob").status.success(), "the server has not read it");
    server.signal(libc::SIGHUP);
    until("the token is read", || submit("bob").status.success());
    assert!(submit("alice").status.success());
    let id = job["id"].as_str().expect("an id").to_owned();
    let explain = |arguments: &[&str]| succeeds(&folder, &[&["explain", &id], arguments].concat());
    assert!(explain(&["--server", server.url(), "--token-file", "alice"]).starts_with(&format!("Job {id} came ")));
    let bobs = fails(&folder, &["explain", &id, "--server", server.url(), "--token-file", "bob"]);
    assert!(bobs.contains("unknown_job"), "{bobs}");
    drop(server);
    assert!(explain(&["--journal", &journal]).starts_with(&format!("Job {id} came ")));
}

#[test]
fn a_server_s_words_reach_the_operator() {
    let folder = folder("words");
    let server = serve(&folder);
    let token = folder.join("token").display().to_string();
    let to_server = ["--server", server.url(), "--token-file", token.as_str()];
    let ask = |arguments: &[&str]| fails(&folder, &[&["policy"], arguments, &to_server].concat());
    assert!(ask(&["use", "nobody"]).contains("nobody"));
    assert!(ask(&["use", "greedy", "--settings", r#"{"speed": 3}"#]).contains("speed"));
    assert!(ask(&["shadow"]).contains("404"));
    fs::write(folder.join("text.wasm"), "text").expect("the folder can be written");
    let said = ask(&["push", "text", "text.wasm"]);
    assert!(said.contains("no WebAssembly component"), "{said}");
}

#[test]
fn what_is_asked_for_wrongly_is_told() {
    let folder = folder("wrong");
    assert!(fails(&folder, &["policy", "new", "My Policy"]).contains("small letters"));
    fs::create_dir(folder.join("taken")).expect("the folder can be written");
    assert!(fails(&folder, &["policy", "new", "taken"]).contains("exists"));
    assert!(fails(&folder, &["policy", "new", "mine", "--sdk", "taken"]).contains("not it"));
    assert!(fails(&folder, &["policy", "build"]).contains("there is no"));
    assert!(fails(&folder, &["policy", "check", "lazy"]).contains("greedy"));
    assert!(fails(&folder, &["policy", "check", "greedy", "--settings", "{"]).contains("expected settings"));
    let nowhere = ["policy", "show", "--server", "http://127.0.0.1:1"];
    assert!(fails(&folder, &nowhere).contains("asking the server at http://127.0.0.1:1"));
}

#[test]
fn the_verdict_is_the_exit_status() {
    let folder = folder("verdict");
    let said: Value =
        serde_json::from_str(&succeeds(&folder, &["policy", "check", "greedy", "--queues", "12", "--json"]))
            .expect("JSON");
    assert_eq!((&said["verdict"], &said["policy"]), (&"fit".into(), &"greedy".into()), "{said}");
    fs::write(folder.join("module.wasm"), b"\0asm\x01\0\0\0").expect("the folder can be written");
    let said = fails(&folder, &["policy", "check", "module.wasm"]);
    assert!(said.contains("module is UNFIT") && said.contains("core WebAssembly module"), "{said}");
}

#[test]
fn benchmarks_print_a_row_for_each_engine() {
    let folder = folder("bench");
    let sizes = ["--jobs", "10", "--instances", "2", "--repeats", "2", "--json"];
    let said = succeeds(&folder, &[&["bench", "policy", "--policy", "greedy"], &sizes[..]].concat());
    let rows: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 2, "{said}");
    for (row, engine) in rows.iter().zip(["wasm", "native"]) {
        assert_eq!((&row["engine"], &row["policy"]), (&engine.into(), &"greedy".into()), "{row}");
        assert_eq!((&row["jobs"], &row["strategies"], &row["seed"]), (&10.into(), &12.into(), &1.into()), "{row}");
        assert_eq!((&row["late"], &row["feasible"]), (&0.into(), &1.0.into()), "{row}");
        assert!(row["median_us"].as_f64() > Some(0.0) && row["p99_us"].as_f64() > Some(0.0), "{row}");
    }
    let said = succeeds(&folder, &["bench", "policy", "--policy", "greedy", "--loads", "--repeats", "1", "--json"]);
    assert_eq!(said.lines().count(), 4, "{said}");
}

#[test]
fn swaps_under_load_lose_no_job() {
    let folder = folder("swaps");
    let arguments = ["bench", "swaps", "--swaps", "5", "--seconds", "2", "--rounds", "1", "--load", "0.3", "--json"];
    let said: Value = serde_json::from_str(&succeeds(&folder, &arguments)).expect("JSON");
    for side in ["without", "with"] {
        assert!(said[side]["jobs"].as_u64() > Some(0), "{said}");
        assert_eq!((&said[side]["failed"], &said[side]["lost"]), (&0.into(), &0.into()), "{said}");
    }
    assert_eq!(said["swaps_refused"], 0, "{said}");
    assert!(said["swaps"].as_u64() > Some(0), "{said}");
}
