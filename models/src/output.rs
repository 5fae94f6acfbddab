//! What a model answers, checked where it is made: no answer is better than one that says nothing.

use crate::InputError;

/// The answer to one request. Made by [`Output::of`] alone, which checks it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Output {
    /// Position among the model's labels.
    pub label: usize,
    /// The label itself.
    pub name: String,
    /// The model's own estimate that it is right, in 0..=1; not calibrated.
    pub probability: f32,
}

/// What is wrong with what a model gave for one request.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum OutputFault {
    /// A network whose numbers ran over, or met a NaN.
    #[error("expected an answer of finite numbers, the model gave a probability of {probability}")]
    NotFinite {
        /// NaN or infinite.
        probability: f32,
    },
    /// Finite, and no probability.
    #[error("expected a probability from 0 to 1, the model gave {probability}")]
    OutOfRange {
        /// Below 0 or above 1.
        probability: f32,
    },
    /// The model has fewer labels.
    #[error("expected one of {expected} labels, the model gave number {got}")]
    Label {
        /// Labels of the model.
        expected: usize,
        /// The position, from 0.
        got: usize,
    },
}

/// Why one request of a batch has no answer; the others have theirs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unanswered {
    /// The model cannot take its inputs.
    #[error(transparent)]
    Input(#[from] InputError),
    /// What the model gave is no answer.
    #[error(transparent)]
    Output(#[from] OutputFault),
    /// The model fails whenever the request is in a batch, and answers others.
    #[error("the model fails on this request: {0}")]
    Failed(String),
}

/// How far above 1 the sum of a rounded softmax may lie.
const ROUNDING: f32 = 1e-3;

impl Output {
    /// The answer with this of a model's labels. Fails if it is none: every backend's answers are made here.
    pub(crate) fn of(labels: &[String], label: usize, probability: f32) -> Result<Output, OutputFault> {
        if !probability.is_finite() {
            return Err(OutputFault::NotFinite { probability });
        }
        if !(0.0..=1.0 + ROUNDING).contains(&probability) {
            return Err(OutputFault::OutOfRange { probability });
        }
        let name = labels.get(label).ok_or(OutputFault::Label { expected: labels.len(), got: label })?;
        Ok(Output { label, name: name.clone(), probability: probability.min(1.0) })
    }
}

impl OutputFault {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            OutputFault::NotFinite { .. } => "output_not_finite",
            OutputFault::OutOfRange { .. } => "output_out_of_range",
            OutputFault::Label { .. } => "output_unknown_label",
        }
    }
}

impl Unanswered {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Unanswered::Input(error) => error.fault.code(),
            Unanswered::Output(fault) => fault.code(),
            Unanswered::Failed(_) => "request_failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_label_and_a_probability_or_is_none() {
        let labels: Vec<String> = vec!["a".into(), "b".into()];
        let output = |label, probability| Output::of(&labels, label, probability);
        let sound = output(1, 1.000_01).unwrap();
        assert_eq!((sound.label, sound.name.as_str(), sound.probability), (1, "b", 1.0));
        assert_eq!(output(0, 0.0).unwrap().name, "a");
        let code = |label, probability| output(label, probability).unwrap_err().code();
        assert_eq!(code(0, f32::NAN), "output_not_finite");
        assert_eq!(code(0, f32::INFINITY), "output_not_finite");
        assert_eq!(code(0, -0.1), "output_out_of_range");
        assert_eq!(code(0, 1.5), "output_out_of_range");
        assert_eq!(code(2, 0.5), "output_unknown_label");
    }
}
