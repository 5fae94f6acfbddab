//! `mosel bench policy`: how long a policy takes to decide, and how far from the optimum its answers are.
//!
//! A row is a policy on an engine: `wasm` is the whole call as the server makes it (conversion there and back, crossing
//! the border, deciding), `native` the same code in this program, without any of that. Engines take turns, so that a
//! machine whose speed drifts slows all of them.

mod loads;
mod row;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use mosel_conformance::queues::{self, Pressure, Shape};
use mosel_core::{Catalog, Forecast, Plan, PlanId, Proposal, Snapshot};
use mosel_sandbox::{Budget, Engine, Limits, LoadedPolicy, Metering, RunningPolicy};

use super::native::{self, Native};
use row::{Row, Samples};

/// Measures policies on random queues.
#[derive(Debug, Args)]
pub struct PolicyBenchArgs {
    /// A component's file, or the name of a shipped policy; may be given more than once. Without it: all that are shipped
    #[arg(long = "policy", value_name = "FILE|NAME")]
    policies: Vec<String>,
    /// Settings of every policy measured: JSON, or @FILE
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// Jobs in a queue; may be given more than once
    #[arg(long, default_values_t = [10, 100, 1000], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    jobs: Vec<u32>,
    /// Strategies a table; may be given more than once
    #[arg(long, default_values_t = [12], value_parser = clap::value_parser!(u32).range(1..=1024))]
    strategies: Vec<u32>,
    /// Tables of a queue
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=4096))]
    tables: u32,
    /// Random queues of each size
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    instances: u32,
    /// How often each queue is decided, after one that does not count
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeats: u32,
    /// What the queues are drawn with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Which of a policy's limits are enforced
    #[arg(long, value_enum, default_value_t = Meters::FuelAndTime)]
    metering: Meters,
    /// What it costs to load a policy, to start it and to cross its border, instead
    #[arg(long)]
    loads: bool,
    /// A line of JSON for each row instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Meters {
    /// Both, as the server does
    #[value(name = "fuel+time")]
    FuelAndTime,
    /// Fuel alone
    Fuel,
    /// Time alone
    Time,
}

/// The policy whose bound others are measured by: ours that proves one.
const BOUND: &str = "exact";
/// Its settings then: a bound on all plans, not only on those that keep a reserve.
const UNRESERVED: &str = r#"{"reserve": 0}"#;
/// Long enough that nobody is cut off for a slow machine.
const BUDGET: Duration = Duration::from_secs(10);

/// `mosel bench policy`.
pub fn run(args: &PolicyBenchArgs) -> Result<()> {
    let settings = serde_json::to_string(&crate::policy_file::settings(args.settings.as_deref())?)?;
    let engine = Engine::new(limits(args.metering))?;
    let contestants = contestants(args, &engine)?;
    if args.loads {
        return loads::run(args, &contestants, &settings);
    }
    let measured_by = measured_by(&engine)?;
    let mut rows = Vec::new();
    for &strategies in &args.strategies {
        for &jobs in &args.jobs {
            let size = Size { jobs, strategies };
            rows.extend(measure(args, size, &contestants, &settings, measured_by.as_ref())?);
        }
    }
    row::print(args, &rows);
    Ok(())
}

/// How large the queues are.
#[derive(Clone, Copy)]
struct Size {
    jobs: u32,
    strategies: u32,
}

/// A policy that takes part.
struct Contestant {
    name: String,
    component: Vec<u8>,
    loaded: LoadedPolicy,
    native: Option<native::Start>,
}

fn limits(meters: Meters) -> Limits {
    let metering = match meters {
        Meters::FuelAndTime => Metering::FuelAndTime,
        Meters::Fuel => Metering::Fuel,
        Meters::Time => Metering::Time,
    };
    let decide = Budget { fuel: u64::MAX / 2, time: BUDGET };
    Limits { metering, decide, ..Limits::default() }
}

fn contestants(args: &PolicyBenchArgs, engine: &Engine) -> Result<Vec<Contestant>> {
    let shipped = || mosel_policies::SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let policies = if args.policies.is_empty() { shipped() } else { args.policies.clone() };
    let contestant = |policy: &String| {
        let (name, component) = crate::policy_file::component(policy)?;
        let loaded = engine.load(&name, &component).with_context(|| format!("loading {policy}"))?;
        // a file may be another build than the code in this program
        let native = mosel_policies::shipped(policy).and_then(|_| native::of(policy));
        Ok(Contestant { name, component, loaded, native })
    };
    policies.iter().map(contestant).collect()
}

fn measured_by(engine: &Engine) -> Result<Option<LoadedPolicy>> {
    let loaded = mosel_policies::shipped(BOUND).map(|bytes| engine.load(BOUND, bytes)).transpose();
    loaded.with_context(|| format!("loading {BOUND}"))
}

/// Every contestant on `instances` queues of this size.
fn measure(
    args: &PolicyBenchArgs,
    size: Size,
    contestants: &[Contestant],
    settings: &str,
    measured_by: Option<&LoadedPolicy>,
) -> Result<Vec<Row>> {
    let mut samples: Vec<Samples> = contestants.iter().map(|_| Samples::default()).collect();
    for instance in 0..args.instances {
        let day = Day::draw(args, size, instance, measured_by)?;
        let mut engines = Vec::new();
        for contestant in contestants {
            engines.push(Engines::start(contestant, settings, &day, args.seed)?);
        }
        for (engines, samples) in engines.iter_mut().zip(&mut samples) {
            samples.judge(&day, engines.warm_up(&day));
        }
        for _ in 0..args.repeats {
            for (engines, samples) in engines.iter_mut().zip(&mut samples) {
                engines.take_turns(&day, samples);
            }
        }
    }
    let finished = contestants.iter().zip(samples);
    Ok(finished.flat_map(|(contestant, samples)| samples.rows(&contestant.name, size)).collect())
}

/// A queue, and what is known of it.
struct Day {
    catalog: Catalog,
    snapshot: Snapshot,
    /// No plan in this order is worth more.
    bound: Option<f64>,
    /// Jobs that are late whatever is done.
    lost: usize,
}

impl Day {
    fn draw(args: &PolicyBenchArgs, size: Size, instance: u32, measured_by: Option<&LoadedPolicy>) -> Result<Day> {
        let shape = Shape {
            jobs: size.jobs as usize,
            tables: args.tables as usize,
            strategies: size.strategies as usize,
            pressure: Pressure::Tight,
        };
        let (catalog, snapshot) = queues::random(args.seed.wrapping_add(u64::from(instance)), shape);
        let snapshot = Snapshot { plan: PlanId(u64::from(instance) + 1), budget: BUDGET, ..snapshot };
        let lost = Forecast::squeezed(&snapshot, &catalog).violators().count();
        let mut day = Day { catalog, snapshot, bound: None, lost };
        if let Some(loaded) = measured_by {
            let mut policy = RunningPolicy::start(loaded.clone(), UNRESERVED, &day.catalog, args.seed)
                .with_context(|| format!("starting {BOUND}"))?;
            day.bound = policy.decide(&day.snapshot).answer.ok().and_then(|proposal| proposal.bound);
        }
        Ok(day)
    }
}

/// A policy on one queue, in both forms.
struct Engines {
    wasm: RunningPolicy,
    native: Option<Box<dyn Native>>,
    seed: u64,
}

impl Engines {
    fn start(contestant: &Contestant, settings: &str, day: &Day, seed: u64) -> Result<Engines> {
        let starting = || format!("starting {}", contestant.name);
        let wasm =
            RunningPolicy::start(contestant.loaded.clone(), settings, &day.catalog, seed).with_context(starting)?;
        let native = contestant.native.map(|start| {
            native::begin(0, &native::queue(&day.snapshot));
            start(settings, native::catalog(&day.catalog))
        });
        let native = native.transpose().map_err(|error| anyhow::anyhow!("{error:?}")).with_context(starting)?;
        Ok(Engines { wasm, native, seed })
    }

    /// What it answers, from caches that are warm afterwards.
    fn warm_up(&mut self, day: &Day) -> mosel_sandbox::MeteredReply {
        if let Some(native) = &mut self.native {
            time_native(native.as_mut(), day, self.seed);
        }
        self.wasm.decide(&day.snapshot)
    }

    fn take_turns(&mut self, day: &Day, samples: &mut Samples) {
        let start = Instant::now();
        let reply = self.wasm.decide(&day.snapshot);
        samples.wasm_us.push(start.elapsed().as_secs_f64() * 1e6);
        samples.fuel.extend(reply.fuel_used.map(|fuel| fuel as f64));
        if let Some(native) = &mut self.native {
            samples.native_us.push(time_native(native.as_mut(), day, self.seed));
        }
    }
}

/// Microseconds of one decision; its queue is made before.
fn time_native(native: &mut dyn Native, day: &Day, seed: u64) -> f64 {
    let queue = native::queue(&day.snapshot);
    native::begin(seed, &queue);
    let start = Instant::now();
    let decision = native.decide(queue);
    let micros = start.elapsed().as_secs_f64() * 1e6;
    drop(std::hint::black_box(decision));
    micros
}

/// What an answer is worth.
struct Worth {
    /// Adopted whole.
    feasible: bool,
    /// Jobs late under it that need not be.
    late: usize,
    /// (bound - value) / bound by the bound that it proved, else by that of [`BOUND`].
    gap: Option<f64>,
    /// The bound is its own.
    own: bool,
}

impl Worth {
    fn of(day: &Day, proposal: &Proposal) -> Worth {
        let plan = Plan::check(&day.snapshot, &day.catalog, proposal);
        let forecast = plan.and_then(|plan| Forecast::under(&day.snapshot, &day.catalog, &plan));
        let feasible = forecast.is_ok();
        let forecast = forecast.unwrap_or_else(|_| Forecast::as_it_is(&day.snapshot, &day.catalog));
        let late = forecast.violators().count().saturating_sub(day.lost);
        let gap = |bound: f64, value: f64| (bound != 0.0).then(|| (bound - value) / bound.abs());
        match (proposal.objective, proposal.bound) {
            (Some(objective), Some(bound)) => Worth { feasible, late, gap: gap(bound, objective), own: true },
            // a plan that leaves jobs late is not one that the bound is of
            _ if late > 0 => Worth { feasible, late, gap: None, own: false },
            _ => {
                let gap = day.bound.and_then(|bound| gap(bound, forecast.value(&day.catalog)));
                Worth { feasible, late, gap, own: false }
            }
        }
    }
}

impl PolicyBenchArgs {
    fn metering(&self) -> String {
        self.metering.to_possible_value().map_or_else(String::new, |value| value.get_name().into())
    }
}
