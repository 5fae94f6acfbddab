//! Admission: what is promised to a newcomer can be kept, and what is refused is refused for a true reason.

use std::time::Duration;

use mosel_core::{
    Accepted, Action, Event, Job, JobId, LaneCondition, LaneId, ModelId, Refusal, Scheduler, StrategyMatrix, Time,
    at_least,
};

use super::invariant::{Breach, Invariant};
use super::queue::Queue;
use super::shares::{self, Claim, Slack};
use super::transition::Transition;

/// The least by which a floor can be above another and still be told apart from it.
const ABOVE: f64 = 1e-6;

pub(super) fn check(transition: &Transition<'_>) -> Result<(), Breach> {
    let Event::Submit(job) = transition.event else { return Ok(()) };
    for action in transition.actions {
        match action {
            Action::Accept(accepted) => check_accepted(transition, job, accepted)?,
            Action::Refuse(_, refusal) => check_refused(transition, job, refusal)?,
            _ => {}
        }
    }
    Ok(())
}

/// With everybody on the fastest legal strategy the newcomer is on time, and nobody becomes late; where it stands behind
/// all others it is nowhere finished earlier.
fn check_accepted(transition: &Transition<'_>, job: &Job, accepted: &Accepted) -> Result<(), Breach> {
    let Some(table) =
        transition.scheduler.models().get(job.model.0 as usize).and_then(|matrix| matrix.table(job.requests))
    else {
        return Invariant::Admission.broken(format!("job {} was accepted, but there is no table for it", job.id));
    };
    let Some(fastest) = table.fastest_legal(job.min_accuracy) else {
        return Invariant::Admission.broken(format!("job {} was accepted, but its floor is never reached", job.id));
    };
    let latency = table.strategy(fastest).latency;
    if is_probe(transition, accepted) {
        return check_probe(transition, job, accepted, latency);
    }
    let queues = queues(transition);
    let config = transition.scheduler.config();
    let claim = Claim { job, latency, deadline: job.deadline };
    let may = |lane: usize, slack: Slack| {
        let queue = &queues[lane];
        shares::has_place(config, queue, job.tenant) && shares::allows(transition, lane, queue, &claim, slack)
    };
    let end = |queue: &Queue<'_>| queue.earliest_end(transition.now, latency);
    let chosen = &queues[accepted.lane.index()];
    Invariant::Admission.demand(sound(transition, job).any(|lane| lane == accepted.lane.index()), || {
        format!(
            "job {} was sent to lane {}, whose device has lost the model, or cannot be trusted",
            job.id, accepted.lane
        )
    })?;
    let (first, room) = (end(chosen), may(accepted.lane.index(), Slack::More));
    let place = chosen.place(transition.now, latency, job.deadline).filter(|_| room);
    let Some(place) = place else {
        return Invariant::Admission.broken(format!(
            "job {}, due {}, has no place among the {} jobs of lane {}",
            job.id,
            job.deadline,
            chosen.jobs.len(),
            accepted.lane
        ));
    };
    let others = sound(transition, job).filter(|&lane| may(lane, Slack::Less)).map(|lane| &queues[lane]);
    let better = others.map(end).min();
    let better = better.filter(|&better| better <= job.deadline);
    Invariant::Admission.demand(better.is_none_or(|better| first <= better), || {
        format!("job {} may be done at {first} on lane {}, at {better:?} on another", job.id, accepted.lane)
    })?;
    let work: Duration = chosen.on_time().take(place).map(|waiting| waiting.latency).sum();
    let own = table.strategy(table.most_accurate()).latency;
    let predicted = chosen.free_at(transition.now).after(work + own, chosen.factor);
    Invariant::Admission.demand(accepted.predicted_finish == predicted, || {
        format!("job {} is predicted to end at {}, by its queue at {predicted}", job.id, accepted.predicted_finish)
    })
}

fn check_refused(transition: &Transition<'_>, job: &Job, refusal: &Refusal) -> Result<(), Breach> {
    let models = transition.scheduler.models();
    let matrix = models.get(job.model.0 as usize);
    let honest = match *refusal {
        Refusal::UnknownModel(model) => matrix.is_none() && model == job.model,
        Refusal::ModelLost(model) => {
            model == job.model && matrix.is_some() && serving(transition, job).next().is_none()
        }
        Refusal::DeviceSuspect(model) => {
            model == job.model && matrix.is_some() && sound(transition, job).next().is_none()
        }
        Refusal::TooManyRequests { requests, most } => {
            requests == job.requests && requests > most && matrix.is_some_and(|matrix| matrix.max_requests() == most)
        }
        Refusal::InvalidJob(_) => is_nonsense(job),
        Refusal::Duplicate(id) => id == job.id && knows(transition, id),
        Refusal::FloorUnreachable { min_accuracy, best } => {
            min_accuracy > best && matrix.is_some_and(|matrix| reaches(matrix, job, best))
        }
        Refusal::DeadlineUnreachable { earliest, best_accuracy, never, .. } => {
            return Offer { transition, job, scheduler: scheduler_before(transition)? }.check(
                earliest,
                best_accuracy,
                never,
            );
        }
        Refusal::OverShare { of, retry_at } => {
            retry_at >= transition.now && shares::is_sound(transition, job, of) && !could_be_accepted(transition, job)
        }
        Refusal::QueueFull { most, retry_at } => {
            let full = sound(transition, job).all(|lane| transition.before.lanes[lane].entries.len() >= most);
            full && most == transition.scheduler.config().max_jobs && retry_at == first_to_leave(transition)
        }
    };
    Invariant::CounterOffer.demand(honest, || format!("{job:?} was refused, which is not true: {refusal:?}"))
}

/// Some lane has a place for the job, its tenant's share allows it there, and it would be on time.
fn could_be_accepted(transition: &Transition<'_>, job: &Job) -> bool {
    let queues = queues(transition);
    let table = transition.scheduler.models().get(job.model.0 as usize).and_then(|matrix| matrix.table(job.requests));
    let fastest = table.and_then(|table| Some(table.strategy(table.fastest_legal(job.min_accuracy)?).latency));
    let Some(latency) = fastest else { return false };
    let claim = Claim { job, latency, deadline: job.deadline };
    sound(transition, job).any(|lane| {
        let queue = &queues[lane];
        shares::has_place(transition.scheduler.config(), queue, job.tenant)
            && shares::allows(transition, lane, queue, &claim, Slack::Less)
            && queue.place(transition.now, latency, job.deadline).is_some()
    })
}

/// What is offered instead of a deadline that cannot be kept.
struct Offer<'a> {
    transition: &'a Transition<'a>,
    job: &'a Job,
    /// As the job found it: that it was offered counts for its tenant's share.
    scheduler: Scheduler,
}

/// The scheduler as it was before the step.
fn scheduler_before(transition: &Transition<'_>) -> Result<Scheduler, Breach> {
    let Transition { scheduler, before, .. } = *transition;
    Scheduler::resume(scheduler.config().clone(), scheduler.models().to_vec(), before)
        .or_else(|error| Invariant::Checkpoint.broken(format!("its own checkpoint is not taken up: {error}")))
}

impl Offer<'_> {
    fn check(&self, earliest: Time, best_accuracy: Option<f64>, never: bool) -> Result<(), Breach> {
        let job = self.job;
        if !never || !self.transition.scheduler.config().fairness.tenant_shares {
            // what never could be done may also be more than the tenant's share
            self.demand(true, Job { deadline: earliest, ..*job }, "the earliest deadline")?;
        }
        let sooner = Time::from_micros(earliest.micros().saturating_sub(1));
        self.demand(false, Job { deadline: sooner, ..*job }, "a deadline before the earliest")?;
        if let Some(best) = best_accuracy {
            self.demand(true, Job { min_accuracy: best, ..*job }, "the best floor")?;
        }
        let above = best_accuracy.map_or(0.0, |best| best + ABOVE);
        if above <= 1.0 {
            self.demand(false, Job { min_accuracy: above, ..*job }, "a floor above the best")?;
        }
        let alone = self.alone();
        Invariant::CounterOffer.demand(never == (alone > job.deadline), || {
            format!("an idle server would end {job:?} at {alone}; said was that it never can: {never}")
        })
    }

    /// Tries an offer on a scheduler like the one that made it.
    fn demand(&self, accepted: bool, job: Job, what: &str) -> Result<(), Breach> {
        let mut scheduler = self.scheduler.clone();
        let actions = scheduler.step(self.transition.now, Event::Submit(job));
        let right = match actions.first() {
            Some(Action::Accept(_)) => accepted,
            Some(Action::Refuse(..)) => !accepted,
            _ => false,
        };
        Invariant::CounterOffer.demand(right, || {
            format!("{what} in answer to {:?} was tried: {job:?}, and the answer is {:?}", self.job, actions.first())
        })
    }

    /// When the job would end if it were alone.
    fn alone(&self) -> Time {
        let table = self.transition.scheduler.models().get(self.job.model.0 as usize);
        let table = table.and_then(|matrix| matrix.table(self.job.requests));
        let fastest = table.and_then(|table| Some(table.strategy(table.fastest_legal(self.job.min_accuracy)?).latency));
        let margin = 1.0 + self.transition.scheduler.config().margin;
        let ends =
            queues(self.transition).into_iter().filter_map(|_| Some(self.transition.now.after(fastest?, margin)));
        ends.min().unwrap_or(Time::NEVER)
    }
}

/// The job was taken in to find out whether the device is as fast again as its profile.
fn is_probe(transition: &Transition<'_>, accepted: &Accepted) -> bool {
    let entries = &transition.after.lanes[accepted.lane.index()].entries;
    entries.iter().any(|entry| entry.job.id == accepted.job && entry.probe)
}

/// It is alone among those that can be on time, and on time if the profile is right; there is one an interval.
fn check_probe(transition: &Transition<'_>, job: &Job, accepted: &Accepted, latency: Duration) -> Result<(), Breach> {
    let lane = &transition.before.lanes[accepted.lane.index()];
    let (now, config) = (transition.now, transition.scheduler.config());
    let due = lane.last_probe.is_none_or(|last| now.since(last) >= config.probe_interval);
    let idle = lane.running.is_none() && lane.entries.iter().all(|entry| entry.given_up);
    let finish = now.after(latency, 1.0 + config.margin);
    let has_model = !transition.before.lost.contains(&(accepted.lane, job.model));
    let fit = finish <= job.deadline && lane.correction > 1.0 && lane.condition != LaneCondition::Lost;
    Invariant::Admission.demand(due && idle && fit && has_model && accepted.predicted_finish == finish, || {
        format!("job {} is no probe: it would end at {finish} by the profile, its lane is {lane:?}", job.id)
    })
}

/// All queues as they were before the step.
fn queues<'a>(transition: &Transition<'a>) -> Vec<Queue<'a>> {
    let (models, config) = (transition.scheduler.models(), transition.scheduler.config());
    transition.before.lanes.iter().map(|lane| Queue::read(lane, models, config, transition.now)).collect()
}

/// The lanes whose devices have the job's model.
fn serving(transition: &Transition<'_>, job: &Job) -> impl Iterator<Item = usize> {
    let lost = |lane: usize| transition.before.lost.contains(&(LaneId(lane as u32), job.model));
    (0..transition.before.lanes.len()).filter(move |&lane| !lost(lane))
}

/// Those of them whose devices can be trusted. As they are after the step, which for a device that has been idle may be since
/// just now.
fn sound(transition: &Transition<'_>, job: &Job) -> impl Iterator<Item = usize> {
    serving(transition, job).filter(|&lane| transition.after.lanes[lane].condition == LaneCondition::Sound)
}

/// When the first job of any lane will have left, on the strategies as they are.
fn first_to_leave(transition: &Transition<'_>) -> Time {
    let queues = queues(transition);
    let first = |queue: &Queue<'_>| queue.finishes(queue.free_at(transition.now)).next().map(|(_, finish)| finish);
    queues.iter().filter_map(first).min().unwrap_or(transition.now)
}

fn is_nonsense(job: &Job) -> bool {
    let weight = job.weight > 0.0 && job.weight <= 1e6;
    job.requests == 0 || !(0.0..=1.0).contains(&job.min_accuracy) || !weight
}

/// A job of this name waits, or a batch of it is on a device.
fn knows(transition: &Transition<'_>, id: JobId) -> bool {
    transition.before.lanes.iter().any(|lane| {
        lane.entries.iter().any(|entry| entry.job.id == id) || lane.running.is_some_and(|run| run.batch.job == id)
    })
}

/// The best accuracy there is for a job of this size is this one, and not what it asks for.
fn reaches(matrix: &StrategyMatrix, job: &Job, best: f64) -> bool {
    let Some(table) = matrix.table(job.requests) else { return false };
    let reached = table.strategy(table.most_accurate()).accuracy;
    matrix.variant() == ModelId(job.model.0) && reached == best && !at_least(reached, job.min_accuracy)
}
