//! Figure 6: the distribution of accuracy per job, without and with modality selection.

use mosel_chart::Axis;
use mosel_chart::distributions::{Distribution, Distributions, Panel};
use mosel_chart::report::{Figure, Section};

use super::experiment::{BASELINE, OURS};
use super::figure_5::{Plan, Sweep};

/// The load that is shown: the baseline is far beyond what it can do.
pub(super) const LOAD: f64 = 1.5;

pub(super) fn section(plan: &Plan<'_>, sweep: &Sweep) -> (String, Section) {
    let panel = |(place, model): (usize, &super::experiment::StudiedModel)| {
        let distribution = |policy: &str| {
            let outcome = sweep.cell(plan, place, policy, LOAD)?;
            Some(Distribution { name: policy.into(), samples: outcome.accuracies.clone() })
        };
        let floors = sweep
            .cell(plan, place, OURS, LOAD)
            .map(|outcome| Distribution { name: format!("floors asked, {OURS}"), samples: outcome.floors.clone() });
        Panel {
            title: model.name.clone(),
            x: Axis { label: "accuracy of a job (request-weighted, by the profile)".into(), ..Axis::default() },
            distributions: [BASELINE, "greedy", OURS]
                .iter()
                .filter_map(|policy| distribution(policy))
                .chain(floors)
                .collect(),
            references: Vec::new(),
        }
    };
    let svg = Distributions {
        title: "Figure 6".into(),
        description: "How accurate jobs are served, without and with modality selection".into(),
        columns: 2,
        panels: plan.models.iter().enumerate().map(panel).collect(),
    }
    .svg();
    let caption = format!(
        "Figure 6. Accuracy of every job that was served at {LOAD} times the all-modalities capacity, calm traffic. Simulated. \
         No job is below its floor; the baseline serves far fewer jobs in time."
    );
    let section = Section {
        heading: "Figure 6: what accuracy jobs get".into(),
        figures: vec![Figure { svg: svg.clone(), caption }],
        ..Section::default()
    };
    (svg, section)
}
