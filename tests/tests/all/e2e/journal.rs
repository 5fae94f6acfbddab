//! What a live server writes down replays, and what it decided is explained.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use mosel_journal::{Reader, ReplayResult, replay};
use serde_json::{Value, json};

use super::fixture::{Fixture, Folder, job, overload, with};

/// Every journal of the folder, in the order they were written, with what its replay gave.
fn journals(folder: &Path) -> Vec<(PathBuf, ReplayResult)> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    // beside them is what admins did
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    let replayed = |path: PathBuf| {
        let (header, mut reader) =
            Reader::new(BufReader::new(File::open(&path).expect("it is there"))).expect("it reads");
        let replayed = replay(&header, &mut reader, |_| {}).expect("it reads to its end");
        (path, replayed)
    };
    paths.into_iter().map(replayed).collect()
}

#[test]
fn what_a_live_server_did_replays_without_a_difference_across_policies_and_failures() {
    let folder = Folder::new("journal");
    let server = Fixture::with(|config| {
        config.journal.dir = folder.0.clone();
        config.queue.lanes = 2;
        config.policy.name = "greedy".into();
    });
    let client = server.client;
    let ended = overload(client, 12, 900.0);
    client.put("/v1/policy", &json!({ "name": "exact" })).expect(200);
    overload(client, 8, 700.0);
    client.run(&super::fixture::saying("fail")).expect(200);
    let given_up = client.submit(&job(16)).expect(202);
    client.delete(&format!("/v1/jobs/{}", given_up.id()));
    client.run(&with(job(1), "deadline_ms", 1)).expect(422);
    server.into_server().drain().expect("a server can be stopped");
    assert_eq!(ended.len(), 12);
    let [(path, replayed)] = &journals(&folder.0)[..] else { panic!("expected one journal") };
    assert_eq!((&replayed.difference, replayed.torn), (&None, false));
    let text = std::fs::read_to_string(path).expect("it is text");
    for word in [
        "\"submit\"",
        "\"refuse\"",
        "\"done\"",
        "\"failed\"",
        "\"cancel\"",
        "\"planned\"",
        "\"policy\":{\"name\":\"exact\"",
    ] {
        assert!(text.contains(word), "{word} is not in the journal");
    }
    assert!(!text.contains("number 1"), "inputs do not belong into a journal");
}

#[test]
fn journals_are_bounded_and_each_replays_by_itself() {
    let folder = Folder::new("journals");
    let server = Fixture::with(|config| {
        config.journal.dir = folder.0.clone();
        config.journal.max_file_bytes = 1 << 16;
        config.journal.max_files = 3;
        config.policy.name = "exact".into();
    });
    let client = server.client;
    let quick = json!({ "model": "motion", "deadline_ms": 9000, "requests": [{ "speed": [1, 2, 3, 4, 5, 6.5] }] });
    // jobs that wait while a journal ends, so that the next begins in the middle of something
    let waiting: Vec<_> = (0..8).map(|_| client.submit(&job(8)).expect(202)).collect();
    for _ in 0..500 {
        client.run(&quick).expect(200);
    }
    waiting.iter().for_each(|job| drop(client.await_state(job.id(), "served")));
    server.into_server().drain().expect("a server can be stopped");
    let journals = journals(&folder.0);
    assert!((2..=3).contains(&journals.len()), "{journals:?}");
    assert!(!journals[0].0.ends_with("journal-000001.jsonl"), "the oldest go: {journals:?}");
    for (path, replayed) in &journals {
        assert_eq!(replayed.difference, None, "{}", path.display());
    }
    let bytes = |(path, _): &(PathBuf, ReplayResult)| std::fs::metadata(path).expect("it is there").len();
    let bytes: u64 = journals.iter().map(bytes).sum();
    assert!(bytes <= 3 << 16, "{bytes} bytes");
    assert!(journals[0].1.steps > 100);
}

#[test]
fn a_job_s_choices_are_explained_in_sentences_and_as_numbers() {
    let server = Fixture::with(|config| config.policy.name = "greedy".into());
    let client = server.client;
    let jobs = overload(client, 10, 900.0);
    let moved = jobs.iter().find(|job| job["certificate"]["decisions"].as_array().is_some_and(|all| !all.is_empty()));
    let id = moved.and_then(|job| job["id"].as_str()).expect("some job was squeezed");
    let explained = client.get(&format!("/v1/jobs/{id}/explain")).expect(200).json;
    let sentences: Vec<&str> =
        explained["sentences"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let said = |words: &str| sentences.iter().any(|sentence| sentence.contains(words));
    assert!(
        said(&format!("Job {id} came")) && said("the policy greedy moved ") && said("It was done"),
        "{sentences:?}"
    );
    let change = &explained["changes"][0];
    assert_eq!(change["policy"], "greedy");
    assert!(change["to"]["device_ms"].as_f64() < change["from"]["device_ms"].as_f64(), "{change}");
    assert!(change["late_before"].as_u64() > Some(0), "{change}");
    assert_eq!(explained["ended"], true);
}

#[test]
fn a_job_that_nobody_knows_is_not_explained() {
    let server = Fixture::start();
    assert_eq!(server.client.get("/v1/jobs/j-99/explain").refusal(), (404, "unknown_job"));
    assert_eq!(server.client.get("/v1/jobs/cat/explain").refusal(), (404, "unknown_job"));
}
