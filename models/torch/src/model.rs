//! A network as a [`Model`]: what comes in is decoded here, what goes out is a label.

use anyhow::Result;
use mosel_core::{ModalitySet, Precision};
use tch::{TchError, Tensor};

use super::batch::answers;
use super::failure::failed;
use super::guard::Forward;
use super::precise::Precise;
use mosel_models::{DeviceFacts, Input, InputError, InputFault, InputKind, Model, ModelError, Output, Request, Spec};

/// How a network's inputs are made of what clients send.
pub(super) trait Inputs: Send {
    /// The network that takes them.
    type Network: Send;
    /// The selected inputs of one request, off their files.
    type Decoded;

    /// Decodes the selected inputs of a request and leaves the others alone.
    fn decode(&self, selected: &Selected<'_>) -> Result<Self::Decoded, InputError>;

    /// Asks the network. All requests have the same modalities.
    fn logits(&self, network: &Self::Network, requests: &[&Self::Decoded]) -> Result<Tensor, TchError>;
}

/// A request and the modalities that it is served on.
pub(super) struct Selected<'a> {
    pub(super) spec: &'a Spec,
    pub(super) request: &'a Request,
    pub(super) modalities: ModalitySet,
}

/// The network at every precision, its inputs and its labels.
pub(super) struct NetworkModel<I: Inputs> {
    pub(super) spec: Spec,
    pub(super) facts: DeviceFacts,
    pub(super) inputs: I,
    pub(super) networks: Precise<I::Network>,
}

impl Selected<'_> {
    /// The modality of this number, decoded; `None` if it is not selected.
    pub(super) fn decoded<T>(
        &self,
        number: usize,
        decode: impl FnOnce(&Input, &InputKind) -> Result<T, InputFault>,
    ) -> Result<Option<T>, InputError> {
        if !self.modalities.contains(number) {
            return Ok(None);
        }
        let modality = &self.spec.modalities[number];
        decode(&self.request.inputs()[number], &modality.kind).map(Some).map_err(|fault| modality.error(fault))
    }
}

impl<I: Inputs> Model for NetworkModel<I> {
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
        let network = self.networks.at(precision)?;
        let decode = |request: &&Request| self.inputs.decode(&Selected { spec: &self.spec, request, modalities });
        let inputs: Vec<Result<I::Decoded, InputError>> = requests.iter().map(decode).collect();
        answers(&self.spec, inputs, |sound| self.inputs.logits(network, sound)).map_err(failed)
    }
}
