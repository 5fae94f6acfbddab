//! `mosel` loads no libtorch, and becomes the program beside it that does when a command computes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const MOSEL: &str = env!("CARGO_BIN_EXE_mosel");

/// The libraries that the loader would load for a program, as `ldd` asks it.
fn libraries(program: &str) -> String {
    let listed = Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
    String::from_utf8(listed.stdout).unwrap()
}

/// A folder with `mosel` alone.
fn alone() -> (TempDir, PathBuf) {
    // linked, not copied: a file that was just written is busy while another test of this process starts a program
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = folder.path().join("mosel");
    std::fs::hard_link(MOSEL, &program).unwrap();
    (folder, program)
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

#[test]
fn mosel_loads_no_libtorch() {
    let libraries = libraries(MOSEL);
    assert!(libraries.contains("libc.so"), "{libraries}");
    assert!(!libraries.contains("torch") && !libraries.contains("libc10"), "{libraries}");
}

#[test]
#[cfg(feature = "torch")]
fn mosel_torch_loads_it() {
    let libraries = libraries(env!("CARGO_BIN_EXE_mosel-torch"));
    assert!(libraries.contains("libtorch_cpu.so => /"), "{libraries}");
}

#[test]
fn without_libtorch_what_needs_none_works_and_what_computes_says_what_is_missing() {
    let (folder, mosel) = alone();
    let version = run(&mosel, &["--version"]);
    assert!(version.status.success() && version.stdout.starts_with(b"mosel "), "{version:?}");
    assert!(run(&mosel, &["serve", "--model", "watch", "--print-config"]).status.success());
    let expected = format!(
        "mosel: expected {} to compute with libtorch, there is no such program\n",
        folder.path().join("mosel-torch").display()
    );
    let computing: [&[&str]; 6] = [
        &["serve", "--model", "watch"],
        &["demo"],
        &["train", "watch"],
        &["profile", "watch"],
        &["models", "add", "/nowhere"],
        &["bench", "serve"],
    ];
    for arguments in computing {
        let refused = run(&mosel, arguments);
        assert!(!refused.status.success(), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&refused.stderr), expected, "{arguments:?}");
    }
}

#[test]
fn a_command_that_computes_goes_on_in_the_same_process_with_the_same_arguments_and_environment() {
    let (folder, mosel) = alone();
    let beside = folder.path().join("mosel-torch");
    let write = r##"printf '#!/bin/sh\necho "$$ $MOSEL_ZOO $*"\n' > "$0" && chmod 755 "$0""##;
    assert!(Command::new("sh").args(["-c", write]).arg(&beside).status().unwrap().success());
    let child = Command::new(&mosel)
        .args(["train", "watch", "--seed", "7"])
        .env("MOSEL_ZOO", "/somewhere")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{id} /somewhere train watch --seed 7\n"));
}
