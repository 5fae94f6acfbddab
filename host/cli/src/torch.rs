//! The program `mosel-torch`: the command line with libtorch.

use std::process::ExitCode;

fn main() -> ExitCode {
    mosel_torch::install();
    mosel_cli::run()
}
