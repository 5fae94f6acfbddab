//! The program `mosel`: a command line over the server, the client side and the evaluation.
//!
//! Where to start reading: [`cli`] (one command a file).

mod bench;
mod broken_pipe;
mod cli;
#[cfg(feature = "torch")]
mod demo;
#[cfg(feature = "torch")]
mod demo_page;
mod explain;
#[cfg(feature = "torch")]
mod models;
mod policy;
#[cfg(feature = "torch")]
mod profile;
mod reference;
mod serve;
mod submit;
mod table;
#[cfg(feature = "torch")]
mod train;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("MOSEL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colors = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colors).init();
    let cli = cli::Cli::parse();
    match broken_pipe::tolerate(|| cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mosel: {error:#}");
            ExitCode::FAILURE
        }
    }
}
