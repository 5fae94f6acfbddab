//! The case language: one noun a line, `#` starts a comment, indentation means nothing.
//!
//! ```text
//! modalities video audio             the kinds of input of the one model there is, 0
//! measure audio 1 4ms 137/200        selection, batch size, time of a batch, right answers of samples
//! measure video+audio 1 10ms 157/200
//! lanes 2                    devices, each with a queue; default 1
//! max_jobs 10                the most jobs a lane holds
//! late_share 0.05            late jobs' share of a busy device; default 0: they run when nobody else waits
//! tenant_shares              tenants have shares of places and device time; default: they have not
//! place_factor 9             a tenant holds so many times as many places as are free; with tenant_shares
//! tenant_weight acme 2       what a tenant counts; default 1
//! max_requests 16            the most requests a job may have; default 64
//! margin 0.05                what the server promises with 5 % to spare; default 0
//! budget 5ms                 how long a policy may think
//! device 1.5                 true time of a batch over its profiled time; default 1
//! spread 0.2                 p95 and p99 of a batch's time are so much and twice so much above its mean; default 0
//! failures 0.1               the share of batches that fail; default 0
//! unanswered 0.1             the share of requests that have no answer though they ran; default 0
//! seed 7                     what times, failures and modes are drawn with; default 0
//! policy sensible 3 lies 1   modes of the policy, with weights; default unmoved
//! eager                      the policy is asked after every change, not only about violators
//! answer 3ms 1@2 order 7 1   what it answers to the first questions, an answer a line, before it has modes
//! always 0ms fails           what it answers to all others, in place of modes
//! at 0ms submit 1 requests 4 deadline 100ms min_accuracy 0.7 priority 2 tenant acme drop
//! at 5ms cancel 1
//! at 7ms fail 1              the batch on lane 1 fails; without a number that on lane 0
//! at 3ms slowdown 1 until 9ms 5  lane 1 takes five times as long until then; inf: every batch fails
//! at 4ms lose 1              the device of lane 1 cannot run the model
//! at 4ms restore 1           it can again
//! at 4ms jump 12ms           the whole process stands still for so long
//! at 4ms hang 1              the batch on lane 1 never ends; once the lane is lost its device is made anew
//! at 5ms install             the policy is put in place once more
//! ---                        what follows is not part of the case: in a file of cases, the log that is expected
//! ```
//!
//! Deadlines are points in time, not spans. All from `requests` on may be left out; a job may name another model
//! (`model 1`), and is refused. Answers are explained in `answers.rs`. A tenant is written as `@` and its number,
//! as nobody knows its name. The words of before are read too: `mind` for `policy`, `policy none` for `policy unmoved`, `pace` for
//! `slowdown`, `floor` for `min_accuracy` and `weight` for `priority`.

use std::fmt::Write as _;

use mosel_core::{Fairness, Job, ModelId, OnLate, Tenant, Time};

use super::SimCase;
use super::answers::Answer;
use super::words::time_of;
use crate::ExternalEvent;

impl SimCase {
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
        writeln!(text, "lanes {}\nmax_jobs {}\nmax_requests {}", config.lanes, config.max_jobs, self.max_requests)?;
        writeln!(text, "margin {}", config.margin)?;
        write_fairness(text, &config.fairness)?;
        writeln!(text, "budget {}\ndevice {}", time_of(config.policy_budget), self.factor)?;
        writeln!(text, "spread {}\nfailures {}\nseed {}", self.spread, self.failures, self.seed)?;
        if self.unanswered != 0.0 {
            writeln!(text, "unanswered {}", self.unanswered)?;
        }
        let modes: Vec<String> = self.modes.iter().map(|(mode, weight)| format!(" {mode} {weight}")).collect();
        writeln!(text, "policy{}", modes.concat())?;
        if self.eager {
            writeln!(text, "eager")?;
        }
        for reply in &self.answers {
            writeln!(text, "answer {}", Answer(reply))?;
        }
        if let Some(reply) = &self.always {
            writeln!(text, "always {}", Answer(reply))?;
        }
        self.events.iter().try_for_each(|(at, external)| {
            write!(text, "at {at} ")?;
            write_external(text, external)?;
            writeln!(text)
        })
    }
}

fn write_fairness(text: &mut String, fairness: &Fairness) -> std::fmt::Result {
    if fairness.late_share > 0.0 {
        writeln!(text, "late_share {}", fairness.late_share)?;
    }
    if fairness.tenant_shares {
        writeln!(text, "tenant_shares\nplace_factor {}", fairness.place_factor)?;
    }
    fairness.weights.iter().try_for_each(|(tenant, weight)| writeln!(text, "tenant_weight @{} {weight}", tenant.0))
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
        ExternalEvent::Hang(lane) => write!(text, "hang {lane}"),
        ExternalEvent::Install => write!(text, "install"),
    }
}

fn write_job(text: &mut String, job: &Job) -> std::fmt::Result {
    write!(text, "submit {} requests {}", job.id, job.requests)?;
    if job.deadline != Time::NEVER {
        write!(text, " deadline {}", job.deadline)?;
    }
    if job.min_accuracy != 0.0 {
        write!(text, " min_accuracy {}", job.min_accuracy)?;
    }
    if job.model != ModelId(0) {
        write!(text, " model {}", job.model.0)?;
    }
    if job.weight != 1.0 {
        write!(text, " priority {}", job.weight)?;
    }
    if job.tenant != Tenant::default() {
        write!(text, " tenant @{}", job.tenant.0)?;
    }
    match job.on_late {
        OnLate::Drop => write!(text, " drop"),
        OnLate::Run => Ok(()),
    }
}
