//! The program `mosel`: the command line without libtorch. A command that computes goes on as `mosel-torch`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mosel_cli::run()
}
