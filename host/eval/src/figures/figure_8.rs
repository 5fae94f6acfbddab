//! Figure 8: estimates that are wrong by a factor, in both directions.

use anyhow::Result;
use mosel_chart::lines::{Lines, Panel, Position, Reference, Row, Series, Sharing, Spread};
use mosel_chart::report::{Figure, Section, Table};
use mosel_chart::{Axis, Numbers, Scale};
use mosel_sim::Workload;
use serde_json::{Value, json};

use super::experiment::{StudiedModel, Traffic};
use super::figure_5::point;
use super::sweep::{Outcome, Run, mean, run_all};
use crate::policy_under_test::PolicyUnderTest;
use crate::sim_setup::SimSetup;

/// Real times over estimated ones.
const FACTORS: [f64; 7] = [0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0];
/// The loads that are shown.
const LOADS: [f64; 2] = [1.0, 1.5];

/// What came of one model and load at every factor.
struct Curve {
    name: String,
    load: f64,
    outcomes: Vec<Outcome>,
}

pub(super) struct Estimates(Vec<Curve>);

pub(super) fn run(
    models: &[StudiedModel],
    policy: &PolicyUnderTest,
    base: &Workload,
    jobs: f64,
    seeds: &[u64],
    quiet: bool,
) -> Result<Estimates> {
    let mut curves = Vec::new();
    for model in models {
        // the server believes in a profile that is wrong; devices are as they are
        let believed = |&factor: &f64| -> Result<SimSetup> {
            let setup = StudiedModel::new(model.file.scaled(1.0 / factor))?.setup;
            Ok(SimSetup { factor, ..setup })
        };
        let setups: Vec<SimSetup> = FACTORS.iter().map(believed).collect::<Result<_>>()?;
        for load in LOADS {
            let workload = Traffic::calm().workload(base, &model.setup, load, jobs)?.expect("our own traffic fits all");
            let mut runs = Vec::new();
            for setup in &setups {
                let scale = &model.setup;
                runs.extend(seeds.iter().map(|&seed| Run { setup, scale, policy, workload: workload.clone(), seed }));
            }
            let mut tallies = run_all("wrong estimates", &runs, quiet)?.into_iter();
            let outcomes = setups.iter().map(|_| Outcome::of(tallies.by_ref().take(seeds.len()))).collect();
            curves.push(Curve { name: format!("{} at {load}x", model.name), load, outcomes });
        }
    }
    Ok(Estimates(curves))
}

impl Estimates {
    pub(super) fn section(&self) -> (String, Section) {
        let rows = vec![
            self.row("throughput over that of right estimates", Numbers::Plain, |outcome, right| {
                let right = mean(&right.throughput);
                outcome.throughput.iter().map(|throughput| throughput / right).collect()
            }),
            self.row("violations", Numbers::Percent, |outcome, _| outcome.violations.clone()),
            self.row("mean accuracy", Numbers::Plain, |outcome, _| outcome.accuracy.clone()),
        ];
        let panels = rows.into_iter().map(|(y, panel)| Row { y, panels: vec![panel] }).collect();
        let svg = Lines {
            title: "Figure 8".into(),
            description: "Throughput, violations and accuracy where latencies are not what the profile says".into(),
            x: Axis {
                label: "real latency over estimated latency, simulated".into(),
                scale: Scale::Log2,
                ..Axis::default()
            },
            rows: panels,
            sharing: Sharing::Panel,
            spread: Spread::Band,
        }
        .svg();
        let caption = "Figure 8. The server believes in a profile that is wrong by a factor, and corrects itself as it measures. \
                       Policy exact, calm traffic, simulated."
            .into();
        let section = Section {
            heading: "Figure 8: wrong estimates".into(),
            figures: vec![Figure { svg: svg.clone(), caption }],
            tables: vec![self.table()],
            ..Section::default()
        };
        (svg, section)
    }

    pub(super) fn json(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for curve in &self.0 {
            for (factor, outcome) in FACTORS.iter().zip(&curve.outcomes) {
                let mut row = outcome.json();
                row["figure"] = json!(8);
                row["model"] = json!(curve.name);
                row["load"] = json!(curve.load);
                row["factor"] = json!(factor);
                rows.push(row);
            }
        }
        rows
    }

    pub(super) fn floors_broken(&self) -> usize {
        self.0.iter().flat_map(|curve| &curve.outcomes).map(|outcome| outcome.floors_broken).sum()
    }

    fn row(&self, label: &str, numbers: Numbers, values: impl Fn(&Outcome, &Outcome) -> Vec<f64>) -> (Axis, Panel) {
        let series = |curve: &Curve| {
            let right = FACTORS.iter().position(|factor| *factor == 1.0).map_or(0, |place| place);
            let right = &curve.outcomes[right];
            let points = FACTORS.iter().zip(&curve.outcomes).map(|(&x, outcome)| point(x, &values(outcome, right)));
            Series { name: curve.name.clone(), points: points.collect(), dashed: false }
        };
        let right = Reference { text: "right estimates".into(), at: Position::X(1.0) };
        let panel =
            Panel { title: String::new(), series: self.0.iter().map(series).collect(), references: vec![right] };
        (Axis { label: label.into(), numbers, ..Axis::default() }, panel)
    }

    fn table(&self) -> Table {
        let header = ["model and load", "real over estimated", "throughput, requests/s", "violations", "accuracy"];
        let row = |name: &str, factor: f64, outcome: &Outcome| {
            vec![
                name.to_owned(),
                format!("{factor}"),
                format!("{:.1}", mean(&outcome.throughput)),
                format!("{:.2} %", mean(&outcome.violations) * 100.0),
                format!("{:.4}", mean(&outcome.accuracy)),
            ]
        };
        let rows = self.0.iter().flat_map(|curve| {
            FACTORS
                .iter()
                .zip(&curve.outcomes)
                .map(|(&factor, outcome)| row(&curve.name, factor, outcome))
                .collect::<Vec<_>>()
        });
        Table { caption: "All numbers".into(), header: header.map(String::from).to_vec(), rows: rows.collect() }
    }
}
