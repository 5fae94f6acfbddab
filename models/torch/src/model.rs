//! A network as a [`Model`]: what comes in is decoded here, what goes out is a label.

use std::time::Instant;

use anyhow::Result;
use mosel_core::{ModalitySet, Precision};
use tch::{TchError, Tensor};

use super::batch::answers;
use super::failure::failed;
use super::guard::Forward;
use super::precise::Precise;
use mosel_models::{
    BatchAnswers, DeviceFacts, Input, InputError, InputFault, InputKind, Model, ModelError, Request, Spec,
};

/// How a network's inputs are made of what clients send.
pub(super) trait Inputs: Send {
    /// The network that takes them.
    type Network: Send;
    /// The selected inputs of one request, off their files and as large as the network wants them.
    type Decoded;

    /// Decodes and scales the selected inputs of a request and leaves the others alone: all that is done to them on the
    /// host, whose time is told apart from the network's.
    fn decode(&self, selected: &Selected<'_>) -> Result<Self::Decoded, Undecoded>;

    /// Asks the network. All requests have the same modalities.
    fn logits(&self, network: &Self::Network, requests: &[&Self::Decoded]) -> Result<Tensor, TchError>;
}

/// Why a request could not be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undecoded {
    /// It fails alone.
    #[error(transparent)]
    Input(#[from] InputError),
    /// libtorch failed, for lack of memory perhaps.
    #[error(transparent)]
    Torch(#[from] TchError),
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

/// What fails one request, inside; what fails the batch, outside.
pub(super) fn apart<T>(decoded: Result<T, Undecoded>) -> Result<Result<T, InputError>, ModelError> {
    match decoded {
        Ok(decoded) => Ok(Ok(decoded)),
        Err(Undecoded::Input(error)) => Ok(Err(error)),
        Err(Undecoded::Torch(error)) => Err(failed(error)),
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
    ) -> Result<BatchAnswers, ModelError> {
        self.spec.check_batch(requests, modalities)?;
        let _forward = Forward::begin()?;
        let begin = Instant::now();
        let decode = |request: &&Request| self.inputs.decode(&Selected { spec: &self.spec, request, modalities });
        let inputs = requests.iter().map(|request| apart(decode(request))).collect::<Result<Vec<_>, _>>()?;
        let prepare = begin.elapsed();
        let network = self.networks.at(precision)?;
        let answers = answers(&self.spec, inputs, |sound| self.inputs.logits(network, sound))?;
        Ok(BatchAnswers { answers, prepare })
    }
}
