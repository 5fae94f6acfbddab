//! Figure 2: the worked example. Job 1 runs, job 2 comes with a floor, job 3 with a deadline.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mosel_chart::gantt::{Bar, Deadline, Gantt, Plan, Row};
use mosel_chart::report::{Figure, Section};
use mosel_chart::{Axis, Numbers, Scale};
use mosel_core::{Action, Config, Event, ModelId, Outcome, Scheduler, StrategyMatrix, Time};
use mosel_sim::{Arrival, Observer, SimCase};

use crate::policy_under_test::{PolicyCompiler, PolicyUnderTest};
use crate::sim_setup::SimSetup;

/// The seed leaves the latencies out; these are ours.
const EXAMPLE: &str = "
    modalities video audio
    measure audio 1 4ms 137/200
    measure video+audio 1 10ms 157/200
    at 0ms submit 1 requests 4 deadline 500ms min_accuracy 0.785
    at 10ms submit 2 requests 10 deadline 500ms min_accuracy 0.71
    at 20ms submit 3 requests 4 deadline 150ms min_accuracy 0.785
";

/// When job 3 has to be finished, in milliseconds.
const DEADLINE: f64 = 150.0;

pub(super) fn section(compiler: &PolicyCompiler) -> Result<(String, Section)> {
    let policy = |name: &str, settings: &str| compiler.policy(name, settings, Duration::from_millis(20));
    let baseline = Timeline::run(&policy(super::experiment::BASELINE, "{}")?)?;
    let ours = Timeline::run(&policy(super::experiment::OURS, r#"{"reserve": 0}"#)?)?;
    let plans = vec![
        fastest(),
        baseline.plan("Job 2 on its most accurate strategy (simulated: highest-accuracy)"),
        ours.plan("A mix for job 2 (simulated: exact, without a reserve)"),
    ];
    let svg = Gantt {
        title: "Figure 2".into(),
        description: "Three ways to run three jobs; only the third keeps job 2's floor and job 3's deadline".into(),
        x: Axis { label: "time (ms)".into(), scale: Scale::Linear, numbers: Numbers::Plain, reach: Some((0.0, 190.0)) },
        plans,
    }
    .svg();
    let caption =
        "Figure 2. Job 1 (4 requests) runs; job 2 (10 requests, floor 0.71) comes at 10 ms, job 3 (4 requests, \
                   deadline 150 ms) at 20 ms. A request takes 4 ms on audio (accuracy 0.685) or 10 ms on both (0.785): \
                   latencies are ours, the paper's are not known."
            .into();
    let section = Section {
        heading: "Figure 2: why jobs cannot be judged one by one".into(),
        figures: vec![Figure { svg: svg.clone(), caption }],
        ..Section::default()
    };
    Ok((svg, section))
}

/// What no server of ours does: the floor is checked before a plan is adopted.
fn fastest() -> Plan {
    let bar = |start, end, text: &str, kind: &str| Bar { start, end, text: text.into(), kind: kind.into() };
    let row = |name: &str, bars, deadline, note: &str| Row { name: name.into(), bars, deadline, note: note.into() };
    Plan {
        title: "Job 2 on its fastest strategy (not run: the server refuses such a plan)".into(),
        verdict: "Job 2 would get 0.685, below its floor of 0.71".into(),
        good: Some(false),
        rows: vec![
            row("job 1", vec![bar(0.0, 40.0, "4 requests", BOTH)], None, "0.785"),
            row("job 2", vec![bar(40.0, 80.0, "10 requests", AUDIO)], None, "0.685, floor 0.71"),
            row("job 3", vec![bar(80.0, 120.0, "4 requests", BOTH)], Some(DEADLINE), "0.785, in time"),
        ],
        deadlines: Vec::<Deadline>::new(),
    }
}

const AUDIO: &str = "audio";
const BOTH: &str = "video+audio";

/// The example under one policy.
#[derive(Default)]
struct Timeline {
    /// Job, start, end in milliseconds, selection, requests.
    ran: Vec<(u64, f64, f64, String, u32)>,
    ended: Vec<Outcome>,
    names: Vec<String>,
}

impl Timeline {
    fn run(policy: &PolicyUnderTest) -> Result<Timeline> {
        let case = SimCase::parse(EXAMPLE).map_err(anyhow::Error::msg)?;
        let names = case.profile.modalities.clone();
        let matrix = StrategyMatrix::new(ModelId(0), Arc::new(case.profile.clone()), 10).context("the example")?;
        let config = Config { margin: 0.0, ..case.config.clone() };
        let setup = SimSetup { matrix: matrix.into(), config, factor: 1.0, failures: 0.0, dispatch: Duration::ZERO };
        let arrivals: Vec<Arrival> = case.jobs().map(|(at, job)| Arrival { at, job: *job }).collect();
        let mut timeline = Timeline { names, ..Timeline::default() };
        setup.run(policy, &arrivals, 1, &mut timeline)?;
        Ok(timeline)
    }

    fn plan(&self, title: &str) -> Plan {
        let third = self.ended.iter().find(|outcome| outcome.job.0 == 3);
        let second = self.ended.iter().find(|outcome| outcome.job.0 == 2);
        let good = self.ended.iter().all(Outcome::good);
        let millis = |time: Time| time.micros() as f64 / 1e3;
        let verdict = match (second, third) {
            (Some(second), Some(third)) => format!(
                "Job 2 gets {:.3}; job 3 is done at {:.0} ms, {}",
                second.accuracy.unwrap_or(0.0),
                millis(third.finish),
                if third.finish > third.deadline { "after its deadline" } else { "by its deadline" }
            ),
            _ => "a job was not served".into(),
        };
        let row = |job: u64| {
            let mut bars: Vec<Bar> = Vec::new();
            for (_, start, end, kind, requests) in self.ran.iter().filter(|ran| ran.0 == job) {
                match bars.last_mut().filter(|last| last.kind == *kind && (last.end - start).abs() < 0.01) {
                    Some(last) => last.end = *end,
                    None => bars.push(Bar { start: *start, end: *end, text: String::new(), kind: kind.clone() }),
                }
                let last = bars.last_mut().expect("it was just put there");
                let before: u32 = last.text.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
                last.text = format!("{} requests", before + requests);
            }
            let outcome = self.ended.iter().find(|outcome| outcome.job.0 == job);
            let note =
                outcome.and_then(|outcome| outcome.accuracy).map_or(String::new(), |accuracy| format!("{accuracy:.3}"));
            Row { name: format!("job {job}"), bars, deadline: (job == 3).then_some(DEADLINE), note }
        };
        Plan { title: title.into(), verdict, good: Some(good), rows: [1, 2, 3].map(row).to_vec(), deadlines: vec![] }
    }
}

impl Observer for Timeline {
    fn after(&mut self, _: &Scheduler, now: Time, _: &Event, actions: &[Action]) -> Result<(), String> {
        for action in actions {
            match action {
                Action::Run(batch) => {
                    let start = now.micros() as f64 / 1e3;
                    let end = start + batch.expected.as_secs_f64() * 1e3;
                    self.ran.push((batch.job.0, start, end, batch.mode.label(&self.names), batch.requests));
                }
                Action::Finish(outcome) => self.ended.push(outcome.clone()),
                _ => {}
            }
        }
        Ok(())
    }
}
