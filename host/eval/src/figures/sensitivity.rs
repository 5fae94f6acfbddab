//! How the headline depends on what is our choice: floors, deadlines, job sizes.

use anyhow::Result;
use mosel_chart::lines::{Lines, Panel, Row, Series, Sharing, Spread};
use mosel_chart::report::{Figure, Section};
use mosel_chart::{Axis, Numbers, Scale};
use mosel_sim::Workload;
use mosel_sim::workload::{Deadline, Distribution, Floor};
use serde_json::{Value, json};

use super::experiment::StudiedModel;
use super::figure_5::point;
use super::headline::Terms;
use crate::policy_under_test::PolicyUnderTest;

/// Something that is varied while all else stays.
struct Knob {
    title: &'static str,
    label: &'static str,
    scale: Scale,
    numbers: Numbers,
    values: &'static [f64],
    turn: fn(&mut Workload, f64),
}

const KNOBS: [Knob; 3] = [
    Knob {
        title: "floors",
        label: "highest floor (share of the way to the best accuracy)",
        scale: Scale::Linear,
        numbers: Numbers::Percent,
        values: &[0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0],
        turn: |workload, most| workload.jobs.floor = Floor::Share(Distribution::Uniform([0.0, most])),
    },
    Knob {
        title: "deadlines",
        label: "deadline (times a job's own time on all modalities)",
        scale: Scale::Log2,
        numbers: Numbers::Plain,
        values: &[1.5, 3.0, 6.0, 12.0, 24.0, 48.0],
        turn: |workload, slack| workload.jobs.deadline = Deadline::Slack(Distribution::Fixed(slack)),
    },
    Knob {
        title: "job sizes",
        label: "requests a job",
        scale: Scale::Log2,
        numbers: Numbers::Plain,
        values: &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0],
        turn: |workload, requests| workload.jobs.requests = Distribution::Fixed(requests as u32),
    },
];

/// Knob, then model, then value: the throughput ratio.
pub(super) struct Sensitivity {
    names: Vec<String>,
    ratios: Vec<Vec<Vec<f64>>>,
}

pub(super) fn run(
    models: &[StudiedModel],
    finalists: &[PolicyUnderTest; 2],
    base: &Workload,
    jobs: f64,
) -> Result<Sensitivity> {
    let mut ratios = Vec::new();
    for knob in &KNOBS {
        let ratio = |model: &StudiedModel, value| -> Result<f64> {
            let mut base = base.clone();
            (knob.turn)(&mut base, value);
            let terms = Terms { base: &base, jobs, seeds: &[1], quiet: true };
            let baseline = terms.highest(&model.setup, &finalists[0])?;
            Ok(terms.highest(&model.setup, &finalists[1])? / baseline)
        };
        let of_subject = |model| knob.values.iter().map(|&value| ratio(model, value)).collect::<Result<Vec<f64>>>();
        ratios.push(models.iter().map(of_subject).collect::<Result<Vec<_>>>()?);
    }
    Ok(Sensitivity { names: models.iter().map(|model| model.name.clone()).collect(), ratios })
}

impl Sensitivity {
    /// A figure a knob: their horizontal axes differ.
    pub(super) fn section(&self) -> (Vec<(String, String)>, Section) {
        let drawn: Vec<(String, String)> = KNOBS
            .iter()
            .zip(&self.ratios)
            .map(|(knob, ratios)| (knob.title.replace(' ', "-"), self.svg(knob, ratios)))
            .collect();
        let figure = |(name, svg): &(String, String)| Figure {
            svg: svg.clone(),
            caption: format!(
                "Throughput at 1 % violations, exact over highest-accuracy, by {}. Simulated, one seed.",
                name.replace('-', " ")
            ),
        };
        let section = Section {
            heading: "Sensitivity: what our choices do to the headline".into(),
            paragraphs: vec![
                "Job sizes, deadlines and floors of the paper are not known. Each is varied here while the others stay as \
                 described above."
                    .into(),
            ],
            figures: drawn.iter().map(figure).collect(),
            ..Section::default()
        };
        (drawn, section)
    }

    pub(super) fn json(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for (knob, ratios) in KNOBS.iter().zip(&self.ratios) {
            for (model, ratios) in self.names.iter().zip(ratios) {
                let row = |(value, ratio): (&f64, &f64)| {
                    json!({
                        "figure": "sensitivity", "knob": knob.title, "model": model, "value": value, "throughput_ratio": ratio,
                    })
                };
                rows.extend(knob.values.iter().zip(ratios).map(row));
            }
        }
        rows
    }

    fn svg(&self, knob: &Knob, ratios: &[Vec<f64>]) -> String {
        let series = |(name, ratios): (&String, &Vec<f64>)| Series {
            name: name.clone(),
            points: knob.values.iter().zip(ratios).map(|(&value, &ratio)| point(value, &[ratio])).collect(),
            dashed: false,
        };
        let y = Axis { label: "throughput ratio".into(), reach: Some((1.0, 2.0)), ..Axis::default() };
        let panel = Panel {
            title: format!("by {}", knob.title),
            series: self.names.iter().zip(ratios).map(series).collect(),
            references: Vec::new(),
        };
        Lines {
            title: format!("Sensitivity to {}", knob.title),
            description: "Throughput at 1 % violations over the baseline's".into(),
            x: Axis { label: knob.label.into(), scale: knob.scale, numbers: knob.numbers, reach: None },
            rows: vec![Row { y, panels: vec![panel] }],
            sharing: Sharing::Panel,
            spread: Spread::Band,
        }
        .svg()
    }
}
