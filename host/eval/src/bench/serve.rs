//! `mosel bench serve`: a live server under the same workload that `mosel simulate` takes, so that the two can be laid
//! side by side.
//!
//! Open loop: every job is sent when the workload says, whatever became of those before. What is counted and how is the
//! simulator's own (`Tally`), filled from what the server answers: a job is late by the server's clock, and its
//! completion counts from when it was *due*, so that a client or a wire that falls behind shows as latency.
//!
//! Where to start reading: [`drive`]; then `offers.rs` (what is sent), `generator.rs` (when), `client.rs` (how each job
//! is seen through), `fate.rs` and `account.rs` (what became of it). `subject.rs` is the model, `server.rs` the server.

mod account;
mod client;
mod fate;
mod generator;
mod meters;
mod offers;
mod progress;
mod report;
mod server;
mod subject;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use mosel_sim::Workload;

use crate::simulate;
use account::Account;
use meters::Meters;
use offers::Offers;
use progress::Progress;
use report::Run;
use server::Server;
use subject::{Model, Subject};

/// What `mosel bench serve` takes.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// What is offered, as TOML (see docs/results/workloads.md); without it Poisson arrivals at --load
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// A model of the zoo, served with real held-out inputs; or a profile's file, served by sleeping as long as it says.
    /// With --url: a model of that server
    #[arg(long, default_value = "emoji", value_name = "NAME|PROFILE.json")]
    model: String,
    /// A shipped policy, an example, or a component's file; may be given more than once: each gets a server of its own
    /// and the same jobs
    #[arg(long = "policy", value_name = "NAME|FILE", default_value = "exact", conflicts_with = "url")]
    policies: Vec<String>,
    /// Offered load, as a multiple of what the lanes can serve on all modalities; instead of the workload's
    #[arg(long)]
    load: Option<f64>,
    /// Seconds of arrivals, for each policy; instead of the workload's
    #[arg(long)]
    seconds: Option<f64>,
    /// What arrivals and inputs are drawn with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Lanes of the server: a queue and a device each. With --url: how many that server has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    lanes: u32,
    /// Offer the jobs to the server there, as it is and with the policy it has, instead of starting one
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Serve a model of the zoo by sleeping as long as its shipped profile says: no libtorch, repeatable. With --url:
    /// that server's model needs no real inputs
    #[arg(long)]
    timed: bool,
    /// Have the server write its journal into this directory, for `mosel replay` and `mosel explain`; with several
    /// policies, into one of its own for each
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    journal: Option<PathBuf>,
    /// A line of JSON for each policy instead of a table
    #[arg(long)]
    json: bool,
    /// Nothing but the results and what goes wrong
    #[arg(long)]
    quiet: bool,
}

/// The most jobs of one run.
const MOST_JOBS: usize = 1_000_000;
/// How far behind its schedule sending may be, at p99, before it is warned of.
const MOST_LAG_MS: f64 = 5.0;

/// `mosel bench serve`.
pub(super) fn run(args: &ServeArgs) -> Result<()> {
    let workload = simulate::workload(args.workload.as_deref(), args.load, args.seconds)?;
    let mut runs = Vec::new();
    let done = match &args.url {
        Some(url) => theirs(args, url, &workload, &mut runs),
        None => ours(args, &workload, &mut runs),
    };
    if !args.json && !runs.is_empty() {
        println!("{}", report::table(args, &workload, &runs));
    }
    done
}

/// One run on a server that is there.
fn theirs(args: &ServeArgs, url: &str, workload: &Workload, runs: &mut Vec<Run>) -> Result<()> {
    let model = Model::theirs(&args.model, args.timed)?;
    finish(args, runs, on(Server::connect(url)?, args, &model, workload)?);
    Ok(())
}

/// A run for each policy, on a server of its own.
fn ours(args: &ServeArgs, workload: &Workload, runs: &mut Vec<Run>) -> Result<()> {
    let policies = args.policies.iter().map(|policy| server::Policy::find(policy)).collect::<Result<Vec<_>>>()?;
    let model = Model::find(&args.model, args.timed, |words| args.say(words))?;
    for policy in &policies {
        let journal = args.journal.as_ref().map(|folder| match policies.len() {
            1 => folder.clone(),
            _ => folder.join(policy.name()),
        });
        let orders = server::Orders { policy, model: &model, lanes: args.lanes, journal };
        finish(args, runs, on(Server::start(&orders)?, args, &model, workload)?);
    }
    Ok(())
}

/// Everything on one server, which is stopped afterwards if it is ours.
fn on(mut server: Server, args: &ServeArgs, model: &Model, workload: &Workload) -> Result<Run> {
    match super::runtime()?.block_on(drive(&mut server, args, model, workload)) {
        Ok(run) => server.close(args.quiet).map(|()| run),
        Err(error) => Err(server.explain(error)),
    }
}

/// Draws the jobs for what is served there, offers them, and counts what comes back.
async fn drive(server: &mut Server, args: &ServeArgs, model: &Model, workload: &Workload) -> Result<Run> {
    let label = server.settle().await?;
    args.say(&format!("{label} decides at {}", server.url()));
    let subject = Arc::new(Subject::ask(&server.connection, model.name()).await?);
    let offered = subject.offered(args.lanes);
    let misfit = || format!("the workload and the model {} at {}", model.name(), server.url());
    let load = workload.load(&offered).with_context(misfit)?;
    let arrivals = workload.draw(&offered, args.seed).with_context(misfit)?;
    ensure!(!arrivals.is_empty(), "no job arrives in {} s: try more --seconds or a higher --load", workload.duration_s);
    ensure!(
        arrivals.len() <= MOST_JOBS,
        "{} jobs arrive, expected at most {MOST_JOBS}: try fewer --seconds or a lower --load",
        arrivals.len()
    );
    let inputs = model.inputs(&subject)?;
    let offers = Arc::new(Offers::new(model.name(), &arrivals, workload, inputs, args.seed));
    let mut account = Account::new(offers.clone(), subject.clone());
    client::warm_up(&server.connection, &offers, account.longest_job()).await?;
    let before = Meters::read(&server.connection).await?;
    let mut progress = Progress::new(&label, offers.len(), args.quiet);
    let offered = generator::offer(server, &mut account, &mut progress).await;
    progress.finish();
    offered?;
    let during = Meters::read(&server.connection).await?.since(&before);
    let window = Duration::from_secs_f64(workload.duration_s);
    Run::new(label, subject, (load, window), &account, &during)
}

/// Keeps a run, warns of what makes its figures doubtful, and prints its line if lines are wanted.
fn finish(args: &ServeArgs, runs: &mut Vec<Run>, run: Run) {
    run.warnings().iter().for_each(|warning| eprintln!("mosel: {}: {warning}", run.label));
    if args.json {
        println!("{}", report::row(args, &run));
    }
    runs.push(run);
}

impl ServeArgs {
    /// For whoever watches.
    fn say(&self, words: &str) {
        if !self.quiet {
            eprintln!("{words}");
        }
    }
}
