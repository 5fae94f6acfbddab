//! Who meets which jobs: models, traffic, loads, policies, and the jobs themselves.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mosel_core::Precision;
use mosel_models::ProfileFile;
use mosel_models::zoo;
use mosel_sim::Workload;
use mosel_sim::workload::{Form, Kind, Rate, TraceFile};

use crate::arguments;
use crate::policy_under_test::{PolicyCompiler, PolicyUnderTest};
use crate::sim_setup::SimSetup;

/// A model that takes part.
pub(super) struct StudiedModel {
    /// As its profile names it.
    pub(super) name: String,
    /// What was measured of it.
    pub(super) file: ProfileFile,
    /// The same at reduced precision, if it was measured.
    pub(super) reduced: Option<ProfileFile>,
    /// A server of it, whose devices are as the profile says.
    pub(super) setup: SimSetup,
}

/// The largest jobs there are tables for; the largest that the sensitivity sweep offers.
const MAX_REQUESTS: u32 = 64;

impl StudiedModel {
    /// The models of this list (names of the zoo, or profiles' files); the whole zoo if it is empty.
    pub(super) fn all(models: &[String]) -> Result<Vec<StudiedModel>> {
        if models.is_empty() {
            return zoo::ALL.iter().map(|task| StudiedModel::new(task.profile()?)).collect();
        }
        models.iter().map(|model| StudiedModel::new(arguments::profile(model)?)).collect()
    }

    pub(super) fn new(file: ProfileFile) -> Result<StudiedModel> {
        // the figures but the seventh are of full precision; a profile without it is taken as it is
        let full = file.only(Precision::Fp32).unwrap_or_else(|| file.clone());
        // what is slower in a reduced precision is left out of a profile; only a whole one can be compared
        let is_whole = |reduced: &ProfileFile| {
            reduced.selections.len() == full.selections.len() && reduced.selections != full.selections
        };
        let mut reduced = [Precision::Bf16, Precision::Fp16].into_iter().filter_map(|precision| file.only(precision));
        let reduced = reduced.find(is_whole);
        let setup = SimSetup::new(full.to_core()?, MAX_REQUESTS)?;
        Ok(StudiedModel { name: full.model.clone(), file: full, reduced, setup })
    }
}

/// How jobs come.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    /// What figures call it.
    pub(super) name: String,
    /// Where it is from, for captions.
    pub(super) origin: String,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    /// One of our own, with times as shares of the whole.
    Own(fn(f64) -> Kind),
    /// A recorded one: arrivals in every second.
    Recorded(TraceFile, f64),
}

/// What the loudest step of the recorded trace is, over the calm before it: ours is as high.
const STEP: f64 = 5.9;

impl Traffic {
    /// Calm arrivals, a step, and bursts; recorded ones beside them where files are given.
    pub(super) fn all(traces: &[std::path::PathBuf]) -> Result<Vec<Traffic>> {
        let own = |name: &str, origin: &str, shape| Traffic {
            name: name.into(),
            origin: origin.into(),
            shape: Shape::Own(shape),
        };
        let mut all = vec![
            Traffic::calm(),
            own("step", "Poisson arrivals, 5.9 times as many between 40 % and 60 % of the time", |seconds| {
                Kind::Step { from_s: 0.4 * seconds, until_s: 0.6 * seconds, factor: STEP }
            }),
            own(
                "bursts",
                "two-state bursts of 5 times the quiet rate, about 20 of them, each 1/100 of the time long on average",
                |seconds| Kind::Bursts { ratio: 5.0, quiet_s: 0.04 * seconds, burst_s: 0.01 * seconds },
            ),
        ];
        for path in traces {
            all.push(Traffic::recorded(path)?);
        }
        Ok(all)
    }

    /// Poisson arrivals alone.
    pub(super) fn calm() -> Traffic {
        Traffic { name: "calm".into(), origin: "Poisson arrivals".into(), shape: Shape::Own(|_| Kind::Poisson {}) }
    }

    fn recorded(path: &Path) -> Result<Traffic> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading the trace {}", path.display()))?;
        let seconds = text.lines().filter(|line| !line.trim().is_empty()).count() as f64;
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let path = std::path::absolute(path)?;
        let file = path.to_str().context("expected a path of a trace in UTF-8")?;
        let trace = TraceFile::new(file, Form::Counts);
        let origin = format!("the recorded counts of {name}, Poisson within every second");
        Ok(Traffic { name, origin, shape: Shape::Recorded(trace, seconds) })
    }

    /// The workload of this traffic at this load, of about so many jobs a unit of load; `None` where a recorded second
    /// has so many jobs of this model that the trace is of no use.
    pub(super) fn workload(&self, base: &Workload, setup: &SimSetup, load: f64, jobs: f64) -> Result<Option<Workload>> {
        let mut workload = base.clone();
        workload.arrivals.rate = Rate::Load(load);
        let capacity = workload.capacity(&setup.offered())?;
        match &self.shape {
            Shape::Own(kind) => {
                // the least that a workload may last
                workload.duration_s = (jobs / capacity).max(0.001);
                workload.arrivals.kind = kind(workload.duration_s);
            }
            Shape::Recorded(trace, seconds) => {
                if capacity > MOST_JOBS_A_SECOND {
                    return Ok(None);
                }
                workload.duration_s = *seconds;
                workload.arrivals.kind = Kind::Trace(trace.clone());
                workload.read_trace(Path::new(""))?;
            }
        }
        Ok(Some(workload))
    }
}

/// Above it, ten minutes of a trace would be a million jobs.
const MOST_JOBS_A_SECOND: f64 = 100.0;

/// How long policies may think, as on a server with the shipped configuration.
const BUDGET: Duration = Duration::from_millis(20);
/// The paper grants its solver 70 ms; `ilp` takes half of its budget for it.
const PAPER_BUDGET: Duration = Duration::from_millis(140);
const PAPER_SETTINGS: &str = r#"{"form": "paper", "nodes": 1000000, "variables": 20000}"#;

/// The baseline: all modalities always.
pub(super) const BASELINE: &str = "highest-accuracy";
/// Ours.
pub(super) const OURS: &str = "exact";

/// Everybody who takes part, the baseline first, ours last.
pub(super) fn policies(compiler: &PolicyCompiler) -> Result<Vec<PolicyUnderTest>> {
    let standard = |name: &str| compiler.policy(name, "{}", BUDGET);
    Ok(vec![
        standard(BASELINE)?,
        standard("earliest-deadline")?,
        standard("cheapest")?.called("INFaaS-like"),
        compiler.policy("ilp", PAPER_SETTINGS, PAPER_BUDGET)?.called("ilp, paper's form"),
        standard("ilp")?.called("ilp, every deadline"),
        standard("greedy")?,
        standard(OURS)?,
    ])
}

/// The baseline and ours.
pub(super) fn finalists(compiler: &PolicyCompiler) -> Result<[PolicyUnderTest; 2]> {
    Ok([compiler.policy(BASELINE, "{}", BUDGET)?, compiler.policy(OURS, "{}", BUDGET)?])
}

/// What the policies are, for the reader of a report.
pub(super) const POLICIES: &[(&str, &str)] = &[
    (BASELINE, "all modalities always: the paper's \"none\""),
    ("earliest-deadline", "our example: reorders by deadline, then squeezes what is still late"),
    (
        "INFaaS-like",
        "our example `cheapest`: every job by itself, on the cheapest strategy that meets its own deadline",
    ),
    (
        "ilp, paper's form",
        "the paper's integer program with one time budget, up to 70 ms of solving; refused plans are squeezed",
    ),
    ("ilp, every deadline", "the same program with a constraint for every deadline, within the server's 20 ms"),
    ("greedy", "the paper's fallback: random jobs are made faster until the timing works out"),
    (OURS, "the default policy: the most accurate plan for every deadline, with room kept for jobs to come"),
];
