//! `mosel simulate`: what a server would do with a workload, in virtual time, a thousand times as fast.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use mosel_core::{Action, Event, Scheduler, Time};
use mosel_journal::Recorder;
use mosel_sim::{Observer, Tally, Workload};
use serde_json::json;

use crate::arguments;
use crate::policy_under_test::{PolicyCompiler, PolicyUnderTest};
use crate::sim_setup::SimSetup;
use crate::summary::{Column, comparison, row};

/// Simulates a server under a workload.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// What is offered, as TOML (see docs/results/workloads.md); without it Poisson arrivals at --load
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// A model of the zoo, or a profile's file
    #[arg(long, default_value = "emoji", value_name = "NAME|PROFILE.json")]
    model: String,
    /// A shipped policy, an example, or a component's file; may be given more than once: all meet the same jobs
    #[arg(long = "policy", value_name = "NAME|FILE", default_value = "exact")]
    policies: Vec<String>,
    /// Settings of every policy: JSON, or @FILE
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// Offered load, as a multiple of what the lanes can serve on all modalities; instead of the workload's
    #[arg(long)]
    load: Option<f64>,
    /// Seconds of arrivals; instead of the workload's
    #[arg(long)]
    seconds: Option<f64>,
    /// What arrivals, devices and policies are drawn with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Lanes: a queue and a device each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    lanes: u32,
    /// How long batches really take, over what the profile says
    #[arg(long, default_value_t = 1.0)]
    device_factor: f64,
    /// Share of batches that fail
    #[arg(long, default_value_t = 0.0)]
    failures: f64,
    /// How long a policy may think
    #[arg(long, default_value_t = 20)]
    budget_ms: u64,
    /// Write the journal of the run here, for `mosel replay` and `mosel explain`; with one policy
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// A line of JSON for each policy instead of a table
    #[arg(long)]
    json: bool,
}

/// `mosel simulate`.
pub fn run(args: &SimulateArgs) -> Result<()> {
    ensure!(
        (0.01..=100.0).contains(&args.device_factor),
        "--device-factor is {}, expected 0.01 to 100",
        args.device_factor
    );
    ensure!((0.0..=1.0).contains(&args.failures), "--failures is {}, expected 0 to 1", args.failures);
    ensure!((1..=60_000).contains(&args.budget_ms), "--budget-ms is {}, expected 1 to 60000", args.budget_ms);
    ensure!(
        args.journal.is_none() || args.policies.len() == 1,
        "expected one --policy with --journal, as a journal is of one run"
    );
    let workload = arguments::workload(args.workload.as_deref(), args.load, args.seconds)?;
    let profile = arguments::profile(&args.model)?.to_core()?;
    let setup =
        SimSetup { factor: args.device_factor, failures: args.failures, ..SimSetup::new(profile, MAX_REQUESTS)? };
    let setup = SimSetup { config: mosel_core::Config { lanes: args.lanes, ..setup.config }, ..setup };
    let arrivals = workload.draw(&setup.offered(), args.seed)?;
    ensure!(!arrivals.is_empty(), "no job arrives in {} s: try more --seconds or a higher --load", workload.duration_s);
    let compiler = PolicyCompiler::new()?;
    let settings = serde_json::to_string(&crate::policy_file::settings(args.settings.as_deref())?)?;
    let budget = Duration::from_millis(args.budget_ms);
    let mut runs = Vec::new();
    for policy in &args.policies {
        let policy = compiler.policy(policy, &settings, budget)?;
        let mut end = End(Time::START);
        let start = Instant::now();
        let tally = match &args.journal {
            Some(path) => journaled(&setup, &policy, &arrivals, args.seed, path, &mut end)?,
            None => setup.run(&policy, &arrivals, args.seed, &mut end)?,
        };
        runs.push(Run { label: policy.label, tally, end: end.0, took: start.elapsed() });
    }
    print(args, &workload, &setup, &runs)
}

/// The largest jobs, as on a server with the shipped configuration.
const MAX_REQUESTS: u32 = 256;

struct Run {
    label: String,
    tally: Tally,
    /// When the last thing happened, in virtual time.
    end: Time,
    took: Duration,
}

fn journaled(
    setup: &SimSetup,
    policy: &PolicyUnderTest,
    arrivals: &[mosel_sim::Arrival],
    seed: u64,
    path: &Path,
    end: &mut End,
) -> Result<Tally> {
    let writing = || format!("writing the journal {}", path.display());
    let file = BufWriter::new(File::create(path).with_context(writing)?);
    let scheduler = setup.scheduler(policy);
    let journal = Recorder::begin(file, &scheduler, policy.in_place(), env!("CARGO_PKG_VERSION"));
    let mut writer = Writer(journal.with_context(writing)?);
    let tally = setup.run(policy, arrivals, seed, (&mut writer, end))?;
    writer.0.finish().with_context(writing)?;
    Ok(tally)
}

/// Writes every step down.
struct Writer<W>(Recorder<W>);

impl<W: Write> Observer for Writer<W> {
    fn after(&mut self, _: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        self.0.record(now, event, actions).map_err(|error| format!("writing the journal: {error}"))
    }
}

/// When the last thing happened.
struct End(Time);

impl Observer for End {
    fn after(&mut self, _: &Scheduler, now: Time, _: &Event, _: &[Action]) -> Result<(), String> {
        self.0 = now;
        Ok(())
    }
}

fn print(args: &SimulateArgs, workload: &Workload, setup: &SimSetup, runs: &[Run]) -> Result<()> {
    let window = Duration::from_secs_f64(workload.duration_s);
    let profile = setup.matrix.profile();
    let column = |run| {
        let Run { label, tally, .. }: &Run = run;
        Column { label: label.clone(), tally, from: Time::START, window, profile }
    };
    if args.json {
        for run in runs {
            let mut row = row(&column(run));
            row["model"] = json!(profile.model);
            row["seed"] = json!(args.seed);
            row["load"] = json!(workload.load(&setup.offered())?);
            row["simulated_s"] = json!(run.end.since(Time::START).as_secs_f64());
            row["real_s"] = json!(run.took.as_secs_f64());
            println!("{row}");
        }
        return Ok(());
    }
    println!(
        "Simulated: {} on {} lane{}, profile {}, seed {}. {}",
        profile.model,
        setup.config.lanes,
        if setup.config.lanes == 1 { "" } else { "s" },
        profile.id,
        args.seed,
        workload.describe()
    );
    println!("Load {:.2} of the all-modalities capacity.", workload.load(&setup.offered())?);
    println!("{}", comparison(&runs.iter().map(column).collect::<Vec<_>>()));
    for Run { label, end, took, .. } in runs {
        let simulated = end.since(Time::START).as_secs_f64();
        let real = took.as_secs_f64();
        println!("{label}: {simulated:.1} s in {real:.3} s, {:.0} times real time", simulated / real);
    }
    Ok(())
}
