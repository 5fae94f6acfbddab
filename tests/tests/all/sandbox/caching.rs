//! Compiled code that is used again: within a process, and from a directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mosel_core::Decision;
use mosel_sandbox::{Engine, LoadError, LoadedPolicy, Metering, Origin, RunningPolicy};
use tempfile::TempDir;

use super::{catalog, limits, snapshot};
use crate::guests;

fn engine(dir: &TempDir) -> Engine {
    Engine::with_cache(limits(), dir.path()).expect("the directory is ours alone")
}

fn load(engine: &Engine) -> LoadedPolicy {
    let loaded = engine.load("hostile", guests::HOSTILE).expect("it behaves until it is configured");
    let mut policy = RunningPolicy::start(loaded.clone(), "{}", &catalog(), 0).unwrap();
    assert_eq!(policy.decide(&snapshot(0)).answer, Ok(Decision::default()));
    loaded
}

fn files(dir: &TempDir) -> Vec<std::path::PathBuf> {
    fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_same_bytes_are_compiled_once() {
    let engine = Engine::new(limits()).unwrap();
    let first = engine.load("one", guests::HOSTILE).unwrap();
    let second = engine.load("other", guests::HOSTILE).unwrap();
    assert_eq!((first.origin(), second.origin()), (Origin::Compiled, Origin::Memory));
    assert_eq!((first.name(), second.name()), ("one", "other"));
    assert_eq!((first.hash(), first.description()), (second.hash(), second.description()));
    let other = engine.load("one", mosel_policies::shipped("greedy").unwrap()).unwrap();
    assert_eq!(other.origin(), Origin::Compiled);
}

#[test]
fn what_one_process_compiled_the_next_one_finds() {
    let dir = tempfile::tempdir().unwrap();
    let first = engine(&dir);
    let compiled = load(&first);
    assert_eq!((compiled.origin(), first.cache_trouble()), (Origin::Compiled, None));
    let found = load(&engine(&dir));
    assert_eq!(found.origin(), Origin::Disk);
    assert_eq!((found.hash(), found.description()), (compiled.hash(), compiled.description()));
}

#[test]
fn damaged_code_is_compiled_anew_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    load(&engine(&dir));
    let [file] = &files(&dir)[..] else { panic!("one file") };
    let whole = fs::read(file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for content in [&damaged, &whole[..whole.len() - 1], &[]] {
        fs::write(file, content).unwrap();
        assert_eq!(load(&engine(&dir)).origin(), Origin::Compiled);
        assert_eq!(load(&engine(&dir)).origin(), Origin::Disk);
    }
}

#[test]
fn code_of_another_component_is_not_taken_for_it() {
    let dir = tempfile::tempdir().unwrap();
    load(&engine(&dir));
    let [hostile] = &files(&dir)[..] else { panic!("one file") };
    let greedy = mosel_policies::shipped("greedy").unwrap();
    engine(&dir).load("greedy", greedy).unwrap();
    let greedy_file = files(&dir).into_iter().find(|file| file != hostile).unwrap();
    fs::rename(hostile, greedy_file).unwrap();
    let loaded = engine(&dir).load("greedy", greedy).unwrap();
    assert_eq!((loaded.origin(), loaded.description().name.as_str()), (Origin::Compiled, "greedy"));
}

#[test]
fn code_for_other_limits_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    load(&engine(&dir));
    let unclocked = mosel_sandbox::Limits { metering: Metering::Fuel, ..limits() };
    let unclocked = Engine::with_cache(unclocked, dir.path()).unwrap();
    assert_eq!(load(&unclocked).origin(), Origin::Compiled);
    assert_eq!(load(&engine(&dir)).origin(), Origin::Disk);
}

#[test]
fn a_component_that_is_refused_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&dir);
    for _ in 0..2 {
        assert!(matches!(engine.load("trap", guests::TRAP_IN_DESCRIBE), Err(LoadError::Describe(_))));
    }
    assert!(files(&dir).is_empty());
}

#[test]
fn a_directory_that_cannot_be_written_costs_the_cache_only() {
    let engine = Engine::with_cache(limits(), Path::new("/proc/nowhere/policies")).unwrap();
    assert_eq!(engine.cache_trouble(), None, "nothing was to be kept yet");
    assert_eq!(load(&engine).origin(), Origin::Compiled);
    let trouble = engine.cache_trouble().expect("it could not be kept");
    assert!(trouble.contains("No such file or directory"), "{trouble}");
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let reason = format!("{:#}", Engine::with_cache(limits(), dir.path()).unwrap_err());
    assert!(reason.contains("can be written to by others (mode 777), expected 700"), "{reason}");
}
