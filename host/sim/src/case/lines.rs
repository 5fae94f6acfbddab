//! The lines of a log: an event or an action in words, with every number that could differ from run to run.

use std::fmt::{self, Write as _};

use mosel_core::{Action, Batch, Decision, Event, Job, JobId, JobRow, Mode, Outcome, Refusal, Snapshot, Time};

pub(super) fn write_event(text: &mut String, now: Time, event: &Event) -> fmt::Result {
    write!(text, "{now} ")?;
    match event {
        Event::Submit(Job { id, requests, deadline, .. }) => {
            write!(text, "submit {id} requests {requests} deadline {deadline}")
        }
        Event::Cancel(job) => write!(text, "cancel {job}"),
        Event::Decided(plan, Ok(decision)) => {
            write!(text, "answer to {}: ", plan.0).and_then(|()| write_proposal(text, decision))
        }
        Event::Decided(plan, Err(error)) => write!(text, "answer to {}: {error}", plan.0),
        Event::BatchDone(batch, report) => {
            write!(text, "batch {} done in {:?}, {} answered", batch.0, report.compute, report.answered)
        }
        Event::BatchFailed(batch) => write!(text, "batch {} failed", batch.0),
        Event::PolicyChanged { eager } => write!(text, "policy changed, eager: {eager}"),
        Event::ModelsLoaded(models) => write!(text, "{} models loaded", models.len()),
        Event::ModelRetired(model) => write!(text, "model {} retired", model.0),
        Event::ModelLost(lane, model) => write!(text, "model {} lost on {lane}", model.0),
        Event::ModelRestored(lane, model) => write!(text, "model {} restored on {lane}", model.0),
        Event::Paused(time) => write!(text, "paused for {time:?}"),
        Event::LaneRestored(lane) => write!(text, "lane {lane} restored"),
        Event::SharesChanged(weights) => write!(text, "shares changed: {weights:?}"),
        Event::WakeUp => write!(text, "wake up"),
    }?;
    writeln!(text)
}

pub(super) fn write_action(text: &mut String, action: &Action) -> fmt::Result {
    text.push_str("  ");
    match action {
        Action::Accept(job) => write!(text, "accept {} on {} until {}", job.job, job.lane, job.predicted_finish),
        Action::Refuse(job, refusal) => write_refusal(text, *job, refusal),
        Action::Run(batch) => write_batch(text, batch),
        Action::Decide(snapshot) => write_question(text, snapshot),
        Action::Adopt(plan, jobs) => {
            write!(text, "adopt {}:", plan.0)?;
            jobs.iter().try_for_each(|job| write!(text, " {job}"))
        }
        Action::RefuseDecision(plan, error) => write!(text, "refuse plan {}: {error}", plan.0),
        Action::Fallback(lane, moves) => {
            write!(text, "fallback on lane {lane}:")?;
            moves.iter().try_for_each(|(job, choice)| write!(text, " {job}@{choice}"))
        }
        Action::GiveUp(job) => write!(text, "give up {job}"),
        Action::KeepFloor(job, choice) => write!(text, "keep the floor of {job}@{choice}"),
        Action::Suspect(lane, why) => write!(text, "lane {lane} is suspect: {why}"),
        Action::Trust(lane) => write!(text, "lane {lane} is trusted"),
        Action::LoseLane(lane) => write!(text, "lane {lane} is lost"),
        Action::Move(job, lane) => write!(text, "move {job} to lane {lane}"),
        Action::Finish(outcome) => write_outcome(text, outcome),
        Action::WakeAt(at) => write!(text, "wake at {at}"),
    }?;
    writeln!(text)
}

fn write_refusal(text: &mut String, job: JobId, refusal: &Refusal) -> fmt::Result {
    write!(text, "refuse {job}: {refusal}")?;
    match refusal {
        Refusal::DeadlineUnreachable { earliest, best_accuracy, .. } => {
            write!(text, "; earliest {earliest}, best accuracy {best_accuracy:?}")
        }
        Refusal::QueueFull { retry_at, .. } | Refusal::OverShare { retry_at, .. } => {
            write!(text, "; retry at {retry_at}")
        }
        _ => Ok(()),
    }
}

fn write_batch(text: &mut String, batch: &Batch) -> fmt::Result {
    let Batch { id, lane, job, first, requests, mode, expected, .. } = batch;
    write!(text, "run {job} {first}..{} on {mode}", first + requests)?;
    write!(text, ", batch {} of lane {lane}, expected {expected:?}", id.0)
}

fn write_proposal(text: &mut String, decision: &Decision) -> fmt::Result {
    decision.assignments.iter().try_for_each(|(job, choice)| write!(text, "{job}@{choice} "))?;
    text.push_str("in order");
    decision.order.iter().try_for_each(|job| write!(text, " {job}"))?;
    match (decision.objective, decision.bound) {
        (None, None) => Ok(()),
        (objective, bound) => write!(text, ", objective {objective:?}, bound {bound:?}"),
    }
}

fn write_question(text: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let Snapshot { decision, lane, trigger, start, time_factor, .. } = snapshot;
    write!(text, "ask {} on lane {lane} ({trigger:?}, free at {start}, times {time_factor}):", decision.0)?;
    snapshot.jobs.iter().try_for_each(|row| {
        let JobRow { id, requests, current, min_accuracy, given_up: late, .. } = row;
        write!(text, " {id}@{current} of {requests} at {min_accuracy}{}", if *late { " late" } else { "" })
    })
}

fn write_outcome(text: &mut String, outcome: &Outcome) -> fmt::Result {
    let Outcome { job, end, deadline, accuracy, device_time, expected_time, .. } = outcome;
    write!(text, "{end:?} {job}, due {deadline}, at {accuracy:?} in {device_time:?} of {expected_time:?}:")?;
    outcome.mix.iter().try_for_each(|(mode, requests): &(Mode, u32)| write!(text, " {requests}x{mode}"))
}
