//! Cases as text: a scenario of the core, with lines for what a scenario does not have.
//!
//! ```text
//! spread 0.2                 p95 and p99 of a batch's time are so much and twice so much above its mean; default 0
//! failures 0.1               the share of batches that fail; default 0
//! seed 7                     what times, failures and modes are drawn with; default 0
//! mind sensible 3 lies 1     modes of the policy, with weights; default unmoved 1
//! answer 3ms 1@2 order 7 1   what the policy answers to the first questions, an answer a line, before it has modes
//! at 3ms slowdown 1 until 9ms 5  lane 1 takes five times as long until then; inf: every batch fails
//! at 4ms lose 1              the device of lane 1 cannot run the model
//! at 4ms restore 1           it can again
//! at 4ms jump 12ms           the clock jumps
//! at 5ms install             the policy is put in place once more
//! ```
//!
//! Events come in the order of their times. Tenants change nothing about a case and are not written.

use std::fmt::Write as _;
use std::time::Duration;

use mosel_core::scenario::{External, Scenario, Scripted, number, span};
use mosel_core::{Job, ModelId, OnLate, Profile, Time};

use super::answers::{read_answer, write_answer};
use super::{FaultMode, SimCase};
use crate::{ExternalEvent, PolicyReply, Slowdown};

/// The most lanes that a case may have.
const MOST_LANES: u32 = 64;

impl SimCase {
    /// Reads the text form; the error names the line and what was expected.
    pub fn parse(text: &str) -> Result<SimCase, String> {
        let mut reading = Reading::default();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
            let own = reading.line(&words);
            let own = own.map_err(|expected| format!("line {}: {line:?}: {expected}", number + 1))?;
            // the scenario's own errors count lines too
            reading.scenario.push_str(if own { "" } else { line });
            reading.scenario.push('\n');
        }
        reading.case()
    }

    /// Writes the text form, which [`SimCase::parse`] reads as the same case.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to a string");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let names = &self.profile.modalities;
        writeln!(text, "modalities {}", names.join(" "))?;
        for measured in &self.profile.measurements {
            let (set, size) = (measured.mode.label(names), measured.batch_size);
            let (time, accuracy) = (time_of(measured.latency.mean), measured.accuracy);
            writeln!(text, "measure {set} {size} {time} {}/{}", accuracy.correct, accuracy.samples)?;
        }
        let config = &self.config;
        writeln!(text, "lanes {}\nmax_jobs {}\nmargin {}", config.lanes, config.max_jobs, config.margin)?;
        writeln!(text, "budget {}\ndevice {}", time_of(config.policy_budget), self.factor)?;
        writeln!(text, "spread {}\nfailures {}\nseed {}", self.spread, self.failures, self.seed)?;
        let modes: Vec<String> = self.modes.iter().map(|(mode, weight)| format!(" {mode} {weight}")).collect();
        writeln!(text, "mind{}", modes.concat())?;
        if self.eager {
            writeln!(text, "eager")?;
        }
        for reply in &self.answers {
            write_answer(text, reply)?;
            writeln!(text)?;
        }
        self.events.iter().try_for_each(|(at, external)| {
            write!(text, "at {at} ")?;
            write_external(text, external)?;
            writeln!(text)
        })
    }
}

fn write_external(text: &mut String, external: &ExternalEvent) -> std::fmt::Result {
    match external {
        ExternalEvent::Submit(job) => write_job(text, job),
        ExternalEvent::Cancel(job) => write!(text, "cancel {job}"),
        ExternalEvent::Fail(lane) => write!(text, "fail {lane}"),
        ExternalEvent::Slowdown(lane, slowdown) => {
            write!(text, "slowdown {lane} until {} {}", slowdown.until, slowdown.factor)
        }
        ExternalEvent::Lose(lane) => write!(text, "lose {lane}"),
        ExternalEvent::Restore(lane) => write!(text, "restore {lane}"),
        ExternalEvent::Jump(by) => write!(text, "jump {}", time_of(*by)),
        ExternalEvent::Install => write!(text, "install"),
    }
}

fn write_job(text: &mut String, job: &Job) -> std::fmt::Result {
    write!(text, "submit {} requests {}", job.id, job.requests)?;
    if job.deadline != Time::NEVER {
        write!(text, " deadline {}", job.deadline)?;
    }
    if job.min_accuracy != 0.0 {
        write!(text, " floor {}", job.min_accuracy)?;
    }
    if job.model != ModelId(0) {
        write!(text, " model {}", job.model.0)?;
    }
    if job.weight != 1.0 {
        write!(text, " weight {}", job.weight)?;
    }
    match job.on_late {
        OnLate::Drop => write!(text, " drop"),
        OnLate::Run => Ok(()),
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    /// The lines that a scenario has too.
    scenario: String,
    spread: f64,
    failures: f64,
    seed: u64,
    modes: Vec<(FaultMode, u32)>,
    answers: Vec<PolicyReply>,
    /// One an `at` line: the time, and what happens unless the scenario knows.
    events: Vec<(Time, Option<ExternalEvent>)>,
}

impl Reading {
    /// Reads a line; whether it was one that only cases have.
    fn line(&mut self, words: &[&str]) -> Result<bool, String> {
        match *words {
            ["spread", share] => self.spread = within(share, 0.0..=10.0)?,
            ["failures", share] => self.failures = within(share, 0.0..=1.0)?,
            ["seed", seed] => self.seed = number(seed)?,
            ["mind", ref modes @ ..] => self.modes = read_modes(modes)?,
            ["answer", took, ref what @ ..] => self.answers.push(read_answer(took, what)?),
            ["at", at, ref what @ ..] => {
                let at = Time::START + span(at)?;
                if self.events.last().is_some_and(|(last, _)| *last > at) {
                    return Err("expected events in the order of their times".into());
                }
                let own = read_external(at, what)?;
                let is_own = own.is_some();
                self.events.push((at, own));
                return Ok(is_own);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn case(self) -> Result<SimCase, String> {
        let scenario = Scenario::parse(&self.scenario)?;
        let Scenario { profile, config, policy, eager, device, events } = scenario;
        if !(1..=MOST_LANES).contains(&config.lanes) || !(0.001..=1000.0).contains(&device) {
            return Err(format!("expected 1 to {MOST_LANES} lanes, and a device of 0.001 to 1000"));
        }
        if !(0.0..=10.0).contains(&config.margin) {
            return Err(format!("expected a margin of 0 to 10, found {}", config.margin));
        }
        let scripted = match policy {
            Scripted::None => FaultMode::Unmoved,
            Scripted::Silent => FaultMode::Silent,
            Scripted::Traps => FaultMode::Traps,
        };
        let modes = if self.modes.is_empty() { vec![(scripted, 1)] } else { self.modes };
        let mut known = events.into_iter().map(|(_, external)| match external {
            External::Submit(job) => ExternalEvent::Submit(job),
            External::Cancel(job) => ExternalEvent::Cancel(job),
            External::Fail(lane) => ExternalEvent::Fail(lane),
        });
        // both are in the order of the text
        let events = self.events.into_iter().filter_map(|(at, own)| Some((at, own.or_else(|| known.next())?)));
        let profile = Profile { id: "case".into(), ..profile };
        Ok(SimCase {
            profile,
            config,
            factor: device,
            spread: self.spread,
            failures: self.failures,
            seed: self.seed,
            modes,
            eager,
            answers: self.answers,
            events: events.collect(),
        })
    }
}

/// What happens from outside, of the kinds that a scenario does not have.
fn read_external(at: Time, words: &[&str]) -> Result<Option<ExternalEvent>, String> {
    Ok(Some(match *words {
        ["slowdown", lane, "until", until, factor] => {
            let (until, factor) = (Time::START + span(until)?, number::<f64>(factor)?);
            if !(factor > 0.0 && (factor <= 1000.0 || factor.is_infinite())) {
                return Err(format!("expected a slowdown above 0, at most 1000, or inf, found {factor}"));
            }
            ExternalEvent::Slowdown(number(lane)?, Slowdown { from: at, until, factor })
        }
        ["lose", lane] => ExternalEvent::Lose(number(lane)?),
        ["restore", lane] => ExternalEvent::Restore(number(lane)?),
        ["jump", by] => ExternalEvent::Jump(span(by)?),
        ["install"] => ExternalEvent::Install,
        _ => return Ok(None),
    }))
}

fn read_modes(words: &[&str]) -> Result<Vec<(FaultMode, u32)>, String> {
    let pair = |pair: &[&str]| match *pair {
        [mode, weight] => Ok((mode.parse()?, number(weight)?)),
        _ => Err("expected modes with their weights, such as sensible 3 lies 1".to_string()),
    };
    words.chunks(2).map(pair).collect()
}

fn within(word: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    let found = number(word)?;
    let what = || format!("expected a number from {} to {}, found {word}", range.start(), range.end());
    if range.contains(&found) { Ok(found) } else { Err(what()) }
}

/// A time, as scenarios have it.
fn time_of(duration: Duration) -> String {
    (Time::START + duration).to_string()
}

#[cfg(test)]
mod tests {
    use mosel_core::{JobId, Proposal};

    use super::*;

    const TOY: &str = "modalities video audio\nmeasure audio 1 4ms 137/200\nmeasure video+audio 1 10ms 157/200\n";

    /// The error of this line, the fourth of a case.
    fn error(line: &str) -> String {
        SimCase::parse(&format!("{TOY}{line}")).expect_err("the line is wrong")
    }

    #[test]
    fn what_a_case_has_beside_a_scenario_is_read() {
        let case = SimCase::parse(&format!(
            "{TOY}spread 0.2\nfailures 0.1\nseed 7\nmind sensible 3 lies 1\n\
             answer 3ms 1@2 7@0 order 7 1 objective 2 bound NaN\nanswer 0ms\nanswer 1ms fails\n\
             at 1ms submit 1\nat 1ms slowdown 1 until 9ms 5\nat 1ms cancel 1\nat 4ms jump 12ms\nat 5ms install\nat 5ms lose 1\nat 6ms restore 1\n"
        ))
        .expect("the case reads");
        assert_eq!((case.spread, case.failures, case.seed), (0.2, 0.1, 7));
        assert_eq!(case.modes, [(FaultMode::Sensible, 3), (FaultMode::Lies, 1)]);
        let [first, second, third] = &case.answers[..] else { panic!("{:?}", case.answers) };
        let proposal = first.answer.as_ref().expect("it does not fail");
        assert_eq!(
            (first.took, &proposal.assignments[..]),
            (Duration::from_millis(3), &[(JobId(1), 2), (JobId(7), 0)][..])
        );
        assert_eq!((&proposal.order[..], proposal.objective), (&[JobId(7), JobId(1)][..], Some(2.0)));
        assert!(proposal.bound.is_some_and(f64::is_nan) && second.answer == Ok(Proposal::default()));
        assert!(third.answer.is_err());
        assert_eq!(SimCase::parse(&case.to_text()).map(|case| case.to_text()), Ok(case.to_text()));
        let slowdown = Slowdown { from: Time::from_millis(1), until: Time::from_millis(9), factor: 5.0 };
        assert!(matches!(case.events[0].1, ExternalEvent::Submit(_)));
        assert_eq!(case.events[1], (Time::from_millis(1), ExternalEvent::Slowdown(1, slowdown)));
        assert!(matches!(case.events[2].1, ExternalEvent::Cancel(_)));
        assert_eq!(case.events[3], (Time::from_millis(4), ExternalEvent::Jump(Duration::from_millis(12))));
        assert_eq!(case.events[4], (Time::from_millis(5), ExternalEvent::Install));
        assert_eq!(case.events[5], (Time::from_millis(5), ExternalEvent::Lose(1)));
        assert_eq!(case.events[6], (Time::from_millis(6), ExternalEvent::Restore(1)));
    }

    #[test]
    fn a_scenario_is_a_case_too() {
        let case =
            SimCase::parse(&format!("{TOY}policy silent\nat 0ms submit 1 deadline 20ms")).expect("the case reads");
        assert_eq!(case.modes, [(FaultMode::Silent, 1)]);
        assert!(case.check_deterministic().is_ok_and(|log| log.text.contains("Served 1")));
    }

    #[test]
    fn an_error_names_the_line_and_what_was_expected() {
        let all_lines = [
            ("failures 2", "expected a number from 0 to 1, found 2"),
            ("mind sensible", "expected modes with their weights, such as sensible 3 lies 1"),
            ("mind merry 1", "expected one of sensible, unmoved, silent, slow, traps, lies, garbage, found \"merry\""),
            (
                "answer 3ms order 1 7@0",
                "7@0: expected fails, or JOB@STRATEGY, order, objective and bound in this order",
            ),
            ("at 0ms slowdown 0 until 9ms -1", "expected a slowdown above 0, at most 1000, or inf, found -1"),
            ("at 0ms jump far", "expected a time such as 12ms or 300us, found \"far\""),
            ("at 0ms dance", "expected submit, cancel or fail"),
        ];
        for (line, expected) in all_lines {
            assert_eq!(error(line), format!("line 4: {line:?}: {expected}"));
        }
        assert!(error("at 2ms install\nat 1ms install").ends_with("expected events in the order of their times"));
        assert!(error("lanes 0").contains("expected 1 to 64 lanes"));
        assert!(error("margin inf").contains("expected a margin of 0 to 10, found inf"));
    }
}
