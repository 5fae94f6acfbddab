//! The `watch` model: two convolutions a sensor make tokens of a window, a small joint transformer reads them.
//! Small and quick to train: what tests use.

use std::path::Path;

use anyhow::Result;
use mosel_core::ModalitySet;
use tch::nn::{Init, VarStore};
use tch::{Device, Kind, TchError, Tensor};

use super::batch::Tokens;
use super::device;
use super::fit::{fit, seeded, weights_of};
use super::joint::{Joint, Shape, Stream};
use super::layers::Source;
use super::model::{Inputs, NetworkModel, Selected, Undecoded};
use super::precise::Precise;
use super::weights::{self, Weights};
use super::windows::{self, Windows};
use mosel_models::data::watch::{AXES, WINDOW};
use mosel_models::recipe::{Progress, Recipe};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Example, Model, Spec};

const WIDTH: i64 = 64;
const HIDDEN: i64 = 32;
/// In the order of the model's modalities.
const SENSORS: [&str; 2] = ["accelerometer", "gyroscope"];
/// Tokens of a window after both convolutions.
const TOKENS: i64 = 13;

/// Takes numbers as they come.
struct Intake {
    device: Device,
}

/// Windows to logits.
struct Network {
    sensors: Vec<Sensor>,
    joint: Joint,
    kind: Kind,
}

/// Windows of one sensor to tokens.
struct Sensor {
    /// Mean and deviation of each axis in training.
    mean: Tensor,
    deviation: Tensor,
    first: Conv,
    second: Conv,
}

struct Conv {
    weight: Tensor,
    bias: Tensor,
    padding: i64,
}

/// Reads the model from a weight file.
pub(crate) fn load(weights: &Path, device: DeviceChoice) -> Result<Box<dyn Model>> {
    let (device, facts) = device::open(device)?;
    let weights = Weights::read(weights, device)?;
    let spec = Task::Watch.spec_with(&weights.sha256);
    let of = spec.clone();
    let networks = Precise::new(move |kind| Network::new(&Source::Stored(&weights.at(kind)), kind, &of))?;
    Ok(Box::new(NetworkModel { spec, facts, inputs: Intake { device }, networks }))
}

/// Trains the model and returns its weight file.
pub(crate) fn train(examples: &[Example], recipe: &Recipe, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>> {
    let (device, _) = device::open(DeviceChoice::Cpu)?;
    let spec = Task::Watch.spec_with("");
    let decoded = windows::of_examples(&spec, examples)?;
    let windows = Intake { device }.batches(&decoded.iter().collect::<Vec<_>>(), Kind::Float)?;
    let labels: Vec<i64> = examples.iter().map(|example| example.label as i64).collect();
    let _generator = seeded(recipe.seed);
    let store = VarStore::new(device);
    let mut network = Network::new(&Source::Fresh(&store), Kind::Float, &spec)?;
    for (sensor, windows) in network.sensors.iter_mut().zip(windows.iter().flatten()) {
        sensor.standardize(windows)?;
    }
    let logits =
        |rows: &Tensor, selection: ModalitySet| Ok(network.logits(&windows::select(&windows, rows, selection)?, true)?);
    fit(&store, &Tensor::f_from_slice(&labels)?, spec.modalities.len(), recipe, logits, progress)?;
    weights::write(&weights_of(&store), &recipe.note())
}

impl Inputs for Intake {
    type Network = Network;
    type Decoded = Windows;

    fn decode(&self, selected: &Selected<'_>) -> Result<Windows, Undecoded> {
        Ok(windows::decode(selected)?)
    }

    fn logits(&self, network: &Network, requests: &[&Windows]) -> Result<Tensor, TchError> {
        network.logits(&self.batches(requests, network.kind)?, false)
    }
}

impl Intake {
    /// The windows of the selected sensors, `[n, axes, time]`; `None` for the others.
    fn batches(&self, requests: &[&Windows], kind: Kind) -> Result<Vec<Option<Tensor>>, TchError> {
        let of = |sensor: usize| {
            let windows = windows::batch(requests, sensor, &[WINDOW as i64, AXES as i64])?;
            let by_axis =
                |windows: Tensor| windows.f_transpose(1, 2)?.f_contiguous()?.f_to_device(self.device)?.f_to_kind(kind);
            windows.map(by_axis).transpose()
        };
        (0..SENSORS.len()).map(of).collect()
    }
}

impl Network {
    fn new(source: &Source<'_>, kind: Kind, spec: &Spec) -> Result<Network> {
        let stream = |name| Stream { name, width: WIDTH, places: Some(TOKENS) };
        let shape = Shape {
            streams: SENSORS.map(stream).into(),
            width: WIDTH,
            layers: 1,
            heads: 4,
            labels: spec.labels.len() as i64,
        };
        Ok(Network {
            sensors: SENSORS.iter().map(|name| Sensor::new(source, name)).collect::<Result<_>>()?,
            joint: Joint::new(source, &shape)?,
            kind,
        })
    }

    fn logits(&self, windows: &[Option<Tensor>], train: bool) -> Result<Tensor, TchError> {
        let tokens = |(sensor, windows): (&Sensor, &Option<Tensor>)| {
            let states = windows.as_ref().map(|windows| sensor.tokens(windows)).transpose()?;
            Ok(states.map(|states| Tokens { states, present: None }))
        };
        let tokens: Vec<Option<Tokens>> =
            self.sensors.iter().zip(windows).map(tokens).collect::<Result<_, TchError>>()?;
        self.joint.logits(&tokens, train)
    }
}

impl Sensor {
    fn new(source: &Source<'_>, name: &str) -> Result<Sensor> {
        let axes = |part: &str| source.constant(&format!("{name}.{part}"), &[1, AXES as i64, 1]);
        Ok(Sensor {
            mean: axes("mean")?,
            deviation: axes("deviation")?,
            first: Conv::new(source, &format!("{name}.first"), AXES as i64, HIDDEN, 9)?,
            second: Conv::new(source, &format!("{name}.second"), HIDDEN, WIDTH, 5)?,
        })
    }

    /// Keeps the mean and the deviation of these windows, in place: the store shares the numbers.
    fn standardize(&mut self, windows: &Tensor) -> Result<()> {
        let over = [0i64, 2];
        self.mean.f_copy_(&windows.f_mean_dim(over.as_slice(), true, Kind::Float)?)?;
        self.deviation.f_copy_(&windows.f_std_dim(over.as_slice(), true, true)?)?;
        Ok(())
    }

    /// Windows `[n, 3, 200]` to tokens `[n, 13, 64]`.
    fn tokens(&self, windows: &Tensor) -> Result<Tensor, TchError> {
        let normal = windows.f_sub(&self.mean)?.f_div(&self.deviation)?;
        let hidden = self.first.forward(&normal)?.f_gelu("none")?;
        self.second.forward(&hidden)?.f_gelu("none")?.f_transpose(1, 2)
    }
}

impl Conv {
    const STRIDE: i64 = 4;

    fn new(source: &Source<'_>, name: &str, inputs: i64, outputs: i64, kernel: i64) -> Result<Conv> {
        let bound = 1.0 / ((inputs * kernel) as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Ok(Conv {
            weight: source.tensor(&format!("{name}.weight"), &[outputs, inputs, kernel], init)?,
            bias: source.tensor(&format!("{name}.bias"), &[outputs], init)?,
            padding: kernel / 2,
        })
    }

    fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        input.f_conv1d(&self.weight, Some(&self.bias), [Self::STRIDE], [self.padding], [1], 1)
    }
}
