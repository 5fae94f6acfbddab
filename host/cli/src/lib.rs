//! The command line over the server, the client side and the evaluation, of the programs `mosel` and `mosel-torch`.
//!
//! Where to start reading: [`cli`] (one command a file), then [`libtorch`] (how a command gets libtorch that needs it).

mod bench;
mod broken_pipe;
mod cli;
mod explain;
mod libtorch;
mod models;
mod policy;
mod profile;
mod reference;
mod serve;
mod submit;
mod table;
mod token;
mod train;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Does what the command line says.
pub fn run() -> ExitCode {
    let filter = EnvFilter::try_from_env("MOSEL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colors = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colors).init();
    let cli = cli::Cli::parse();
    match broken_pipe::tolerate(|| cli.run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mosel: {error:#}");
            ExitCode::FAILURE
        }
    }
}
