//! `mosel bench swaps`: one server under steady load, now left alone, now with its policy swapped again and again.
//!
//! Phases take turns in one run and offer the very same arrivals (Poisson, open loop), so that what differs between
//! them is the swaps. The model only takes its time, as a profile says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use mosel_conformance::Spread;
use mosel_core::{ModelId, StrategyMatrix};
use mosel_models::{InputKind, Modality, ProfileFile};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::connect::connection;
use mosel_client::connection::{Answer, Connection, Submission};
use mosel_client::inputs::Pool;
use mosel_client::spawned::Spawned;

/// What `mosel bench swaps` takes.
#[derive(Debug, Args)]
pub struct SwapsArgs {
    /// Swaps, over all phases that have some
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    swaps: u32,
    /// Offered load, as a multiple of what the device can serve on all modalities
    #[arg(long, default_value_t = 0.8)]
    load: f64,
    /// Seconds of arrivals, for each phase
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Phases of each kind
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Requests a job
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    requests: u32,
    /// A job's deadline, as a multiple of its own time on all modalities
    #[arg(long, default_value_t = 3.0)]
    slack: f64,
    /// The policies that take turns; given twice
    #[arg(long = "policy", value_name = "NAME", num_args = 1)]
    policies: Vec<String>,
    /// What arrivals are drawn with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

const PROFILE: &str = include_str!("../../../../models/zoo/emoji/profile.json");
/// The most jobs that one phase offers.
const MOST_JOBS: usize = 1_000_000;

/// `mosel bench swaps`.
pub fn run(args: &SwapsArgs) -> Result<()> {
    ensure!((0.01..=100.0).contains(&args.load), "--load is {}, expected 0.01 to 100", args.load);
    ensure!((0.5..=600.0).contains(&args.seconds), "--seconds is {}, expected 0.5 to 600", args.seconds);
    ensure!((1.0..=1000.0).contains(&args.slack), "--slack is {}, expected 1 to 1000", args.slack);
    let policies = policies(args)?;
    let profile = ProfileOnDisk::write()?;
    let load = OfferedLoad::draw(args, &profile)?;
    let (kinds, plans) = mosel_client::runtime()?.block_on(run_phases(args, &load, &profile, &policies))?;
    print(args, &load, &policies, &kinds, plans.as_ref());
    Ok(())
}

/// The two that take turns.
fn policies(args: &SwapsArgs) -> Result<[String; 2]> {
    let best = if mosel_policies::shipped("exact").is_some() { "exact" } else { "highest-accuracy" };
    match args.policies.as_slice() {
        [] => Ok([best, "greedy"].map(String::from)),
        [first, second] => Ok([first.clone(), second.clone()]),
        more => anyhow::bail!("expected --policy twice or not at all, it was given {} times", more.len()),
    }
}

/// The profile as a file that a server can be started with; gone when dropped.
struct ProfileOnDisk(std::path::PathBuf);

impl ProfileOnDisk {
    fn write() -> Result<ProfileOnDisk> {
        let path = std::env::temp_dir().join(format!("mosel-bench-swaps-{}.json", std::process::id()));
        std::fs::write(&path, PROFILE).with_context(|| format!("writing {}", path.display()))?;
        Ok(ProfileOnDisk(path))
    }
}

impl Drop for ProfileOnDisk {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What every phase offers.
struct OfferedLoad {
    arrivals: Vec<Duration>,
    job: Submission,
    deadline: Duration,
}

impl OfferedLoad {
    fn draw(args: &SwapsArgs, profile: &ProfileOnDisk) -> Result<OfferedLoad> {
        let file = ProfileFile::read(&profile.0)?;
        let matrix = StrategyMatrix::new(ModelId(0), Arc::new(file.to_core()?), args.requests)?;
        let table = matrix.table(args.requests).context("the matrix reaches to this size")?;
        let slowest = table.strategy(table.most_accurate()).latency;
        let rate = args.load / slowest.as_secs_f64();
        let times = mosel_sim::workload::poisson(rate, args.seconds, args.seed)?;
        ensure!(times.len() <= MOST_JOBS, "more than {MOST_JOBS} jobs arrive in a phase: try a lower --load");
        let arrivals: Vec<Duration> = times.into_iter().map(Duration::from_secs_f64).collect();
        ensure!(!arrivals.is_empty(), "no job arrives in {} s at this load: try more --seconds", args.seconds);
        let deadline = slowest.mul_f64(args.slack);
        let image = Modality::new("image", InputKind::Picture { max_side: 512, raw: Vec::new() });
        let pool = Pool::smallest(&[image, Modality::new("text", InputKind::Text { max_bytes: 256 })])?;
        let fields = [("model", json!("emoji")), ("deadline_ms", json!(deadline.as_secs_f64() * 1e3))];
        let fields = fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        let job = pool.job(&fields, &vec![0; args.requests as usize]);
        Ok(OfferedLoad { arrivals, job, deadline })
    }
}

/// What the phases of one kind, with or without swaps, have seen.
#[derive(Default)]
struct PhaseResults {
    offered: usize,
    /// Answered with anything but a served job: refused, failed, an error of the server.
    failed: usize,
    /// Not answered at all.
    lost: usize,
    late: usize,
    completion_ms: Vec<f64>,
    swap_ms: Vec<f64>,
    /// Swaps that the server did not do, and its words for the first.
    refused_swaps: usize,
    refusal: Option<String>,
}

/// Questions that policies were asked, as the server counts them.
struct DecisionCounts {
    asked: f64,
    /// Neither adopted nor refused: no answer ever came.
    lost: f64,
}

/// Phases without and with swaps in turn, and what became of the questions; `None` if the server does not count them.
async fn run_phases(
    args: &SwapsArgs,
    load: &OfferedLoad,
    profile: &ProfileOnDisk,
    policies: &[String; 2],
) -> Result<([PhaseResults; 2], Option<DecisionCounts>)> {
    let profile = profile.0.display().to_string();
    let words = ["serve", "--listen", "127.0.0.1:0", "--timed", &profile, "--policy", &policies[0]];
    let server = Spawned::start(&words.map(String::from))?;
    let connection = connection(&server.url, None)?;
    connection.ready().await?;
    for _ in 0..3 {
        connection.submit(load.job.clone(), true).await?.success()?;
    }
    let mut kinds = [PhaseResults::default(), PhaseResults::default()];
    let each = args.swaps.div_ceil(args.rounds);
    for _ in 0..args.rounds {
        phase(load, &connection, &mut kinds[0]).await?;
        let offered = Arc::new(AtomicBool::new(false));
        let pace = Duration::from_secs_f64(args.seconds / f64::from(each));
        let swapping = tokio::spawn(swap(connection.clone(), policies.clone(), each, pace, offered.clone()));
        phase(load, &connection, &mut kinds[1]).await?;
        offered.store(true, Ordering::Relaxed);
        let swaps = swapping.await.context("the task that swaps")??;
        kinds[1].swap_ms.extend(swaps.millis);
        kinds[1].refused_swaps += swaps.refused;
        kinds[1].refusal = kinds[1].refusal.take().or(swaps.refusal);
    }
    let plans = plans(&connection).await;
    server.stop()?;
    Ok((kinds, plans))
}

/// Offers every job at its time, whatever became of the ones before.
async fn phase(load: &OfferedLoad, connection: &Connection, kind: &mut PhaseResults) -> Result<()> {
    let start = Instant::now();
    let mut answers = Vec::with_capacity(load.arrivals.len());
    for &at in &load.arrivals {
        sleep_until(start + at).await;
        let (connection, job) = (connection.clone(), load.job.clone());
        answers.push(tokio::spawn(async move { connection.submit(job, true).await }));
    }
    for answer in answers {
        kind.count(load, answer.await.context("a client task")?.ok());
    }
    Ok(())
}

impl PhaseResults {
    fn count(&mut self, load: &OfferedLoad, answer: Option<Answer>) {
        self.offered += 1;
        let Some(answer) = answer else {
            self.lost += 1;
            return;
        };
        let finished = answer.body["timings"]["finished_ms"].as_f64();
        match (answer.status.as_u16(), answer.body["state"].as_str(), finished) {
            (200, Some("served"), Some(finished)) => {
                self.late += usize::from(finished > load.deadline.as_secs_f64() * 1e3);
                self.completion_ms.push(finished);
            }
            _ => self.failed += 1,
        }
    }
}

/// What became of one phase's swaps.
#[derive(Default)]
struct Swaps {
    millis: Vec<f64>,
    refused: usize,
    refusal: Option<String>,
}

/// So many swaps, at this pace or as fast as the server does them, while jobs are offered.
async fn swap(
    connection: Connection,
    policies: [String; 2],
    count: u32,
    pace: Duration,
    offered: Arc<AtomicBool>,
) -> Result<Swaps> {
    let start = Instant::now();
    let mut swaps = Swaps::default();
    for number in 0..count {
        sleep_until(start + pace * number).await;
        if offered.load(Ordering::Relaxed) {
            break;
        }
        let next = &policies[(number as usize + 1) % 2];
        let begun = Instant::now();
        let answer = connection.put("/v1/policy", &json!({ "name": next })).await?;
        match answer.success() {
            Ok(_) => swaps.millis.push(begun.elapsed().as_secs_f64() * 1e3),
            Err(error) => {
                swaps.refused += 1;
                swaps.refusal.get_or_insert(error.to_string());
            }
        }
    }
    Ok(swaps)
}

async fn plans(connection: &Connection) -> Option<DecisionCounts> {
    let answer = connection.get("/metrics").await.ok()?;
    let Value::String(text) = answer.body else { return None };
    let sum = |name: &str| {
        let series = text.lines().filter(|line| line.starts_with(name));
        let values = series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or(0.0) + value))
    };
    let asked = sum("mosel_policy_calls_total")?;
    // a question that nobody waits for any more is refused once more, as timed out, before its answer comes
    let timed_out = |line: &&str| line.starts_with("mosel_policy_refused_total") && line.contains("timed_out");
    let timed_out = text.lines().filter(timed_out).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    let refused = sum("mosel_policy_refused_total").unwrap_or(0.0) - timed_out.sum::<f64>();
    let answered = sum("mosel_policy_adopted_total").unwrap_or(0.0) + refused;
    Some(DecisionCounts { asked, lost: asked - answered })
}

fn print(
    args: &SwapsArgs,
    load: &OfferedLoad,
    policies: &[String; 2],
    kinds: &[PhaseResults; 2],
    plans: Option<&DecisionCounts>,
) {
    let spreads = kinds.each_ref().map(|kind| Spread::of(kind.completion_ms.clone()));
    let [without, with] = kinds;
    let swaps = Spread::of(with.swap_ms.clone());
    let ratio = spreads[1].p99 / spreads[0].p99;
    if args.json {
        let side = |kind: &PhaseResults, spread: Spread| {
            json!({
                "jobs": kind.offered, "failed": kind.failed, "lost": kind.lost, "late": kind.late,
                "p50_ms": spread.p50, "p99_ms": spread.p99,
            })
        };
        let row = json!({
            "policies": policies, "load": args.load, "seconds": args.seconds, "rounds": args.rounds, "seed": args.seed,
            "without": side(without, spreads[0]), "with": side(with, spreads[1]),
            "p50_ratio": spreads[1].p50 / spreads[0].p50, "p99_ratio": ratio,
            "swaps": with.swap_ms.len(), "swaps_refused": with.refused_swaps, "swap_refusal": with.refusal,
            "swap_p50_ms": swaps.p50, "swap_p99_ms": swaps.p99,
            "plans_asked": plans.map(|plans| plans.asked), "plans_lost": plans.map(|plans| plans.lost),
        });
        println!("{row}");
        return;
    }
    println!(
        "{} jobs of {} requests in {} s (Poisson, seed {}), {} times the device's capacity on all modalities, deadline \
         {:.0} ms; {} phases of each kind in turn",
        load.arrivals.len(),
        args.requests,
        args.seconds,
        args.seed,
        args.load,
        load.deadline.as_secs_f64() * 1e3,
        args.rounds,
    );
    println!("{}", table(kinds, spreads));
    println!("completion p99 with swaps over without: {ratio:.3}");
    println!(
        "{} swaps between {} and {}: p50 {:.1} ms, p99 {:.1} ms; {} refused{}",
        with.swap_ms.len(),
        policies[0],
        policies[1],
        swaps.p50,
        swaps.p99,
        with.refused_swaps,
        with.refusal.as_ref().map_or(String::new(), |words| format!(" ({words})")),
    );
    match plans {
        Some(DecisionCounts { asked, lost }) => println!("policies were asked {asked} times, {lost} answers were lost"),
        None => println!("this server does not count what policies are asked"),
    }
}

fn table(kinds: &[PhaseResults; 2], spreads: [Spread; 2]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["", "without swaps", "with swaps"]);
    let mut row = |name: &str, count: &dyn Fn(&PhaseResults) -> usize| {
        table.add_row([name.to_owned(), count(&kinds[0]).to_string(), count(&kinds[1]).to_string()]);
    };
    row("jobs", &|kind| kind.offered);
    row("failed or refused", &|kind| kind.failed);
    row("lost", &|kind| kind.lost);
    row("late", &|kind| kind.late);
    let millis = |value: f64| format!("{value:.1} ms");
    table.add_row(["completion p50".to_owned(), millis(spreads[0].p50), millis(spreads[1].p50)]);
    table.add_row(["completion p99".to_owned(), millis(spreads[0].p99), millis(spreads[1].p99)]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
