//! Reading the case language; its grammar is in [`text`](super::text).

use mosel_core::{
    Accuracy, Config, Fairness, Job, JobId, LaneId, Latency, Measurement, Mode, ModelId, OnLate, Profile, Tenant, Time,
};

use super::answers::read_answer;
use super::faulty_policy::FaultMode;
use super::words::{number, span, within};
use super::{LARGEST_JOB, SimCase};
use crate::{ExternalEvent, Slowdown};

/// The most lanes that a case may have.
const MOST_LANES: u32 = 64;

impl SimCase {
    /// Reads the text form, up to its end or a line `---`; the error names the line and what was expected.
    pub fn parse(text: &str) -> Result<SimCase, String> {
        let mut case = SimCase::empty();
        let lines = text.lines().take_while(|line| line.trim() != "---");
        for (number, line) in lines.enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
            case.read_line(&words).map_err(|expected| format!("line {}: {line:?}: {expected}", number + 1))?;
        }
        case.events.sort_by_key(|(at, _)| *at);
        case.profile.check().map_err(|error| error.to_string())?;
        Ok(case)
    }

    fn empty() -> SimCase {
        let modalities = Vec::new();
        SimCase {
            profile: Profile { id: "case".into(), model: "toy".into(), modalities, measurements: Vec::new() },
            config: Config { margin: 0.0, fairness: Fairness::off(), ..Config::default() },
            max_requests: LARGEST_JOB,
            factor: 1.0,
            spread: 0.0,
            failures: 0.0,
            unanswered: 0.0,
            seed: 0,
            modes: vec![(FaultMode::Unmoved, 1)],
            eager: false,
            answers: Vec::new(),
            always: None,
            events: Vec::new(),
        }
    }

    fn read_line(&mut self, words: &[&str]) -> Result<(), String> {
        match *words {
            [] => {}
            ["modalities", ref names @ ..] => {
                self.profile.modalities = names.iter().map(|name| (*name).into()).collect();
            }
            ["measure", selection, size, time, accuracy] => self.read_measurement(selection, size, time, accuracy)?,
            ["policy" | "mind", ref modes @ ..] => self.modes = read_modes(modes)?,
            ["eager"] => self.eager = true,
            ["margin", share] => self.config.margin = within(share, 0.0..=10.0)?,
            ["device", factor] => self.factor = within(factor, 0.001..=1000.0)?,
            ["late_share", share] => self.config.fairness.late_share = within(share, 0.0..=0.5)?,
            ["tenant_shares"] => self.config.fairness.tenant_shares = true,
            ["place_factor", factor] => self.config.fairness.place_factor = within(factor, 0.01..=1e6)?,
            ["tenant_weight", tenant, weight] => {
                self.config.fairness.weights.insert(read_tenant(tenant)?, within(weight, 0.01..=100.0)?);
            }
            ["lanes", count] => self.config.lanes = within(count, 1..=MOST_LANES)?,
            ["max_jobs", count] => self.config.max_jobs = number(count)?,
            ["max_requests", count] => self.max_requests = within(count, 1..=LARGEST_JOB)?,
            ["budget", time] => self.config.policy_budget = span(time)?,
            ["spread", share] => self.spread = within(share, 0.0..=10.0)?,
            ["failures", share] => self.failures = within(share, 0.0..=1.0)?,
            ["unanswered", share] => self.unanswered = within(share, 0.0..=1.0)?,
            ["seed", seed] => self.seed = number(seed)?,
            ["answer", took, ref what @ ..] => self.answers.push(read_answer(took, what)?),
            ["always", took, ref what @ ..] => self.always = Some(read_answer(took, what)?),
            ["at", at, ref what @ ..] => {
                let at = Time::START + span(at)?;
                self.events.push((at, read_external(at, what)?));
            }
            _ => return Err(format!("expected {LINES}")),
        }
        Ok(())
    }

    fn read_measurement(&mut self, selection: &str, size: &str, time: &str, accuracy: &str) -> Result<(), String> {
        let (correct, samples) = accuracy.split_once('/').ok_or("expected an accuracy such as 137/200")?;
        self.profile.measurements.push(Measurement {
            mode: Mode::parse(selection, &self.profile.modalities)
                .map_err(|name| format!("{name} is not among the modalities"))?,
            batch_size: number(size)?,
            latency: Latency::exactly(span(time)?),
            accuracy: Accuracy { correct: number(correct)?, samples: number(samples)? },
            memory_bytes: 0,
        });
        Ok(())
    }
}

/// What a line may begin with.
const LINES: &str = "modalities, measure, policy, eager, margin, device, late_share, \
                     tenant_shares, place_factor, tenant_weight, lanes, max_jobs, max_requests, budget, \
                     spread, failures, unanswered, seed, answer, always or at";

fn read_external(at: Time, words: &[&str]) -> Result<ExternalEvent, String> {
    Ok(match *words {
        ["submit", id, ref wishes @ ..] => ExternalEvent::Submit(read_job(id, wishes)?),
        ["cancel", id] => ExternalEvent::Cancel(JobId(number(id)?)),
        ["fail"] => ExternalEvent::Fail(LaneId(0)),
        ["fail", lane] => ExternalEvent::Fail(LaneId(number(lane)?)),
        ["slowdown" | "pace", lane, "until", until, factor] => {
            ExternalEvent::Slowdown(LaneId(number(lane)?), read_slowdown(at, until, factor)?)
        }
        ["lose", lane] => ExternalEvent::Lose(LaneId(number(lane)?)),
        ["restore", lane] => ExternalEvent::Restore(LaneId(number(lane)?)),
        ["jump", by] => ExternalEvent::Jump(span(by)?),
        ["hang", lane] => ExternalEvent::Hang(LaneId(number(lane)?)),
        ["install"] => ExternalEvent::Install,
        _ => return Err("expected submit, cancel, fail, slowdown, lose, restore, jump, hang or install".into()),
    })
}

fn read_slowdown(from: Time, until: &str, factor: &str) -> Result<Slowdown, String> {
    let (until, factor) = (Time::START + span(until)?, number::<f64>(factor)?);
    if factor > 0.0 && (factor <= 1000.0 || factor.is_infinite()) {
        return Ok(Slowdown { from, until, factor });
    }
    Err(format!("expected a slowdown above 0, at most 1000, or inf, got {factor}"))
}

fn read_job(id: &str, mut wishes: &[&str]) -> Result<Job, String> {
    let mut job = Job {
        id: JobId(number(id)?),
        model: ModelId(0),
        requests: 1,
        deadline: Time::NEVER,
        min_accuracy: 0.0,
        weight: 1.0,
        tenant: Tenant::default(),
        on_late: OnLate::Run,
    };
    loop {
        wishes = match *wishes {
            [] => return Ok(job),
            ["drop", ref rest @ ..] => {
                job.on_late = OnLate::Drop;
                rest
            }
            [wish, value, ref rest @ ..] => {
                read_wish(&mut job, wish, value)?;
                rest
            }
            [wish] => return Err(unknown_wish(wish)),
        };
    }
}

fn read_wish(job: &mut Job, wish: &str, value: &str) -> Result<(), String> {
    match wish {
        "requests" => job.requests = number(value)?,
        "deadline" => job.deadline = Time::START + span(value)?,
        "min_accuracy" | "floor" => job.min_accuracy = number(value)?,
        "model" => job.model = ModelId(number(value)?),
        "priority" | "weight" => job.weight = number(value)?,
        "tenant" => job.tenant = read_tenant(value)?,
        _ => return Err(unknown_wish(wish)),
    }
    Ok(())
}

/// A name, or `@` and the number of a tenant whose name nobody knows.
fn read_tenant(word: &str) -> Result<Tenant, String> {
    word.strip_prefix('@').map_or_else(|| Ok(Tenant::named(word)), |id| Ok(Tenant(number(id)?)))
}

fn unknown_wish(wish: &str) -> String {
    format!("{wish}: expected requests N, deadline TIME, min_accuracy A, model N, priority P, tenant NAME or drop")
}

/// One mode, or several with their weights.
fn read_modes(words: &[&str]) -> Result<Vec<(FaultMode, u32)>, String> {
    if let [mode] = *words {
        return Ok(vec![(read_mode(mode)?, 1)]);
    }
    let pair = |pair: &[&str]| match *pair {
        [mode, weight] => Ok((read_mode(mode)?, number(weight)?)),
        _ => Err("expected a mode, or modes with their weights, such as sensible 3 lies 1".to_string()),
    };
    words.chunks(2).map(pair).collect()
}

fn read_mode(word: &str) -> Result<FaultMode, String> {
    if word == "none" { Ok(FaultMode::Unmoved) } else { word.parse() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mosel_core::Decision;

    use super::*;

    const TOY: &str = "modalities video audio\nmeasure audio 1 4ms 137/200\nmeasure video+audio 1 10ms 157/200\n";

    fn read(lines: &str) -> SimCase {
        SimCase::parse(&format!("{TOY}{lines}")).expect("the case reads")
    }

    /// The error of this line, the fourth of a case.
    fn error(line: &str) -> String {
        SimCase::parse(&format!("{TOY}{line}")).expect_err("the line is wrong")
    }

    #[test]
    fn every_line_is_read() {
        let case = read(
            "spread 0.2\nfailures 0.1\nseed 7\npolicy sensible 3 lies 1\nmax_requests 32\n\
             answer 3ms 1@2 7@0 order 7 1 objective 2 bound NaN\nanswer 0ms\nanswer 1ms fails\nanswer never\n\
             always 2ms fails unreachable\n\
             at 1ms submit 1\nat 1ms slowdown 1 until 9ms 5\nat 1ms cancel 1\nat 4ms jump 12ms\nat 5ms install\n\
             at 5ms lose 1\nat 6ms restore 1\nat 7ms hang 1\nunanswered 0.3\n",
        );
        assert_eq!((case.spread, case.failures, case.seed, case.max_requests), (0.2, 0.1, 7, 32));
        assert_eq!(case.modes, [(FaultMode::Sensible, 3), (FaultMode::Lies, 1)]);
        let [first, second, third, fourth] = &case.answers[..] else { panic!("{:?}", case.answers) };
        let decision = first.answer.as_ref().expect("it does not fail");
        assert_eq!(
            (first.took, &decision.assignments[..]),
            (Duration::from_millis(3), &[(JobId(1), 2), (JobId(7), 0)][..])
        );
        assert_eq!((&decision.order[..], decision.objective), (&[JobId(7), JobId(1)][..], Some(2.0)));
        assert!(decision.bound.is_some_and(f64::is_nan) && second.answer == Ok(Decision::default()));
        assert!(third.answer.is_err() && fourth.is_never());
        let always = case.always.as_ref().and_then(|reply| reply.answer.as_ref().err()).map(ToString::to_string);
        assert_eq!(always.as_deref(), Some("the policy trapped: unreachable"));
        assert_eq!(SimCase::parse(&case.to_text()).map(|case| case.to_text()), Ok(case.to_text()));
        let slowdown = Slowdown { from: Time::from_millis(1), until: Time::from_millis(9), factor: 5.0 };
        assert!(matches!(case.events[0].1, ExternalEvent::Submit(_)));
        assert_eq!(case.events[1], (Time::from_millis(1), ExternalEvent::Slowdown(LaneId(1), slowdown)));
        assert!(matches!(case.events[2].1, ExternalEvent::Cancel(_)));
        assert_eq!(case.events[3], (Time::from_millis(4), ExternalEvent::Jump(Duration::from_millis(12))));
        assert_eq!(case.events[4], (Time::from_millis(5), ExternalEvent::Install));
        assert_eq!(case.events[5], (Time::from_millis(5), ExternalEvent::Lose(LaneId(1))));
        assert_eq!(case.events[6], (Time::from_millis(6), ExternalEvent::Restore(LaneId(1))));
        assert_eq!(case.events[7], (Time::from_millis(7), ExternalEvent::Hang(LaneId(1))));
        assert_eq!(case.unanswered, 0.3);
    }

    #[test]
    fn a_case_with_one_mode_runs() {
        let case = read("policy silent\nat 0ms submit 1 deadline 20ms");
        assert_eq!(case.modes, [(FaultMode::Silent, 1)]);
        assert!(case.check_deterministic().is_ok_and(|log| log.text.contains("Served 1")));
    }

    #[test]
    fn the_words_of_before_are_read_and_todays_are_written() {
        let before = read(
            "mind sensible 3 lies 1\nat 0ms submit 1 requests 2 deadline 90ms floor 0.7 weight 2 tenant acme drop\n\
             at 1ms pace 1 until 9ms 5\n",
        );
        let today = read(
            "policy sensible 3 lies 1\n\
             at 0ms submit 1 requests 2 deadline 90ms min_accuracy 0.7 priority 2 tenant acme drop\n\
             at 1ms slowdown 1 until 9ms 5\n",
        );
        assert_eq!(before, today);
        let text = before.to_text();
        let written = ["policy sensible 3 lies 1", "min_accuracy 0.7", "priority 2", "slowdown 1 until 9ms 5"];
        assert!(written.iter().all(|words| text.contains(words)), "{text}");
        assert!(!["mind", "floor", "weight", "pace"].iter().any(|word| text.contains(word)), "{text}");
        assert_eq!(read("policy none").modes, [(FaultMode::Unmoved, 1)]);
    }

    #[test]
    fn events_may_stand_in_any_order_and_what_follows_the_dashes_is_not_read() {
        let case = read("at 2ms install\nat 1ms cancel 1\n---\nno line of a case");
        assert_eq!(case.events[0], (Time::from_millis(1), ExternalEvent::Cancel(JobId(1))));
    }

    #[test]
    fn an_error_names_the_line_and_what_was_expected() {
        let all_lines = [
            ("failures 2", "expected a number from 0 to 1, got 2"),
            ("policy sensible 3 lies", "expected a mode, or modes with their weights, such as sensible 3 lies 1"),
            ("mind merry 1", "expected one of sensible, unmoved, silent, slow, traps, lies, garbage, got \"merry\""),
            (
                "answer 3ms order 1 7@0",
                "7@0: expected fails, or JOB@STRATEGY, order, objective and bound in this order",
            ),
            ("at 0ms slowdown 0 until 9ms -1", "expected a slowdown above 0, at most 1000, or inf, got -1"),
            ("at 0ms jump far", "expected a time such as 12ms or 300us, got \"far\""),
            ("at 0ms dance", "expected submit, cancel, fail, slowdown, lose, restore, jump, hang or install"),
            ("lanes 0", "expected a number from 1 to 64, got 0"),
            ("device 0", "expected a number from 0.001 to 1000, got 0"),
            ("margin inf", "expected a number from 0 to 10, got inf"),
            (
                "at 0ms submit 1 color red",
                "color: expected requests N, deadline TIME, min_accuracy A, model N, priority P, tenant NAME or drop",
            ),
        ];
        for (line, expected) in all_lines {
            assert_eq!(error(line), format!("line 4: {line:?}: {expected}"));
        }
        assert!(error("dance").contains("expected modalities, measure, policy, eager, "), "{}", error("dance"));
    }
}
