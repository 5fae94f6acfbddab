//! Runs a batch in which one request may make the backend fail: it is found by halving, and the others are answered.

use mosel_core::Mode;

use crate::{Answered, Model, ModelError, Output, Request, Unanswered, blank_request, split_on_out_of_memory};

/// Runs a batch as [`split_on_out_of_memory`] does. Where the backend fails, the halves are run by themselves, and so on down
/// to the requests at fault, which then have no answer.
///
/// An error means that the model itself has failed, as far as one can tell: it answered none of the requests, nor one that
/// says nothing. Runs that fail are bounded: two requests at fault are always found, of more some may take others along.
pub fn isolate_failures(model: &mut dyn Model, requests: &[&Request], mode: Mode) -> Result<Answered, ModelError> {
    match split_on_out_of_memory(model, requests, mode) {
        Err(ModelError::Backend(reason)) => Isolation::new(model, mode, requests.len()).run(requests, reason),
        answered => answered,
    }
}

/// A batch that failed, while its parts are tried.
struct Isolation<'m> {
    model: &'m mut dyn Model,
    mode: Mode,
    /// Runs that may still fail.
    failures_left: u32,
    /// What came of the requests so far.
    found: Answered,
    /// The model has answered since it failed.
    answers: bool,
}

impl<'m> Isolation<'m> {
    fn new(model: &'m mut dyn Model, mode: Mode, requests: usize) -> Isolation<'m> {
        // one at fault makes one run fail at every halving
        let failures_left = 2 * requests.max(1).next_power_of_two().ilog2() + 2;
        Isolation { model, mode, failures_left, found: Answered::default(), answers: false }
    }

    fn run(mut self, requests: &[&Request], reason: String) -> Result<Answered, ModelError> {
        if requests.len() > 1 {
            self.halve(requests)?;
        } else {
            self.attempt(requests, &reason)?;
        }
        if self.answers || self.answers_a_blank() { Ok(self.found) } else { Err(ModelError::Backend(reason)) }
    }

    fn halve(&mut self, requests: &[&Request]) -> Result<(), ModelError> {
        let (first, second) = requests.split_at(requests.len() / 2);
        let unknown = "requests beside it fail, and it was not tried alone";
        self.attempt(first, unknown)?;
        self.attempt(second, unknown)
    }

    /// Runs some of the requests; `why` is said of them if nothing may fail any more.
    fn attempt(&mut self, requests: &[&Request], why: &str) -> Result<(), ModelError> {
        if self.failures_left == 0 {
            self.found.answers.extend(requests.iter().map(|_| failed(why)));
            return Ok(());
        }
        match split_on_out_of_memory(self.model, requests, self.mode) {
            Ok(answered) => {
                self.answers = true;
                self.found.extend(answered);
                Ok(())
            }
            Err(ModelError::Backend(reason)) => {
                self.failures_left -= 1;
                if requests.len() > 1 {
                    return self.halve(requests);
                }
                self.found.answers.push(failed(&reason));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn answers_a_blank(&mut self) -> bool {
        let blank = blank_request(self.model.spec());
        let Mode { modalities, precision } = self.mode;
        let ran = self.model.forward(&[&blank], modalities, precision);
        let computed = |answer: &Result<Output, Unanswered>| matches!(answer, Ok(_) | Err(Unanswered::Output(_)));
        ran.is_ok_and(|ran| ran.answers.iter().all(computed))
    }
}

fn failed(reason: &str) -> Result<Output, Unanswered> {
    Err(Unanswered::Failed(reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Input;
    use crate::fake::FakeModel;
    use mosel_core::ModalitySet;

    const MODE: Mode = Mode::full(ModalitySet::single(0));

    fn run(texts: &[&'static str]) -> (Result<String, ModelError>, FakeModel) {
        let requests: Vec<Request> = texts.iter().map(|text| Request::new(vec![Input::Text((*text).into())])).collect();
        let mut model = FakeModel::new();
        let answered = isolate_failures(&mut model, &requests.iter().collect::<Vec<_>>(), MODE);
        let word = |answer: &Result<Output, Unanswered>| match answer {
            Ok(output) => output.name.clone(),
            Err(unanswered) => unanswered.code().to_owned(),
        };
        (answered.map(|answered| answered.answers.iter().map(word).collect::<Vec<_>>().join(" ")), model)
    }

    #[test]
    fn one_that_makes_the_backend_fail_fails_alone() {
        for place in 0..8 {
            let mut texts = vec!["3"; 8];
            texts[place] = "poison";
            let (answers, model) = run(&texts);
            let mut expected = ["3"; 8];
            expected[place] = "request_failed";
            assert_eq!(answers.unwrap(), expected.join(" "));
            assert!(model.tried.len() <= 8, "{:?}", model.tried);
        }
        assert_eq!(run(&["1", "poison", "2", "poison", "3"]).0.unwrap(), "1 request_failed 2 request_failed 3");
    }

    #[test]
    fn one_that_comes_alone_is_tried_twice_and_is_at_fault_if_the_model_answers_a_blank_one() {
        let (answers, model) = run(&["poison"]);
        assert_eq!((answers.unwrap().as_str(), model.tried.len()), ("request_failed", 3));
        assert_eq!(run(&["hiccup"]).0.unwrap(), "0");
    }

    #[test]
    fn a_model_that_answers_nothing_any_more_has_failed_itself_after_a_bounded_number_of_runs() {
        let (answers, model) = run(&["fatal"]);
        assert_eq!(answers, Err(ModelError::Backend("a text was fatal".into())));
        assert_eq!(model.tried.len(), 3);
        let (answers, model) = run(&["fatal"; 64]);
        assert!(answers.is_err() && model.tried.len() <= 16, "{:?}", model.tried);
    }

    #[test]
    fn where_every_request_is_at_fault_runs_are_bounded_too() {
        let (answers, model) = run(&["poison"; 64]);
        assert_eq!(answers.unwrap(), ["request_failed"; 64].join(" "));
        assert!(model.tried.len() <= 16, "{:?}", model.tried);
    }
}
