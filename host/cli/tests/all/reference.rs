//! The pages of the documentation that are made from the code say what the code says.

use std::process::Command;

use expect_test::{ExpectFile, expect_file};

fn check(page: &str, file: &ExpectFile) {
    let output = Command::new(env!("CARGO_BIN_EXE_mosel")).args(["reference", page]).output().expect("mosel starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file.assert_eq(&String::from_utf8(output.stdout).expect("a page is UTF-8"));
}

#[test]
fn the_reference_of_the_command_line_is_up_to_date() {
    check("cli", &expect_file!["../../../../docs/reference/cli.md"]);
}

#[test]
fn the_reference_of_the_configuration_is_up_to_date() {
    check("configuration", &expect_file!["../../../../docs/operating/configuration.md"]);
}

#[test]
fn the_reference_of_error_codes_is_up_to_date() {
    check("errors", &expect_file!["../../../../docs/applications/errors.md"]);
}

#[test]
fn the_reference_of_metrics_is_up_to_date() {
    check("metrics", &expect_file!["../../../../docs/operating/metrics.md"]);
}
