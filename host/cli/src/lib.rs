//! The command line over the server, the client side and the evaluation, of the programs `mosel` and `mosel-torch`.
//!
//! Where to start reading: [`cli`] (one command a file), then [`libtorch`] (how a command gets libtorch that needs it).

mod bench;
mod broken_pipe;
mod cli;
mod explain;
mod libtorch;
mod log;
mod models;
mod policy;
mod profile;
mod reference;
mod serve;
mod submit;
mod table;
mod token;
mod train;

use std::process::ExitCode;

use clap::Parser;

/// Does what the command line says.
pub fn run() -> ExitCode {
    let cli = cli::Cli::parse();
    if let Err(error) = cli.start_log() {
        log::end(&error);
        return ExitCode::FAILURE;
    }
    let ended = match broken_pipe::tolerate(|| cli.run()) {
        Ok(code) => code,
        Err(error) => {
            log::end(&error);
            ExitCode::FAILURE
        }
    };
    log::flush();
    ended
}
