//! Figure 7: reduced precision alone, and with modality selection.
//!
//! The reduced precision is the one that the model's profile has, or that of a profile that is given; without either, one
//! is made up that is twice as fast and as accurate, and the figure says so.

use std::path::PathBuf;

use anyhow::Result;
use mosel_chart::lines::{Lines, Panel, Position, Reference, Row, Series, Sharing, Spread};
use mosel_chart::report::{Figure, Section};
use mosel_chart::{Axis, Numbers, Scale};
use mosel_models::ProfileFile;
use mosel_sim::Workload;
use serde_json::{Value, json};

use super::experiment::{StudiedModel, Traffic};
use super::figure_5::point;
use super::sweep::{Outcome, Run, mean, run_all};
use crate::policy_under_test::PolicyUnderTest;

/// How much faster the made-up profile is: about what bf16 gives a transformer on a CPU that has it.
const MADE_UP: f64 = 0.5;

/// A line each: its name, and what came of every load.
type Curves = Vec<(String, Vec<Outcome>)>;

/// By model: its name, whether its reduced profile was measured, and its lines.
pub(super) struct Precision {
    loads: Vec<f64>,
    models: Vec<(String, bool, Curves)>,
}

pub(super) struct Terms<'a> {
    pub(super) finalists: &'a [PolicyUnderTest; 2],
    pub(super) loads: &'a [f64],
    pub(super) base: &'a Workload,
    pub(super) jobs: f64,
    pub(super) seeds: &'a [u64],
    pub(super) quiet: bool,
    /// Profiles at reduced precision, by model.
    pub(super) reduced: &'a [(String, PathBuf)],
}

pub(super) fn run(models: &[StudiedModel], terms: &Terms<'_>) -> Result<Precision> {
    let mut curves_of_models = Vec::new();
    for model in models {
        let given = terms.reduced.iter().find(|(name, _)| *name == model.name);
        let given = given.map(|(_, path)| ProfileFile::read(path)).transpose()?;
        let measured = given.or_else(|| model.reduced.clone());
        let is_measured = measured.is_some();
        let file = measured.unwrap_or_else(|| model.file.scaled(MADE_UP));
        let reduced = StudiedModel::new(file)?;
        let [baseline, ours] = terms.finalists;
        let kinds = [
            ("full precision", model, baseline),
            ("reduced precision", &reduced, baseline),
            ("reduced + modality selection", &reduced, ours),
        ];
        let mut runs = Vec::new();
        for (_, kind, policy) in &kinds {
            for &load in terms.loads {
                let workload = Traffic::calm().workload(terms.base, &model.setup, load, terms.jobs)?;
                let workload = workload.expect("our own traffic fits all");
                // jobs, deadlines and load are those of full precision for all three
                let run =
                    |&seed| Run { setup: &kind.setup, scale: &model.setup, policy, workload: workload.clone(), seed };
                runs.extend(terms.seeds.iter().map(run));
            }
        }
        let mut tallies = run_all("precision", &runs, terms.quiet)?.into_iter();
        let mut cell = || Outcome::of(tallies.by_ref().take(terms.seeds.len()));
        let curves = kinds.iter().map(|(name, ..)| ((*name).to_owned(), terms.loads.iter().map(|_| cell()).collect()));
        curves_of_models.push((model.name.clone(), is_measured, curves.collect()));
    }
    Ok(Precision { loads: terms.loads.to_vec(), models: curves_of_models })
}

impl Precision {
    pub(super) fn section(&self) -> (String, Section) {
        let panel = |(model, measured, curves): &(String, bool, Curves)| Panel {
            title: format!("{model}{}", if *measured { "" } else { " (reduced precision made up: half the time)" }),
            series: curves.iter().map(|(name, outcomes)| self.series(name, outcomes)).collect(),
            references: vec![Reference { text: "capacity".into(), at: Position::X(1.0) }],
        };
        let y = Axis { label: "violations".into(), numbers: Numbers::Percent, ..Axis::default() };
        let svg = Lines {
            title: "Figure 7".into(),
            description:
                "Violations against load at full precision, reduced precision, and that with modality selection".into(),
            x: Axis {
                label: "offered load (multiple of the capacity on all modalities at full precision), simulated".into(),
                scale: Scale::Log2,
                ..Axis::default()
            },
            rows: vec![Row { y, panels: self.models.iter().map(panel).collect() }],
            sharing: Sharing::Figure,
            spread: Spread::Band,
        }
        .svg();
        let made_up = self.models.iter().any(|(_, measured, _)| !measured);
        let warning = if made_up {
            " SYNTHETIC in part: where no profile at reduced precision is there, one was made up that is twice as fast and as \
             accurate as the measured one."
        } else {
            ""
        };
        let caption = format!("Figure 7. Violations, calm traffic. Simulated.{warning}");
        let section = Section {
            heading: "Figure 7: with reduced precision".into(),
            figures: vec![Figure { svg: svg.clone(), caption }],
            ..Section::default()
        };
        (svg, section)
    }

    pub(super) fn json(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for (model, measured, curves) in &self.models {
            for (name, outcomes) in curves {
                for (load, outcome) in self.loads.iter().zip(outcomes) {
                    let violations = mean(&outcome.violations);
                    rows.push(json!({
                        "figure": 7, "model": model, "kind": name, "load": load, "violations": violations,
                        "reduced_is_measured": measured,
                    }));
                }
            }
        }
        rows
    }

    pub(super) fn floors_broken(&self) -> usize {
        let outcomes = self.models.iter().flat_map(|(_, _, curves)| curves.iter().flat_map(|(_, outcomes)| outcomes));
        outcomes.map(|outcome| outcome.floors_broken).sum()
    }

    fn series(&self, name: &str, outcomes: &[Outcome]) -> Series {
        let points = self.loads.iter().zip(outcomes).map(|(&load, outcome)| point(load, &outcome.violations));
        Series { name: name.into(), points: points.collect(), dashed: name == "full precision" }
    }
}
