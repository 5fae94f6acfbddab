//! What the demo offers: the same jobs to every policy, each at its time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use mosel_core::{ModelId, StrategyMatrix, StrategyTable};
use mosel_models::Part;
use mosel_models::assets::Assets;
use mosel_models::zoo::Task;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use super::args::{DemoArgs, POLICIES};
use super::page;
use crate::fitting::Fitting;
use mosel_client::connection::{Answer, Connection};
use mosel_client::inputs::Pool;
use mosel_client::spawned::Spawned;

/// Floors, as shares of the way from the fastest strategy's accuracy to the best, drawn evenly.
const FLOORS: [f64; 3] = [0.0, 0.03, 0.06];

/// What is offered: the same for every policy.
pub(super) struct DemoLoad {
    pub(super) fitting: Fitting,
    pub(super) table: Arc<StrategyTable>,
    pub(super) pool: Pool,
    pub(super) jobs: Vec<DemoJob>,
    pub(super) deadline: Duration,
}

/// One job that will be submitted.
pub(super) struct DemoJob {
    pub(super) at: Duration,
    pub(super) floor: f64,
    /// What is said of the job, but for its requests.
    pub(super) fields: Map<String, Value>,
    /// Its requests, as indices into the pool.
    pub(super) chosen: Vec<u32>,
}

impl DemoLoad {
    /// Draws jobs, and finds a profile that fits this machine.
    pub(super) fn draw(args: &DemoArgs) -> Result<DemoLoad> {
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

    /// A paragraph for whoever watches.
    pub(super) fn describe(&self, args: &DemoArgs) -> String {
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
    pub(super) async fn serve(&self, policy: &str, args: &DemoArgs) -> Result<Vec<Answer>> {
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
    pub(super) fn page(&self, args: &DemoArgs, answers: &[Answer]) -> Result<String> {
        let task: Task = args.model.parse()?;
        let examples = task.examples(&Assets::standard(), Part::Served)?;
        let served = self.jobs.iter().zip(answers).filter(|(_, answer)| answer.body["state"] == "served");
        let served = served.map(|(job, answer)| page::Served {
            examples: job.chosen.iter().map(|&index| &examples[index as usize]).collect(),
            body: &answer.body,
        });
        let title = format!("{task}, {:.1} times what one device serves", args.load);
        let note = format!("Held-out inputs of {task}, under the policy {}. {}", POLICIES[2], task.cut().description);
        Ok(page::page(&task.spec()?, &title, &note, &served.collect::<Vec<_>>()))
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
