//! Questions: when a policy is asked, what it is shown, and how long a device waits for it.

use mosel_core::{Action, DecisionId, Event, JobRow, Snapshot, Time, Trigger, Turn, at_least};

use super::invariant::{Breach, Invariant};
use super::queue::{Queue, Waiting};
use super::transition::{LaneChange, Transition};

/// What was asked so far.
#[derive(Debug, Default)]
pub(super) struct Questions {
    lanes: Vec<Lane>,
    last: Option<DecisionId>,
    eager: bool,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    /// The queue changed since the policy was last asked.
    changed: bool,
    /// Since when the device has waited while a job waited too.
    idle_since: Option<Time>,
}

impl Questions {
    pub(super) fn check(&mut self, transition: &Transition<'_>) -> Result<(), Breach> {
        self.lanes.resize(transition.after.lanes.len(), Lane::default());
        if let Event::PolicyChanged { eager } = transition.event {
            self.eager = *eager;
            self.lanes.iter_mut().for_each(|lane| lane.changed = true);
        }
        for change in transition.lane_changes() {
            self.check_lane(&change)?;
        }
        (0..self.lanes.len())
            .filter(|&lane| transition.touched(lane))
            .try_for_each(|lane| self.check_touched(transition, lane))
    }

    fn check_lane(&mut self, change: &LaneChange<'_>) -> Result<(), Breach> {
        let lane = change.lane.index();
        self.lanes[lane].changed |= changed(change);
        let mut out =
            change.question().filter(|(snapshot, _)| !is_over(change, snapshot.decision)).map(|(shown, _)| shown);
        for snapshot in change.asked() {
            Invariant::Question.demand(out.is_none() && self.last < Some(snapshot.decision), || {
                format!(
                    "{:?} is asked on lane {lane} while {:?} is out",
                    snapshot.decision,
                    out.map(|out| out.decision)
                )
            })?;
            Invariant::Question.demand(self.lanes[lane].changed, || {
                format!(
                    "{:?} is asked on lane {lane}, where nothing changed since it was asked before",
                    snapshot.decision
                )
            })?;
            check_shown(change, snapshot, self.eager)?;
            self.lanes[lane].changed = false;
            self.last = Some(snapshot.decision);
            out = Some(snapshot);
        }
        let known = change.after.state.question.as_ref().map(|(shown, _)| shown);
        Invariant::Question.demand(known == out, || format!("lane {lane} waits for {known:?}, asked was {out:?}"))?;
        self.check_busy(change)
    }

    /// Once everything about a lane was looked at: nothing is overdue, and whoever needs help is helped.
    fn check_touched(&self, transition: &Transition<'_>, lane: usize) -> Result<(), Breach> {
        let state = &transition.after.lanes[lane];
        if let Some((snapshot, due)) = &state.question {
            return Invariant::Question.demand(*due > transition.now || snapshot.now == transition.now, || {
                format!("lane {lane} waits for {:?} at {}, which was due at {due}", snapshot.decision, transition.now)
            });
        }
        if !self.lanes[lane].changed {
            return Ok(());
        }
        let queue = Queue::read(state, transition.scheduler.models(), transition.scheduler.config(), transition.now);
        let violator = queue.violator(transition.now);
        Invariant::Monitor
            .demand(violator.is_none(), || format!("job {violator:?} would be late, and nobody is asked"))?;
        let could_rise = self.eager && could_rise(&queue);
        Invariant::Monitor
            .demand(!could_rise, || format!("jobs of lane {lane} could be more accurate, and nobody is asked"))
    }

    /// A device that could run something runs it, or waits for an answer; not for one after another.
    fn check_busy(&mut self, change: &LaneChange<'_>) -> Result<(), Breach> {
        let Transition { now, event, scheduler, .. } = *change.transition;
        let state = change.after.state;
        let idle_since = &mut self.lanes[change.lane.index()].idle_since;
        if state.running.is_some() || change.after.jobs.iter().all(|waiting| waiting.left == 0) {
            *idle_since = None;
            return Ok(());
        }
        if matches!(event, Event::PolicyChanged { .. }) {
            *idle_since = Some(now);
        }
        let since = *idle_since.get_or_insert(now);
        let until = state.question.as_ref().map(|question| question.1);
        let budget = scheduler.config().policy_budget;
        Invariant::Busy.demand(until.is_some_and(|until| until <= since + budget), || {
            format!(
                "the device of lane {} is idle since {since} and waits until {until:?} though jobs wait",
                change.lane
            )
        })
    }
}

/// Something happened that can make another answer right.
fn changed(change: &LaneChange<'_>) -> bool {
    let batch_ended = matches!(change.transition.event, Event::BatchDone(..) | Event::BatchFailed(..));
    let put_before =
        change.started().is_some() && change.after.state.running.is_some_and(|running| running.turn == Turn::LateShare);
    batch_ended
        || put_before
        || change.given_up().next().is_some()
        || change.before.jobs.iter().any(|waiting| change.after.find(waiting.id()).is_none())
        || change.after.jobs.iter().any(|waiting| change.before.find(waiting.id()).is_none())
}

/// The question that was out was answered, timed out or void.
fn is_over(change: &LaneChange<'_>, decision: DecisionId) -> bool {
    let void = matches!(change.transition.event, Event::PolicyChanged { .. });
    let lost = |action: &Action| *action == Action::LoseLane(change.lane);
    let void = void || change.transition.actions.iter().any(lost);
    void || change.adopted().is_some() || change.refused(decision)
}

/// The question shows the queue as it is, and has a reason.
fn check_shown(change: &LaneChange<'_>, snapshot: &Snapshot, eager: bool) -> Result<(), Breach> {
    let (now, queue) = (change.transition.now, &change.after);
    let violator = queue.violator(now);
    let reason = match snapshot.trigger {
        Trigger::Violation => violator.is_some(),
        Trigger::Arrival | Trigger::Completion => eager && violator.is_none() && could_rise(queue),
        Trigger::Rehearsal => false,
    };
    Invariant::Question
        .demand(reason, || format!("{:?} is asked without a reason: {snapshot:?}", snapshot.decision))?;
    let jobs: Vec<JobRow> = queue.jobs.iter().filter_map(row).collect();
    let shown = snapshot.jobs == jobs
        && (snapshot.now, snapshot.start) == (now, queue.free_at(now))
        && snapshot.time_factor == queue.factor
        && snapshot.budget == change.transition.scheduler.config().policy_budget;
    Invariant::Question.demand(shown, || format!("shown is {snapshot:?}, the queue is {jobs:?}"))
}

/// What is left must keep it; or as much as it can.
fn floor_to_tell(waiting: &Waiting<'_>) -> Option<f64> {
    let (table, floor) = (waiting.table()?, waiting.floor_left());
    let best = table.strategy(table.most_accurate()).accuracy;
    Some(if at_least(best, floor) { floor } else { best })
}

/// A job that can be on time has a more accurate strategy than its own.
fn could_rise(queue: &Queue<'_>) -> bool {
    let best = |waiting: &Waiting<'_>| waiting.table().map(|table| table.most_accurate());
    queue.on_time().any(|waiting| waiting.left > 0 && waiting.current() != best(waiting))
}

fn row(waiting: &Waiting<'_>) -> Option<JobRow> {
    let entry = waiting.entry;
    Some(JobRow {
        id: entry.job.id,
        table: waiting.table()?.id,
        requests: waiting.left,
        arrival: entry.arrival,
        deadline: entry.job.deadline,
        min_accuracy: floor_to_tell(waiting)?.clamp(0.0, 1.0),
        weight: entry.job.weight,
        tenant: entry.job.tenant,
        current: waiting.current()?,
        given_up: waiting.late,
    })
}
