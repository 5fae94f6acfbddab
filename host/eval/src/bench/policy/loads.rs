//! `mosel bench policy --loads`: what it costs to load a policy, to start it, and to cross its border.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use mosel_conformance::Spread;
use mosel_conformance::queues::{self, Pressure, Shape};
use mosel_sandbox::{Engine, RunningPolicy};
use serde_json::json;

use super::args::{PolicyBenchArgs, limits};
use super::candidate::Candidate;

/// The policy that answers without looking: what is left is the border.
const NO_OP: &str = "highest-accuracy";
const JOBS: usize = 100;

/// What something takes.
struct Cost {
    what: String,
    micros: Spread,
}

pub(super) fn run(args: &PolicyBenchArgs, candidates: &[Candidate], settings: &str) -> Result<()> {
    let mut costs = Vec::new();
    for candidate in candidates {
        costs.extend(loads(args, candidate, settings)?);
    }
    costs.push(border(args)?);
    if args.json {
        for Cost { what, micros } in &costs {
            let (median, p99) = (micros.p50, micros.p99);
            println!("{}", json!({ "what": what, "median_us": median, "p99_us": p99, "metering": args.metering() }));
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["", "median us", "p99 us"]);
    for Cost { what, micros } in costs {
        table.add_row([what, format!("{:.1}", micros.p50), format!("{:.1}", micros.p99)]);
    }
    println!("{} repetitions, metering {}\n{table}", args.repeats, args.metering());
    Ok(())
}

fn loads(args: &PolicyBenchArgs, candidate: &Candidate, settings: &str) -> Result<[Cost; 3]> {
    let Candidate { name, component, loaded, .. } = candidate;
    let loading = || format!("loading {name}");
    let folder = Folder::new()?;
    let cold = repeat(args, || {
        let engine = Engine::new(limits(args.metering))?;
        let start = Instant::now();
        engine.load(name, component).with_context(loading)?;
        Ok(start)
    })?;
    // whoever comes first fills the cache
    Engine::with_cache(limits(args.metering), &folder.cache())?.load(name, component).with_context(loading)?;
    let cached = repeat(args, || {
        let engine = Engine::with_cache(limits(args.metering), &folder.cache())?;
        let start = Instant::now();
        engine.load(name, component).with_context(loading)?;
        Ok(start)
    })?;
    let catalog = queues::catalog(args.seed, args.tables as usize, args.strategies[0] as usize);
    let fresh = repeat(args, || {
        let loaded = loaded.clone();
        let start = Instant::now();
        RunningPolicy::start(loaded, settings, &catalog, args.seed).with_context(|| format!("starting {name}"))?;
        Ok(start)
    })?;
    let tables = format!("{} tables of {} strategies", args.tables, args.strategies[0]);
    Ok([
        Cost { what: format!("{name}: load, compiled ({} bytes)", component.len()), micros: cold },
        Cost { what: format!("{name}: load, from the cache"), micros: cached },
        Cost { what: format!("{name}: fresh instance, configured with {tables}"), micros: fresh },
    ])
}

/// A call that decides nothing: conversions, the border, and back.
fn border(args: &PolicyBenchArgs) -> Result<Cost> {
    let component = mosel_policies::shipped(NO_OP).with_context(|| format!("{NO_OP} is not shipped"))?;
    let loaded = Engine::new(limits(args.metering))?.load(NO_OP, component)?;
    let shape = Shape { jobs: JOBS, tables: args.tables as usize, strategies: 12, pressure: Pressure::Tight };
    let (catalog, snapshot) = queues::random(args.seed, shape);
    let mut policy = RunningPolicy::start(loaded, "{}", &catalog, args.seed)?;
    let mut micros = Vec::new();
    for _ in 0..args.repeats.saturating_mul(100) {
        let start = Instant::now();
        std::hint::black_box(policy.decide(&snapshot));
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Cost { what: format!("crossing the border and back, {JOBS} jobs ({NO_OP})"), micros: Spread::of(micros) })
}

/// Microseconds from the instant that each repetition names to its end; the first does not count.
fn repeat(args: &PolicyBenchArgs, mut once: impl FnMut() -> Result<Instant>) -> Result<Spread> {
    once()?;
    let mut micros = Vec::new();
    for _ in 0..args.repeats {
        micros.push(once()?.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Spread::of(micros))
}

/// A folder for the cache, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("mosel-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Folder(path))
    }

    /// Not there yet: the engine makes it as it wants it.
    fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
