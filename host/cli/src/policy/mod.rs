//! `mosel policy`: what an author of policies and the operator of a server need, from an empty folder to a live swap.

mod build;
mod check;
mod new;
mod on_server;

use anyhow::Result;
use clap::{Args, Subcommand};

use mosel_eval::bench;

/// Write, check, measure, push and use scheduling policies.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Start a policy of your own: a folder with a crate that works
    New(new::NewArgs),
    /// Compile a policy to a component
    Build(build::BuildArgs),
    /// Tell whether a policy is fit to schedule; the exit status says so too
    Check(check::CheckArgs),
    /// Measure a policy: `mosel bench policy`
    Bench(bench::policy::PolicyBenchArgs),
    /// Send a component to a server, under a name
    Push(on_server::PushArgs),
    /// Let a policy decide, from now on
    Use(on_server::UseArgs),
    /// Ask a policy beside the one in place, without obeying it; without a name: what was seen so far
    Shadow(on_server::ShadowArgs),
    /// Go back to the policy that was in place before
    Rollback(on_server::ServerArgs),
    /// List the policies of a server
    List(on_server::ServerArgs),
    /// Show which policy decides, and how well
    Show(on_server::ServerArgs),
}

/// `mosel policy`.
pub(crate) fn run(args: PolicyArgs) -> Result<()> {
    match args.what {
        What::New(args) => new::run(&args),
        What::Build(args) => build::run(&args),
        What::Check(args) => check::run(&args),
        What::Bench(args) => bench::policy::run(&args),
        What::Push(args) => on_server::push(&args),
        What::Use(args) => on_server::put_in_place(&args),
        What::Shadow(args) => on_server::shadow(&args),
        What::Rollback(args) => on_server::roll_back(&args),
        What::List(args) => on_server::list(&args),
        What::Show(args) => on_server::show(&args),
    }
}
