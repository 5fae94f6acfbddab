//! The model that jobs are for: what is asked for on the command line, and what the server says it serves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mosel_core::{Accuracy, Latency, Measurement, ModelId, Profile, StrategyMatrix};
use mosel_models::zoo::Task;
use mosel_models::{InputKind, Modality, assets::Assets};
use mosel_sim::Offered;
use serde::Deserialize;

use crate::arguments;
use crate::fitting::Fitting;
use mosel_client::connection::{Connection, escaped};
use mosel_client::inputs::{self, Pool};

/// A model to serve, or to ask for.
pub(super) enum Model {
    /// Of the zoo, with this profile.
    Real(Task, Fitting),
    /// Whose profile is served by sleeping.
    Timed(String, PathBuf),
    /// Of a server that is there; with real inputs if it is of the zoo.
    Theirs(String, Option<Task>),
}

impl Model {
    /// What the command line names, for a server of our own. Says what it finds out about the profile.
    pub(super) fn find(named: &str, timed: bool, say: impl Fn(&str)) -> Result<Model> {
        match named.parse::<Task>() {
            Ok(task) if timed => Ok(Model::Timed(task.name().into(), task.profile_path())),
            Ok(task) => Model::real(task, say),
            Err(_) => {
                let name = arguments::profile(named)?.model;
                Ok(Model::Timed(name, Path::new(named).into()))
            }
        }
    }

    /// What the command line names, of a server that is there.
    pub(super) fn theirs(named: &str, timed: bool) -> Result<Model> {
        ensure!(!named.is_empty(), "expected --model to name a model of the server, got nothing");
        Ok(Model::Theirs(named.into(), named.parse().ok().filter(|_| !timed)))
    }

    fn real(task: Task, say: impl Fn(&str)) -> Result<Model> {
        Ok(Model::Real(task, Fitting::find(task, &Assets::standard(), say)?))
    }

    /// As clients write it.
    pub(super) fn name(&self) -> &str {
        match self {
            Model::Real(task, _) => task.name(),
            Model::Timed(name, _) | Model::Theirs(name, _) => name,
        }
    }

    /// The flags that have a server serve it.
    pub(super) fn flags(&self) -> Vec<String> {
        match self {
            Model::Real(task, fitting) => {
                let profile = format!("{task}={}", fitting.file.display());
                ["--model", task.name(), "--profile", &profile, "--precisions", "fp32"].map(String::from).into()
            }
            Model::Timed(_, file) => ["--timed".into(), file.display().to_string()].into(),
            Model::Theirs(..) => Vec::new(),
        }
    }

    /// What it is served with: real examples if it computes, else the least that it takes.
    pub(super) fn inputs(&self, target: &TargetModel) -> Result<Pool> {
        match self {
            Model::Real(task, _) => Pool::held_out(*task, &Assets::standard()),
            Model::Theirs(_, Some(task)) => Pool::held_out(*task, &Assets::standard())
                .context("--timed says that the server's model needs no real inputs"),
            Model::Timed(..) | Model::Theirs(_, None) => Pool::smallest(&target.modalities),
        }
    }
}

/// A model as its server describes it.
#[derive(Debug)]
pub(super) struct TargetModel {
    /// What its inputs are.
    pub(super) modalities: Vec<Modality>,
    /// Its strategies, for jobs as large as the server takes; holds the profile.
    pub(super) matrix: StrategyMatrix,
}

impl TargetModel {
    /// Asks the server that serves it.
    pub(super) async fn ask(connection: &Connection, model: &str) -> Result<TargetModel> {
        let path = format!("/v1/models/{}", escaped(model));
        let description = connection.get(&path).await?.success()?;
        let measured = connection.get(&format!("{path}/profile")).await?.success()?;
        let unknown = || format!("expected a description of the model {model} as documented");
        let description: Description = serde_json::from_value(description).with_context(unknown)?;
        let measured: Measured = serde_json::from_value(measured).with_context(unknown)?;
        TargetModel::new(description, measured).with_context(unknown)
    }

    fn new(description: Description, measured: Measured) -> Result<TargetModel> {
        let modalities = description.modalities.into_iter().map(Described::into_modality).collect();
        let profile = Arc::new(measured.into_profile()?);
        let matrix = StrategyMatrix::new(ModelId(0), profile, description.max_requests)?;
        Ok(TargetModel { modalities, matrix })
    }

    /// What workloads are scaled by.
    pub(super) fn offered(&self, lanes: u32) -> Offered<'_> {
        Offered { matrix: &self.matrix, lanes }
    }

    /// What was measured of it.
    pub(super) fn profile(&self) -> &Profile {
        self.matrix.profile()
    }
}

/// `GET /v1/models/{name}`, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Description {
    modalities: Vec<Described>,
    max_requests: u32,
}

#[derive(Debug, Deserialize)]
struct Described {
    name: String,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", content = "limits", rename_all = "snake_case")]
enum Kind {
    Picture { max_side: u32, raw: Vec<usize> },
    Video { frames: usize, max_side: u32, raw: Vec<usize> },
    Sound { hertz: u32, samples: usize },
    Text { max_bytes: usize },
    Samples { shape: Vec<usize> },
}

impl Described {
    fn into_modality(self) -> Modality {
        let kind = match self.kind {
            Kind::Picture { max_side, raw } => InputKind::Picture { max_side, raw },
            Kind::Video { frames, max_side, raw } => InputKind::Video { frames, max_side, raw },
            Kind::Sound { hertz, samples } => InputKind::Sound { hertz, samples },
            Kind::Text { max_bytes } => InputKind::Text { max_bytes },
            Kind::Samples { shape } => InputKind::Samples { shape },
        };
        Modality { name: self.name, kind }
    }
}

/// `GET /v1/models/{name}/profile`.
#[derive(Debug, Deserialize)]
struct Measured {
    id: String,
    model: String,
    modalities: Vec<String>,
    measurements: Vec<Point>,
}

#[derive(Debug, Deserialize)]
struct Point {
    modalities: String,
    /// Absent from servers that know the full one only.
    precision: Option<String>,
    batch_size: u32,
    latency_ms: Millis,
    accuracy: Score,
    memory_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Millis {
    mean: f64,
    median: f64,
    p95: f64,
    p99: f64,
}

#[derive(Debug, Deserialize)]
struct Score {
    correct: u32,
    samples: u32,
}

/// More than any profile can list the selections of.
const MOST_MODALITIES: usize = 16;

impl Measured {
    fn into_profile(self) -> Result<Profile> {
        let Measured { id, model, modalities, measurements } = self;
        let count = modalities.len();
        ensure!(count <= MOST_MODALITIES, "expected at most {MOST_MODALITIES} modalities, got {count}");
        let measurements = measurements.into_iter().map(|point| point.into_measurement(&modalities));
        let measurements = measurements.collect::<Result<_>>()?;
        let profile = Profile { id, model, modalities, measurements };
        profile.check()?;
        Ok(profile)
    }
}

impl Point {
    fn into_measurement(self, names: &[String]) -> Result<Measurement> {
        let Millis { mean, median, p95, p99 } = self.latency_ms;
        Ok(Measurement {
            mode: inputs::mode_of(&self.modalities, self.precision.as_deref(), names)?,
            batch_size: self.batch_size,
            latency: Latency { mean: millis(mean)?, median: millis(median)?, p95: millis(p95)?, p99: millis(p99)? },
            accuracy: Accuracy { correct: self.accuracy.correct, samples: self.accuracy.samples },
            memory_bytes: self.memory_bytes,
        })
    }
}

/// Milliseconds with up to three decimals, as the server writes times: to the microsecond.
pub(super) fn millis(millis: f64) -> Result<Duration> {
    let micros = (millis * 1e3).round();
    ensure!((0.0..=1e15).contains(&micros), "expected milliseconds from 0 on, got {millis}");
    Ok(Duration::from_micros(micros as u64))
}

#[cfg(test)]
mod tests;
