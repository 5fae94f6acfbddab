//! A model that costs nothing: what remains is the server.

use mosel_core::{ModalitySet, Precision};

use crate::{BatchAnswers, DeviceFacts, Model, ModelError, Request, Spec};

/// Answers the first label at once. For measuring everything around a model.
#[derive(Clone, Debug)]
pub struct Null {
    spec: Spec,
    device: DeviceFacts,
}

impl Null {
    /// A model that takes what `spec` says. It must have a label.
    pub fn new(spec: Spec) -> Null {
        assert!(!spec.labels.is_empty(), "a model answers with a label, so it has one");
        Null { spec, device: DeviceFacts::fake("null") }
    }
}

impl Model for Null {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &DeviceFacts {
        &self.device
    }

    fn precisions(&self) -> &[Precision] {
        &Precision::ALL
    }

    fn forward(
        &mut self,
        requests: &[&Request],
        modalities: ModalitySet,
        _: Precision,
    ) -> Result<BatchAnswers, ModelError> {
        self.spec.check_batch(requests, modalities)?;
        let answers = requests.iter().map(|_| Ok(self.spec.output(0, 1.0)?)).collect();
        Ok(BatchAnswers { answers, ..BatchAnswers::default() })
    }
}
