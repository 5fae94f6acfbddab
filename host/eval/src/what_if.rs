//! What a journal tells of a run that was recorded, to be run once more under other conditions.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mosel_core::{Action, Batch, BatchId, Event, Job, Measurement, OnLate, Scheduler, StrategyMatrix, Time, scale};
use mosel_journal::{Header, Reader, ReplayEvent, replay};
use mosel_sim::{Devices, ExternalEvent, Recorded, Simulation, Tally};

use crate::policy_under_test::{PolicyCompiler, PolicyUnderTest};

/// A journal, read and replayed.
pub(crate) struct RecordedRun {
    /// What it depends on.
    pub(crate) header: Header,
    /// What became of the jobs that came while it was written.
    pub(crate) happened: Tally,
    /// When the first of them came.
    pub(crate) first: Time,
    /// From the first of them to the last.
    pub(crate) window: Duration,
    external: Vec<(Time, ExternalEvent)>,
    measured: Vec<(Batch, Recorded)>,
    failed: usize,
    lost: usize,
    changes: usize,
}

/// What should have been otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WhatIf {
    /// Every job is given so many times as long.
    pub(crate) deadline_scale: f64,
    /// Devices are so many times as fast.
    pub(crate) device_speed: f64,
    /// There are so many lanes.
    pub(crate) lanes: Option<u32>,
    /// What late jobs wish.
    pub(crate) on_late: Option<OnLate>,
}

impl Default for WhatIf {
    fn default() -> WhatIf {
        WhatIf { deadline_scale: 1.0, device_speed: 1.0, lanes: None, on_late: None }
    }
}

impl WhatIf {
    /// What is otherwise, in a few words.
    pub(crate) fn describe(&self, policy: &str) -> String {
        let mut words = vec![format!("what if: {policy}")];
        words.extend((self.deadline_scale != 1.0).then(|| format!("deadlines x{}", self.deadline_scale)));
        words.extend((self.device_speed != 1.0).then(|| format!("devices x{}", self.device_speed)));
        words.extend(self.lanes.map(|lanes| format!("{lanes} lanes")));
        words
            .extend(self.on_late.map(|wish| format!("late jobs {}", if wish == OnLate::Run { "run" } else { "drop" })));
        words.join(", ")
    }

    fn job(&self, at: Time, job: Job) -> Job {
        let given = scale(job.deadline.since(at), self.deadline_scale);
        Job { deadline: at + given, on_late: self.on_late.unwrap_or(job.on_late), ..job }
    }
}

impl RecordedRun {
    /// Reads and replays a journal; one that does not replay is refused.
    pub(crate) fn read<R: BufRead>(header: Header, reader: &mut Reader<R>) -> Result<RecordedRun> {
        let mut record = Record::default();
        let replayed = replay(&header, reader, |seen| record.take(seen))?;
        if let Some(difference) = replayed.difference {
            anyhow::bail!("expected a journal of this version's scheduler, it differs:\n{difference}");
        }
        let Record { happened, external, measured, failed, lost, changes, loaded, .. } = record;
        // models that came later are there from the start: their ids follow
        let mut header = header;
        header.models.extend(loaded);
        // nor are devices without a model: nothing would tell them that they have it again
        if let Some(checkpoint) = &mut header.checkpoint {
            checkpoint.lost.clear();
        }
        let (first, last) = happened.arrivals.unwrap_or_default();
        ensure!(!header.models.is_empty(), "expected a journal of at least one model");
        let window = last.since(first).max(Duration::from_micros(1));
        Ok(RecordedRun { header, happened, first, window, external, measured, failed, lost, changes })
    }

    /// The policy that was in place at the start, if it is one that this program has.
    pub(crate) fn policy(&self, compiler: &PolicyCompiler) -> Result<PolicyUnderTest> {
        let written = &self.header.policy;
        let settings = if written.settings.is_empty() { "{}" } else { &written.settings };
        let policy = compiler.policy(&written.name, settings, self.header.config.policy_budget);
        let policy = policy.with_context(|| format!("the journal's policy {} is not at hand", written.name))?;
        let hash = policy.in_place().hash;
        ensure!(
            written.hash.is_empty() || written.hash == hash,
            "the journal's policy {} is another build ({:.12}) than the one at hand ({hash:.12}): name one with --policy",
            written.name,
            written.hash
        );
        Ok(policy)
    }

    /// Runs the same traffic under this policy.
    pub(crate) fn run(&self, policy: &PolicyUnderTest, what_if: &WhatIf) -> Result<Tally> {
        let mut tally = Tally::default();
        let external = self.external.iter().cloned().map(|(at, external)| match external {
            ExternalEvent::Submit(job) => (at, ExternalEvent::Submit(what_if.job(at, job))),
            other => (at, other),
        });
        let scheduler = self.scheduler(what_if)?;
        let driver = policy.start(scheduler.catalog(), SEED)?;
        let mut simulation = Simulation::new(scheduler, self.devices(what_if), driver, external);
        simulation.run(&mut tally).with_context(|| format!("simulating {}", policy.label))?;
        Ok(tally)
    }

    /// One paragraph on what the journal is of, and what is not as it was.
    pub(crate) fn describe(&self, what_if: &WhatIf) -> String {
        let Header { config, models, policy, .. } = &self.header;
        let names: Vec<&str> = models.iter().map(|matrix| matrix.profile().model.as_str()).collect();
        let mut words = format!(
            "{} jobs for {} over {:.1} s on {} lane{}, policy {} at the start.",
            self.happened.arrived,
            names.join(", "),
            self.window.as_secs_f64(),
            config.lanes,
            if config.lanes == 1 { "" } else { "s" },
            policy.name
        );
        let other_lanes = what_if.lanes.is_some_and(|lanes| lanes != config.lanes);
        match self.header.checkpoint {
            Some(_) if other_lanes => words += " Jobs that waited when the journal begins are not in the what-if.",
            Some(_) => words += " Jobs that waited when the journal begins are there too, and are not counted.",
            None => {}
        }
        if self.changes > 0 {
            words +=
                &format!(" The policy was changed {} times; simulations keep the one they begin with.", self.changes);
        }
        if self.failed > 0 {
            words += &format!(" {} batches failed; in simulations they do not.", self.failed);
        }
        if self.lost > 0 {
            words += &format!(" Devices lost a model {} times; in simulations they do not.", self.lost);
        }
        words
    }

    /// The queues are taken over as they were, where there are as many.
    fn scheduler(&self, what_if: &WhatIf) -> Result<Scheduler> {
        let Header { config, models, .. } = &self.header;
        match what_if.lanes.filter(|&lanes| lanes != config.lanes) {
            None => self.header.scheduler().map_err(anyhow::Error::msg),
            Some(lanes) => Ok(Scheduler::new(mosel_core::Config { lanes, ..config.clone() }, models.clone())),
        }
    }

    fn devices(&self, what_if: &WhatIf) -> Devices {
        let profiles = self.header.models.iter().map(|matrix| matrix.profile().as_ref());
        let mut devices = Devices::new(profiles, SEED);
        devices.factor = 1.0 / what_if.device_speed;
        devices.spread = false;
        for (batch, recorded) in &self.measured {
            devices.repeat(batch.model, batch.mode, *recorded);
        }
        devices
    }
}

/// Nothing is drawn on devices; policies draw with it.
const SEED: u64 = 7;

/// What a replay shows.
#[derive(Default)]
struct Record {
    happened: Tally,
    external: Vec<(Time, ExternalEvent)>,
    running: BTreeMap<BatchId, (Time, Batch)>,
    measured: Vec<(Batch, Recorded)>,
    failed: usize,
    lost: usize,
    changes: usize,
    /// Models that were loaded meanwhile.
    loaded: Vec<Arc<StrategyMatrix>>,
}

impl Record {
    fn take(&mut self, seen: ReplayEvent<'_>) {
        let ReplayEvent::Step { scheduler, at, event, actions } = seen else { return };
        self.happened.count(at, event, actions);
        match event {
            Event::Submit(job) => self.external.push((at, ExternalEvent::Submit(*job))),
            Event::Cancel(job) => self.external.push((at, ExternalEvent::Cancel(*job))),
            Event::BatchDone(batch, report) => self.measure(scheduler, *batch, report.compute),
            Event::BatchFailed(batch) => {
                self.running.remove(batch);
                self.failed += 1;
            }
            Event::ModelsLoaded(models) => self.loaded.extend(models.iter().cloned()),
            Event::PolicyChanged { .. } if self.happened.arrived > 0 => self.changes += 1,
            Event::ModelLost(..) => self.lost += 1,
            Event::PolicyChanged { .. }
            | Event::Decided(..)
            | Event::ModelRetired(_)
            | Event::ModelRestored(..)
            | Event::Paused(_)
            | Event::LaneRestored(_)
            | Event::SharesChanged(_)
            | Event::WakeUp => {}
        }
        for action in actions {
            if let Action::Run(batch) = action {
                self.running.insert(batch.id, (at, *batch));
            }
        }
    }

    fn measure(&mut self, scheduler: &Scheduler, id: BatchId, took: Duration) {
        let Some((at, batch)) = self.running.remove(&id) else { return };
        let Some(matrix) = scheduler.models().get(batch.model.0 as usize) else { return };
        let same = |m: &&Measurement| m.mode == batch.mode && m.batch_size >= batch.requests;
        let profiled = matrix.profile().measurements.iter().filter(same).min_by_key(|m| m.batch_size);
        let ratio = profiled.map(|m| took.as_secs_f64() / m.latency.mean.as_secs_f64());
        let ratio = ratio.filter(|ratio| ratio.is_finite() && *ratio > 0.0);
        self.measured.extend(ratio.map(|ratio| (batch, Recorded { at, ratio })));
    }
}

#[cfg(test)]
mod tests {
    use mosel_core::{Config, ModelId};
    use mosel_journal::{PolicyRecord, Recorder};
    use mosel_sim::SimCase;

    use super::*;

    #[test]
    fn what_was_lost_when_a_journal_begins_is_there_in_a_what_if() {
        let profile = SimCase::parse("modalities a\nmeasure a 1 4ms 9/10").expect("it reads").profile;
        let matrix = StrategyMatrix::new(ModelId(0), Arc::new(profile), 8).expect("it is sound");
        let mut scheduler = Scheduler::new(Config::default(), vec![Arc::new(matrix)]);
        let lost = Event::ModelLost(mosel_core::LaneId(0), ModelId(0));
        scheduler.step(Time::START, lost.clone());
        let job = Job { deadline: Time::from_millis(100), min_accuracy: 0.5, ..mosel_testkit::jobs::job(1) };
        let mut journal =
            Recorder::begin(Vec::new(), &scheduler, PolicyRecord::default(), "0.1.0").expect("it is begun");
        for event in [Event::Submit(job), Event::ModelRestored(mosel_core::LaneId(0), ModelId(0)), lost] {
            let actions = scheduler.step(Time::START, event.clone());
            journal.record(Time::START, &event, &actions).expect("a vector takes everything");
        }
        let text = journal.finish().expect("a vector takes everything");
        let (header, mut reader) = Reader::new(&text[..]).expect("it reads");
        let recorded_run = RecordedRun::read(header, &mut reader).expect("it replays");
        assert_eq!(recorded_run.happened.arrived, 1);
        let what_if = WhatIf::default();
        assert!(recorded_run.scheduler(&what_if).expect("it resumes").lost().is_empty());
        assert!(
            recorded_run.describe(&what_if).contains("Devices lost a model 1 times"),
            "{}",
            recorded_run.describe(&what_if)
        );
    }
}
