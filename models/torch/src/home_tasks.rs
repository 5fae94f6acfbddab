//! The `home-tasks` model: two layers a sensor, then late fusion. Its inputs are features, so there is little to do:
//! the smallest model of the zoo.

use std::path::Path;

use anyhow::Result;
use mosel_core::ModalitySet;
use tch::nn::VarStore;
use tch::{Device, Kind, TchError, Tensor};

use super::device;
use super::fit::{fit, seeded, weights_of};
use super::late::{Late, Shape};
use super::layers::{Linear, Source};
use super::model::{Inputs, NetworkModel, Selected, Undecoded};
use super::precise::Precise;
use super::weights::{self, Weights};
use super::windows::{self, Windows};
use mosel_models::data::home_tasks::{ACCELEROMETER, AUDIO};
use mosel_models::recipe::{Progress, Recipe};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Example, Model, Spec};

const WIDTH: i64 = 64;
/// In the order of the model's modalities.
const SENSORS: [&str; 2] = ["audio", "accelerometer"];
/// Numbers of a window, by sensor.
const NUMBERS: [usize; 2] = [AUDIO, ACCELEROMETER];
const DROPOUT: f64 = 0.2;

/// Takes numbers as they come.
struct Intake {
    device: Device,
}

/// Windows to logits.
struct Network {
    sensors: Vec<Sensor>,
    late: Late,
    kind: Kind,
}

/// Windows of one sensor to vectors.
struct Sensor {
    /// Mean and deviation of each number in training; in full precision, because the numbers' sizes differ widely.
    mean: Tensor,
    deviation: Tensor,
    first: Linear,
    second: Linear,
}

/// Reads the model from a weight file.
pub(crate) fn load(weights: &Path, device: DeviceChoice) -> Result<Box<dyn Model>> {
    let (device, facts) = device::open(device)?;
    let weights = Weights::read(weights, device)?;
    let spec = Task::HomeTasks.spec_with(&weights.sha256);
    let of = spec.clone();
    let networks = Precise::new(move |kind| Network::new(&Source::Stored(&weights.at(kind)), kind, &of))?;
    Ok(Box::new(NetworkModel { spec, facts, inputs: Intake { device }, networks }))
}

/// Trains the model and returns its weight file.
pub(crate) fn train(examples: &[Example], recipe: &Recipe, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>> {
    let (device, _) = device::open(DeviceChoice::Cpu)?;
    let spec = Task::HomeTasks.spec_with("");
    let decoded = windows::of_examples(&spec, examples)?;
    let windows = Intake { device }.batches(&decoded.iter().collect::<Vec<_>>())?;
    let labels: Vec<i64> = examples.iter().map(|example| example.label as i64).collect();
    let _generator = seeded(recipe.seed);
    let store = VarStore::new(device);
    let mut network = Network::new(&Source::Fresh(&store), Kind::Float, &spec)?;
    for (sensor, windows) in network.sensors.iter_mut().zip(windows.iter().flatten()) {
        sensor.standardize(windows)?;
    }
    let logits =
        |rows: &Tensor, selection: ModalitySet| Ok(network.logits(&windows::select(&windows, rows, selection)?, true)?);
    fit(&store, &Tensor::f_from_slice(&labels)?, SENSORS.len(), recipe, logits, progress)?;
    weights::write(&weights_of(&store), &recipe.note())
}

impl Inputs for Intake {
    type Network = Network;
    type Decoded = Windows;

    fn decode(&self, selected: &Selected<'_>) -> Result<Windows, Undecoded> {
        Ok(windows::decode(selected)?)
    }

    fn logits(&self, network: &Network, requests: &[&Windows]) -> Result<Tensor, TchError> {
        network.logits(&self.batches(requests)?, false)
    }
}

impl Intake {
    /// The windows of the selected sensors, `[n, numbers]`; `None` for the others.
    fn batches(&self, requests: &[&Windows]) -> Result<Vec<Option<Tensor>>, TchError> {
        let of = |(sensor, numbers): (usize, usize)| {
            let windows = windows::batch(requests, sensor, &[numbers as i64])?;
            windows.map(|windows| windows.f_to_device(self.device)).transpose()
        };
        NUMBERS.into_iter().enumerate().map(of).collect()
    }
}

impl Network {
    fn new(source: &Source<'_>, kind: Kind, spec: &Spec) -> Result<Network> {
        let shape = Shape { streams: &SENSORS, width: WIDTH, hidden: WIDTH, labels: spec.labels.len() as i64 };
        let sensors = SENSORS.iter().zip(NUMBERS).map(|(name, numbers)| Sensor::new(source, name, numbers as i64));
        Ok(Network { sensors: sensors.collect::<Result<_>>()?, late: Late::new(source, &shape)?, kind })
    }

    fn logits(&self, windows: &[Option<Tensor>], train: bool) -> Result<Tensor, TchError> {
        let vectors = |(sensor, windows): (&Sensor, &Option<Tensor>)| {
            windows.as_ref().map(|windows| sensor.vectors(windows, self.kind, train)).transpose()
        };
        let vectors: Vec<Option<Tensor>> =
            self.sensors.iter().zip(windows).map(vectors).collect::<Result<_, TchError>>()?;
        self.late.logits(&vectors, train)
    }
}

impl Sensor {
    fn new(source: &Source<'_>, name: &str, numbers: i64) -> Result<Sensor> {
        let constant = |part: &str| source.exact_constant(&format!("{name}.{part}"), &[1, numbers]);
        Ok(Sensor {
            mean: constant("mean")?,
            deviation: constant("deviation")?,
            first: Linear::new(source, &format!("{name}.first"), numbers, WIDTH)?,
            second: Linear::new(source, &format!("{name}.second"), WIDTH, WIDTH)?,
        })
    }

    /// Keeps the mean and the deviation of these windows, in place: the store shares the numbers.
    fn standardize(&mut self, windows: &Tensor) -> Result<()> {
        let over = [0i64];
        self.mean.f_copy_(&windows.f_mean_dim(over.as_slice(), true, Kind::Float)?)?;
        self.deviation.f_copy_(&windows.f_std_dim(over.as_slice(), true, true)?)?;
        Ok(())
    }

    /// Windows `[n, numbers]` to vectors `[n, 64]`.
    fn vectors(&self, windows: &Tensor, kind: Kind, train: bool) -> Result<Tensor, TchError> {
        let normal = windows.f_sub(&self.mean)?.f_div(&self.deviation)?.f_to_kind(kind)?;
        let hidden = self.first.forward(&normal)?.f_gelu("none")?.f_dropout(DROPOUT, train)?;
        self.second.forward(&hidden)?.f_gelu("none")
    }
}
