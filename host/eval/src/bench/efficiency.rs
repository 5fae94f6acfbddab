//! `mosel bench efficiency`: what the whole server leaves of a model's speed.
//!
//! The same network runs the same batches on one thread twice: through the server, over HTTP, and back to back in this
//! process, with nothing around it. The two take turns, so that a machine whose speed drifts slows both, and compute on
//! the same core, for cores that are shared with others may differ by a fifth for a long time. Decoding is part of both.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use mosel_core::Mode;
use mosel_models::assets::Assets;
use mosel_models::zoo::{self, Task};
use mosel_models::{DeviceChoice, Example, Model, Part, Request, backend};
use serde_json::json;

use super::rows::{Loop, Rate, median};
use mosel_client::inputs::{self, Pool};
use mosel_client::spawned::{first_core, pin};

/// What `mosel bench efficiency` takes.
#[derive(Clone, Debug, Args)]
pub struct EfficiencyArgs {
    /// Which models; without any, all of the zoo
    models: Vec<Task>,
    /// Requests a job
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256))]
    requests: u32,
    /// Jobs that are always under way
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,
    /// Turns of each: many short ones even out a machine whose speed comes and goes
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds a turn
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// A line of JSON a model instead of a table
    #[arg(long)]
    json: bool,
}

/// `mosel bench efficiency`.
pub fn run(args: &EfficiencyArgs) -> Result<()> {
    ensure!((0.1..=600.0).contains(&args.seconds), "--seconds is {}, expected 0.1 to 600", args.seconds);
    let models = if args.models.is_empty() { zoo::ALL.to_vec() } else { args.models.clone() };
    let runtime = mosel_client::runtime()?;
    if !args.json {
        println!("{} rounds of {} s each, in turn, one thread; medians", args.rounds, args.seconds);
        println!(
            "model         served rows/s   direct rows/s   rows ratio   served CPU us   direct CPU us   CPU ratio"
        );
    }
    for task in models {
        let measured = runtime.block_on(measure(task, args)).with_context(|| format!("measuring {task}"))?;
        measured.print(task, args);
    }
    Ok(())
}

/// Medians of the rounds.
struct Measured {
    served: Rate,
    direct: Rate,
    rows_ratio: f64,
    cpu_ratio: f64,
}

async fn measure(task: Task, args: &EfficiencyArgs) -> Result<Measured> {
    let assets = Assets::standard();
    let pool = Pool::held_out(task, &assets)?;
    let arguments = ["--model", task.name(), "--devices", "cpu", "--precisions", "fp32"];
    let mut served = Loop::start(task.name(), pool, &arguments, (args.requests, args.jobs)).await?;
    let mut direct = Direct::new(task, &assets, &served).await?;
    let core = first_core().context("asking which cores there are")?;
    served.server.pin("device-0", core)?;
    let length = Duration::from_secs_f64(args.seconds);
    served.drive(length / 4).await?;
    direct.drive(length / 4)?;
    let mut rounds: Vec<(Rate, Rate)> = Vec::new();
    for _ in 0..args.rounds {
        rounds.push((served.drive(length).await?, on_core(core, || direct.drive(length))?));
    }
    let middle = |of: fn(&(Rate, Rate)) -> f64| median(rounds.iter().map(of).collect());
    Ok(Measured {
        served: Rate {
            rows: middle(|round| round.0.rows),
            cpu: Duration::from_secs_f64(middle(|r| r.0.cpu.as_secs_f64())),
        },
        direct: Rate {
            rows: middle(|round| round.1.rows),
            cpu: Duration::from_secs_f64(middle(|r| r.1.cpu.as_secs_f64())),
        },
        rows_ratio: middle(|(served, direct)| served.rows / direct.rows),
        cpu_ratio: middle(|(served, direct)| direct.cpu.as_secs_f64() / served.cpu.as_secs_f64()),
    })
}

impl Measured {
    fn print(&self, task: Task, args: &EfficiencyArgs) {
        let Measured { served, direct, rows_ratio, cpu_ratio } = self;
        let micros = |rate: &Rate| rate.cpu.as_secs_f64() * 1e6;
        if args.json {
            let row = json!({
                "model": task.name(), "rows_ratio": rows_ratio, "cpu_ratio": cpu_ratio,
                "served_rows": served.rows, "direct_rows": direct.rows,
                "served_cpu_us": micros(served), "direct_cpu_us": micros(direct),
                "requests": args.requests, "jobs": args.jobs, "rounds": args.rounds,
            });
            println!("{row}");
            return;
        }
        println!(
            "{:<12}  {:>13.1}   {:>13.1}   {rows_ratio:>10.3}   {:>13.1}   {:>13.1}   {cpu_ratio:>9.3}",
            task.name(),
            served.rows,
            direct.rows,
            micros(served),
            micros(direct)
        );
    }
}

/// Computes on one core. On a thread of its own: what a thread starts is kept to that thread's cores.
fn on_core<T: Send>(core: usize, compute: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pinned = || {
        pin(0, core).context("keeping a thread on one core")?;
        compute()
    };
    std::thread::scope(|scope| scope.spawn(pinned).join().expect("a panic is shown where it happens"))
}

/// The network with nothing around it, and the batches that the server runs.
struct Direct {
    model: Box<dyn Model>,
    examples: Vec<Example>,
    batches: Vec<(Mode, usize)>,
    next: usize,
}

impl Direct {
    async fn new(task: Task, assets: &Assets, served: &Loop) -> Result<Direct> {
        let names: Vec<String> = task.spec()?.modality_names().into_iter().map(String::from).collect();
        let mut batches = Vec::new();
        for step in served.steps(task.name()).await? {
            let label = step["modalities"].as_str().context("expected a step with modalities, got one without")?;
            let mode = inputs::mode_of(label, step["precision"].as_str(), &names)?;
            let number = |field: &str| {
                step[field].as_u64().with_context(|| format!("expected a step with {field}, got one without"))
            };
            let (size, mut left) = (number("batch_size")?, number("requests")?);
            while left > 0 {
                batches.push((mode, size.min(left) as usize));
                left -= size.min(left);
            }
        }
        let examples = task.examples(assets, Part::Served)?;
        Ok(Direct { model: backend::load_zoo(task, DeviceChoice::Cpu)?, examples, batches, next: 0 })
    }

    fn drive(&mut self, length: Duration) -> Result<Rate> {
        let (cpu, begin) = (thread_cpu_time(), Instant::now());
        let mut rows = 0;
        while begin.elapsed() < length {
            for (mode, size) in &self.batches {
                let at = |offset: usize| &self.examples[(self.next + offset) % self.examples.len()].request;
                let requests: Vec<&Request> = (0..*size).map(at).collect();
                let answers = self.model.forward(&requests, mode.modalities, mode.precision)?;
                rows += answers.answers.len() as u32;
                self.next += size;
            }
        }
        let (seconds, cpu) = (begin.elapsed().as_secs_f64(), thread_cpu_time().saturating_sub(cpu));
        Ok(Rate { rows: f64::from(rows) / seconds, cpu: cpu / rows.max(1) })
    }
}

/// Processor time of this thread, which is where libtorch computes with one thread.
fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock writes into a timespec that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
