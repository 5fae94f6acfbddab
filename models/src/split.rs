//! Runs a batch that may be too large for the device's memory: in parts, if it must be.

use std::time::Duration;

use mosel_core::Mode;

use crate::{BatchAnswers, Model, ModelError, Output, Request, Unanswered, memory};

/// The answers to a batch, and how it was run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    /// One a request, in their order.
    pub answers: Vec<Result<Output, Unanswered>>,
    /// Batches it was run as: 1 unless memory ran out, or some request made the backend fail.
    pub batches: usize,
    /// Of the time it took, what went into making numbers of the inputs on the host.
    pub prepare: Duration,
}

/// Runs a batch as [`Model::forward`] does; where memory runs out, gives back what is kept for later and goes on with
/// batches of half the size, down to single requests. A size that was too large once is not tried again.
///
/// Fails with [`ModelError::OutOfMemory`] if even one request does not fit; then none is answered. Any other failure is
/// returned as it comes.
pub fn split_on_out_of_memory(
    model: &mut dyn Model,
    requests: &[&Request],
    mode: Mode,
) -> Result<Answered, ModelError> {
    let Mode { modalities, precision } = mode;
    let mut done = Answered::default();
    let (mut rest, mut size) = (requests, requests.len());
    loop {
        let (now, later) = rest.split_at(size.min(rest.len()));
        match model.forward(now, modalities, precision) {
            Ok(BatchAnswers { answers, prepare }) => {
                done.extend(Answered { answers, batches: 1, prepare });
                rest = later;
            }
            Err(ModelError::OutOfMemory(_)) if now.len() > 1 => {
                memory::give_back(model.device());
                size = now.len().div_ceil(2);
            }
            Err(error) => return Err(error),
        }
        if rest.is_empty() {
            return Ok(done);
        }
    }
}

impl Answered {
    /// What came of the requests that follow.
    pub(crate) fn extend(&mut self, later: Answered) {
        self.answers.extend(later.answers);
        self.batches += later.batches;
        self.prepare += later.prepare;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeModel;
    use mosel_core::ModalitySet;

    const MODE: Mode = Mode::full(ModalitySet::single(0));

    fn run(fits: usize, requests: usize) -> (Result<Answered, ModelError>, Vec<usize>) {
        let (mut model, requests) = (FakeModel { fits, ..FakeModel::new() }, FakeModel::requests(requests));
        let requests: Vec<&Request> = requests.iter().collect();
        let answered = split_on_out_of_memory(&mut model, &requests, MODE);
        (answered, model.tried.into_iter().map(|(size, _)| size).collect())
    }

    #[test]
    fn what_fits_is_run_at_once() {
        let (answered, tried) = run(8, 8);
        assert_eq!((answered.unwrap().batches, tried), (1, vec![8]));
        let (nothing, tried) = run(8, 0);
        assert_eq!((nothing.unwrap().answers.len(), tried), (0, vec![0]));
    }

    #[test]
    fn what_does_not_fit_is_run_in_parts_and_joined_in_order() {
        let (answered, tried) = run(3, 10);
        // 10 and 5 are too many; after that no batch is larger than 3
        assert_eq!(tried, [10, 5, 3, 3, 3, 1]);
        let Answered { answers, batches, .. } = answered.unwrap();
        assert_eq!(batches, 4);
        let labels: Vec<usize> = answers.into_iter().map(|answer| answer.unwrap().label).collect();
        assert_eq!(labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn one_that_does_not_fit_alone_is_an_error_and_so_is_any_other_failure() {
        let (refused, tried) = run(0, 4);
        assert!(matches!(refused, Err(ModelError::OutOfMemory(_))), "{refused:?}");
        assert_eq!(tried, [4, 2, 1]);
        let strange = Mode::full(ModalitySet::single(5));
        let refused = split_on_out_of_memory(&mut FakeModel::new(), &[], strange);
        assert!(matches!(refused, Err(ModelError::Selection { .. })));
    }
}
