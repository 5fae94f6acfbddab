//! Figure 5 once more, on a live server: what the simulator says beside what really happened.
//!
//! Every point is a run of `mosel bench serve` in a process of its own, with the jobs of the simulated point.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use mosel_chart::lines::{Lines, Panel, Point, Row, Series, Sharing, Spread};
use mosel_chart::report::{Figure, Section, Table};
use mosel_chart::{Axis, Numbers, Scale};
use serde_json::{Value, json};

use super::experiment::{BASELINE, OURS, StudiedModel, Traffic};
use super::sweep::{Outcome, Run, mean, one};
use crate::policy_under_test::PolicyUnderTest;

pub(super) struct Terms<'a> {
    pub(super) loads: &'a [f64],
    pub(super) base: &'a mosel_sim::Workload,
    /// How long each run lasts.
    pub(super) seconds: f64,
    pub(super) finalists: &'a [PolicyUnderTest; 2],
    pub(super) quiet: bool,
}

/// One model, load and policy, both ways.
struct Pair {
    model: String,
    load: f64,
    policy: &'static str,
    simulated: Outcome,
    live: Value,
}

pub(super) struct Live(Vec<Pair>);

pub(super) fn run(models: &[StudiedModel], terms: &Terms<'_>) -> Result<Live> {
    let mut pairs = Vec::new();
    for model in models {
        for &load in terms.loads {
            let setup = &model.setup;
            let mut workload = terms.base.clone();
            workload.arrivals.rate = mosel_sim::workload::Rate::Load(load);
            let capacity = workload.capacity(&setup.offered())?;
            let workload = Traffic::calm().workload(terms.base, setup, load, terms.seconds * capacity)?;
            let workload = workload.expect("our own traffic fits all");
            for (name, policy) in [BASELINE, OURS].into_iter().zip(terms.finalists) {
                if !terms.quiet {
                    eprintln!("{} live at {load}, {name}, {} s", model.name, terms.seconds);
                }
                let run = Run { setup, scale: setup, policy, workload: workload.clone(), seed: SEED };
                let simulated = Outcome::of([one(&run)?]);
                let live = serve(model, &workload, name)?;
                pairs.push(Pair { model: model.name.clone(), load, policy: name, simulated, live });
            }
        }
    }
    Ok(Live(pairs))
}

const SEED: u64 = 1;

/// `mosel bench serve` on this machine, with real inputs; its line.
fn serve(model: &StudiedModel, workload: &mosel_sim::Workload, policy: &str) -> Result<Value> {
    let file = tempfile::NamedTempFile::new().context("making a file for the workload")?;
    std::fs::write(file.path(), workload.to_toml()).context("writing the workload")?;
    let program = std::env::current_exe().context("finding this program")?;
    let output = Command::new(program)
        .args(["bench", "serve", "--json", "--quiet", "--model", &model.name, "--policy", policy])
        .args(["--seed", &SEED.to_string(), "--workload"])
        .arg(file.path())
        .stderr(Stdio::inherit())
        .output()
        .context("starting mosel bench serve")?;
    ensure!(output.status.success(), "mosel bench serve ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("reading what mosel bench serve printed")
}

impl Live {
    pub(super) fn section(&self) -> (String, Section) {
        let rows = vec![
            self.row("violations", Numbers::Percent, |outcome| mean(&outcome.violations), "violations"),
            self.row("mean accuracy", Numbers::Plain, |outcome| mean(&outcome.accuracy), "accuracy"),
            self.row(
                "mean completion (ms)",
                Numbers::Plain,
                |outcome| outcome.mean_completion() * 1e3,
                "completion_mean_ms",
            ),
        ];
        let svg = Lines {
            title: "Figure 5, live".into(),
            description: "The same jobs simulated and on a live server".into(),
            x: Axis {
                label: "offered load (multiple of the all-modalities capacity)".into(),
                scale: Scale::Log2,
                ..Axis::default()
            },
            rows,
            sharing: Sharing::Panel,
            spread: Spread::Band,
        }
        .svg();
        let caption =
            "Figure 5, live. The same workload and seed, simulated (dashed) and on a live server with real inputs. The simulated \
                       device is as the profile says; the live one is as it was on that day."
                .into();
        let section = Section {
            heading: "Figure 5: the simulator beside a live server".into(),
            figures: vec![Figure { svg: svg.clone(), caption }],
            tables: vec![self.table()],
            ..Section::default()
        };
        (svg, section)
    }

    pub(super) fn json(&self) -> Vec<Value> {
        let row = |pair: &Pair| {
            json!({
                "figure": "5-live", "model": pair.model, "load": pair.load, "policy": pair.policy,
                "simulated": pair.simulated.json(), "live": pair.live,
            })
        };
        self.0.iter().map(row).collect()
    }

    /// Jobs below their floor, both ways.
    pub(super) fn floors_broken(&self) -> usize {
        let live = |pair: &Pair| pair.live["floors_broken"].as_u64().unwrap_or(0) as usize;
        self.0.iter().map(|pair| pair.simulated.floors_broken + live(pair)).sum()
    }

    fn row(&self, label: &str, numbers: Numbers, simulated: impl Fn(&Outcome) -> f64, field: &str) -> Row {
        let mut models: Vec<&str> = self.0.iter().map(|pair| pair.model.as_str()).collect();
        models.dedup();
        let panel = |model: &str| {
            let series = |policy: &str, live: bool| {
                let pairs = self.0.iter().filter(|pair| pair.model == model && pair.policy == policy);
                let value = |pair: &Pair| match live {
                    true => pair.live[field].as_f64().unwrap_or(f64::NAN),
                    false => simulated(&pair.simulated),
                };
                Series {
                    name: format!("{policy}, {}", if live { "live" } else { "simulated" }),
                    points: pairs.map(|pair| Point::new(pair.load, value(pair))).collect(),
                    dashed: !live,
                }
            };
            let series = vec![series(BASELINE, false), series(BASELINE, true), series(OURS, false), series(OURS, true)];
            Panel { title: model.into(), series, references: Vec::new() }
        };
        let y = Axis { label: label.into(), numbers, ..Axis::default() };
        Row { y, panels: models.into_iter().map(panel).collect() }
    }

    fn table(&self) -> Table {
        let header = ["model", "load", "policy", "", "violations", "accuracy", "completion mean, ms", "throughput"];
        let line = |pair: &Pair, kind: &str, row: &Value| {
            let number = |field: &str, digits: usize, times: f64| {
                row[field].as_f64().map_or("-".into(), |value| format!("{:.digits$}", value * times))
            };
            vec![
                pair.model.clone(),
                pair.load.to_string(),
                pair.policy.to_owned(),
                kind.to_owned(),
                format!("{} %", number("violations", 2, 100.0)),
                number("accuracy", 4, 1.0),
                number("completion_mean_ms", 1, 1.0),
                number("throughput_rps", 1, 1.0),
            ]
        };
        let rows = self
            .0
            .iter()
            .flat_map(|pair| [line(pair, "simulated", &pair.simulated.json()), line(pair, "live", &pair.live)]);
        Table { caption: "Both ways".into(), header: header.map(String::from).to_vec(), rows: rows.collect() }
    }
}
