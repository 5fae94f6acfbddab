//! Shrinking: a day on which something goes wrong becomes a smaller one on which the same goes wrong.
//!
//! Delta debugging (Zeller and Hildebrandt 2002): events go in ever smaller chunks, then what is left becomes simpler
//! piece by piece, until nothing more can go or the effort is spent.

use std::time::Duration;

use mosel_core::{Config, Job, OnLate, Proposal, Time};

use crate::{Day, Mood, Outside};

/// How often a day is tried at most.
const MOST_TRIES: u32 = 3000;

/// A day as small as can be found in 3000 tries that is still wrong; the day itself if it is not.
pub fn shrink(day: &Day, is_wrong: impl FnMut(&Day) -> bool) -> Day {
    shrink_within(MOST_TRIES, day, is_wrong)
}

fn shrink_within(tries: u32, day: &Day, is_wrong: impl FnMut(&Day) -> bool) -> Day {
    let mut shrinking = Shrinking { day: day.clone(), is_wrong, tries };
    if !shrinking.is_wrong(day) {
        return day.clone();
    }
    while shrinking.drop_events() | shrinking.simplify_machine() | shrinking.simplify_events() | shrinking.hurry() {}
    let written_out = shrinking.day.written_out();
    if shrinking.take(|day| *day = written_out) {
        while shrinking.simplify_answers() | shrinking.simplify_events() {}
    }
    shrinking.day
}

struct Shrinking<F> {
    /// The smallest so far.
    day: Day,
    is_wrong: F,
    /// How many are left.
    tries: u32,
}

impl<F: FnMut(&Day) -> bool> Shrinking<F> {
    fn is_wrong(&mut self, day: &Day) -> bool {
        let Some(left) = self.tries.checked_sub(1) else { return false };
        self.tries = left;
        (self.is_wrong)(day)
    }

    /// Takes a changed day if it is another and still wrong.
    fn take(&mut self, change: impl FnOnce(&mut Day)) -> bool {
        let mut smaller = self.day.clone();
        change(&mut smaller);
        // as text, since a floor that is not a number is not equal to itself
        let taken = smaller.to_text() != self.day.to_text() && self.is_wrong(&smaller);
        if taken {
            self.day = smaller;
        }
        taken
    }

    /// Halves first, then ever smaller chunks, the last ones first.
    fn drop_events(&mut self) -> bool {
        let mut dropped = false;
        let mut size = self.day.events.len().div_ceil(2);
        while size > 0 {
            let mut end = self.day.events.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                dropped |= self.take(|day| drop(day.events.drain(start..end)));
                end = start.min(self.day.events.len());
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
        for mood in Mood::ALL {
            simpler |= self.day.moods.len() > 1 && self.take(|day| day.moods = vec![(mood, 1)]);
            simpler |= self.day.moods.len() > 1 && self.take(|day| day.moods.retain(|(other, _)| *other != mood));
        }
        for at in (0..self.day.profile.measurements.len()).rev() {
            let mut profile = self.day.profile.clone();
            profile.measurements.remove(at);
            simpler |= profile.check().is_ok() && self.take(|day| day.profile = profile);
        }
        simpler
    }

    fn simplify_events(&mut self) -> bool {
        let mut simpler = false;
        for at in 0..self.day.events.len() {
            for simplify in JOB {
                simpler |= self.take(|day| {
                    if let Outside::Submit(job) = &mut day.events[at].1 {
                        simplify(job);
                    }
                });
            }
            simpler |= self.take(|day| soften(&mut day.events[at].1));
        }
        simpler
    }

    /// Answers less, and sooner; the last answers are not needed at all.
    fn simplify_answers(&mut self) -> bool {
        let mut simpler = self.take(|day| day.moods = vec![(Mood::Unmoved, 1)]) | self.take(|day| day.seed = 0);
        for at in (0..self.day.answers.len()).rev() {
            simpler |= at + 1 == self.day.answers.len() && self.take(|day| drop(day.answers.pop()));
        }
        for at in 0..self.day.answers.len() {
            simpler |= self.take(|day| day.answers[at].answer = Ok(Proposal::default()));
            simpler |= self.take(|day| day.answers[at].took = Duration::ZERO);
            for simplify in ANSWER {
                simpler |= self.take(|day| {
                    if let Ok(proposal) = &mut day.answers[at].answer {
                        simplify(proposal);
                    }
                });
            }
        }
        simpler
    }

    /// Leaves out the time before an event, or half of it, or what it has beside whole milliseconds.
    fn hurry(&mut self) -> bool {
        let mut shorter = false;
        for at in 0..self.day.events.len() {
            shorter |= self.take(|day| bring_forward(day, at, |gap| gap));
            shorter |= self.take(|day| bring_forward(day, at, |gap| gap / 2));
            shorter |= self.take(|day| bring_forward(day, at, |gap| gap % 1000));
        }
        shorter
    }
}

/// The events from this one on happen earlier, by a part of the microseconds since the one before.
fn bring_forward(day: &mut Day, from: usize, part: fn(u64) -> u64) {
    let before = from.checked_sub(1).map_or(Time::START, |before| day.events[before].0);
    let gap = day.events[from].0.micros() - before.micros();
    let by = Duration::from_micros(part(gap));
    for (at, outside) in &mut day.events[from..] {
        *at = *at - by;
        match outside {
            Outside::Submit(job) if job.deadline != Time::NEVER => job.deadline = job.deadline - by,
            Outside::Pace(_, pace) => (pace.from, pace.until) = (pace.from - by, pace.until - by),
            _ => {}
        }
    }
}

/// What makes a machine simpler, the largest steps first.
const MACHINE: [fn(&mut Day); 12] = [
    |day| to_lanes(day, 1),
    |day| to_lanes(day, 2),
    |day| day.eager = false,
    |day| day.failures = 0.0,
    |day| day.spread = 0.0,
    |day| day.factor = 1.0,
    |day| day.factor = if day.factor > 1.0 { 2.0 } else { 0.5 },
    |day| day.config.margin = 0.0,
    |day| day.config.max_jobs = Config::default().max_jobs,
    |day| day.config.policy_budget = Duration::ZERO,
    |day| day.config.policy_budget = Duration::from_millis(day.config.policy_budget.as_millis() as u64),
    |day| day.seed = 0,
];

/// What makes a job simpler.
const JOB: [fn(&mut Job); 8] = [
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
const ANSWER: [fn(&mut Proposal); 4] = [
    |proposal| proposal.order.clear(),
    |proposal| proposal.assignments.truncate(proposal.assignments.len().saturating_sub(1)),
    |proposal| proposal.objective = None,
    |proposal| proposal.bound = None,
];

fn to_lanes(day: &mut Day, lanes: u32) {
    day.config.lanes = day.config.lanes.min(lanes);
    for (_, outside) in &mut day.events {
        if let Outside::Fail(lane) | Outside::Pace(lane, _) | Outside::Lose(lane) | Outside::Restore(lane) = outside {
            *lane = (*lane).min(lanes - 1);
        }
    }
}

fn soften(outside: &mut Outside) {
    match outside {
        Outside::Pace(_, pace) if pace.factor.is_finite() => pace.factor = pace.factor.round().max(2.0),
        Outside::Jump(by) => *by = Duration::from_millis(by.as_millis() as u64),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezes(day: &Day) -> bool {
        day.live().is_ok_and(|log| log.counts.contains_key(&("action", "squeeze")))
    }

    #[test]
    fn a_day_is_shrunk_to_what_it_takes_to_be_wrong() {
        let large = (0..).map(Day::draw).find(|day| day.events.len() > 20 && squeezes(day)).expect("some day squeezes");
        let small = shrink(&large, squeezes);
        assert!(squeezes(&small));
        // one job that is late on its best strategy is enough
        assert!(small.events.len() <= 2, "{}", small.to_text());
        assert_eq!((small.config.lanes, small.moods.len()), (1, 1), "{}", small.to_text());
    }

    #[test]
    fn a_day_that_is_not_wrong_stays_as_it_is() {
        let day = Day::draw(1);
        assert_eq!(shrink(&day, |_| false).to_text(), day.to_text());
    }

    #[test]
    fn effort_is_bounded() {
        let day = Day::draw(1);
        let mut tries = 0;
        let always_wrong = |_: &Day| {
            tries += 1;
            true
        };
        let small = shrink_within(2, &day, always_wrong);
        assert_eq!(tries, 2);
        assert!(!small.events.is_empty() && small.events.len() < day.events.len());
    }
}
