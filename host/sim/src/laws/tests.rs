//! Laws that cannot be broken hold nothing: the scheduler's words are forged, and the law that is about them must notice.

use std::time::Duration;

use mosel_core::{Action, Event, JobId, Outcome, PlanError, Refusal, Scheduler, Time};

use super::{Law, Laws};
use crate::{Day, Watcher};

/// So many days are forged; what is forged happens on some of them.
const DAYS: u64 = 60;
const MICRO: Duration = Duration::from_micros(1);

/// Hands the laws other actions than the scheduler's.
struct Forger {
    laws: Laws,
    forge: fn(&mut Vec<Action>),
    /// The first event whose actions were changed, by number.
    forged: Option<u64>,
    events: u64,
}

impl Watcher for Forger {
    fn before(&mut self, scheduler: &Scheduler, now: Time, event: &Event) {
        self.laws.before(scheduler, now, event);
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
        self.laws.after(scheduler, now, event, &forged)
    }
}

/// Every first forgery of these days is noticed in the same step, as a breach of this law.
fn check(law: Law, forge: fn(&mut Vec<Action>)) {
    let mut forged = 0;
    for seed in 0..DAYS {
        let mut forger = Forger { laws: Laws::new(false), forge, forged: None, events: 0 };
        let day = Day::draw(seed);
        let scheduler = day.scheduler();
        let ended = day.live_with(day.scheduler(), &mut day.whims(&scheduler), &mut forger);
        assert_eq!(ended.is_err(), forger.forged.is_some(), "seed {seed}: {:?}", ended.err());
        if forger.forged.is_some() {
            assert_eq!(forger.laws.broken(), Some(law), "seed {seed}: {:?}", ended.err());
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
    check(Law::Answered, |actions| actions.retain(|action| !matches!(action, Action::Finish(_))));
    check(Law::Answered, |actions| actions.retain(|action| !matches!(action, Action::Refuse(..))));
}

#[test]
fn a_job_that_is_answered_twice_is_noticed() {
    check(Law::Answered, |actions| {
        let finish = actions.iter().find(|action| matches!(action, Action::Finish(_))).cloned();
        actions.extend(finish);
    });
    check(Law::Answered, |actions| {
        let accept = actions.iter().find(|action| matches!(action, Action::Accept(_))).cloned();
        actions.extend(accept);
    });
}

#[test]
fn a_request_that_runs_twice_is_noticed() {
    check(Law::Requests, |actions| {
        let run = actions.iter().find(|action| matches!(action, Action::Run(_))).cloned();
        actions.extend(run);
    });
    check(Law::Requests, |actions| {
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
    check(Law::Outcome, |actions| {
        if let Some((_, requests)) = outcome(actions).and_then(|outcome| outcome.mix.first_mut()) {
            *requests += 1;
        }
    });
    check(Law::Outcome, |actions| {
        if let Some(accuracy) = outcome(actions).and_then(|outcome| outcome.accuracy.as_mut()) {
            *accuracy += 0.001;
        }
    });
    check(Law::Outcome, |actions| {
        if let Some(outcome) = outcome(actions) {
            outcome.device_time += MICRO;
        }
    });
}

#[test]
fn a_decision_that_is_not_told_is_noticed() {
    // a job that was squeezed after its new strategy was adopted is another matter
    fn both(actions: &[Action]) -> bool {
        let adopted = actions.iter().any(|action| matches!(action, Action::Adopt(..)));
        adopted && actions.iter().any(|action| matches!(action, Action::Squeeze(..)))
    }
    check(Law::Decided, |actions| {
        if !both(actions) {
            actions.retain(|action| !matches!(action, Action::Squeeze(..)));
        }
    });
    // a job that is dropped without a reason is another matter
    check(Law::Order, |actions| {
        if outcome(actions).is_none() {
            actions.retain(|action| !matches!(action, Action::GiveUp(_)));
        }
    });
    check(Law::Decided, |actions| {
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
    check(Law::Adopted, |actions| {
        for action in actions {
            if let Action::Adopt(_, jobs) = action {
                jobs.push(JobId(u64::MAX));
            }
        }
    });
    check(Law::RefusedPlan, |actions| {
        for action in actions {
            if let Action::RefusePlan(_, error) = action {
                *error = PlanError::OrderIncomplete { expected: 2, named: 1 };
            }
        }
    });
}

#[test]
fn a_question_that_shows_something_else_is_noticed() {
    check(Law::Question, |actions| {
        for action in actions {
            if let Action::Plan(snapshot) = action {
                snapshot.jobs[0].requests += 1;
            }
        }
    });
    check(Law::Question, |actions| {
        let plan = actions.iter().find(|action| matches!(action, Action::Plan(_))).cloned();
        actions.extend(plan);
    });
}

#[test]
fn a_promise_that_is_not_the_queues_is_noticed() {
    check(Law::Admission, |actions| {
        for action in actions {
            if let Action::Accept(accepted) = action {
                accepted.predicted_finish = accepted.predicted_finish + MICRO;
            }
        }
    });
    check(Law::Estimate, |actions| {
        for action in actions {
            if let Action::Run(batch) = action {
                batch.expected += MICRO;
            }
        }
    });
}

#[test]
fn a_counter_offer_that_is_off_by_little_is_noticed() {
    check(Law::CounterOffer, |actions| {
        for action in actions {
            if let Action::Refuse(_, Refusal::DeadlineUnreachable { earliest, .. }) = action {
                *earliest = *earliest - MICRO;
            }
        }
    });
    check(Law::CounterOffer, |actions| {
        for action in actions {
            if let Action::Refuse(_, Refusal::DeadlineUnreachable { earliest, .. }) = action {
                *earliest = *earliest + MICRO;
            }
        }
    });
    check(Law::CounterOffer, |actions| {
        for action in actions {
            if let Action::Refuse(_, Refusal::DeadlineUnreachable { best_accuracy, .. }) = action {
                *best_accuracy = best_accuracy.map(|best| best - 0.001);
            }
        }
    });
}

#[test]
fn a_wake_up_that_is_not_asked_for_in_time_is_noticed() {
    check(Law::WakeUp, |actions| actions.retain(|action| !matches!(action, Action::WakeAt(_))));
    check(Law::WakeUp, |actions| {
        for action in actions {
            if let Action::WakeAt(at) = action
                && *at < Time::NEVER
            {
                *at = *at + MICRO;
            }
        }
    });
}
