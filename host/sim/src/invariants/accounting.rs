//! The accounting: an account of every job from its submission to its end, kept from events and actions alone.

use std::collections::BTreeMap;
use std::time::Duration;

use mosel_core::{
    Accepted, Action, Batch, End, Event, Job, JobId, LaneId, Mode, OnLate, Outcome, Scheduler, Time, at_least,
};

use super::invariant::{Breach, Invariant};
use super::queue::correct;
use super::transition::Transition;

/// Two sums of the same floats in another order differ by less than that.
const ROUNDING: f64 = 1e-9;

/// Every job that has not ended, and what runs.
#[derive(Debug)]
pub(super) struct Accounting {
    open: BTreeMap<JobId, Account>,
    /// By lane.
    running: BTreeMap<LaneId, Batch>,
    last_batch: u64,
    /// Nobody may be late.
    on_time: bool,
}

#[derive(Debug)]
struct Account {
    job: Job,
    lane: LaneId,
    requests: Vec<Ran>,
    mix: BTreeMap<Mode, u32>,
    started: Option<Time>,
    failures: u32,
    /// Requests that ran and have no answer.
    unanswered: u32,
    /// Its lane was lost while it was there.
    lost: bool,
    given_up: bool,
    device_time: Duration,
    expected_time: Duration,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ran {
    NotYet,
    OnDevice,
    Well,
}

impl Accounting {
    pub(super) fn new(on_time: bool) -> Accounting {
        Accounting { open: BTreeMap::new(), running: BTreeMap::new(), last_batch: 0, on_time }
    }

    pub(super) fn check(&mut self, transition: &Transition<'_>) -> Result<(), Breach> {
        self.take_in(transition.event);
        check_answer(transition)?;
        for action in transition.actions {
            match action {
                Action::Accept(accepted) => self.accept(transition, accepted)?,
                Action::Run(batch) => self.run(transition.now, batch)?,
                Action::Move(job, lane) => self.move_job(*job, *lane)?,
                Action::LoseLane(lane) => self.lose_lane(*lane),
                Action::GiveUp(job) => self.give_up(*job)?,
                Action::Finish(outcome) => self.finish(transition, outcome)?,
                _ => {}
            }
        }
        self.check_ended(transition.event)
    }

    pub(super) fn check_end(&self) -> Result<(), Breach> {
        let left = self.open.keys().next();
        Invariant::Answered.demand(left.is_none(), || format!("job {:?} was accepted and never ended", left))
    }

    fn take_in(&mut self, event: &Event) {
        let (id, well) = match event {
            Event::BatchDone(id, _) => (*id, true),
            Event::BatchFailed(id) => (*id, false),
            _ => return,
        };
        let Some((&lane, _)) = self.running.iter().find(|(_, batch)| batch.id == id) else { return };
        let Some(batch) = self.running.remove(&lane) else { return };
        let Some(account) = self.open.get_mut(&batch.job) else { return };
        account.requests[range(&batch)].fill(if well { Ran::Well } else { Ran::NotYet });
        if let Event::BatchDone(_, report) = event {
            let answered = report.answered.min(batch.requests);
            if answered > 0 {
                *account.mix.entry(batch.mode).or_insert(0) += answered;
            }
            account.unanswered += batch.requests - answered;
            account.device_time += report.compute;
        } else {
            account.failures += 1;
        }
    }

    fn accept(&mut self, transition: &Transition<'_>, accepted: &Accepted) -> Result<(), Breach> {
        // check_answer has seen that the event brings this job
        let Event::Submit(job) = *transition.event else { return Ok(()) };
        let account = Account {
            job,
            lane: accepted.lane,
            requests: vec![Ran::NotYet; job.requests as usize],
            mix: BTreeMap::new(),
            started: None,
            failures: 0,
            unanswered: 0,
            lost: false,
            given_up: false,
            device_time: Duration::ZERO,
            expected_time: Duration::ZERO,
        };
        let twice = self.open.insert(job.id, account).is_some();
        Invariant::Answered.demand(!twice, || format!("job {} was accepted though there is one of that name", job.id))
    }

    fn run(&mut self, now: Time, batch: &Batch) -> Result<(), Breach> {
        let fresh = batch.id.0 > self.last_batch && self.running.insert(batch.lane, *batch).is_none();
        Invariant::Requests.demand(fresh, || format!("{batch:?} is not new, or its device is busy"))?;
        self.last_batch = batch.id.0;
        let account = self.open.get_mut(&batch.job);
        let Some(account) = account.filter(|account| account.lane == batch.lane) else {
            return Invariant::Requests.broken(format!("{batch:?} is of a job that is not on this lane"));
        };
        let requests = account.requests.get_mut(range(batch)).filter(|requests| !requests.is_empty());
        let Some(requests) = requests.filter(|_| batch.requests <= batch.batch_size) else {
            return Invariant::Requests.broken(format!("{batch:?} is of the wrong size"));
        };
        Invariant::Requests.demand(requests.iter().all(|&ran| ran == Ran::NotYet), || {
            format!("{batch:?} runs requests that ran already, or run: {requests:?}")
        })?;
        requests.fill(Ran::OnDevice);
        account.started.get_or_insert(now);
        account.expected_time += batch.expected;
        Ok(())
    }

    fn move_job(&mut self, job: JobId, lane: LaneId) -> Result<(), Breach> {
        let busy = self.running.values().any(|batch| batch.job == job);
        let Some(account) = self.open.get_mut(&job).filter(|account| account.lane != lane && !busy) else {
            return Invariant::Requests.broken(format!("job {job} is moved to lane {lane}, and cannot be"));
        };
        (account.lane, account.lost) = (lane, false);
        Ok(())
    }

    /// What runs there never ends; who is there still has to end in this step.
    fn lose_lane(&mut self, lane: LaneId) {
        let batch = self.running.remove(&lane);
        for account in self.open.values_mut().filter(|account| account.lane == lane) {
            account.lost = true;
        }
        if let Some(batch) = batch
            && let Some(account) = self.open.get_mut(&batch.job)
        {
            account.requests[range(&batch)].fill(Ran::NotYet);
        }
    }

    fn give_up(&mut self, job: JobId) -> Result<(), Breach> {
        let account = self.open.get_mut(&job).filter(|account| !account.given_up);
        let Some(account) = account else {
            return Invariant::Order.broken(format!("job {job} is given up, but cannot be"));
        };
        account.given_up = true;
        Ok(())
    }

    fn finish(&mut self, transition: &Transition<'_>, outcome: &Outcome) -> Result<(), Breach> {
        let Some(account) = self.open.remove(&outcome.job) else {
            return Invariant::Answered.broken(format!("job {} ended, but there is none of that name", outcome.job));
        };
        account.check_reason(transition, outcome)?;
        account.check_outcome(transition, outcome)?;
        let late = outcome.finish > outcome.deadline || outcome.end == End::Dropped;
        Invariant::OnTime.demand(!(self.on_time && late), || {
            format!("job {} ended {:?} at {}, due {}", outcome.job, outcome.end, outcome.finish, outcome.deadline)
        })
    }

    /// Whoever had to end in this step has ended.
    fn check_ended(&self, event: &Event) -> Result<(), Breach> {
        if let Event::Cancel(job) = event {
            Invariant::Answered
                .demand(!self.open.contains_key(job), || format!("job {job} was cancelled and goes on"))?;
        }
        let over = |account: &&Account| {
            account.lost
                || account.failures > 1
                || account.requests.iter().all(|&ran| ran == Ran::Well)
                || account.given_up && account.job.on_late == OnLate::Drop
        };
        let over = self.open.values().find(over);
        Invariant::Answered.demand(over.is_none(), || format!("this job should have ended: {over:?}"))
    }
}

impl Account {
    /// The job ended in the way it had to.
    fn check_reason(&self, transition: &Transition<'_>, outcome: &Outcome) -> Result<(), Breach> {
        let all = self.requests.iter().all(|&ran| ran == Ran::Well);
        let (reason, invariant) = match outcome.end {
            End::Served => (all && self.unanswered == 0, Invariant::Requests),
            End::Partial => (all && self.unanswered > 0 && !self.mix.is_empty(), Invariant::Requests),
            End::Dropped => (self.given_up && self.job.on_late == OnLate::Drop, Invariant::Answered),
            End::Cancelled => (*transition.event == Event::Cancel(outcome.job), Invariant::Answered),
            End::Failed => {
                let nothing = all && self.mix.is_empty();
                (self.failures == 2 || self.lost || nothing, Invariant::Answered)
            }
        };
        invariant.demand(reason, || format!("job {} ended {:?}, but its account is {self:?}", outcome.job, outcome.end))
    }

    fn check_outcome(&self, transition: &Transition<'_>, outcome: &Outcome) -> Result<(), Breach> {
        let mix: Vec<(Mode, u32)> = self.mix.iter().map(|(&mode, &requests)| (mode, requests)).collect();
        let facts = outcome.mix == mix
            && outcome.finish == transition.now
            && outcome.deadline == self.job.deadline
            && outcome.min_accuracy.to_bits() == self.job.min_accuracy.to_bits()
            && outcome.started == self.started
            && outcome.requests == self.job.requests
            && outcome.answered == self.mix.values().sum::<u32>()
            && outcome.device_time == self.device_time
            && outcome.expected_time == self.expected_time;
        Invariant::Outcome.demand(facts, || format!("the outcome is {outcome:?}, the account {self:?}"))?;
        let accuracy = self.accuracy(transition.scheduler);
        let adds_up = match (outcome.accuracy, accuracy) {
            (Some(said), Some(true_one)) => (said - true_one).abs() < ROUNDING,
            (said, true_one) => said == true_one,
        };
        Invariant::Outcome.demand(adds_up, || {
            format!("job {} reached {accuracy:?}, its outcome says {:?}", outcome.job, outcome.accuracy)
        })?;
        let kept = accuracy.is_none_or(|accuracy| at_least(accuracy + ROUNDING, self.job.min_accuracy));
        Invariant::Floor.demand(outcome.end != End::Served || kept, || {
            format!("job {} reached {accuracy:?}, its floor is {}", outcome.job, self.job.min_accuracy)
        })
    }

    /// Request-weighted mean of what really ran; `None` if nothing did.
    fn accuracy(&self, scheduler: &Scheduler) -> Option<f64> {
        let profile = scheduler.models()[self.job.model.0 as usize].profile();
        let served: u32 = self.mix.values().sum();
        let correct = correct(profile, self.mix.iter().map(|(&mode, &requests)| (mode, requests)));
        (served > 0).then(|| correct / f64::from(served))
    }
}

/// Who submits is answered in the same step, and nobody else is.
fn check_answer(transition: &Transition<'_>) -> Result<(), Breach> {
    let answered = |action: &Action| match action {
        Action::Accept(accepted) => Some(accepted.job),
        Action::Refuse(job, _) => Some(*job),
        _ => None,
    };
    let answers: Vec<JobId> = transition.actions.iter().filter_map(answered).collect();
    let right = match transition.event {
        Event::Submit(job) => answers == [job.id],
        _ => answers.is_empty(),
    };
    Invariant::Answered.demand(right, || format!("{:?} was answered to {answers:?}", transition.event))
}

fn range(batch: &Batch) -> std::ops::Range<usize> {
    batch.first as usize..(batch.first + batch.requests) as usize
}
