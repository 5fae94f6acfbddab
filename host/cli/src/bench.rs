//! `mosel bench`: measures the server, policies, and what the paper claims.

use anyhow::Result;
use clap::{Args, Subcommand};
use mosel_eval::bench::{efficiency, http, lanes, policy, serve, swaps};
use mosel_eval::figures;

/// Measures.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
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
    Figures(figures::FiguresArgs),
    /// The paper's claims as one table, simulated from measured profiles
    Headline(figures::HeadlineArgs),
    /// A live server under a workload, as `mosel simulate` takes it: each job at its time, whatever became of the others
    Serve(serve::ServeArgs),
    /// Rows a second and processor time a row through the whole server, beside the same network back to back
    Efficiency(efficiency::EfficiencyArgs),
    /// Rows a second of two lanes on the CPU, beside one
    Lanes(lanes::LanesArgs),
    /// A bare hyper server that answers "ok"; what `http` compares with
    #[command(hide = true)]
    Hyper,
}

impl BenchArgs {
    /// It runs a model in this process; servers that it starts run theirs by themselves.
    pub(crate) fn computes(&self) -> bool {
        match &self.what {
            Some(What::Efficiency(_)) => true,
            Some(What::Serve(args)) => args.computes(),
            _ => false,
        }
    }
}

/// `mosel bench`.
pub(crate) fn run(args: BenchArgs) -> Result<()> {
    match args.what.unwrap_or(What::Http(http::HttpArgs::default())) {
        What::Http(args) => http::run(&args),
        What::Policy(args) => policy::run(&args),
        What::Swaps(args) => swaps::run(&args),
        What::Figures(args) => figures::draw_all(&args),
        What::Headline(args) => figures::headline(&args),
        What::Serve(args) => serve::run(&args),
        What::Efficiency(args) => efficiency::run(&args),
        What::Lanes(args) => lanes::run(&args),
        What::Hyper => mosel_client::runtime()?.block_on(http::bare_hyper()),
    }
}
