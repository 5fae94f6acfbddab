//! A reader that leaves early does not make a command fail.

use std::process::{Command, Stdio};

#[test]
fn a_command_ends_quietly_when_nobody_reads_on() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosel"));
    command.args(["reference", "cli"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("mosel starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success(), "{}", output.status);
}
