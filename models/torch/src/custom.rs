//! A custom model, which a user made: inputs prepared as its folder says, networks that are TorchScript files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use mosel_core::{ModalitySet, Precision};
use tch::{Device, Kind, TchError, Tensor};

use super::batch::answers;
use super::device;
use super::guard::Forward;
use super::model::{Undecoded, apart};
use super::precise::{Precise, kind};
use super::script::Script;
use super::tensors::{Preparer, Ready};
use mosel_models::custom::{CustomModel, Networks};
use mosel_models::{BatchAnswers, DeviceChoice, DeviceFacts, Model, ModelError, Request, Spec};

struct CustomNetworks {
    spec: Spec,
    facts: DeviceFacts,
    precisions: Vec<Precision>,
    device: Device,
    preparers: Arc<[Preparer]>,
    networks: Precise<Scripts>,
}

/// The networks at one precision.
enum Scripts {
    PerSelection(BTreeMap<ModalitySet, Script>),
    Masked(Script),
}

/// Loads the networks in every precision and runs each of them on zeros.
pub(crate) fn load(custom: &CustomModel, device: DeviceChoice) -> Result<Box<dyn Model>> {
    let (device, facts) = device::open(device)?;
    // what is optimized is optimized for the first shapes that come, and batches are of any size
    tch::jit::f_set_graph_executor_optimize(false)?;
    let declaration = custom.declaration();
    let preparers: Arc<[Preparer]> = declaration
        .modalities
        .iter()
        .map(|(modality, preparation)| {
            let preparer = Preparer::new(custom.folder(), modality, preparation);
            preparer.with_context(|| format!("modality {}", modality.name))
        })
        .collect::<Result<_>>()?;
    let (of, prepared) = (custom.clone(), preparers.clone());
    let mut networks = Precise::new(move |kind| Scripts::read(&of, &prepared, device, kind))?;
    for &precision in &declaration.precisions {
        networks.at(precision)?;
    }
    let precisions = declaration.precisions.clone();
    Ok(Box::new(CustomNetworks { spec: custom.spec().clone(), facts, precisions, device, preparers, networks }))
}

impl Model for CustomNetworks {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &DeviceFacts {
        &self.facts
    }

    fn precisions(&self) -> &[Precision] {
        &self.precisions
    }

    fn forward(
        &mut self,
        requests: &[&Request],
        modalities: ModalitySet,
        precision: Precision,
    ) -> Result<BatchAnswers, ModelError> {
        self.spec.check_batch(requests, modalities)?;
        if !self.precisions.contains(&precision) {
            let names: Vec<&str> = self.precisions.iter().map(|precision| precision.name()).collect();
            return Err(ModelError::Precision { known: names.join(", "), got: precision });
        }
        let _forward = Forward::begin()?;
        let begin = Instant::now();
        let ready = |request: &&Request| apart(ready(&self.preparers, request, modalities));
        let inputs = requests.iter().map(ready).collect::<Result<Vec<_>, _>>()?;
        let prepare = begin.elapsed();
        let scripts = self.networks.at(precision)?;
        let (device, kind) = (self.device, kind(precision));
        let logits = |sound: &[&Vec<Option<Ready>>]| {
            let tensors = |index: usize| {
                let ready: Vec<&Ready> = sound.iter().filter_map(|request| request[index].as_ref()).collect();
                self.preparers[index].tensors(&ready, device, kind)
            };
            scripts.logits(&self.preparers, modalities, sound.len() as i64, (device, kind), tensors)
        };
        Ok(BatchAnswers { answers: answers(&self.spec, inputs, logits)?, prepare })
    }
}

/// Decodes the selected inputs of a request and leaves the others alone.
fn ready(preparers: &[Preparer], request: &Request, selected: ModalitySet) -> Result<Vec<Option<Ready>>, Undecoded> {
    let of = |(index, preparer): (usize, &Preparer)| {
        selected.contains(index).then(|| preparer.ready(&request.inputs()[index])).transpose()
    };
    preparers.iter().enumerate().map(of).collect()
}

impl Scripts {
    fn read(custom: &CustomModel, preparers: &[Preparer], device: Device, kind: Kind) -> Result<Scripts> {
        let script = |file: &str| Script::read(custom.folder(), file, device, kind);
        let scripts = match &custom.declaration().networks {
            Networks::Masked(file) => Scripts::Masked(script(file)?),
            Networks::PerSelection(files) => {
                let read = |(selection, file): &(ModalitySet, String)| Ok((*selection, script(file)?));
                Scripts::PerSelection(files.iter().map(read).collect::<Result<_>>()?)
            }
        };
        scripts.check(custom.spec(), preparers, device, kind)?;
        Ok(scripts)
    }

    /// Runs every selection on zeros, one request and two: the answers must have a row a request and a column a label.
    fn check(&self, spec: &Spec, preparers: &[Preparer], device: Device, kind: Kind) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        for selection in ModalitySet::selections(preparers.len()) {
            for count in [1, 2] {
                let inputs = self.inputs(preparers, selection, count, (device, kind), |index| {
                    preparers[index].zeros(count, device, kind)
                })?;
                let names: Vec<&str> = self.input_names(preparers, selection);
                let expected = [count, spec.labels.len() as i64];
                let label = selection.label(&spec.modality_names());
                let checked = self.of(selection).check(&inputs, &names, expected);
                checked.with_context(|| format!("selection {label}, computed in {kind:?}"))?;
                if device == Device::Cpu {
                    self.check_tokens(preparers, selection, &inputs, expected)?;
                }
            }
        }
        Ok(())
    }

    /// Runs the selection on the largest token number of each text: a network that has no place for it would fail whoever
    /// sends such a text. On a GPU that would cost the device, so there it is not tried.
    fn check_tokens(
        &self,
        preparers: &[Preparer],
        selection: ModalitySet,
        zeros: &[Tensor],
        expected: [i64; 2],
    ) -> Result<()> {
        let masked = matches!(self, Scripts::Masked(_));
        let mut place = 0;
        for (index, preparer) in preparers.iter().enumerate() {
            let selected = selection.contains(index);
            if let Some(largest) = preparer.largest_token().filter(|_| selected) {
                let mut inputs: Vec<Tensor> = zeros.iter().map(Tensor::shallow_clone).collect();
                inputs[place] = zeros[place].f_full_like(largest)?;
                let checked = self.of(selection).check(&inputs, &self.input_names(preparers, selection), expected);
                checked.with_context(|| {
                    let name = preparer.name();
                    format!("modality {name}: the tokenizer and the padding have token numbers up to {largest}")
                })?;
            }
            place += if selected || masked { preparer.count() } else { 0 };
        }
        Ok(())
    }

    /// What the selection's network makes of the selected modalities' tensors.
    fn logits(
        &self,
        preparers: &[Preparer],
        selection: ModalitySet,
        count: i64,
        place: (Device, Kind),
        tensors: impl Fn(usize) -> Result<Vec<Tensor>, TchError>,
    ) -> Result<Tensor, TchError> {
        self.of(selection).forward(&self.inputs(preparers, selection, count, place, tensors)?)
    }

    /// The arguments of `forward`: the selected modalities' tensors, or everyone's and who is there.
    fn inputs(
        &self,
        preparers: &[Preparer],
        selection: ModalitySet,
        count: i64,
        (device, kind): (Device, Kind),
        tensors: impl Fn(usize) -> Result<Vec<Tensor>, TchError>,
    ) -> Result<Vec<Tensor>, TchError> {
        let mut inputs = Vec::new();
        for (index, preparer) in preparers.iter().enumerate() {
            match (self, selection.contains(index)) {
                (_, true) => inputs.extend(tensors(index)?),
                (Scripts::Masked(_), false) => inputs.extend(preparer.dropped(count, device, kind)?),
                (Scripts::PerSelection(_), false) => {}
            }
        }
        if let Scripts::Masked(_) = self {
            let there: Vec<bool> = (0..preparers.len()).map(|index| selection.contains(index)).collect();
            inputs.push(Tensor::f_from_slice(&there)?.f_to_device(device)?);
        }
        Ok(inputs)
    }

    fn input_names<'p>(&self, preparers: &'p [Preparer], selection: ModalitySet) -> Vec<&'p str> {
        let masked = matches!(self, Scripts::Masked(_));
        let taken = preparers.iter().enumerate().filter(|(index, _)| masked || selection.contains(*index));
        let names = taken.flat_map(|(_, preparer)| std::iter::repeat_n(preparer.name(), preparer.count()));
        names.chain(masked.then_some("which are there")).collect()
    }

    fn of(&self, selection: ModalitySet) -> &Script {
        match self {
            Scripts::Masked(script) => script,
            Scripts::PerSelection(scripts) => &scripts[&selection],
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod installed;
#[cfg(test)]
mod tests;
