//! A policy's reply to a question, and whether a server would adopt it.

use mosel_core::{Catalog, Decision, DecisionError, Forecast, Plan, PolicyError, Snapshot};
use mosel_sandbox::MeteredReply;

use crate::Outcome;

/// A reply, and what it is worth.
pub(crate) struct JudgedReply {
    pub(crate) reply: MeteredReply,
    pub(crate) judgment: Judgment,
}

/// What a reply is worth to a server.
pub(crate) enum Judgment {
    /// An answer that the server would adopt, and the queue after it.
    Good(Decision, Forecast),
    /// No answer.
    NoAnswer(PolicyError),
    /// An answer that makes no sense for this snapshot.
    Illegal(DecisionError),
    /// An answer that makes a job late.
    Harmful(DecisionError),
}

impl JudgedReply {
    pub(crate) fn new(snapshot: &Snapshot, catalog: &Catalog, reply: MeteredReply) -> JudgedReply {
        let judgment = match &reply.answer {
            Err(error) => Judgment::NoAnswer(error.clone()),
            Ok(decision) => judge(snapshot, catalog, decision),
        };
        JudgedReply { reply, judgment }
    }
}

fn judge(snapshot: &Snapshot, catalog: &Catalog, decision: &Decision) -> Judgment {
    let plan = match Plan::check(snapshot, catalog, decision) {
        Ok(plan) => plan,
        Err(error) => return Judgment::Illegal(error),
    };
    match Forecast::under(snapshot, catalog, &plan) {
        Ok(forecast) => Judgment::Good(decision.clone(), forecast),
        Err(error) => Judgment::Harmful(error),
    }
}

impl Judgment {
    /// How bad it is, and why, whatever the check is about.
    pub(crate) fn verdict(&self) -> (Outcome, String) {
        match self {
            Judgment::Good(..) => (Outcome::Pass, String::new()),
            // To give up is its right: the server falls back.
            Judgment::NoAnswer(error @ PolicyError::Declined(_)) => (Outcome::Warn, error.to_string()),
            Judgment::NoAnswer(error) => (Outcome::Fail, error.to_string()),
            Judgment::Illegal(error) | Judgment::Harmful(error) => (Outcome::Fail, error.to_string()),
        }
    }
}
