//! Answers as text: how long each took, then what it was.
//!
//! ```text
//! answer 3ms 1@2 7@0 order 7 1 objective 2 bound 2.5    strategies by job; the order of jobs
//! answer 0ms                                            nothing changes
//! answer 1ms fails
//! ```

use std::fmt::Write as _;

use mosel_core::scenario::{number, span};
use mosel_core::{JobId, PolicyError, Proposal, Time};

use crate::PolicyReply;

pub(super) fn write_answer(text: &mut String, reply: &PolicyReply) -> std::fmt::Result {
    write!(text, "answer {}", Time::START + reply.took)?;
    let Ok(proposal) = &reply.answer else { return write!(text, " fails") };
    proposal.assignments.iter().try_for_each(|(job, choice)| write!(text, " {job}@{choice}"))?;
    if !proposal.order.is_empty() {
        write!(text, " order")?;
    }
    proposal.order.iter().try_for_each(|job| write!(text, " {job}"))?;
    let claims = [("objective", proposal.objective), ("bound", proposal.bound)];
    claims.into_iter().try_for_each(|(name, claim)| claim.map_or(Ok(()), |claim| write!(text, " {name} {claim}")))
}

pub(super) fn read_answer(took: &str, words: &[&str]) -> Result<PolicyReply, String> {
    let took = span(took)?;
    if words == ["fails"] {
        return Ok(PolicyReply { answer: Err(PolicyError::Trapped("as written".into())), took });
    }
    let mut proposal = Proposal::default();
    let strategies = words.iter().take_while(|word| word.contains('@')).count();
    for word in &words[..strategies] {
        let (job, choice) = word.split_once('@').ok_or("expected strategies such as 7@0")?;
        proposal.assignments.push((JobId(number(job)?), number(choice)?));
    }
    read_rest(&mut proposal, &words[strategies..])?;
    Ok(PolicyReply { answer: Ok(proposal), took })
}

fn read_rest(proposal: &mut Proposal, mut words: &[&str]) -> Result<(), String> {
    loop {
        words = match *words {
            [] => return Ok(()),
            ["order", ref rest @ ..] => {
                let jobs = rest.iter().take_while(|word| word.parse::<u64>().is_ok()).count();
                proposal.order = rest[..jobs].iter().map(|job| number(job).map(JobId)).collect::<Result<_, _>>()?;
                &rest[jobs..]
            }
            ["objective", claim, ref rest @ ..] => {
                proposal.objective = Some(number(claim)?);
                rest
            }
            ["bound", claim, ref rest @ ..] => {
                proposal.bound = Some(number(claim)?);
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
