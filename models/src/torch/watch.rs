//! The `watch` model: two convolutions a sensor make tokens of a window, a small joint transformer reads them.
//! Small and quick to train: what tests use.

use std::path::Path;

use anyhow::Result;
use mosel_core::{ModalitySet, Precision};
use tch::nn::{Init, VarStore};
use tch::{Device, Kind, TchError, Tensor};

use super::batch::{Tokens, answers};
use super::device;
use super::fit::{fit, seeded, weights_of};
use super::guard::Forward;
use super::joint::{Joint, Shape, Stream};
use super::layers::Source;
use super::precise::{Precise, kind};
use super::weights::{self, Weights};
use crate::data::watch::{AXES, WINDOW};
use crate::training::{Progress, Recipe};
use crate::zoo::Task;
use crate::{
    DeviceChoice, DeviceFacts, Example, Input, InputError, InputFault, Model, ModelError, Output, Request, Spec,
};

const WIDTH: i64 = 64;
const HIDDEN: i64 = 32;
/// In the order of the model's modalities.
const SENSORS: [&str; 2] = ["accelerometer", "gyroscope"];
/// Tokens of a window after both convolutions.
const TOKENS: i64 = 13;

struct Watch {
    spec: Spec,
    facts: DeviceFacts,
    device: Device,
    networks: Precise<Network>,
}

/// Windows to logits.
struct Network {
    sensors: Vec<Sensor>,
    joint: Joint,
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
    let networks = Precise::new(move |kind| Network::new(&Source::Stored(&weights.at(kind)), &of))?;
    Ok(Box::new(Watch { spec, facts, device, networks }))
}

/// Trains the model and returns its weight file.
pub(crate) fn train(examples: &[Example], recipe: &Recipe, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>> {
    let (device, _) = device::open(DeviceChoice::Cpu)?;
    let spec = Task::Watch.spec_with("");
    let windows: Vec<Tensor> =
        (0..spec.modalities.len()).map(|index| windows_of(examples, index)).collect::<Result<_>>()?;
    let labels: Vec<i64> = examples.iter().map(|example| example.label as i64).collect();
    let _generator = seeded(recipe.seed);
    let store = VarStore::new(device);
    let mut network = Network::new(&Source::Fresh(&store), &spec)?;
    for (sensor, windows) in network.sensors.iter_mut().zip(&windows) {
        sensor.standardize(windows)?;
    }
    let logits = |rows: &Tensor, selection: ModalitySet| {
        let select = |(index, windows): (usize, &Tensor)| {
            selection.contains(index).then(|| windows.f_index_select(0, rows)).transpose()
        };
        let selected: Vec<Option<Tensor>> = windows.iter().enumerate().map(select).collect::<Result<_, _>>()?;
        Ok(network.logits(&selected, true)?)
    };
    fit(&store, &Tensor::f_from_slice(&labels)?, spec.modalities.len(), recipe, logits, progress)?;
    weights::write(&weights_of(&store), &recipe.note())
}

fn windows_of(examples: &[Example], modality: usize) -> Result<Tensor> {
    let mut numbers = Vec::with_capacity(examples.len() * WINDOW * AXES);
    for example in examples {
        numbers.extend_from_slice(samples(&example.request.inputs()[modality]).unwrap_or_default());
    }
    Ok(batch(&numbers, examples.len())?)
}

fn samples(input: &Input) -> Option<&[f32]> {
    match input {
        Input::Samples(samples) if samples.len() == WINDOW * AXES => Some(samples),
        _ => None,
    }
}

/// Windows one after the other as `[n, axes, time]`.
fn batch(numbers: &[f32], count: usize) -> Result<Tensor, TchError> {
    let rows = Tensor::f_from_slice(numbers)?.f_view([count as i64, WINDOW as i64, AXES as i64])?;
    rows.f_transpose(1, 2)?.f_contiguous()
}

impl Model for Watch {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &DeviceFacts {
        &self.facts
    }

    fn precisions(&self) -> &[Precision] {
        &Precision::ALL
    }

    fn forward(
        &mut self,
        requests: &[&Request],
        modalities: ModalitySet,
        precision: Precision,
    ) -> Result<Vec<Result<Output, InputError>>, ModelError> {
        self.spec.check_batch(requests, modalities)?;
        let _forward = Forward::begin()?;
        let inputs: Vec<Result<&Request, InputError>> =
            requests.iter().map(|request| self.check(request, modalities)).collect();
        let (device, kind) = (self.device, kind(precision));
        let network = self.networks.at(precision)?;
        let logits = |sound: &[&&Request]| network.logits(&selected(sound, modalities, device, kind)?, false);
        Ok(answers(&self.spec, inputs, logits)?)
    }
}

impl Watch {
    /// Checks the selected inputs again: the request may have come another way than through admission.
    fn check<'a>(&self, request: &'a Request, modalities: ModalitySet) -> Result<&'a Request, InputError> {
        for index in modalities.iter() {
            let (input, modality) = (&request.inputs()[index], &self.spec.modalities[index]);
            input.check(&modality.kind).map_err(|fault: InputFault| modality.error(fault))?;
        }
        Ok(request)
    }
}

/// The windows of the selected sensors; `None` for the others.
fn selected(
    requests: &[&&Request],
    modalities: ModalitySet,
    device: Device,
    kind: Kind,
) -> Result<Vec<Option<Tensor>>, TchError> {
    let of = |index: usize| {
        let mut numbers = Vec::with_capacity(requests.len() * WINDOW * AXES);
        for request in requests {
            numbers.extend_from_slice(samples(&request.inputs()[index]).unwrap_or_default());
        }
        batch(&numbers, requests.len())?.f_to_device(device)?.f_to_kind(kind)
    };
    (0..SENSORS.len()).map(|index| modalities.contains(index).then(|| of(index)).transpose()).collect()
}

impl Network {
    fn new(source: &Source<'_>, spec: &Spec) -> Result<Network> {
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
