//! Invariants that cannot be broken hold nothing: the scheduler's words are forged, and the invariant that is about them must notice.

use std::time::Duration;

use mosel_core::{Action, DecisionError, Event, JobId, Outcome, Refusal, Scheduler, Time};

use super::{Invariant, Invariants};
use crate::{Observer, SimCase};

/// So many cases are forged; what is forged happens on some of them.
const CASES: u64 = 60;
const MICRO: Duration = Duration::from_micros(1);

/// Hands the invariants other actions than the scheduler's.
struct Forger {
    invariants: Invariants,
    forge: fn(&mut Vec<Action>),
    /// The first event whose actions were changed, by number.
    forged: Option<u64>,
    events: u64,
}

impl Observer for Forger {
    fn before(&mut self, scheduler: &Scheduler, now: Time, event: &Event) {
        self.invariants.before(scheduler, now, event);
    }

    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        self.events += 1;
        let mut forged = actions.to_vec();
        if self.forged.is_none() {
            (self.forge)(&mut forged);
        }
        if forged != actions {
            self.forged = Some(self.events);
        }
        self.invariants.after(scheduler, now, event, &forged)
    }
}

/// Every first forgery of these cases is noticed in the same step, as a breach of this invariant.
fn check(invariant: Invariant, forge: fn(&mut Vec<Action>)) {
    let mut forged = 0;
    for seed in 0..CASES {
        let mut forger = Forger { invariants: Invariants::new(false), forge, forged: None, events: 0 };
        let case = SimCase::draw(seed);
        let scheduler = case.scheduler();
        let ended = case.run_from(case.scheduler(), &mut case.faulty_policy(&scheduler), &mut forger);
        assert_eq!(ended.is_err(), forger.forged.is_some(), "seed {seed}: {:?}", ended.err());
        if forger.forged.is_some() {
            assert_eq!(forger.invariants.broken(), Some(invariant), "seed {seed}: {:?}", ended.err());
            assert_eq!(forger.forged, Some(forger.events), "seed {seed}");
            forged += 1;
        }
    }
    assert!(forged > 0, "there was nothing to forge");
}

fn outcome(actions: &mut [Action]) -> Option<&mut Outcome> {
    actions.iter_mut().find_map(|action| if let Action::Finish(outcome) = action { Some(outcome) } else { None })
}

#[test]
fn a_job_that_is_not_answered_is_noticed() {
    check(Invariant::Answered, |actions| actions.retain(|action| !matches!(action, Action::Finish(_))));
    check(Invariant::Answered, |actions| actions.retain(|action| !matches!(action, Action::Refuse(..))));
}

#[test]
fn a_job_that_is_answered_twice_is_noticed() {
    check(Invariant::Answered, |actions| {
        let finish = actions.iter().find(|action| matches!(action, Action::Finish(_))).cloned();
        actions.extend(finish);
    });
    check(Invariant::Answered, |actions| {
        let accept = actions.iter().find(|action| matches!(action, Action::Accept(_))).cloned();
        actions.extend(accept);
    });
}

#[test]
fn a_request_that_runs_twice_is_noticed() {
    check(Invariant::Requests, |actions| {
        let run = actions.iter().find(|action| matches!(action, Action::Run(_))).cloned();
        actions.extend(run);
    });
    check(Invariant::Requests, |actions| {
        for action in actions {
            if let Action::Run(batch) = action
                && batch.first > 0
            {
                batch.first -= 1;
            }
        }
    });
}

#[test]
fn an_outcome_that_does_not_add_up_is_noticed() {
    check(Invariant::Outcome, |actions| {
        if let Some((_, requests)) = outcome(actions).and_then(|outcome| outcome.mix.first_mut()) {
            *requests += 1;
        }
    });
    check(Invariant::Outcome, |actions| {
        if let Some(accuracy) = outcome(actions).and_then(|outcome| outcome.accuracy.as_mut()) {
            *accuracy += 0.001;
        }
    });
    check(Invariant::Outcome, |actions| {
        if let Some(outcome) = outcome(actions) {
            outcome.device_time += MICRO;
        }
    });
}

#[test]
fn a_decision_that_is_not_told_is_noticed() {
    // a job that was moved after its new strategy was adopted is another matter
    fn both(actions: &[Action]) -> bool {
        let adopted = actions.iter().any(|action| matches!(action, Action::Adopt(..)));
        adopted && actions.iter().any(|action| matches!(action, Action::Fallback(..)))
    }
    check(Invariant::Decided, |actions| {
        if !both(actions) {
            actions.retain(|action| !matches!(action, Action::Fallback(..)));
        }
    });
    // a job that is dropped without a reason is another matter
    check(Invariant::Order, |actions| {
        if outcome(actions).is_none() {
            actions.retain(|action| !matches!(action, Action::GiveUp(_)));
        }
    });
    check(Invariant::Decided, |actions| {
        let both = both(actions);
        for action in actions {
            if let Action::Adopt(_, jobs) = action
                && !both
            {
                jobs.pop();
            }
        }
    });
}

#[test]
fn a_decision_that_was_not_taken_is_noticed() {
    check(Invariant::Adopted, |actions| {
        for action in actions {
            if let Action::Adopt(_, jobs) = action {
                jobs.push(JobId(u64::MAX));
            }
        }
    });
    check(Invariant::RefusedPlan, |actions| {
        for action in actions {
            if let Action::RefuseDecision(_, error) = action {
                *error = DecisionError::OrderIncomplete { expected: 2, named: 1 };
            }
        }
    });
}

#[test]
fn a_question_that_shows_something_else_is_noticed() {
    check(Invariant::Question, |actions| {
        for action in actions {
            if let Action::Decide(snapshot) = action {
                snapshot.jobs[0].requests += 1;
            }
        }
    });
    check(Invariant::Question, |actions| {
        let plan = actions.iter().find(|action| matches!(action, Action::Decide(_))).cloned();
        actions.extend(plan);
    });
}

#[test]
fn a_promise_that_is_not_the_queues_is_noticed() {
    check(Invariant::Admission, |actions| {
        for action in actions {
            if let Action::Accept(accepted) = action {
                accepted.predicted_finish = accepted.predicted_finish + MICRO;
            }
        }
    });
    check(Invariant::Estimate, |actions| {
        for action in actions {
            if let Action::Run(batch) = action {
                batch.expected += MICRO;
            }
        }
    });
}

#[test]
fn a_counter_offer_that_is_off_by_little_is_noticed() {
    check(Invariant::CounterOffer, |actions| {
        for action in actions {
            if let Action::Refuse(_, Refusal::DeadlineUnreachable { earliest, never: false, .. }) = action {
                *earliest = *earliest - MICRO;
            }
        }
    });
    check(Invariant::CounterOffer, |actions| {
        for action in actions {
            if let Action::Refuse(_, Refusal::DeadlineUnreachable { earliest, never: false, .. }) = action {
                *earliest = *earliest + MICRO;
            }
        }
    });
    check(Invariant::CounterOffer, |actions| {
        for action in actions {
            if let Action::Refuse(_, Refusal::DeadlineUnreachable { best_accuracy, .. }) = action {
                *best_accuracy = best_accuracy.map(|best| best - 0.001);
            }
        }
    });
}

#[test]
fn a_wake_up_that_is_not_asked_for_in_time_is_noticed() {
    check(Invariant::WakeUp, |actions| actions.retain(|action| !matches!(action, Action::WakeAt(_))));
    check(Invariant::WakeUp, |actions| {
        for action in actions {
            if let Action::WakeAt(at) = action
                && *at < Time::NEVER
            {
                *at = *at + MICRO;
            }
        }
    });
}
