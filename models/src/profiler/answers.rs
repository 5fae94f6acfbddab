//! A model's answers to labeled examples in one mode, and how long they took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mosel_core::Mode;

use super::{Score, Settings};
use crate::memory::{self, Meter};
use crate::profile_file::{BatchRecord, LatencyRecord};
use crate::{Example, Model, ModelError, Output, Request, Stopwatch, Unanswered, split_on_out_of_memory};

/// Goes over the examples round and round, and keeps what each was answered first: answers that were given while time
/// was measured count, so nothing is computed for the accuracy that was computed before.
pub(super) struct Answers<'a> {
    examples: &'a [Example],
    mode: Mode,
    next: usize,
    /// One an example: what it was answered with.
    labels: Vec<Option<Labeled>>,
}

/// What an example was answered with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labeled {
    As(usize),
    /// What the model gave is no answer: as wrong as a wrong label.
    No,
}

const SCORED_AT_ONCE: usize = 16;

impl<'a> Answers<'a> {
    /// None yet; there is at least one example.
    pub(super) fn new(examples: &'a [Example], mode: Mode) -> Answers<'a> {
        Answers { examples, mode, next: 0, labels: vec![None; examples.len()] }
    }

    /// Measures batches of one size; `None` if memory runs out.
    pub(super) fn measure(
        &mut self,
        model: &mut dyn Model,
        size: u32,
        settings: &Settings,
    ) -> Result<Option<BatchRecord>> {
        let meter = Meter::start(model.device());
        let (start, mut runs) = (Instant::now(), 0);
        while !settings.is_warm(runs, start.elapsed()) {
            if self.run(model, size)?.is_none() {
                return Ok(None);
            }
            runs += 1;
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        while !settings.is_enough(times.len() as u32, start.elapsed()) {
            match self.run(model, size)? {
                Some(time) => times.push(time),
                None => return Ok(None),
            }
        }
        Ok(Some(BatchRecord { size, latency_us: LatencyRecord::of(times), memory_bytes: meter.peak_bytes() }))
    }

    /// Runs the examples that have no answer yet, and tells how many of all answers are right.
    pub(super) fn score(mut self, model: &mut dyn Model) -> Result<Score> {
        let open: Vec<usize> = (0..self.examples.len()).filter(|&place| self.labels[place].is_none()).collect();
        for places in open.chunks(SCORED_AT_ONCE) {
            let requests = self.requests(places);
            let answered = split_on_out_of_memory(model, &requests, self.mode)?;
            self.keep(places, answered.answers)?;
        }
        let mut by_label = vec![(0u32, 0u32); model.spec().labels.len()];
        for (example, answer) in self.examples.iter().zip(&self.labels) {
            let (correct, samples) = &mut by_label[example.label];
            *samples += 1;
            *correct += u32::from(*answer == Some(Labeled::As(example.label)));
        }
        let unanswered = self.labels.iter().filter(|answer| **answer == Some(Labeled::No)).count();
        Ok(Score { unanswered: unanswered as u32, ..Score::of(self.mode, &by_label) })
    }

    /// Runs one batch of the next examples; `None` if memory runs out.
    fn run(&mut self, model: &mut dyn Model, size: u32) -> Result<Option<Duration>> {
        let count = self.examples.len();
        let places: Vec<usize> = (self.next..self.next + size as usize).map(|place| place % count).collect();
        let requests = self.requests(&places);
        let stopwatch = Stopwatch::start(model.device())?;
        let answers = match model.forward(&requests, self.mode.modalities, self.mode.precision) {
            Err(ModelError::OutOfMemory(_)) => {
                memory::give_back(model.device());
                return Ok(None);
            }
            answers => answers?,
        };
        let took = stopwatch.stop()?;
        self.next = (self.next + size as usize) % count;
        self.keep(&places, answers.answers)?;
        Ok(Some(took))
    }

    fn requests(&self, places: &[usize]) -> Vec<&'a Request> {
        places.iter().map(|&place| &self.examples[place].request).collect()
    }

    fn keep(&mut self, places: &[usize], answers: Vec<Result<Output, Unanswered>>) -> Result<()> {
        for (&place, answer) in places.iter().zip(answers) {
            let labeled = match answer {
                Ok(output) => Labeled::As(output.label),
                Err(Unanswered::Output(_)) => Labeled::No,
                Err(error) => return Err(error).with_context(|| format!("example {}", self.examples[place].name)),
            };
            self.labels[place].get_or_insert(labeled);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeModel;
    use mosel_core::{Accuracy, ModalitySet, Precision};

    const MODE: Mode = Mode::full(ModalitySet::single(0));

    /// Labels 0 to 9, which [`FakeModel`] answers rightly, but for the last.
    fn examples() -> Vec<Example> {
        let mut examples = FakeModel::examples(10);
        examples[9].label = 0;
        examples
    }

    #[test]
    fn answers_given_while_time_is_measured_count_and_only_the_rest_is_run() {
        let (mut model, examples) = (FakeModel::new(), examples());
        let mut answers = Answers::new(&examples, MODE);
        let settings = Settings { warm_up: 1, max_runs: 2, ..Settings::default() };
        let record = answers.measure(&mut model, 2, &settings).unwrap().unwrap();
        assert_eq!((record.size, record.latency_us.runs), (2, 2));
        let score = answers.score(&mut model).unwrap();
        assert_eq!(score.accuracy, Accuracy { correct: 9, samples: 10 });
        let full = |size| (size, Precision::Fp32);
        assert_eq!(model.tried, [2, 2, 2, 4].map(full));
    }

    #[test]
    fn an_answer_that_is_none_is_wrong_and_counted() {
        let mut examples = examples();
        examples[3].request = Request::new(vec![crate::Input::Text("nan".into())]);
        let score = Answers::new(&examples, MODE).score(&mut FakeModel::new()).unwrap();
        assert_eq!((score.accuracy, score.unanswered), (Accuracy { correct: 8, samples: 10 }, 1));
    }

    #[test]
    fn a_batch_that_does_not_fit_is_no_measurement_and_scoring_goes_on_in_parts() {
        let (mut model, examples) = (FakeModel { fits: 3, ..FakeModel::new() }, examples());
        let mut answers = Answers::new(&examples, MODE);
        assert_eq!(answers.measure(&mut model, 4, &Settings::quick()).unwrap(), None);
        assert_eq!(answers.score(&mut model).unwrap().accuracy.samples, 10);
    }
}
