//! The fallback: when it acts, and that it takes the cheapest steps until every job that can be saved is on time.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{Action, Decider, DecisionError, Event, JobId, StrategyTable};

use super::invariant::{Breach, Invariant};
use super::queue::{Queue, Waiting};
use super::transition::LaneChange;

pub(super) fn check(change: &LaneChange<'_>) -> Result<(), Breach> {
    check_occasion(change)?;
    change.fallback().iter().try_for_each(|&(job, choice)| check_move(change, job, choice))?;
    check_cheapest(change)
}

/// It acts when an answer is no help, and then saves every job that can be saved.
fn check_occasion(change: &LaneChange<'_>) -> Result<(), Breach> {
    let refused = change.question().is_some_and(|(snapshot, _)| change.refused(snapshot.decision));
    Invariant::Fallback.demand(refused || change.adopted().is_some() || change.fallback().is_empty(), || {
        format!("no answer was due on lane {}, and {:?} were moved", change.lane, change.fallback())
    })?;
    let savable = change.settled.savable(change.start).filter(|_| refused);
    Invariant::Fallback
        .demand(savable.is_none(), || format!("job {savable:?} could be saved, and the fallback does not"))
}

/// A moved job is faster than before, and on what was said.
fn check_move(change: &LaneChange<'_>, job: JobId, choice: u32) -> Result<(), Breach> {
    // a newcomer, or what has more left since a batch failed, had another strategy table before
    let upset = change.is_put_back(job) || change.transition.has_kept_floor();
    let Some(before) = change.before.find(job).filter(|_| !upset) else { return Ok(()) };
    let Some(table) = before.table() else {
        return Invariant::Fallback.broken(format!("job {job} was moved, and has nothing left"));
    };
    let faster = table.strategies.get(choice as usize).is_some_and(|now| now.latency < before.latency);
    let adopted = change.adopted().is_some_and(|jobs| jobs.contains(&job));
    Invariant::Fallback.demand(faster || adopted, || {
        format!("job {job} was moved to strategy {choice}, which is not faster: {:?}", before.entry)
    })?;
    let Some(after) = change.after.find(job) else { return Ok(()) };
    let told = after.entry.last_choice == (table.id, choice);
    Invariant::Decided.demand(told && after.entry.decisions.last() == Some(&Decider::Fallback), || {
        format!("job {job} was moved to strategy {choice}, and is {:?}", after.entry)
    })
}

/// Where an answer was refused, it moves whom the rule says, as far as the rule says.
fn check_cheapest(change: &LaneChange<'_>) -> Result<(), Breach> {
    let refused =
        |action: &Action| matches!(action, Action::RefuseDecision(_, error) if *error != DecisionError::TooLate);
    let Some(at) = change.transition.actions.iter().position(refused) else { return Ok(()) };
    let answered = matches!(change.transition.event, Event::Decided(..));
    // who is given up afterwards makes room for others, and the fallback may act once more
    if !answered || change.transition.actions[at..].iter().any(|action| matches!(action, Action::GiveUp(_))) {
        return Ok(());
    }
    let mut expected = Rule::read(&change.judged).apply(change);
    let mut found = change.fallback().to_vec();
    expected.sort_unstable();
    found.sort_unstable();
    Invariant::Fallback.demand(expected == found, || format!("moved were {found:?}, the cheapest are {expected:?}"))
}

/// The rule, done slowly: for one deadline after another the step down that costs the least weighted accuracy a second.
struct Rule<'a> {
    jobs: Vec<Job<'a>>,
}

struct Job<'a> {
    waiting: &'a Waiting<'a>,
    table: Option<&'a Arc<StrategyTable>>,
    latency: Duration,
    /// Expected right answers of what is left.
    correct: f64,
    moved: Option<u32>,
}

impl<'a> Rule<'a> {
    fn read(queue: &'a Queue<'a>) -> Rule<'a> {
        let read = |waiting: &'a Waiting<'a>| Job {
            waiting,
            table: waiting.table(),
            latency: waiting.latency,
            correct: waiting.correct_planned(),
            moved: None,
        };
        Rule { jobs: queue.on_time().map(read).collect() }
    }

    fn apply(mut self, change: &LaneChange<'_>) -> Vec<(JobId, u32)> {
        let (start, factor) = (change.judged.free_at(change.transition.now), change.judged.factor);
        for last in 0..self.jobs.len() {
            let deadline = self.jobs[last].waiting.entry.job.deadline;
            let fastest: Duration = self.jobs[..=last].iter().map(|job| job.waiting.fastest).sum();
            if start.after(fastest, factor) > deadline {
                continue;
            }
            while start.after(self.jobs[..=last].iter().map(|job| job.latency).sum(), factor) > deadline {
                let steps = self.jobs[..=last].iter().enumerate().filter_map(|(at, job)| Some((job.next()?, at)));
                let Some(((_, choice), at)) = steps.min_by(|a, b| a.0.0.total_cmp(&b.0.0)) else { break };
                self.jobs[at].choose(choice);
            }
        }
        self.jobs.iter().filter_map(|job| Some((job.waiting.id(), job.moved?))).collect()
    }
}

impl Job<'_> {
    /// The next faster strategy that keeps the floor, with what it costs.
    fn next(&self) -> Option<(f64, u32)> {
        let table = self.table?;
        let choice = self.moved.or_else(|| self.waiting.current())?.checked_sub(1)?;
        let strategy = table.strategy(choice);
        let gained = self.latency.checked_sub(strategy.latency).filter(|gained| !gained.is_zero())?;
        let lost = self.correct - strategy.accuracy * f64::from(self.waiting.left);
        let cost = self.waiting.entry.job.weight * lost / gained.as_secs_f64();
        self.waiting.keeps_floor(strategy.accuracy).then_some((cost, choice))
    }

    fn choose(&mut self, choice: u32) {
        let Some(strategy) = self.table.map(|table| table.strategy(choice)) else { return };
        (self.latency, self.correct) = (strategy.latency, self.waiting.correct(&strategy.steps));
        self.moved = Some(choice);
    }
}
