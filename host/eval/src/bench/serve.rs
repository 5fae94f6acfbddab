//! `mosel bench serve`: a live server under the same workload that `mosel simulate` takes, so that the two can be laid
//! side by side.
//!
//! Open loop: every job is sent when the workload says, whatever became of those before. What is counted and how is the
//! simulator's own (`Tally`), filled from what the server answers: a job is late by the server's clock, and its
//! completion counts from when it was *due*, so that a client or a wire that falls behind shows as latency.
//!
//! Where to start reading: [`drive`]; then `offered_jobs.rs` (what is sent), `load_generator.rs` (when), `client.rs` (how each job
//! is seen through), `job_result.rs` and `load_results.rs` (what became of it). `target_model.rs` is the model, `server.rs`
//! the server.

mod args;
mod client;
mod job_result;
mod load_generator;
mod load_results;
mod offered_jobs;
mod progress;
mod report;
mod server;
mod server_metrics;
mod target_model;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mosel_sim::Workload;

use crate::arguments;
use load_results::LoadResults;
use offered_jobs::OfferedJobs;
use progress::Progress;
use report::Run;
use server::Server;
use server_metrics::ServerMetrics;
use target_model::{Model, TargetModel};

pub use args::ServeArgs;

/// The most jobs of one run.
const MOST_JOBS: usize = 1_000_000;

/// `mosel bench serve`.
pub fn run(args: &ServeArgs) -> Result<()> {
    let workload = arguments::workload(args.workload.as_deref(), args.load, args.seconds)?;
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
        let options = server::ServerOptions { policy, model: &model, lanes: args.lanes, journal };
        finish(args, runs, on(Server::start(&options)?, args, &model, workload)?);
    }
    Ok(())
}

/// Everything on one server, which is stopped afterwards if it is ours.
fn on(mut server: Server, args: &ServeArgs, model: &Model, workload: &Workload) -> Result<Run> {
    match mosel_client::runtime()?.block_on(drive(&mut server, args, model, workload)) {
        Ok(run) => server.close(args.quiet).map(|()| run),
        Err(error) => Err(server.explain(error)),
    }
}

/// Draws the jobs for what is served there, offers them, and counts what comes back.
async fn drive(server: &mut Server, args: &ServeArgs, model: &Model, workload: &Workload) -> Result<Run> {
    let label = server.settle().await?;
    args.say(&format!("{label} decides at {}", server.url()));
    let target = Arc::new(TargetModel::ask(&server.connection, model.name()).await?);
    let offered = target.offered(args.lanes);
    let misfit = || format!("the workload and the model {} at {}", model.name(), server.url());
    let load = workload.load(&offered).with_context(misfit)?;
    let arrivals = workload.draw(&offered, args.seed).with_context(misfit)?;
    ensure!(!arrivals.is_empty(), "no job arrives in {} s: try more --seconds or a higher --load", workload.duration_s);
    ensure!(
        arrivals.len() <= MOST_JOBS,
        "{} jobs arrive, expected at most {MOST_JOBS}: try fewer --seconds or a lower --load",
        arrivals.len()
    );
    let inputs = model.inputs(&target)?;
    let offers = Arc::new(OfferedJobs::new(model.name(), &arrivals, workload, inputs, args.seed));
    let mut results = LoadResults::new(offers.clone(), target.clone());
    client::warm_up(&server.connection, &offers, results.longest_job()).await?;
    let before = ServerMetrics::read(&server.connection).await?;
    let mut progress = Progress::new(&label, offers.len(), args.quiet);
    let offered = load_generator::offer(server, &mut results, &mut progress).await;
    progress.finish();
    offered?;
    let during = ServerMetrics::read(&server.connection).await?.since(&before);
    let window = Duration::from_secs_f64(workload.duration_s);
    Run::new(label, target, (load, window), &results, &during)
}

/// Keeps a run, warns of what makes its figures doubtful, and prints its line if lines are wanted.
fn finish(args: &ServeArgs, runs: &mut Vec<Run>, run: Run) {
    run.warnings().iter().for_each(|warning| eprintln!("mosel: {}: {warning}", run.label));
    if args.json {
        println!("{}", report::row(args, &run));
    }
    runs.push(run);
}
