//! What simulations write replays without a difference, from any point on; what was changed is found.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Action, Config, Decision, DeviceKind, Event, Job, JobId, LaneId, Latency, Measurement, Mode, ModelId, OnLate,
    PolicyError, Precision, Profile, Scheduler, Snapshot, StrategyMatrix, Tenant, Time,
};
use mosel_journal::{Header, JournalError, PolicyRecord, Reader, Recorder, ReplayResult, replay, step_line};
use mosel_sim::{Devices, ExternalEvent, Observer, PolicyDriver, PolicyReply, SimCase, Simulation};
use proptest::prelude::*;

const MODEL: &str = "
    modalities video audio
    measure audio 1 4ms 137/200
    measure audio 4 9ms 137/200
    measure video+audio 1 10ms 157/200
    measure video+audio 4 32ms 157/200
";

/// Wrong in many ways, by a stream of bytes.
struct WhimsicalPolicy(Vec<u8>, usize);

impl PolicyDriver for WhimsicalPolicy {
    fn decide(&mut self, snapshot: &Snapshot) -> PolicyReply {
        let mut next = || {
            self.1 += 1;
            self.0[self.1 % self.0.len()]
        };
        let took = Duration::from_micros(u64::from(next()) * 40);
        let mut decision = Decision::default();
        match next() % 8 {
            0 => return PolicyReply { answer: Err(PolicyError::Trapped("whim \"quoted\"".into())), took },
            1 => return PolicyReply { answer: Err(PolicyError::OutOfFuel(7)), took },
            2 => decision.order = snapshot.jobs.iter().rev().map(|row| row.id).collect(),
            3 => (decision.objective, decision.bound) = (Some(f64::NAN), Some(f64::NEG_INFINITY)),
            _ => {}
        }
        let moved = |row: &mosel_core::JobRow| (row.id, row.current.saturating_sub(u32::from(next() % 3)));
        decision.assignments = snapshot.jobs.iter().map(moved).collect();
        PolicyReply { answer: Ok(decision), took }
    }

    fn eager(&self) -> bool {
        self.0[0].is_multiple_of(2)
    }
}

/// Writes a journal, and from every `each`-th step on another one.
struct Writer {
    each: usize,
    steps: usize,
    journals: Vec<Recorder<Vec<u8>>>,
}

impl Observer for Writer {
    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        for journal in &mut self.journals {
            journal.record(now, event, actions).map_err(|error| error.to_string())?;
        }
        self.steps += 1;
        if self.steps.is_multiple_of(self.each) {
            self.journals.push(begin(scheduler));
        }
        Ok(())
    }
}

fn begin(scheduler: &Scheduler) -> Recorder<Vec<u8>> {
    let policy = PolicyRecord { name: "whim".into(), hash: "00ff".into(), settings: "{\"a\": 1}".into() };
    Recorder::begin(Vec::new(), scheduler, policy, "0.1.0").expect("a vector takes everything")
}

#[derive(Clone, Debug)]
struct SimRun {
    jobs: Vec<(u64, Job)>,
    cancels: Vec<(u64, u64)>,
    whims: Vec<u8>,
    lanes: u32,
    each: usize,
}

fn day() -> impl Strategy<Value = SimRun> {
    let job = (0u64..200, 1u32..12, 1u64..200, 0.0..0.8f64, 1u32..4, any::<bool>());
    let job = job.prop_map(|(arrival, requests, slack, floor, weight, drops)| {
        let job = Job {
            requests,
            deadline: Time::from_millis(arrival + slack),
            min_accuracy: floor,
            weight: f64::from(weight) / 3.0,
            tenant: Tenant::named(if drops { "alice" } else { "" }),
            on_late: if drops { OnLate::Drop } else { OnLate::Run },
            ..mosel_testkit::jobs::job(0)
        };
        (arrival, job)
    });
    let jobs = prop::collection::vec(job, 1..25);
    let cancels = prop::collection::vec((0u64..250, 0u64..25), 0..4);
    let whims = prop::collection::vec(any::<u8>(), 2..60);
    (jobs, cancels, whims, 1u32..3, 1usize..40).prop_map(|(jobs, cancels, whims, lanes, each)| SimRun {
        jobs,
        cancels,
        whims,
        lanes,
        each,
    })
}

/// The journals of a day: the first from its beginning.
fn journals(day: &SimRun) -> Vec<Vec<u8>> {
    let profile = Arc::new(SimCase::parse(MODEL).expect("it reads").profile);
    let matrix = Arc::new(StrategyMatrix::new(ModelId(0), profile.clone(), 16).expect("it is sound"));
    let config = Config { lanes: day.lanes, max_jobs: 9, ..Config::default() };
    let scheduler = Scheduler::new(config, vec![matrix]);
    let mut devices = Devices::new([profile.as_ref()], 3);
    devices.failures = 0.05;
    let mut external: Vec<(Time, ExternalEvent)> = Vec::new();
    for (id, &(at, job)) in day.jobs.iter().enumerate() {
        external.push((Time::from_millis(at), ExternalEvent::Submit(Job { id: JobId(id as u64), ..job })));
    }
    external.extend(day.cancels.iter().map(|&(at, id)| (Time::from_millis(at), ExternalEvent::Cancel(JobId(id)))));
    external.sort_by_key(|(at, _)| *at);
    let mut writer = Writer { each: day.each, steps: 0, journals: vec![begin(&scheduler)] };
    let mut simulation = Simulation::new(scheduler, devices, WhimsicalPolicy(day.whims.clone(), 0), external);
    simulation.run(&mut writer).expect("the day ends");
    writer.journals.into_iter().map(|journal| journal.finish().expect("a vector takes everything")).collect()
}

fn replayed(journal: &[u8]) -> Result<ReplayResult, JournalError> {
    let (header, mut reader) = Reader::new(journal)?;
    replay(&header, &mut reader, |_| {})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_journal_replays_from_its_beginning_and_from_every_checkpoint(day in day()) {
        let journals = journals(&day);
        for journal in &journals {
            let replayed = replayed(journal).expect("it reads");
            prop_assert_eq!(replayed.difference, None);
            prop_assert_eq!(replayed.steps, journal.iter().filter(|byte| **byte == b'\n').count() - 1);
        }
        prop_assert_eq!(journals, self::journals(&day));
    }
}

/// A busy day, the same every time.
fn busy() -> SimRun {
    let job = |at: u64| Job {
        requests: 8,
        deadline: Time::from_millis(at * 10 + 150),
        min_accuracy: 0.69,
        ..mosel_testkit::jobs::job(0)
    };
    let jobs = (0..20).map(|at| (at * 10, job(at))).collect();
    SimRun { jobs, cancels: vec![(55, 3)], whims: (1..40).collect(), lanes: 1, each: 1000 }
}

fn text(journal: &[u8]) -> String {
    String::from_utf8(journal.to_vec()).expect("a journal is text")
}

#[test]
fn a_changed_action_is_found_with_its_line_and_words() {
    let journal = text(&journals(&busy())[0]);
    let place = journal.find("\"predicted_finish_us\":").expect("jobs are accepted") + 22;
    let line = journal[..place].matches('\n').count() + 1;
    let mut changed = journal.clone();
    changed.insert(place, '9');
    let difference = replayed(changed.as_bytes()).expect("it reads").difference.expect("it was changed");
    assert_eq!((difference.line, difference.action), (line, 1));
    let words = difference.to_string();
    assert!(words.contains("written: {\"accept\"") && words.contains("got:     {\"accept\""), "{words}");
}

#[test]
fn a_line_that_is_missing_is_found() {
    let journal = text(&journals(&busy())[0]);
    let place = journal.find("{\"t\":0,\"event\":{\"submit\"").expect("a job comes at once");
    let end = place + journal[place..].find('\n').expect("lines end") + 1;
    let without = format!("{}{}", &journal[..place], &journal[end..]);
    assert!(replayed(without.as_bytes()).expect("it reads").difference.is_some());
}

#[test]
fn a_torn_last_line_is_left_out() {
    let journal = journals(&busy()).remove(0);
    let whole = replayed(&journal).expect("it reads");
    let torn = replayed(&journal[..journal.len() - 5]).expect("it reads");
    assert!(!whole.torn && torn.torn && torn.difference.is_none());
    assert_eq!(torn.steps, whole.steps - 1);
}

#[test]
fn spaces_are_no_difference() {
    let journal = text(&journals(&busy())[0]).replace("\"accept\":{", "\"accept\": { ");
    assert_eq!(replayed(journal.as_bytes()).expect("it reads").difference, None);
}

#[test]
fn nonsense_is_refused_with_its_line() {
    let journal = text(&journals(&busy())[0]);
    let refusal = |text: &str| replayed(text.as_bytes()).expect_err("it is nonsense").to_string();
    assert_eq!(refusal(""), "line 1: expected a journal, the file is empty");
    assert!(refusal("{}\n").starts_with("line 1: expected a journal's header: "), "{}", refusal("{}\n"));
    let other = journal.replacen("\"version\":2", "\"version\":9", 1);
    assert_eq!(refusal(&other), "line 1: the journal is of version 9, this program reads 1 to 2");
    let header = journal.lines().next().expect("there is a header");
    assert!(refusal(&format!("{header}\nnonsense\n")).starts_with("line 2: expected"));
    assert_eq!(
        refusal(&format!("{header}\n{{\"t\":3}}\n")),
        "line 2: expected an event with its actions, a policy, or the name of a job"
    );
    let back = format!("{header}\n{}{}", step(5), step(4));
    assert_eq!(refusal(&back), "line 3: expected a time from 0.005ms on, got 0.004ms");
    let lanes = header.replacen("\"lanes\":1,", "\"lanes\":0,", 1);
    assert!(refusal(&format!("{lanes}\n")).contains("expected 1 to 1024 lanes"));
}

fn step(at: u64) -> String {
    step_line(Time::from_micros(at), &Event::WakeUp, &[])
}

/// Every number of a checkpoint, spoilt: read, refused or replayed, but never a panic.
#[test]
fn a_spoilt_checkpoint_is_refused_in_words() {
    let journals = journals(&SimRun { each: 30, ..busy() });
    let header = text(&journals[1]);
    let header = header.lines().next().expect("there is a header");
    let (head, checkpoint) = header.split_once("\"checkpoint\":").expect("it begins in the middle");
    let mut refused = 0;
    let places: Vec<usize> = checkpoint.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at).collect();
    for place in places {
        for digit in ["0", "77", "4000000000"] {
            let spoilt = format!("{head}\"checkpoint\":{}{digit}{}", &checkpoint[..place], &checkpoint[place + 1..]);
            let spoilt = format!("{spoilt}\n{}", &text(&journals[1])[header.len() + 1..]);
            refused += usize::from(replayed(spoilt.as_bytes()).is_err());
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_header_has_no_checkpoint_of_an_empty_server() {
    let (header, _) = Reader::new(&journals(&busy())[0][..]).expect("it reads");
    assert_eq!(header.checkpoint, None);
    assert_eq!(header.policy.name, "whim");
    assert_eq!(Header::parse(&header.to_line()).expect("it reads back").to_line(), header.to_line());
}

/// Two kinds of devices, a model with a reduced precision that comes later, one that goes.
#[test]
fn models_that_come_and_go_and_devices_of_two_kinds_replay() {
    let profile = SimCase::parse(MODEL).expect("it reads").profile;
    let mut reduced = profile.clone();
    let faster: Vec<Measurement> = profile.measurements.iter().map(faster).collect();
    reduced.measurements.extend(faster);
    let matrix = |id: u32, profile: &Profile, kind: DeviceKind| {
        let matrix = StrategyMatrix::new(ModelId(id), Arc::new(profile.clone()), 16).expect("it is sound");
        Arc::new(matrix.on(ModelId(id - kind.0), kind))
    };
    let config = Config { lanes: 2, kinds: vec![DeviceKind(0), DeviceKind(1)], ..Config::default() };
    let mut scheduler =
        Scheduler::new(config, vec![matrix(0, &profile, DeviceKind(0)), matrix(1, &reduced, DeviceKind(1))]);
    let mut journals = vec![begin(&scheduler)];
    let job = |id, model| Job { id: JobId(id), model: ModelId(model), ..busy().jobs[0].1 };
    let events = [
        Event::Submit(job(1, 0)),
        Event::Submit(job(2, 0)),
        Event::Submit(job(3, 2)),
        Event::ModelsLoaded(vec![matrix(2, &reduced, DeviceKind(0)), matrix(3, &profile, DeviceKind(1))]),
        Event::Submit(job(4, 2)),
        Event::Submit(job(5, 2)),
        Event::ModelRetired(ModelId(0)),
        Event::Submit(job(6, 0)),
        Event::ModelLost(LaneId(1), ModelId(3)),
        Event::Submit(job(7, 2)),
        Event::ModelLost(LaneId(0), ModelId(2)),
        Event::Submit(job(8, 2)),
        Event::ModelRestored(LaneId(1), ModelId(3)),
        Event::Submit(job(9, 2)),
        Event::WakeUp,
    ];
    for (step, event) in events.into_iter().enumerate() {
        let now = Time::from_millis(step as u64);
        let actions = scheduler.step(now, event.clone());
        for journal in &mut journals {
            journal.record(now, &event, &actions).expect("a vector takes everything");
        }
        journals.push(begin(&scheduler));
    }
    for journal in journals {
        let text = journal.finish().expect("a vector takes everything");
        let replayed = replayed(&text).expect("it reads");
        assert_eq!((replayed.difference, replayed.end), (None, scheduler.checkpoint()));
    }
    assert_eq!(scheduler.models().len(), 4);
    assert!(scheduler.retired().contains(&ModelId(0)));
}

fn faster(measurement: &Measurement) -> Measurement {
    let Latency { mean, .. } = measurement.latency;
    let mode = Mode { precision: Precision::Bf16, ..measurement.mode };
    Measurement { mode, latency: Latency::exactly(mean / 2), ..measurement.clone() }
}

#[test]
fn models_out_of_order_are_an_error_and_no_panic() {
    let journal = journals(&busy()).swap_remove(0);
    let text = String::from_utf8(journal).expect("it is text");
    let header = text.lines().next().expect("a header");
    let line = r#"{"t":1,"event":{"models":{"first":9,"models":[]}},"actions":[]}"#;
    // none to load is as good as none
    assert_eq!(replayed(format!("{header}\n{line}\n").as_bytes()).expect("it reads").difference, None);
    let model: serde_json::Value = serde_json::from_str(header).expect("JSON");
    let line = serde_json::json!({ "t": 1, "event": { "models": { "first": 9, "models": [model["models"][0]] } }, "actions": [] });
    let refusal = replayed(format!("{header}\n{line}\n").as_bytes()).expect_err("refused").to_string();
    assert!(refusal.contains("expected models from number 1 on"), "{refusal}");
}
