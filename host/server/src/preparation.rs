//! Time that a device thread spends on its inputs: what is usual, and what goes beyond it.
//!
//! A profile is measured with ordinary inputs, whose decoding is in its times. So the usual part of a batch's preparation
//! belongs to what the batch takes, and what goes beyond it, one client's dear pictures, says nothing about the device.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mosel_core::{Mode, ModelId};

/// What requests of every model and mode took to be prepared lately, on one lane.
#[derive(Debug, Default)]
pub(crate) struct UsualPreparation {
    recent: BTreeMap<(ModelId, Mode), VecDeque<Duration>>,
}

/// Batches that the median is taken over.
const KEPT: usize = 32;

impl UsualPreparation {
    /// Of the preparation of a batch of so many requests, the part that is usual. Half of the latest batches or more have
    /// to be dear before that is.
    pub(crate) fn of_batch(&mut self, of: (ModelId, Mode), prepare: Duration, requests: u32) -> Duration {
        let recent = self.recent.entry(of).or_default();
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(prepare / requests.max(1));
        let mut sorted: Vec<Duration> = recent.iter().copied().collect();
        sorted.sort_unstable();
        prepare.min(sorted[(sorted.len() - 1) / 2] * requests)
    }

    /// The model is not on this lane any more.
    pub(crate) fn forget(&mut self, model: ModelId) {
        self.recent.retain(|(of, _), _| *of != model);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_core::ModalitySet;

    #[test]
    fn what_a_few_dear_inputs_take_is_beyond_the_usual() {
        let mut usual = UsualPreparation::default();
        let of = (ModelId(0), Mode::full(ModalitySet::all(1)));
        let ms = Duration::from_millis;
        for _ in 0..10 {
            assert_eq!(usual.of_batch(of, ms(8), 4), ms(8));
        }
        for _ in 0..9 {
            assert_eq!(usual.of_batch(of, ms(400), 4), ms(8));
        }
        assert_eq!(usual.of_batch(of, ms(1), 1), ms(1), "no more than it took");
        usual.forget(ModelId(0));
        assert_eq!(usual.of_batch(of, ms(400), 4), ms(400));
    }
}
