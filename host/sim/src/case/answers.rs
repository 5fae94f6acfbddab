//! Answers as text: how long each took, then what it was.
//!
//! ```text
//! answer 3ms 1@2 7@0 order 7 1 objective 2 bound 2.5    strategies by job; the order of jobs
//! answer 0ms                                            nothing changes
//! answer 1ms fails                                      or fails with a reason: fails unreachable
//! answer never
//! ```

use std::fmt;

use mosel_core::{Decision, JobId, PolicyError, Time};

use super::words::{number, span};
use crate::PolicyReply;

/// Why a policy fails, where a case does not say.
const REASON: &str = "as written";

/// An answer as it is written behind `answer` or `always`.
pub(super) struct Answer<'a>(pub(super) &'a PolicyReply);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_never() {
            return f.write_str("never");
        }
        write!(f, "{}", Time::START + self.0.took)?;
        match &self.0.answer {
            Ok(decision) => write_proposal(f, decision),
            Err(PolicyError::Trapped(reason)) if reason != REASON => write!(f, " fails {reason}"),
            Err(_) => write!(f, " fails"),
        }
    }
}

fn write_proposal(f: &mut fmt::Formatter<'_>, decision: &Decision) -> fmt::Result {
    decision.assignments.iter().try_for_each(|(job, choice)| write!(f, " {job}@{choice}"))?;
    if !decision.order.is_empty() {
        write!(f, " order")?;
    }
    decision.order.iter().try_for_each(|job| write!(f, " {job}"))?;
    let claims = [("objective", decision.objective), ("bound", decision.bound)];
    claims.into_iter().try_for_each(|(name, claim)| claim.map_or(Ok(()), |claim| write!(f, " {name} {claim}")))
}

pub(super) fn read_answer(took: &str, words: &[&str]) -> Result<PolicyReply, String> {
    if took == "never" && words.is_empty() {
        return Ok(PolicyReply::never());
    }
    let took = span(took)?;
    if let ["fails", reason @ ..] = words {
        let reason = if reason.is_empty() { REASON.into() } else { reason.join(" ") };
        return Ok(PolicyReply { answer: Err(PolicyError::Trapped(reason)), took });
    }
    let mut decision = Decision::default();
    let strategies = words.iter().take_while(|word| word.contains('@')).count();
    for word in &words[..strategies] {
        let (job, choice) = word.split_once('@').ok_or("expected strategies such as 7@0")?;
        decision.assignments.push((JobId(number(job)?), number(choice)?));
    }
    read_rest(&mut decision, &words[strategies..])?;
    Ok(PolicyReply { answer: Ok(decision), took })
}

fn read_rest(decision: &mut Decision, mut words: &[&str]) -> Result<(), String> {
    loop {
        words = match *words {
            [] => return Ok(()),
            ["order", ref rest @ ..] => {
                let jobs = rest.iter().take_while(|word| word.parse::<u64>().is_ok()).count();
                decision.order = rest[..jobs].iter().map(|job| number(job).map(JobId)).collect::<Result<_, _>>()?;
                &rest[jobs..]
            }
            ["objective", claim, ref rest @ ..] => {
                decision.objective = Some(number(claim)?);
                rest
            }
            ["bound", claim, ref rest @ ..] => {
                decision.bound = Some(number(claim)?);
                rest
            }
            [word, ..] => {
                return Err(format!(
                    "{word}: expected fails, or JOB@STRATEGY, order, objective and bound in this order"
                ));
            }
        };
    }
}
