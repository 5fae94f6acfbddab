//! `mosel bench`: measures the server, and policies.

#[cfg(feature = "torch")]
mod efficiency;
mod evaluation;
mod http;
#[cfg(feature = "torch")]
mod lanes;
mod native;
pub mod policy;
#[cfg(feature = "torch")]
mod rows;
mod serve;
mod swaps;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

/// Measures.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Processor time a request through the whole server (null model), beside bare hyper
    Http(http::HttpArgs),
    /// Time of a decision and how far it is from the optimum: policies as WebAssembly, beside native code
    Policy(policy::PolicyBenchArgs),
    /// A server under load while its policy is swapped again and again, beside the same without a swap
    Swaps(swaps::SwapsArgs),
    /// The paper's figures, simulated from measured profiles: SVG, and one page with all tables
    Figures(evaluation::FiguresArgs),
    /// The paper's claims as one table, simulated from measured profiles
    Headline(evaluation::HeadlineArgs),
    /// A live server under a workload, as `mosel simulate` takes it: each job at its time, whatever became of the others
    Serve(serve::ServeArgs),
    /// Rows a second and processor time a row through the whole server, beside the same network back to back
    #[cfg(feature = "torch")]
    Efficiency(efficiency::EfficiencyArgs),
    /// Rows a second of two lanes on the CPU, beside one
    #[cfg(feature = "torch")]
    Lanes(lanes::LanesArgs),
    /// A bare hyper server that answers "ok"; what `http` compares with
    #[command(hide = true)]
    Hyper,
}

/// `mosel bench`.
pub fn run(args: BenchArgs) -> Result<()> {
    match args.what.unwrap_or(What::Http(http::HttpArgs::default())) {
        What::Http(args) => http::run(&args),
        What::Policy(args) => policy::run(&args),
        What::Swaps(args) => swaps::run(&args),
        What::Figures(args) => evaluation::figures(&args),
        What::Headline(args) => evaluation::headline(&args),
        What::Serve(args) => serve::run(&args),
        #[cfg(feature = "torch")]
        What::Efficiency(args) => efficiency::run(&args),
        #[cfg(feature = "torch")]
        What::Lanes(args) => lanes::run(&args),
        What::Hyper => runtime()?.block_on(http::bare_hyper()),
    }
}

/// What benches and other clients run on.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("starting tokio")
}
