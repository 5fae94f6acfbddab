//! Shrinking: a case in which something goes wrong becomes a smaller one on which the same goes wrong.
//!
//! Delta debugging (Zeller and Hildebrandt 2002): events go in ever smaller chunks, then what is left becomes simpler
//! piece by piece, until nothing more can go or the effort is spent.

use std::time::Duration;

use mosel_core::{Config, Decision, Fairness, Job, LaneId, OnLate, Tenant, Time};

use crate::{ExternalEvent, FaultMode, SimCase};

/// How often a case is tried at most.
const MOST_TRIES: u32 = 3000;

/// A case as small as can be found in 3000 tries that is still wrong; the case itself if it is not.
pub fn shrink(case: &SimCase, is_wrong: impl FnMut(&SimCase) -> bool) -> SimCase {
    shrink_within(MOST_TRIES, case, is_wrong)
}

fn shrink_within(tries: u32, case: &SimCase, is_wrong: impl FnMut(&SimCase) -> bool) -> SimCase {
    let mut shrinking = Shrinking { case: case.clone(), is_wrong, tries };
    if !shrinking.is_wrong(case) {
        return case.clone();
    }
    while shrinking.drop_events() | shrinking.simplify_machine() | shrinking.simplify_events() | shrinking.hurry() {}
    let written_out = shrinking.case.written_out();
    if shrinking.take(|case| *case = written_out) {
        while shrinking.simplify_answers() | shrinking.simplify_events() {}
    }
    shrinking.case
}

struct Shrinking<F> {
    /// The smallest so far.
    case: SimCase,
    is_wrong: F,
    /// How many are left.
    tries: u32,
}

impl<F: FnMut(&SimCase) -> bool> Shrinking<F> {
    fn is_wrong(&mut self, case: &SimCase) -> bool {
        let Some(left) = self.tries.checked_sub(1) else { return false };
        self.tries = left;
        (self.is_wrong)(case)
    }

    /// Takes a changed case if it is another and still wrong.
    fn take(&mut self, change: impl FnOnce(&mut SimCase)) -> bool {
        let mut smaller = self.case.clone();
        change(&mut smaller);
        // as text, since a floor that is not a number is not equal to itself
        let taken = smaller.to_text() != self.case.to_text() && self.is_wrong(&smaller);
        if taken {
            self.case = smaller;
        }
        taken
    }

    /// Halves first, then ever smaller chunks, the last ones first.
    fn drop_events(&mut self) -> bool {
        let mut dropped = false;
        let mut size = self.case.events.len().div_ceil(2);
        while size > 0 {
            let mut end = self.case.events.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                dropped |= self.take(|case| drop(case.events.drain(start..end)));
                end = start.min(self.case.events.len());
            }
            size /= 2;
        }
        dropped
    }

    fn simplify_machine(&mut self) -> bool {
        let mut simpler = false;
        for simplify in MACHINE {
            simpler |= self.take(simplify);
        }
        for mode in FaultMode::ALL {
            simpler |= self.case.modes.len() > 1 && self.take(|case| case.modes = vec![(mode, 1)]);
            simpler |= self.case.modes.len() > 1 && self.take(|case| case.modes.retain(|(other, _)| *other != mode));
        }
        for at in (0..self.case.profile.measurements.len()).rev() {
            let mut profile = self.case.profile.clone();
            profile.measurements.remove(at);
            simpler |= profile.check().is_ok() && self.take(|case| case.profile = profile);
        }
        simpler
    }

    fn simplify_events(&mut self) -> bool {
        let mut simpler = false;
        for at in 0..self.case.events.len() {
            for simplify in JOB {
                simpler |= self.take(|case| {
                    if let ExternalEvent::Submit(job) = &mut case.events[at].1 {
                        simplify(job);
                    }
                });
            }
            simpler |= self.take(|case| soften(&mut case.events[at].1));
        }
        simpler
    }

    /// Answers less, and sooner; the last answers are not needed at all.
    fn simplify_answers(&mut self) -> bool {
        let mut simpler =
            self.take(|case| case.modes = vec![(FaultMode::Unmoved, 1)]) | self.take(|case| case.seed = 0);
        for at in (0..self.case.answers.len()).rev() {
            simpler |= at + 1 == self.case.answers.len() && self.take(|case| drop(case.answers.pop()));
        }
        for at in 0..self.case.answers.len() {
            simpler |= self.take(|case| case.answers[at].answer = Ok(Decision::default()));
            simpler |= self.take(|case| case.answers[at].took = Duration::ZERO);
            for simplify in ANSWER {
                simpler |= self.take(|case| {
                    if let Ok(decision) = &mut case.answers[at].answer {
                        simplify(decision);
                    }
                });
            }
        }
        simpler
    }

    /// Leaves out the time before an event, or half of it, or what it has beside whole milliseconds.
    fn hurry(&mut self) -> bool {
        let mut shorter = false;
        for at in 0..self.case.events.len() {
            shorter |= self.take(|case| bring_forward(case, at, |gap| gap));
            shorter |= self.take(|case| bring_forward(case, at, |gap| gap / 2));
            shorter |= self.take(|case| bring_forward(case, at, |gap| gap % 1000));
        }
        shorter
    }
}

/// The events from this one on happen earlier, by a part of the microseconds since the one before.
fn bring_forward(case: &mut SimCase, from: usize, part: fn(u64) -> u64) {
    let before = from.checked_sub(1).map_or(Time::START, |before| case.events[before].0);
    let gap = case.events[from].0.micros() - before.micros();
    let by = Duration::from_micros(part(gap));
    for (at, external) in &mut case.events[from..] {
        *at = *at - by;
        match external {
            ExternalEvent::Submit(job) if job.deadline != Time::NEVER => job.deadline = job.deadline - by,
            ExternalEvent::Slowdown(_, slowdown) => {
                (slowdown.from, slowdown.until) = (slowdown.from - by, slowdown.until - by);
            }
            _ => {}
        }
    }
}

/// What makes a machine simpler, the largest steps first.
const MACHINE: [fn(&mut SimCase); 15] = [
    |case| case.config.fairness = Fairness::off(),
    |case| case.config.fairness.late_share = 0.0,
    |case| case.config.fairness.tenant_shares = false,
    |case| to_lanes(case, 1),
    |case| to_lanes(case, 2),
    |case| case.eager = false,
    |case| case.failures = 0.0,
    |case| case.spread = 0.0,
    |case| case.factor = 1.0,
    |case| case.factor = if case.factor > 1.0 { 2.0 } else { 0.5 },
    |case| case.config.margin = 0.0,
    |case| case.config.max_jobs = Config::default().max_jobs,
    |case| case.config.policy_budget = Duration::ZERO,
    |case| case.config.policy_budget = Duration::from_millis(case.config.policy_budget.as_millis() as u64),
    |case| case.seed = 0,
];

/// What makes a job simpler.
const JOB: [fn(&mut Job); 9] = [
    |job| job.tenant = Tenant::default(),
    |job| job.requests = job.requests.min(1),
    |job| job.requests = job.requests.div_ceil(2),
    |job| job.requests = job.requests.saturating_sub(1).max(1),
    |job| job.min_accuracy = 0.0,
    |job| job.weight = 1.0,
    |job| job.on_late = OnLate::Run,
    |job| job.deadline = Time::NEVER,
    |job| job.deadline = Time::from_millis(job.deadline.micros().div_ceil(1000)),
];

/// What makes an answer simpler.
const ANSWER: [fn(&mut Decision); 4] = [
    |decision| decision.order.clear(),
    |decision| decision.assignments.truncate(decision.assignments.len().saturating_sub(1)),
    |decision| decision.objective = None,
    |decision| decision.bound = None,
];

fn to_lanes(case: &mut SimCase, lanes: u32) {
    case.config.lanes = case.config.lanes.min(lanes);
    for (_, external) in &mut case.events {
        if let ExternalEvent::Fail(lane)
        | ExternalEvent::Slowdown(lane, _)
        | ExternalEvent::Lose(lane)
        | ExternalEvent::Hang(lane)
        | ExternalEvent::Restore(lane) = external
        {
            *lane = (*lane).min(LaneId(lanes - 1));
        }
    }
}

fn soften(external: &mut ExternalEvent) {
    match external {
        ExternalEvent::Slowdown(_, slowdown) if slowdown.factor.is_finite() => {
            slowdown.factor = slowdown.factor.round().max(2.0);
        }
        ExternalEvent::Jump(by) => *by = Duration::from_millis(by.as_millis() as u64),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn falls_back(case: &SimCase) -> bool {
        case.run().is_ok_and(|log| log.counts.contains_key(&("action", "fallback")))
    }

    #[test]
    fn a_case_is_shrunk_to_what_it_takes_to_be_wrong() {
        let large = (0..)
            .map(SimCase::draw)
            .find(|case| case.events.len() > 20 && falls_back(case))
            .expect("in some case the fallback acts");
        let small = shrink(&large, falls_back);
        assert!(falls_back(&small));
        // one job that is late on its best strategy is enough
        assert!(small.events.len() <= 2, "{}", small.to_text());
        assert_eq!((small.config.lanes, small.modes.len()), (1, 1), "{}", small.to_text());
    }

    #[test]
    fn a_case_that_is_not_wrong_stays_as_it_is() {
        let case = SimCase::draw(1);
        assert_eq!(shrink(&case, |_| false).to_text(), case.to_text());
    }

    #[test]
    fn effort_is_bounded() {
        let case = SimCase::draw(1);
        let mut tries = 0;
        let always_wrong = |_: &SimCase| {
            tries += 1;
            true
        };
        let small = shrink_within(2, &case, always_wrong);
        assert_eq!(tries, 2);
        assert!(!small.events.is_empty() && small.events.len() < case.events.len());
    }
}
