//! How often a model is right.

use mosel_core::{Accuracy, Mode};

/// How often a model is right on a selection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// What it answered on, and with which numbers.
    pub mode: Mode,
    /// Right answers among the examples.
    pub accuracy: Accuracy,
    /// Mean over the labels of the share of their examples that were right: large labels count no more than small.
    pub mean_recall: f64,
    /// Examples for which the model gave numbers that are no answer; they count as wrong.
    pub unanswered: u32,
}

impl Score {
    /// From right answers and examples of each label; some label has examples.
    pub(super) fn of(mode: Mode, by_label: &[(u32, u32)]) -> Score {
        let seen: Vec<(u32, u32)> = by_label.iter().copied().filter(|&(_, samples)| samples > 0).collect();
        let recall: f64 = seen.iter().map(|&(correct, samples)| f64::from(correct) / f64::from(samples)).sum();
        let accuracy = Accuracy {
            correct: seen.iter().map(|&(correct, _)| correct).sum(),
            samples: seen.iter().map(|&(_, samples)| samples).sum(),
        };
        Score { mode, accuracy, mean_recall: recall / seen.len() as f64, unanswered: 0 }
    }
}
