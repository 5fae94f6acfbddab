//! `mosel demo`: the main job on real input. One open-loop burst of held-out examples that is too much for
//! all modalities, served with the same arrivals by each of three policies: `highest-accuracy`, which never drops
//! anything, the paper's `greedy`, and `exact`.
//!
//! What is compared is counted here, on the client's side: a violation is a job that was late (by the
//! server's own clock), dropped, refused or failed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use mosel_core::{Accuracy, Mode, ModelId, StrategyMatrix, StrategyTable};
use mosel_models::assets::Assets;
use mosel_models::zoo::Task;
use mosel_models::{Part, files};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use crate::demo_page;
use mosel_client::connection::{Answer, Connection};
use mosel_client::inputs::{self, Pool};
use mosel_client::spawned::Spawned;
use mosel_eval::fitting::Fitting;

/// Serves one overload three times, without and with modality selection, and compares.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The task
    #[arg(long, default_value = "emoji")]
    model: String,
    /// Offered load, as a multiple of what the device can serve on all modalities
    #[arg(long, default_value_t = 1.6)]
    load: f64,
    /// Seconds of arrivals, for each policy
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Requests a job
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    requests: u32,
    /// A job's deadline, as a multiple of its own time on all modalities
    #[arg(long, default_value_t = 18.0)]
    slack: f64,
    /// What arrivals, floors and inputs are drawn with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write a page that shows what some jobs were made of and what the server ran
    #[arg(long, value_name = "FILE.html")]
    page: Option<PathBuf>,
}

/// The policies that are compared, the baseline first.
const POLICIES: [&str; 3] = ["highest-accuracy", "greedy", "exact"];

/// Floors, as shares of the way from the fastest strategy's accuracy to the best, drawn evenly.
const FLOORS: [f64; 3] = [0.0, 0.03, 0.06];

/// `mosel demo`.
pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    ensure!((0.1..=100.0).contains(&args.load), "--load is {}, expected 0.1 to 100", args.load);
    ensure!((1.0..=600.0).contains(&args.seconds), "--seconds is {}, expected 1 to 600", args.seconds);
    ensure!((1.0..=1000.0).contains(&args.slack), "--slack is {}, expected 1 to 1000", args.slack);
    let load = DemoLoad::draw(args)?;
    println!("{}", load.describe(args));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (mut reports, mut last) = (Vec::new(), Vec::new());
    for policy in POLICIES {
        let answers = runtime.block_on(load.serve(policy, args))?;
        reports.push(Report::new(&load, &answers)?);
        last = answers;
    }
    println!("{}", table(&reports, &load));
    println!("{}", last_line(&reports));
    if let Some(path) = &args.page {
        let page = load.page(args, &last)?;
        files::write_whole(path, page.as_bytes())?;
        println!("page: {}", path.display());
    }
    Ok(())
}

/// What is offered: the same for every policy.
struct DemoLoad {
    fitting: Fitting,
    table: Arc<StrategyTable>,
    pool: Pool,
    jobs: Vec<DemoJob>,
    deadline: Duration,
}

/// One job that will be submitted.
struct DemoJob {
    at: Duration,
    floor: f64,
    /// What is said of the job, but for its requests.
    fields: Map<String, Value>,
    /// Its requests, as indices into the pool.
    chosen: Vec<u32>,
}

impl DemoLoad {
    fn draw(args: &DemoArgs) -> Result<DemoLoad> {
        let assets = Assets::standard();
        let task: Task = args.model.parse()?;
        let pool = Pool::held_out(task, &assets)?;
        let fitting = Fitting::find(task, &assets, |words| println!("{words}"))?;
        let matrix = StrategyMatrix::new(ModelId(0), fitting.profile.clone(), args.requests)?;
        let table = matrix.table(args.requests).context("the matrix reaches to this size")?.clone();
        let slowest = table.strategy(table.most_accurate()).latency;
        let deadline = slowest.mul_f64(args.slack);
        let mut random = StdRng::seed_from_u64(args.seed);
        let rate = args.load / slowest.as_secs_f64();
        let mut jobs = Vec::new();
        for at in mosel_sim::workload::poisson(rate, args.seconds, args.seed)? {
            let chosen = pool.choose(args.requests, &mut random);
            let share = FLOORS[random.random_range(0..FLOORS.len())];
            let (low, high) = (table.strategies[0].accuracy, table.strategy(table.most_accurate()).accuracy);
            let floor = ((low + share * (high - low)) * 1e4).floor() / 1e4;
            let fields = [
                ("model", json!(args.model)),
                ("deadline_ms", json!(deadline.as_secs_f64() * 1e3)),
                ("min_accuracy", json!(floor)),
                ("on_late", json!("run")),
            ];
            let fields = fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            jobs.push(DemoJob { at: Duration::from_secs_f64(at), floor, fields, chosen });
        }
        ensure!(!jobs.is_empty(), "no job arrives in {} s at this load: try more --seconds", args.seconds);
        Ok(DemoLoad { fitting, table, pool, jobs, deadline })
    }

    fn describe(&self, args: &DemoArgs) -> String {
        let (fast, slow) = (&self.table.strategies[0], self.table.strategy(self.table.most_accurate()));
        format!(
            "\n{} jobs of {} real held-out requests each arrive in {} s (Poisson, seed {}): {:.1} times what the device\n\
             can serve on its best modalities. A job takes {:.0} ms at accuracy {:.3}, or {:.0} ms at {:.3}; it has to be\n\
             done {:.0} ms after it came, with a floor of {:.4} to {:.4}. Profile {}.\n",
            self.jobs.len(),
            args.requests,
            args.seconds,
            args.seed,
            args.load,
            slow.latency.as_secs_f64() * 1e3,
            slow.accuracy,
            fast.latency.as_secs_f64() * 1e3,
            fast.accuracy,
            self.deadline.as_secs_f64() * 1e3,
            self.jobs.iter().map(|job| job.floor).fold(1.0, f64::min),
            self.jobs.iter().map(|job| job.floor).fold(0.0, f64::max),
            self.fitting.profile.id,
        )
    }

    /// Offers every job at its time, whatever became of the ones before, and collects the answers.
    async fn serve(&self, policy: &str, args: &DemoArgs) -> Result<Vec<Answer>> {
        let profile = format!("{}={}", args.model, self.fitting.file.display());
        let words = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--model",
            &args.model,
            "--policy",
            policy,
            "--profile",
            &profile,
            "--precisions",
            "fp32",
        ];
        let server = Spawned::start(&words.map(String::from))?;
        let connection = Connection::new(&server.url)?;
        let progress = ProgressBar::new(self.jobs.len() as u64);
        progress.set_style(ProgressStyle::with_template("{msg:17} {bar:40} {pos}/{len} jobs answered, {elapsed}")?);
        progress.set_message(policy.to_owned());
        self.warm_up(&connection).await?;
        let start = tokio::time::Instant::now();
        let mut answers = Vec::new();
        for job in &self.jobs {
            tokio::time::sleep_until(start + job.at).await;
            let (connection, progress) = (connection.clone(), progress.clone());
            let job = self.pool.job(&job.fields, &job.chosen);
            answers.push(tokio::spawn(async move {
                let answer = connection.submit(job, true).await;
                progress.inc(1);
                answer
            }));
        }
        let mut collected = Vec::with_capacity(answers.len());
        for answer in answers {
            collected.push(answer.await.context("a client task")??);
        }
        progress.finish();
        server.stop()?;
        Ok(collected)
    }

    /// The page of what the last policy did.
    fn page(&self, args: &DemoArgs, answers: &[Answer]) -> Result<String> {
        let task: Task = args.model.parse()?;
        let examples = task.examples(&Assets::standard(), Part::Served)?;
        let served = self.jobs.iter().zip(answers).filter(|(_, answer)| answer.body["state"] == "served");
        let served = served.map(|(job, answer)| demo_page::Served {
            examples: job.chosen.iter().map(|&index| &examples[index as usize]).collect(),
            body: &answer.body,
        });
        let title = format!("{task}, {:.1} times what one device serves", args.load);
        let note = format!("Held-out inputs of {task}, under the policy {}. {}", POLICIES[2], task.cut().description);
        Ok(demo_page::page(&task.spec()?, &title, &note, &served.collect::<Vec<_>>()))
    }

    /// A few jobs with time to spare, so that the first that counts meets a warm model.
    async fn warm_up(&self, connection: &Connection) -> Result<()> {
        connection.ready().await?;
        for job in self.jobs.iter().take(3) {
            let mut fields = job.fields.clone();
            fields["deadline_ms"] = 60_000.into();
            connection.submit(self.pool.job(&fields, &job.chosen), true).await?.success()?;
        }
        Ok(())
    }
}

/// What one policy made of the load.
struct Report {
    jobs: usize,
    late: usize,
    refused: usize,
    failed: usize,
    floors_broken: usize,
    served_requests: usize,
    good_requests: usize,
    /// Milliseconds from arrival to finish of the served jobs, ascending.
    completion_ms: Vec<f64>,
    /// Sum of the profiled accuracies of the served requests.
    profiled: f64,
    /// Sums of the ends of their intervals.
    bounds: (f64, f64),
    measured: Accuracy,
    /// Requests by mode.
    mix: Vec<(Mode, u32)>,
    seconds: f64,
}

impl Report {
    fn new(load: &DemoLoad, answers: &[Answer]) -> Result<Report> {
        let mut report = Report {
            jobs: answers.len(),
            late: 0,
            refused: 0,
            failed: 0,
            floors_broken: 0,
            served_requests: 0,
            good_requests: 0,
            completion_ms: Vec::new(),
            profiled: 0.0,
            bounds: (0.0, 0.0),
            measured: Accuracy { correct: 0, samples: 0 },
            mix: Vec::new(),
            seconds: load.jobs.last().map_or(0.0, |job| job.at.as_secs_f64()),
        };
        for (job, answer) in load.jobs.iter().zip(answers) {
            report.count(load, job, answer)?;
        }
        report.completion_ms.sort_by(f64::total_cmp);
        Ok(report)
    }

    fn count(&mut self, load: &DemoLoad, job: &DemoJob, answer: &Answer) -> Result<()> {
        let code = answer.body["error"]["code"].as_str();
        match (answer.status.as_u16(), code, answer.body["state"].as_str()) {
            (503, Some(_), _) | (429, Some(_), _) => self.refused += 1,
            (200, _, Some("served")) => self.count_served(load, job, &answer.body)?,
            (200, _, Some(_)) => self.failed += 1,
            (status, ..) => anyhow::bail!("expected a job or a refusal, got status {status}: {}", answer.body),
        }
        Ok(())
    }

    fn count_served(&mut self, load: &DemoLoad, job: &DemoJob, body: &Value) -> Result<()> {
        let outputs = body["outputs"].as_array().context("a served job has outputs")?;
        ensure!(outputs.len() == job.chosen.len(), "expected {} outputs, got {}", job.chosen.len(), outputs.len());
        let mut accuracy = 0.0;
        for (output, &chosen) in outputs.iter().zip(&job.chosen) {
            let mode = inputs::mode(output, &load.fitting.profile.modalities)?;
            let profiled = load.fitting.profile.accuracy(mode).context("the server used a mode the profile lacks")?;
            accuracy += profiled.mean();
            self.bounds.0 += profiled.interval().0;
            self.bounds.1 += profiled.interval().1;
            self.measured.samples += 1;
            let label = load.pool.label(chosen).map(|label| label as u64);
            self.measured.correct += u32::from(label.is_some() && output["class"].as_u64() == label);
            match self.mix.iter_mut().find(|(known, _)| *known == mode) {
                Some((_, count)) => *count += 1,
                None => self.mix.push((mode, 1)),
            }
        }
        let finished = body["timings"]["finished_ms"].as_f64().context("a served job has a finish")?;
        let in_time = finished <= load.deadline.as_secs_f64() * 1e3;
        let floor_kept = accuracy / outputs.len() as f64 >= job.floor - 1e-6;
        self.profiled += accuracy;
        self.completion_ms.push(finished);
        self.served_requests += outputs.len();
        self.late += usize::from(!in_time);
        self.floors_broken += usize::from(!floor_kept);
        self.good_requests += if in_time && floor_kept { outputs.len() } else { 0 };
        Ok(())
    }

    fn violation_ratio(&self) -> f64 {
        (self.late + self.refused + self.failed) as f64 / self.jobs as f64
    }

    fn profiled_accuracy(&self) -> f64 {
        self.profiled / self.served_requests.max(1) as f64
    }

    fn bounds(&self) -> (f64, f64) {
        let served = self.served_requests.max(1) as f64;
        (self.bounds.0 / served, self.bounds.1 / served)
    }

    fn mean_completion_ms(&self) -> f64 {
        self.completion_ms.iter().sum::<f64>() / self.completion_ms.len().max(1) as f64
    }

    fn completion_ms_at(&self, share: f64) -> f64 {
        let index = (self.completion_ms.len() as f64 * share).ceil() as usize;
        self.completion_ms.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
    }

    fn mix(&self, names: &[String]) -> String {
        let share = |&(mode, count): &(Mode, u32)| {
            format!("{} {:.0} %", mode.label(names), 100.0 * f64::from(count) / self.served_requests.max(1) as f64)
        };
        self.mix.iter().map(share).collect::<Vec<_>>().join(", ")
    }
}

type Row = (&'static str, fn(&Report, &DemoLoad) -> String);

const ROWS: [Row; 11] = [
    ("jobs that arrived", |r, _| r.jobs.to_string()),
    ("late / refused / failed", |r, _| format!("{} / {} / {}", r.late, r.refused, r.failed)),
    ("violation ratio", |r, _| format!("{:.1} %", 100.0 * r.violation_ratio())),
    ("floors broken", |r, _| r.floors_broken.to_string()),
    ("throughput, requests/s", |r, _| format!("{:.0}", r.served_requests as f64 / r.seconds)),
    ("goodput, requests/s", |r, _| format!("{:.0}", r.good_requests as f64 / r.seconds)),
    ("completion, mean / p99", |r, _| format!("{:.0} / {:.0} ms", r.mean_completion_ms(), r.completion_ms_at(0.99))),
    ("accuracy, profiled", |r, _| format!("{:.3}", r.profiled_accuracy())),
    ("  its 95 % bounds", |r, _| format!("{:.3} to {:.3}", r.bounds().0, r.bounds().1)),
    ("accuracy, measured", |r, _| format!("{:.3}", r.measured.mean())),
    ("requests by modalities", |r, load| r.mix(&load.fitting.profile.modalities)),
];

fn table(reports: &[Report], load: &DemoLoad) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([""].into_iter().chain(POLICIES));
    for (name, cell) in ROWS {
        table.add_row(std::iter::once(name.to_owned()).chain(reports.iter().map(|report| cell(report, load))));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// For scripts.
fn last_line(reports: &[Report]) -> String {
    let [baseline, greedy, exact] = reports else { unreachable!("three policies are compared") };
    format!(
        "demo: baseline_violations={:.4} greedy_violations={:.4} exact_violations={:.4} floors_broken={} \
         accuracy_baseline={:.4} accuracy_greedy={:.4} accuracy_exact={:.4}",
        baseline.violation_ratio(),
        greedy.violation_ratio(),
        exact.violation_ratio(),
        reports.iter().map(|report| report.floors_broken).sum::<usize>(),
        baseline.measured.mean(),
        greedy.measured.mean(),
        exact.measured.mean(),
    )
}
