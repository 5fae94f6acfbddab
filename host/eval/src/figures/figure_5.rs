//! Figure 5: throughput, goodput and violations against offered load, per model, policy and traffic.

use anyhow::Result;
use mosel_chart::lines::{Lines, Panel, Point, Position, Reference, Row, Series, Sharing, Spread};
use mosel_chart::report::{Figure, Section, Table};
use mosel_chart::{Axis, Numbers, Scale};
use mosel_sim::Workload;
use serde_json::{Value, json};

use super::experiment::{StudiedModel, Traffic};
use super::sweep::{Outcome, Run, mean, run_all};
use crate::policy_under_test::PolicyUnderTest;

/// One traffic: for every model, policy and load, what came of it; models without such traffic are left out.
pub(super) struct Sweep {
    traffic: Traffic,
    /// Model, then policy, then load.
    cells: Vec<(usize, Vec<Vec<Outcome>>)>,
}

/// What a sweep goes over.
pub(super) struct Plan<'a> {
    pub(super) models: &'a [StudiedModel],
    pub(super) policies: &'a [PolicyUnderTest],
    pub(super) loads: &'a [f64],
    pub(super) base: &'a Workload,
    pub(super) jobs: f64,
    pub(super) seeds: &'a [u64],
    pub(super) quiet: bool,
}

impl Plan<'_> {
    pub(super) fn run(&self, traffic: &Traffic) -> Result<Sweep> {
        let mut runs = Vec::new();
        let mut taking_part = Vec::new();
        for (place, model) in self.models.iter().enumerate() {
            let setup = &model.setup;
            let mut workloads = Vec::new();
            for &load in self.loads {
                workloads.extend(traffic.workload(self.base, setup, load, self.jobs)?);
            }
            if workloads.len() < self.loads.len() {
                continue;
            }
            taking_part.push(place);
            for policy in self.policies {
                for workload in &workloads {
                    let run = |&seed| Run { setup, scale: setup, policy, workload: workload.clone(), seed };
                    runs.extend(self.seeds.iter().map(run));
                }
            }
        }
        let mut tallies = run_all(&format!("loads, {}", traffic.name), &runs, self.quiet)?.into_iter();
        let mut cell = || Outcome::of(tallies.by_ref().take(self.seeds.len()));
        let mut policy = |_: &PolicyUnderTest| self.loads.iter().map(|_| cell()).collect::<Vec<_>>();
        let cells = taking_part.into_iter().map(|place| (place, self.policies.iter().map(&mut policy).collect()));
        Ok(Sweep { traffic: traffic.clone(), cells: cells.collect() })
    }
}

impl Sweep {
    /// The figure, and its section of the report.
    pub(super) fn section(&self, plan: &Plan<'_>) -> (String, Section) {
        let rows = vec![
            self.row(plan, "throughput\n(requests/s)", Numbers::Plain, |outcome| &outcome.throughput),
            self.row(plan, "goodput\n(requests/s)", Numbers::Plain, |outcome| &outcome.goodput),
            self.row(plan, "violations", Numbers::Percent, |outcome| &outcome.violations),
            self.row(plan, "mean accuracy", Numbers::Plain, |outcome| &outcome.accuracy),
        ];
        let rows = rows.into_iter().map(|mut row| {
            row.y.label = row.y.label.replace('\n', " ");
            row
        });
        let svg = Lines {
            title: format!("Figure 5, {}", self.traffic.name),
            description: "Throughput, goodput, violations and accuracy against offered load".into(),
            x: Axis {
                label: "offered load (multiple of the all-modalities capacity), simulated".into(),
                scale: Scale::Log2,
                ..Axis::default()
            },
            rows: rows.collect(),
            sharing: Sharing::Panel,
            spread: Spread::Band,
        }
        .svg();
        let caption = format!(
            "Figure 5, {}: {}. Simulated from measured profiles; mean over {} seeds, the bands reach from the lowest to the \
             highest of them.",
            self.traffic.name,
            self.traffic.origin,
            plan.seeds.len()
        );
        let section = Section {
            heading: format!("Figure 5: load, {} traffic", self.traffic.name),
            figures: vec![Figure { svg: svg.clone(), caption }],
            tables: self.cells.iter().map(|(place, cells)| table(plan, *place, cells)).collect(),
            ..Section::default()
        };
        (svg, section)
    }

    /// All numbers.
    pub(super) fn json(&self, plan: &Plan<'_>) -> Vec<Value> {
        let mut rows = Vec::new();
        for (place, cells) in &self.cells {
            for (policy, cells) in plan.policies.iter().zip(cells) {
                for (load, outcome) in plan.loads.iter().zip(cells) {
                    let mut row = outcome.json();
                    row["figure"] = json!(5);
                    row["traffic"] = json!(self.traffic.name);
                    row["model"] = json!(plan.models[*place].name);
                    row["policy"] = json!(policy.label);
                    row["load"] = json!(load);
                    rows.push(row);
                }
            }
        }
        rows
    }

    /// Jobs below their floor.
    pub(super) fn floors_broken(&self) -> usize {
        self.cells.iter().flat_map(|(_, cells)| cells.iter().flatten()).map(|outcome| outcome.floors_broken).sum()
    }

    /// What came of a model under a policy at a load, if it took part.
    pub(super) fn cell(&self, plan: &Plan<'_>, place: usize, policy: &str, load: f64) -> Option<&Outcome> {
        let (_, cells) = self.cells.iter().find(|(other, _)| *other == place)?;
        let policy = plan.policies.iter().position(|other| other.label == policy)?;
        let load = plan.loads.iter().position(|other| *other == load)?;
        Some(&cells[policy][load])
    }

    fn row(&self, plan: &Plan<'_>, label: &str, numbers: Numbers, values: impl Fn(&Outcome) -> &Vec<f64>) -> Row {
        let panel = |(place, cells): &(usize, Vec<Vec<Outcome>>)| {
            let series = |(policy, cells): (&PolicyUnderTest, &Vec<Outcome>)| Series {
                name: policy.label.clone(),
                points: plan.loads.iter().zip(cells).map(|(&load, cell)| point(load, values(cell))).collect(),
                dashed: policy.label == super::experiment::BASELINE,
            };
            let reference = Reference { text: "capacity".into(), at: Position::X(1.0) };
            Panel {
                title: plan.models[*place].name.clone(),
                series: plan.policies.iter().zip(cells).map(series).collect(),
                references: vec![reference],
            }
        };
        let y = Axis { label: label.into(), numbers, ..Axis::default() };
        Row { y, panels: self.cells.iter().map(panel).collect() }
    }
}

/// The mean, and the lowest and highest value.
pub(super) fn point(x: f64, values: &[f64]) -> Point {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Point { x, y: mean(values), interval: (values.len() > 1).then_some((low, high)) }
}

fn table(plan: &Plan<'_>, place: usize, cells: &[Vec<Outcome>]) -> Table {
    let header = [
        "load",
        "policy",
        "violations",
        "late",
        "throughput",
        "goodput",
        "served as asked",
        "accuracy",
        "completion mean, ms",
        "p50, ms",
        "p99, ms",
    ];
    let mut rows = Vec::new();
    for (at, load) in plan.loads.iter().enumerate() {
        for (policy, cells) in plan.policies.iter().zip(cells) {
            let outcome = &cells[at];
            rows.push(vec![
                format!("{load}"),
                policy.label.clone(),
                format!("{:.2} %", mean(&outcome.violations) * 100.0),
                outcome.late.to_string(),
                format!("{:.1}", mean(&outcome.throughput)),
                format!("{:.1}", mean(&outcome.goodput)),
                format!("{:.1} %", mean(&outcome.good_share) * 100.0),
                format!("{:.4}", mean(&outcome.accuracy)),
                format!("{:.1}", outcome.mean_completion() * 1e3),
                format!("{:.1}", outcome.completion(0.5) * 1e3),
                format!("{:.1}", outcome.completion(0.99) * 1e3),
            ]);
        }
    }
    let caption = format!("{}, all numbers", plan.models[place].name);
    Table { caption, header: header.map(String::from).to_vec(), rows }
}

impl Outcome {
    pub(super) fn json(&self) -> Value {
        json!({
            "jobs": self.jobs, "violations": mean(&self.violations), "late": self.late,
            "throughput_rps": mean(&self.throughput), "goodput_rps": mean(&self.goodput),
            "good_share": mean(&self.good_share), "accuracy": mean(&self.accuracy),
            "completion_mean_ms": self.mean_completion() * 1e3, "completion_p50_ms": self.completion(0.5) * 1e3,
            "completion_p99_ms": self.completion(0.99) * 1e3, "floors_broken": self.floors_broken,
        })
    }
}
