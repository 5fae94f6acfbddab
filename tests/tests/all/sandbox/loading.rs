//! What is not loaded, and what does not start.

use std::time::Duration;

use mosel_core::PolicyError;
use mosel_sandbox::{Budget, ConfigureError, Engine, Limits, LoadError};

use super::{FUEL, MEMORY, engine, limits, start};
use crate::guests;

fn refusal(bytes: &[u8]) -> LoadError {
    engine().load("suspect", bytes).expect_err("it must not load")
}

/// The hostile component with a name in it replaced by one of the same length.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = guests::HOSTILE.to_vec();
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "{from} is nowhere in the component");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn the_description_is_what_the_policy_says() {
    let loaded = engine().load("any name", guests::HOSTILE).unwrap();
    assert_eq!((loaded.name(), loaded.description().name.as_str()), ("any name", "hostile"));
    assert_eq!(loaded.hash().len(), 64);
}

#[test]
fn bytes_that_are_no_component_are_told_so() {
    assert_eq!(refusal(b""), LoadError::NotWasm { bytes: 0 });
    assert_eq!(refusal(b"(component)"), LoadError::NotWasm { bytes: 11 });
    assert_eq!(refusal(b"\0asm\x01\0\0\0"), LoadError::CoreModule);
    assert!(refusal(b"\0asm\x01\0\0\0").to_string().contains("wasm-component-ld"));
}

#[test]
fn truncated_components_are_refused() {
    for length in (8..guests::HOSTILE.len()).step_by(1009) {
        let error = refusal(&guests::HOSTILE[..length]);
        assert!(matches!(error, LoadError::Invalid(_) | LoadError::NoPolicy(_)), "{length} bytes: {error}");
    }
}

#[test]
fn damaged_components_do_no_harm() {
    for seed in 0..16 {
        let mut bytes = guests::HOSTILE.to_vec();
        let at = 8 + seed * 7919 % (bytes.len() - 8);
        bytes[at] ^= 1 << (seed % 8);
        // Most are refused; one whose damage is in a text or a constant may load. Either way the engine lives on.
        let _ = engine().load("damaged", &bytes);
    }
    assert!(engine().load("sound", guests::HOSTILE).is_ok());
}

#[test]
fn a_component_without_a_policy_is_told_so() {
    assert_eq!(refusal(b"\0asm\x0d\0\x01\0"), LoadError::NoPolicy("nothing".into()));
}

#[test]
fn another_version_is_refused_with_both_named() {
    let error = refusal(&renamed("mosel:policy/policy@0.1.0", "mosel:policy/policy@0.2.0"));
    assert_eq!(error, LoadError::WrongVersion { built_for: "0.2.0".into() });
    assert_eq!(error.to_string(), "the policy was built for version 0.2.0 of the contract, this server speaks 0.1.0");
}

#[test]
fn a_later_patch_of_the_version_loads() {
    let mut bytes = renamed("mosel:policy/policy@0.1.0", "mosel:policy/policy@0.1.9");
    let host = renamed("mosel:policy/host@0.1.0", "mosel:policy/host@0.1.9");
    for (at, byte) in host.iter().enumerate().filter(|(at, byte)| guests::HOSTILE[*at] != **byte) {
        bytes[at] = *byte;
    }
    assert_eq!(engine().load("later", &bytes).err(), None);
}

#[test]
fn a_foreign_import_is_refused_by_name() {
    let error = refusal(&renamed("mosel:policy/host@0.1.0", "other:systems/run@0.1.0"));
    assert_eq!(error, LoadError::ForbiddenImport("other:systems/run@0.1.0".into()));
}

/// A component that exports something by the name of a policy and imports this.
fn importing(import: &str) -> LoadError {
    let text = format!(
        r#"(component
            (import {import})
            (instance $policy)
            (export "mosel:policy/policy@0.1.0" (instance $policy))
        )"#
    );
    refusal(&wat::parse_str(text).expect("the text is a component"))
}

#[test]
fn files_and_sockets_are_refused_by_name() {
    for (import, what) in [
        ("wasi:filesystem/types@0.2.3", "(files)"),
        ("wasi:filesystem/preopens@0.2.0", "(files)"),
        ("wasi:sockets/tcp@0.2.3", "(sockets)"),
        ("wasi:http/outgoing-handler@0.2.3", "(the network)"),
        ("wasi:cli/environment@0.2.3", "(environment"),
    ] {
        let error = importing(&format!(r#""{import}" (instance (export "open" (func (result u32))))"#));
        assert_eq!(error, LoadError::ForbiddenImport(import.into()));
        assert!(error.to_string().contains(&format!("imports {import} {what}")), "{error}");
    }
    assert_eq!(importing(r#""run" (func)"#), LoadError::ForbiddenImport("run".into()));
}

#[test]
fn what_the_contract_does_not_have_is_refused_by_name() {
    let storage = importing(r#""mosel:policy/storage@0.1.0" (instance)"#);
    assert_eq!(storage, LoadError::ForbiddenImport("mosel:policy/storage@0.1.0".into()));
    let sleep = importing(r#""mosel:policy/host@0.1.0" (instance (export "sleep" (func (param "for" u64))))"#);
    assert_eq!(sleep, LoadError::UnknownHostFunction("sleep".into()));
    let now = importing(r#""mosel:policy/host@0.1.0" (instance (export "now" (func (result string))))"#);
    assert!(matches!(now, LoadError::WrongShape(_)), "{now}");
    let newer = importing(r#""mosel:policy/host@0.2.0" (instance)"#);
    assert_eq!(newer.to_string(), "the policy was built for version 0.2.0 of the contract, this server speaks 0.1.0");
}

#[test]
fn other_types_are_refused() {
    let error = refusal(&renamed("min-accuracy", "max-accuracy"));
    assert!(matches!(error, LoadError::WrongShape(_)), "{error}");
}

#[test]
fn code_that_runs_before_it_is_asked_has_a_budget() {
    assert_eq!(refusal(guests::LOOP_AT_START), LoadError::Describe(PolicyError::OutOfFuel(FUEL)));
    assert_eq!(refusal(guests::LOOP_IN_DESCRIBE), LoadError::Describe(PolicyError::OutOfFuel(FUEL)));
}

#[test]
fn loading_has_a_time_limit_of_its_own() {
    let load = Budget { fuel: u64::MAX, time: Duration::from_millis(20) };
    let engine = Engine::new(Limits { load, ..limits() }).unwrap();
    let timed_out = LoadError::Describe(PolicyError::TimedOut(load.time));
    assert_eq!(engine.load("loop", guests::LOOP_AT_START).unwrap_err(), timed_out);
    assert_eq!(engine.load("loop", guests::LOOP_IN_DESCRIBE).unwrap_err(), timed_out);
    assert!(engine.load("sound", guests::HOSTILE).is_ok());
}

#[test]
fn memory_that_a_component_is_born_with_counts() {
    let engine = Engine::new(Limits { memory_bytes: 64 << 10, ..limits() }).unwrap();
    let error = engine.load("large", guests::HOSTILE).unwrap_err();
    assert_eq!(error, LoadError::Describe(PolicyError::OutOfMemory(64 << 10)));
}

#[test]
fn a_policy_that_does_not_say_who_it_is_is_refused() {
    let LoadError::Describe(PolicyError::Trapped(reason)) = refusal(guests::TRAP_IN_DESCRIBE) else {
        panic!("no trap")
    };
    assert!(reason.contains("I do not say who I am"), "{reason}");
    let error = refusal(guests::BOAST_IN_DESCRIBE);
    assert!(matches!(error, LoadError::DescriptionTooLong { field: "summary", most: 1024, .. }), "{error}");
}

fn failure(settings: &str) -> PolicyError {
    match start(settings) {
        Err(ConfigureError::Failed(error)) => error,
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[test]
fn configure_has_a_budget() {
    assert_eq!(failure(r#"{"behaviour": "loop-in-configure"}"#), PolicyError::OutOfFuel(FUEL));
    let memory = r#"{"behaviour": "take-memory-in-configure", "amount": 32000000}"#;
    assert_eq!(failure(memory), PolicyError::OutOfMemory(MEMORY as u64));
    assert!(start(r#"{"behaviour": "take-memory-in-configure", "amount": 8000000}"#).is_ok());
}

#[test]
fn a_panic_in_configure_is_told_in_its_own_words() {
    let PolicyError::Trapped(reason) = failure(r#"{"behaviour": "panic-in-configure"}"#) else { panic!("no trap") };
    assert!(reason.contains("not in the mood"), "{reason}");
}

#[test]
fn wrong_settings_are_the_operators_to_mend() {
    let reason = |settings| match start(settings) {
        Err(ConfigureError::BadSettings(reason)) => reason,
        other => panic!("expected bad settings, got {other:?}"),
    };
    assert_eq!(reason(r#"{"behaviour": "refuse-settings"}"#), "I want something else");
    assert!(reason(r#"{"speed": 1}"#).contains("speed"));
    assert!(reason("not JSON").contains("line 1"));
}
