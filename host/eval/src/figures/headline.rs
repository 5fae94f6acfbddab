//! `mosel bench headline`: the paper's claims as one table, a row a model.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use mosel_sim::Workload;
use serde_json::{Value, json};

use super::experiment::{BASELINE, OURS, StudiedModel, Traffic, finalists};
use super::sweep::{Outcome, Run, mean, run_all};
use crate::arguments;
use crate::policy_under_test::{PolicyCompiler, PolicyUnderTest};
use crate::sim_setup::SimSetup;

/// What `mosel bench headline` takes.
#[derive(Debug, Args)]
pub struct HeadlineArgs {
    /// Models of the zoo, or profiles' files; without any, the whole zoo
    #[arg(long = "model", value_name = "NAME|PROFILE.json")]
    models: Vec<String>,
    /// The jobs (sizes, deadlines, floors), as TOML; its arrivals are not used
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// Jobs in a run at the load 1
    #[arg(long, default_value_t = 3000.0)]
    jobs: f64,
    /// Runs at every load, each with a seed of its own
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// A line of JSON for each model instead of a table
    #[arg(long)]
    json: bool,
}

/// A job in a hundred may be late, dropped, refused or failed.
const FEW: f64 = 0.01;
/// Loads that are searched.
const LIMITS: (f64, f64) = (1.0 / 32.0, 32.0);
/// The load at which the baseline has collapsed.
const MOST: f64 = 0.7;
/// Loads at which it is told how much of them is served.
const SHARES: [f64; 3] = [1.5, 2.0, 4.0];

/// One model's row.
pub(super) struct Headline {
    model: String,
    /// Highest load at few violations: baseline, ours.
    loads: [f64; 2],
    /// Where the baseline has most violations, and what came of both there.
    heavy: f64,
    at_heavy: [Outcome; 2],
    /// At each of `SHARES`: what share of all requests was served as asked, by both.
    shares: Vec<[f64; 2]>,
    floors_broken: usize,
}

/// `mosel bench headline`.
pub fn run(args: &HeadlineArgs) -> Result<()> {
    ensure!((10.0..=1e6).contains(&args.jobs), "--jobs is {}, expected 10 to 1000000", args.jobs);
    let base = arguments::workload(args.workload.as_deref(), None, None)?;
    let models = StudiedModel::all(&args.models)?;
    let finalists = finalists(&PolicyCompiler::new()?)?;
    let seeds: Vec<u64> = (1..=args.seeds).collect();
    let terms = Terms { base: &base, jobs: args.jobs, seeds: &seeds, quiet: args.json };
    let rows: Vec<Headline> = models.iter().map(|model| terms.headline(model, &finalists)).collect::<Result<_>>()?;
    if args.json {
        rows.iter().for_each(|row| println!("{}", row.json()));
        return Ok(());
    }
    println!("Simulated from measured profiles: {BASELINE} (all modalities always) against {OURS}; Poisson arrivals.");
    println!("{}", base.jobs.describe());
    println!("{}", table(&rows));
    println!("{}", last_line(&rows));
    Ok(())
}

/// What a search for loads goes by.
pub(super) struct Terms<'a> {
    pub(super) base: &'a Workload,
    pub(super) jobs: f64,
    pub(super) seeds: &'a [u64],
    pub(super) quiet: bool,
}

impl Terms<'_> {
    pub(super) fn headline(&self, model: &StudiedModel, finalists: &[PolicyUnderTest; 2]) -> Result<Headline> {
        let StudiedModel { name, setup, .. } = model;
        let progress = if self.quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        progress.set_style(ProgressStyle::with_template("{msg} {elapsed}")?);
        progress.set_message(format!("{name}: looking for the highest loads"));
        let loads = [self.highest(setup, &finalists[0])?, self.highest(setup, &finalists[1])?];
        progress.set_message(format!("{name}: looking for where the baseline collapses"));
        let heavy = self.search(setup, &finalists[0], MOST)?;
        let heavy = if heavy.is_finite() { heavy } else { LIMITS.1 };
        let both = |load| -> Result<[Outcome; 2]> {
            Ok([self.outcome(setup, &finalists[0], load)?, self.outcome(setup, &finalists[1], load)?])
        };
        let at_heavy = both(heavy)?;
        let mut floors_broken = at_heavy.iter().map(|outcome| outcome.floors_broken).sum();
        let mut shares = Vec::new();
        for load in SHARES {
            let outcomes = both(load)?;
            floors_broken += outcomes.iter().map(|outcome| outcome.floors_broken).sum::<usize>();
            shares.push(outcomes.map(|outcome| mean(&outcome.good_share)));
        }
        progress.finish_and_clear();
        Ok(Headline { model: name.clone(), loads, heavy, at_heavy, shares, floors_broken })
    }

    /// The highest load with few violations.
    pub(super) fn highest(&self, setup: &SimSetup, policy: &PolicyUnderTest) -> Result<f64> {
        self.search(setup, policy, FEW)
    }

    /// The load at which violations reach this share, by bisection, to 1 %; the highest that is looked at if they do so nowhere,
    /// not a number if they do so everywhere from 1/32 to 32.
    fn search(&self, setup: &SimSetup, policy: &PolicyUnderTest, violations: f64) -> Result<f64> {
        let (mut low, mut high) = LIMITS;
        while high / low > 1.01 {
            let middle = f64::sqrt(low * high);
            let outcome = self.outcome(setup, policy, middle)?;
            if mean(&outcome.violations) <= violations { low = middle } else { high = middle }
        }
        if high == LIMITS.1 {
            return Ok(LIMITS.1);
        }
        Ok(if low > LIMITS.0 { if violations == FEW { low } else { high } } else { f64::NAN })
    }

    fn outcome(&self, setup: &SimSetup, policy: &PolicyUnderTest, load: f64) -> Result<Outcome> {
        // as many jobs at every load: at low ones a few violations would else be none
        let workload = Traffic::calm().workload(self.base, setup, load, self.jobs / load)?;
        let workload = workload.expect("our own traffic fits all");
        let run = |&seed| Run { setup, scale: setup, policy, workload: workload.clone(), seed };
        let runs: Vec<Run<'_>> = self.seeds.iter().map(run).collect();
        let outcome = Outcome::of(run_all("", &runs, true)?);
        ensure!(outcome.floors_broken == 0, "{} floors were broken at load {load}", outcome.floors_broken);
        Ok(outcome)
    }
}

impl Headline {
    pub(super) fn throughput_ratio(&self) -> f64 {
        self.loads[1] / self.loads[0]
    }

    pub(super) fn jct_ratio(&self) -> f64 {
        self.at_heavy[0].mean_completion() / self.at_heavy[1].mean_completion()
    }

    pub(super) fn floors_broken(&self) -> usize {
        self.floors_broken
    }

    pub(super) fn json(&self) -> Value {
        let [baseline, ours] = &self.at_heavy;
        json!({
            "model": self.model, "throughput_ratio": self.throughput_ratio(), "jct_ratio": self.jct_ratio(),
            "violations_baseline": mean(&baseline.violations), "violations": mean(&ours.violations),
            "accuracy_baseline": mean(&baseline.accuracy), "accuracy": mean(&ours.accuracy),
            "floors_broken": self.floors_broken, "load_baseline": self.loads[0], "load": self.loads[1],
            "heavy_load": self.heavy, "served_at": SHARES,
            "served_baseline": self.shares.iter().map(|share| share[0]).collect::<Vec<_>>(),
            "served": self.shares.iter().map(|share| share[1]).collect::<Vec<_>>(),
        })
    }

    /// What the table and the report show: a name, and the value for this model.
    pub(super) fn lines(&self) -> Vec<(String, String)> {
        let [baseline, ours] = &self.at_heavy;
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let pair = |values: [f64; 2]| format!("{} / {}", percent(values[0]), percent(values[1]));
        let mut lines = vec![
            ("highest load at 1 % violations".to_owned(), format!("{:.2} / {:.2}", self.loads[0], self.loads[1])),
            ("throughput ratio (paper: 3.6 overall, 5.3 for TVLT)".into(), format!("{:.2}", self.throughput_ratio())),
            ("load where the baseline has 70 % violations".into(), format!("{:.2}", self.heavy)),
            ("violations there".into(), pair([mean(&baseline.violations), mean(&ours.violations)])),
            (
                "mean completion there, ms".into(),
                format!("{:.0} / {:.0}", baseline.mean_completion() * 1e3, ours.mean_completion() * 1e3),
            ),
            ("completion ratio (paper: 11)".into(), format!("{:.1}", self.jct_ratio())),
            ("mean accuracy there".into(), format!("{:.4} / {:.4}", mean(&baseline.accuracy), mean(&ours.accuracy))),
            ("mean floor of the jobs served there".into(), format!("{:.4}", mean(&ours.floors))),
        ];
        for (load, shares) in SHARES.iter().zip(&self.shares) {
            lines.push((format!("served as asked at {load} times the capacity"), pair(*shares)));
        }
        lines.push(("floors broken".into(), self.floors_broken.to_string()));
        lines
    }
}

/// A column a model.
fn table(rows: &[Headline]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(std::iter::once("baseline / ours".to_owned()).chain(rows.iter().map(|row| row.model.clone())));
    let columns: Vec<Vec<(String, String)>> = rows.iter().map(Headline::lines).collect();
    for line in 0..columns.first().map_or(0, Vec::len) {
        let name = columns[0][line].0.clone();
        table.add_row(std::iter::once(name).chain(columns.iter().map(|column| column[line].1.clone())));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The geometric mean over models, beside the aims.
pub(super) fn last_line(rows: &[Headline]) -> String {
    let ratios: Vec<f64> = rows.iter().map(Headline::throughput_ratio).filter(|ratio| ratio.is_finite()).collect();
    let overall = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    let broken: usize = rows.iter().map(Headline::floors_broken).sum();
    format!("throughput at 1 % violations over the baseline, geometric mean: {overall:.2}; floors broken: {broken}")
}
