//! The sentences of a change: who put the job on another strategy, what for, and what would be had it stayed.

use mosel_core::{DecisionError, PolicyError, Trigger};

use super::Explainer;
use super::words::{count, share, span};
use crate::{Cause, Change, Counterfactual, DecidedBy, LateJob};

/// Accuracies that differ by less are the same: they are sums of floats.
const SAME: f64 = 1e-9;

/// Why the server itself makes a job more accurate.
const NO_ANSWER: &str = ", since requests before these had no answer, and the others must keep the floor";

impl Explainer<'_> {
    pub(super) fn changed(&self, change: &Change) -> String {
        if change.to.accuracy > change.from.accuracy + SAME {
            return self.raised(change);
        }
        let decision = &change.decision;
        let moves = format!("moved {} from {} to {}", self.what(change), self.before(change), self.on(&change.to));
        let why = self.why(change);
        let mut text = format!("{} {} {moves}{why}.", self.after(decision.at), who(&decision.by));
        if let Some(cause) = self.cause(change) {
            text += &even_so(cause);
            text += &self.counterfactual(change, cause);
        }
        text
    }

    fn raised(&self, change: &Change) -> String {
        let decision = &change.decision;
        let cause = decision.cause.as_ref();
        let still = match cause {
            _ if matches!(decision.by, DecidedBy::Floor) => NO_ANSWER.into(),
            Some(cause) if cause.late_before > 0 => format!(", though {}", self.late(cause)),
            Some(cause) if cause.late_after == 0 => ", and nobody would be late".into(),
            _ => String::new(),
        };
        format!(
            "{}{} {} gave {} accuracy back: from {} to {}{still}.",
            self.after(decision.at),
            cause.map_or("", |cause| once(cause.trigger)),
            who(&decision.by),
            self.what(change),
            self.before(change),
            self.on(&change.to),
        )
    }

    /// The job, or what was left of it.
    fn what(&self, change: &Change) -> String {
        match change.from.requests {
            all if all >= self.history.job.requests => "it".into(),
            1 => "the last request that it had left".into(),
            left => format!("the {left} requests that it had left"),
        }
    }

    fn before(&self, change: &Change) -> String {
        format!("{} in {}", share(change.from.accuracy), span(change.from.latency))
    }

    /// What the question was about, if the job was part of it.
    fn cause<'a>(&self, change: &'a Change) -> Option<&'a Cause> {
        change.decision.cause.as_ref().filter(|_| change.counterfactual != Counterfactual::Unknown)
    }

    fn why(&self, change: &Change) -> String {
        let cause = self.cause(change);
        match (&change.decision.by, cause) {
            (DecidedBy::Floor, _) => NO_ANSWER.into(),
            (DecidedBy::Policy { .. }, None) => String::new(),
            (DecidedBy::Policy { .. }, Some(cause)) if cause.late_before == 0 => {
                ", though nobody would have been late".into()
            }
            (DecidedBy::Policy { .. }, Some(cause)) => format!(", because {}", self.late(cause)),
            (DecidedBy::Fallback { policy, why }, Some(cause)) if cause.late_before > 0 => {
                format!(", because {}, and {}", self.useless(policy, why.as_ref()), self.late(cause))
            }
            (DecidedBy::Fallback { policy, why }, _) => format!(", because {}", self.useless(policy, why.as_ref())),
        }
    }

    /// Why an answer could not be used.
    fn useless(&self, policy: &str, why: Option<&DecisionError>) -> String {
        let Some(why) = why else {
            return "the next batch would have cost a job its last chance, and a device waits for one answer only"
                .into();
        };
        match why {
            DecisionError::Policy(PolicyError::Declined(words)) => format!("the policy {policy} declined ({words})"),
            DecisionError::Policy(PolicyError::TimedOut(budget)) => {
                format!("the policy {policy} did not answer within its {}", span(*budget))
            }
            DecisionError::Policy(PolicyError::OutOfFuel(fuel)) => {
                format!("the policy {policy} used up its {fuel} units of fuel")
            }
            DecisionError::Policy(PolicyError::OutOfMemory(cap)) => {
                format!("the policy {policy} asked for more than its {cap} bytes of memory")
            }
            DecisionError::Policy(PolicyError::Trapped(words)) => format!("the policy {policy} trapped ({words})"),
            DecisionError::Policy(PolicyError::Malformed(words)) => {
                format!("the answer of the policy {policy} was malformed ({words})")
            }
            DecisionError::Policy(PolicyError::Unavailable(words)) => format!("there was no policy to ask ({words})"),
            DecisionError::MakesLate { job, by } => {
                let job = self.naming.job(*job);
                format!("the plan of the policy {policy} would have made {job} {} late, which was on time", span(*by))
            }
            DecisionError::BelowFloor { job, accuracy, floor } => {
                let (job, accuracy, floor) = (self.naming.job(*job), share(*accuracy), share(*floor));
                format!("the policy {policy} chose {accuracy} for {job}, which must keep {floor}")
            }
            DecisionError::NoSuchStrategy { job, strategies, chosen } => {
                let job = self.naming.job(*job);
                format!("the policy {policy} chose strategy {chosen} (from 0) for {job}, which has {strategies}")
            }
            error => format!("the plan of the policy {policy} was not legal ({error})"),
        }
    }

    /// `j-17 would have been 31 ms late, j-18 12 ms, and 2 more jobs`.
    fn late(&self, cause: &Cause) -> String {
        let Some((first, others)) = cause.late.split_first() else { return "nobody would have been late".into() };
        let mut text = match self.is_self(first.job) {
            true => format!("it would itself have been {} late", span(first.by)),
            false => format!("{} would have been {} late", self.naming.job(first.job), span(first.by)),
        };
        for late in others {
            text += &format!(", {} {}", self.one(late, "it itself"), span(late.by));
        }
        match cause.late_before.saturating_sub(cause.late.len()) {
            0 => text,
            more => format!("{text}, and {}", count(more, "more job")),
        }
    }

    fn counterfactual(&self, change: &Change, cause: &Cause) -> String {
        let claim = match change.counterfactual {
            Counterfactual::Unknown => return String::new(),
            Counterfactual::Nobody if cause.late_before == 0 => {
                "still nobody would have been late: the time was kept for jobs to come".into()
            }
            Counterfactual::Nobody => "nobody would have been late: the time was kept for jobs to come".into(),
            Counterfactual::Late { job, by, before, after } => {
                let late = LateJob { job, by };
                let job = self.one(&late, "it");
                let by = span(by);
                match (before.is_zero(), after) {
                    (false, after) if after.is_zero() => format!("{job} would still have been {by} late"),
                    (true, after) if after.is_zero() => format!("{job} would have been {by} late"),
                    (_, after) if after < late.by => {
                        format!("{job} would have been {by} late instead of {}", span(after))
                    }
                    _ => format!("nobody would have been later than {job}, which would be {by} late even so"),
                }
            }
        };
        format!(" Had it alone stayed as it was, {claim}.")
    }

    fn one(&self, late: &LateJob, itself: &str) -> String {
        if self.is_self(late.job) { itself.into() } else { self.naming.job(late.job) }
    }
}

fn who(by: &DecidedBy) -> String {
    match by {
        DecidedBy::Policy { name, .. } => format!("the policy {name}"),
        DecidedBy::Fallback { .. } | DecidedBy::Floor => "the server itself".into(),
    }
}

/// When a policy is asked though nobody is late.
fn once(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Arrival => ", once a job had come,",
        Trigger::Completion => ", once a batch or a job had ended,",
        Trigger::Violation | Trigger::Rehearsal => "",
    }
}

fn even_so(cause: &Cause) -> String {
    match cause.late_after {
        0 => String::new(),
        late => format!(" Even so {} would be late.", count(late, "job")),
    }
}
