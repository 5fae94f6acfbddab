//! The trait every model implements. No tensors here: a server works with any backend.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{ModalitySet, Precision};

use crate::{DeviceFacts, Input, InputError, InputFault, InputKind, Output, OutputFault, Unanswered};

/// A model that answers requests on any non-empty subset of their modalities.
///
/// A model is built inside the thread that owns its device (see [`Backend`](crate::backend::Backend)) and stays there.
pub trait Model: Send {
    /// What it expects and what it answers.
    fn spec(&self) -> &Spec;

    /// Where it runs.
    fn device(&self) -> &DeviceFacts;

    /// What it can compute with; full precision is among them.
    fn precisions(&self) -> &[Precision] {
        &[Precision::Fp32]
    }

    /// Runs one batch: every request on the same modalities, in this precision. One answer a request, in their order.
    ///
    /// Inputs of the other modalities are neither decoded nor copied. An input that turns out to be bad, and numbers
    /// that are no answer, fail their own request; the others are answered. An error means that none was.
    fn forward(
        &mut self,
        requests: &[&Request],
        modalities: ModalitySet,
        precision: Precision,
    ) -> Result<BatchAnswers, ModelError>;
}

/// What came of one batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchAnswers {
    /// One a request, in their order.
    pub answers: Vec<Result<Output, Unanswered>>,
    /// Of the time it took, what went into making numbers of the inputs on the host: decoding, scaling, spectrograms,
    /// tokens. The rest is the device's.
    pub prepare: Duration,
}

/// What a model expects and what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The model's name, as clients write it.
    pub name: String,
    /// Position `i` is bit `i` of every [`ModalitySet`].
    pub modalities: Vec<Modality>,
    /// Position is [`Output::label`].
    pub labels: Arc<[String]>,
    /// SHA-256 of the trained weights, in hex; empty for a model without any.
    pub weights_sha256: String,
}

/// One modality of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modality {
    /// As clients write it.
    pub name: String,
    /// What its input must be.
    pub kind: InputKind,
}

/// One input for every modality of the model, in the order of [`Spec::modalities`]. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    inputs: Arc<[Input]>,
}

/// A batch that could not be run at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// No modality, or one the model does not have.
    #[error("expected a selection of the model's {count} modalities, got {got}")]
    Selection {
        /// How many modalities the model has.
        count: usize,
        /// What was given.
        got: ModalitySet,
    },
    /// A request was made for another model.
    #[error("expected requests of {expected} inputs, got one of {got}")]
    Inputs {
        /// How many modalities the model has.
        expected: usize,
        /// Inputs of the request.
        got: usize,
    },
    /// The model does not compute with it.
    #[error("expected a precision that the model has ({known}), got {got}")]
    Precision {
        /// Those it has.
        known: String,
        /// What was given.
        got: Precision,
    },
    /// The device has not the memory for a batch of this size; a smaller one may fit, see
    /// [`split_on_out_of_memory`](crate::split_on_out_of_memory).
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The framework failed: a device lost, for example, or a number of an input that a network has no place for.
    #[error("the backend failed: {0}")]
    Backend(String),
    /// What the network gave has not a row a request and a column a label: none of it can be told apart.
    #[error("expected an answer of {expected:?} (a row a request, a column a label), the model gave {got:?}")]
    AnswerShape {
        /// Requests and labels.
        expected: [i64; 2],
        /// The shape that came.
        got: Vec<i64>,
    },
}

impl Spec {
    /// The modalities' names, in order.
    pub fn modality_names(&self) -> Vec<&str> {
        self.modalities.iter().map(|modality| modality.name.as_str()).collect()
    }

    /// Makes a request of named inputs, each checked without decoding it. Order does not matter.
    pub fn request<N: AsRef<str>>(&self, named: impl IntoIterator<Item = (N, Input)>) -> Result<Request, InputError> {
        let mut inputs = vec![None; self.modalities.len()];
        for (name, input) in named {
            let name = name.as_ref();
            let place = self.modalities.iter().position(|modality| modality.name == name);
            match place.map(|index| &mut inputs[index]) {
                Some(empty @ None) => *empty = Some(input),
                _ => return Err(InputError { modality: name.into(), fault: self.unknown() }),
            }
        }
        let inputs = inputs.into_iter().zip(&self.modalities).map(|(input, modality)| modality.accept(input));
        Ok(Request { inputs: inputs.collect::<Result<_, _>>()? })
    }

    /// Checks that a batch can be run at all: called by every backend first.
    pub fn check_batch(&self, requests: &[&Request], modalities: ModalitySet) -> Result<(), ModelError> {
        let expected = self.modalities.len();
        if modalities.is_empty() || !modalities.is_subset_of(ModalitySet::all(expected)) {
            return Err(ModelError::Selection { count: expected, got: modalities });
        }
        match requests.iter().find(|request| request.inputs.len() != expected) {
            None => Ok(()),
            Some(request) => Err(ModelError::Inputs { expected, got: request.inputs.len() }),
        }
    }

    /// The answer with this label. Fails if it is none: every backend's answers are made here.
    pub fn output(&self, label: usize, probability: f32) -> Result<Output, OutputFault> {
        Output::of(&self.labels, label, probability)
    }

    fn unknown(&self) -> InputFault {
        InputFault::Unknown { expected: self.modality_names().join(", ") }
    }
}

impl Modality {
    /// A modality of this name and kind.
    pub fn new(name: &str, kind: InputKind) -> Modality {
        Modality { name: name.into(), kind }
    }

    /// An error about this modality's input.
    pub fn error(&self, fault: InputFault) -> InputError {
        InputError { modality: self.name.clone(), fault }
    }

    fn accept(&self, input: Option<Input>) -> Result<Input, InputError> {
        let missing = || InputFault::Missing { expected: self.kind.describe() };
        let checked = input.ok_or_else(missing).and_then(|input| input.check(&self.kind).map(|()| input));
        checked.map_err(|fault| InputError { modality: self.name.clone(), fault })
    }
}

impl Request {
    /// A request of these inputs, unchecked; [`Spec::request`] is for what comes from outside.
    pub fn new(inputs: Vec<Input>) -> Request {
        Request { inputs: inputs.into() }
    }

    /// Every input, in the order of the model's modalities.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Bytes of all inputs, for limits on what is kept in memory.
    pub fn len_bytes(&self) -> usize {
        self.inputs.iter().map(Input::len_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        let modalities = vec![
            Modality::new("title", InputKind::Text { max_bytes: 10 }),
            Modality::new("body", InputKind::Text { max_bytes: 10 }),
        ];
        Spec { name: "toy".into(), modalities, labels: vec!["a".into()].into(), weights_sha256: String::new() }
    }

    fn text(text: &'static str) -> Input {
        Input::Text(text.into())
    }

    #[test]
    fn inputs_find_their_modality_by_name() {
        let request = spec().request([("body", text("b")), ("title", text("t"))]).unwrap();
        assert_eq!(request.inputs(), [text("t"), text("b")]);
    }

    #[test]
    fn a_missing_a_strange_and_a_doubled_modality_are_refused() {
        let refusal = |named: Vec<(&str, Input)>| spec().request(named).unwrap_err().to_string();
        assert_eq!(refusal(vec![("body", text("b"))]), "modality title: expected text of at most 10 bytes, got none");
        let strange = vec![("body", text("b")), ("smell", text("s"))];
        assert_eq!(refusal(strange), "modality smell: expected one of title, body, and each once");
        let doubled = vec![("body", text("b")), ("body", text("s"))];
        assert_eq!(refusal(doubled), "modality body: expected one of title, body, and each once");
    }

    #[test]
    fn a_selection_is_not_empty_and_knows_no_stranger() {
        let check = |bits| spec().check_batch(&[], ModalitySet::from_bits(bits));
        assert_eq!(check(3), Ok(()));
        assert_eq!(check(0), Err(ModelError::Selection { count: 2, got: ModalitySet::EMPTY }));
        assert_eq!(check(4), Err(ModelError::Selection { count: 2, got: ModalitySet::from_bits(4) }));
    }

    #[test]
    fn a_request_of_another_model_is_refused() {
        let request = Request::new(vec![text("alone")]);
        let checked = spec().check_batch(&[&request], ModalitySet::all(2));
        assert_eq!(checked, Err(ModelError::Inputs { expected: 2, got: 1 }));
    }
}
