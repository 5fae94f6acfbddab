//! The log that a case expects: a line an action, short enough to be read and compared whole.

use mosel_core::{Action, JobId, Mode, Snapshot, Time};

use super::SimCase;
use crate::{PolicyReply, SimError};

impl SimCase {
    /// What the server does, under the case's own policy: a line an action. Wake-ups are left out, and so is the giving
    /// up of jobs, which is told where they end.
    pub fn action_log(&self) -> Result<String, SimError> {
        let mut trace = super::Trace::default();
        let scheduler = self.scheduler();
        let mut policy = self.faulty_policy(&scheduler);
        self.run_from(scheduler, &mut policy, &mut trace)?;
        Ok(self.describe_all(&trace.0))
    }

    /// The same where this answers.
    pub fn action_log_with(&self, decide: impl FnMut(&Snapshot) -> PolicyReply) -> Result<String, SimError> {
        Ok(self.describe_all(&self.trace(decide)?))
    }

    fn describe_all(&self, trace: &[(Time, Action)]) -> String {
        let lines = trace.iter().filter_map(|(at, action)| Some(format!("{at} {}\n", self.describe(action)?)));
        lines.collect()
    }

    fn describe(&self, action: &Action) -> Option<String> {
        let label = |mode: Mode| mode.label(&self.profile.modalities);
        Some(match action {
            Action::Accept(job) => format!("accept {} until {}", job.job, job.predicted_finish),
            Action::Refuse(job, refusal) => format!("refuse {job}: {refusal}"),
            Action::Run(batch) => {
                let end = batch.first + batch.requests;
                format!("run {} {}..{end} on {}", batch.job, batch.first, label(batch.mode))
            }
            Action::Decide(snapshot) => format!("ask about {}", ids(snapshot.jobs.iter().map(|row| row.id))),
            Action::Adopt(_, jobs) => format!("adopt [{}]", ids(jobs.iter().copied())),
            Action::RefuseDecision(_, error) => format!("refuse the plan: {error}"),
            Action::Fallback(_, moves) => format!("fallback [{}]", ids(moves.iter().map(|&(job, _)| job))),
            Action::Finish(outcome) => {
                let lateness = if outcome.finish > outcome.deadline { " late" } else { "" };
                let mix: Vec<String> =
                    outcome.mix.iter().map(|(mode, count)| format!("{count} {}", label(*mode))).collect();
                let accuracy = outcome.accuracy.map_or("-".into(), |accuracy| format!("{accuracy:.3}"));
                format!("{:?}{lateness} {}: {} = {accuracy}", outcome.end, outcome.job, mix.join(" + "))
            }
            Action::KeepFloor(job, _) => format!("keep the floor of {job}"),
            Action::Suspect(lane, why) => format!("suspect lane {lane}: {why}"),
            Action::Trust(lane) => format!("trust lane {lane}"),
            Action::LoseLane(lane) => format!("lose lane {lane}"),
            Action::Move(job, lane) => format!("move {job} to lane {lane}"),
            Action::GiveUp(_) | Action::WakeAt(_) => return None,
        })
    }
}

fn ids(jobs: impl Iterator<Item = JobId>) -> String {
    jobs.map(|job| job.to_string()).collect::<Vec<_>>().join(",")
}
