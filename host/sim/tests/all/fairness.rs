//! Fairness under overload, in virtual time: how long late jobs wait, and what a tenant gets beside a greedy one. What was
//! measured is printed (`cargo test -p mosel-sim fairness -- --nocapture`).

use std::collections::BTreeMap;
use std::time::Duration;

use mosel_core::{Action, End, Event, Job, JobId, OnLate, Scheduler, Tenant, Time};
use mosel_sim::{ExternalEvent, Observer, SimCase, Unmoved, stream};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// One request takes 20 ms, whatever is chosen.
const MODEL: &str = "
    modalities text
    measure text 1 20ms 9/10
    margin 0.05
    max_jobs 1000
";
const BATCH: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);

/// A stream of jobs of one request, as a Poisson process.
#[derive(Clone, Copy)]
struct Stream {
    tenant: Tenant,
    /// Of one device.
    load: f64,
    deadlines_ms: &'static [u64],
}

/// Jobs of these streams for so long.
fn arrivals(streams: &[Stream], seconds: f64, seed: u64) -> Vec<(Time, ExternalEvent)> {
    let mut random: ChaCha8Rng = stream(seed, "fairness under overload");
    let mut jobs: Vec<(Time, Job)> = Vec::new();
    for stream in streams {
        let mut at = 0.0;
        loop {
            at -= random.random_range(f64::MIN_POSITIVE..1.0_f64).ln() * BATCH.as_secs_f64() / stream.load;
            if at > seconds {
                break;
            }
            let arrival = Time::from_micros((at * 1e6) as u64);
            let deadline = stream.deadlines_ms[random.random_range(0..stream.deadlines_ms.len())];
            let deadline = arrival + Duration::from_millis(deadline);
            jobs.push((arrival, Job { tenant: stream.tenant, deadline, ..mosel_testkit::jobs::job(0) }));
        }
    }
    jobs.sort_by_key(|(at, _)| *at);
    let submit = |(id, (at, job)): (usize, (Time, Job))| {
        (at, ExternalEvent::Submit(Job { id: JobId(id as u64), on_late: OnLate::Run, ..job }))
    };
    jobs.into_iter().enumerate().map(submit).collect()
}

/// What became of jobs.
#[derive(Default)]
struct Watch {
    jobs: BTreeMap<JobId, (Time, Job)>,
    given_up: BTreeMap<JobId, Time>,
    /// How long late jobs waited, from when they were given up to their end.
    late_waits: Vec<Duration>,
    served: BTreeMap<Tenant, u64>,
    offered: BTreeMap<Tenant, u64>,
    /// Jobs that were on time until they were served late.
    late: u64,
    refused: BTreeMap<Tenant, u64>,
    /// From when to when jobs are counted.
    counted: Option<(Time, Time)>,
    busy: Duration,
}

impl Watch {
    fn counts(&self, at: Time) -> bool {
        self.counted.is_none_or(|(from, until)| from <= at && at < until)
    }

    /// The share of a tenant's jobs that were served in time.
    fn share(&self, tenant: Tenant) -> f64 {
        self.served.get(&tenant).copied().unwrap_or(0) as f64 / self.offered[&tenant] as f64
    }
}

impl Observer for Watch {
    fn after(&mut self, _: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        if let Event::Submit(job) = event {
            self.jobs.insert(job.id, (now, *job));
            *self.offered.entry(job.tenant).or_default() += u64::from(self.counts(now));
        }
        if let Event::BatchDone(_, report) = event {
            self.busy += if self.counts(now) { report.compute } else { Duration::ZERO };
        }
        for action in actions {
            match action {
                Action::GiveUp(job) => drop(self.given_up.insert(*job, now)),
                Action::Refuse(job, _) => *self.refused.entry(self.jobs[job].1.tenant).or_default() += 1,
                Action::Finish(outcome) if outcome.end == End::Served => {
                    let (arrival, job) = self.jobs[&outcome.job];
                    if let Some(given_up) = self.given_up.get(&outcome.job) {
                        self.late_waits.push(now.since(*given_up));
                    } else if outcome.finish > outcome.deadline {
                        self.late += 1;
                    } else if self.counts(arrival) {
                        *self.served.entry(job.tenant).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn run(case: &SimCase, mut watch: Watch) -> Watch {
    case.run_with(Unmoved, &mut watch).expect("the case ends");
    watch
}

/// 3 times the load for 120 s; after 10 s the clock stands still for a second, and what was promised is late.
fn overload(late_share: f64, seed: u64) -> Watch {
    let mut case = SimCase::parse(MODEL).expect("the model reads");
    case.config.fairness.late_share = late_share;
    let streams = [Stream { tenant: Tenant(0), load: 3.0, deadlines_ms: &[200, 500, 1500] }];
    case.events = arrivals(&streams, 120.0, seed);
    let pause = Time::from_millis(10_000);
    let at = case.events.partition_point(|(at, _)| *at < pause);
    case.events.insert(at, (pause, ExternalEvent::Jump(SECOND)));
    run(&case, Watch::default())
}

#[test]
fn late_jobs_at_three_times_the_load_wait_no_longer_than_their_bound() {
    for seed in 0..4 {
        let [without, with] = [0.0, 0.05].map(|share| overload(share, seed));
        let jobs = with.late_waits.len() as u32;
        let longest = |watch: &Watch| watch.late_waits.iter().max().copied().unwrap_or_default();
        // what is saved for all late batches, as long again for the last of them to press, and the longest deadline
        let bound = (BATCH * (jobs + 1)).div_f64(0.05) + Duration::from_millis(1500);
        println!(
            "late jobs at 3x load, seed {seed}: {jobs} late, longest wait {:?}, bound {bound:?} (without a share {:?}); \
             of jobs that were on time {} and {} were late, served in time {} and {}",
            longest(&with),
            longest(&without),
            with.late,
            without.late,
            with.served[&Tenant(0)],
            without.served[&Tenant(0)],
        );
        assert!(jobs > 20 && longest(&with) <= bound, "seed {seed}: {:?} > {bound:?}", longest(&with));
        assert!(longest(&without) > Duration::from_secs(100), "without a share they wait until the load ends");
        assert!(with.late <= without.late, "seed {seed}: {} and {} late", with.late, without.late);
    }
}

const MODEST: Tenant = Tenant(1);
const GREEDY: Tenant = Tenant(2);

/// A tenant that needs 0.29 of the devices beside one with ten times its load: what each is served, of what it offers.
fn neighbors(lanes: u32, modest: &'static [u64], greedy: &'static [u64], seed: u64) -> (f64, f64, f64) {
    let mut case = SimCase::parse(MODEL).expect("the model reads");
    case.config.lanes = lanes;
    case.config.fairness = mosel_core::Fairness::default();
    let devices = f64::from(lanes);
    let streams = [
        Stream { tenant: MODEST, load: 0.29 * devices, deadlines_ms: modest },
        Stream { tenant: GREEDY, load: 2.9 * devices, deadlines_ms: greedy },
    ];
    case.events = arrivals(&streams, 70.0, seed);
    let counted = (Time::from_millis(10_000), Time::from_millis(70_000));
    let watch = run(&case, Watch { counted: Some(counted), ..Watch::default() });
    (watch.share(MODEST), watch.share(GREEDY) * 2.9, watch.busy.as_secs_f64() / 60.0 / devices)
}

#[test]
fn a_tenant_beside_one_with_ten_times_its_load_is_served_what_it_needs() {
    let mixes: [(&str, &'static [u64], &'static [u64]); 6] = [
        ("both 200", &[200], &[200]),
        ("both 500", &[500], &[500]),
        ("both 1500", &[1500], &[1500]),
        ("all three", &[200, 500, 1500], &[200, 500, 1500]),
        ("short beside long", &[200], &[1500]),
        ("long beside short", &[1500], &[200]),
    ];
    let mut missed = Vec::new();
    for (name, modest, greedy) in mixes {
        for lanes in [1, 2] {
            for seed in 0..2 {
                let (served, rest, busy) = neighbors(lanes, modest, greedy, seed);
                println!(
                    "{name} ms, {lanes} lanes: {:.1} % served, the greedy one gets {rest:.2} of the device, which is busy {:.1} %",
                    served * 100.0,
                    busy * 100.0
                );
                if served < 0.95 || busy < 0.97 {
                    missed.push((name, lanes, seed, served, busy));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn a_device_is_busy_though_many_tenants_ask_for_little() {
    let mut case = SimCase::parse(MODEL).expect("the model reads");
    case.config.fairness = mosel_core::Fairness::default();
    let mut streams = vec![Stream { tenant: GREEDY, load: 3.0, deadlines_ms: &[500] }];
    streams.extend((10..29).map(|id| Stream { tenant: Tenant(id), load: 0.005, deadlines_ms: &[500] }));
    case.events = arrivals(&streams, 70.0, 1);
    let counted = (Time::from_millis(10_000), Time::from_millis(70_000));
    let watch = run(&case, Watch { counted: Some(counted), ..Watch::default() });
    let (busy, rest) = (watch.busy.as_secs_f64() / 60.0, watch.share(GREEDY) * 3.0);
    let others: u64 = (10..29).map(|id| watch.served.get(&Tenant(id)).copied().unwrap_or(0)).sum();
    let offered: u64 = (10..29).map(|id| watch.offered.get(&Tenant(id)).copied().unwrap_or(0)).sum();
    println!("19 tenants of 0.5 % each: {others} of {offered} served, the greedy one gets {rest:.2}, busy {busy:.3}");
    assert!(busy > 0.97 && rest > 0.8 && others as f64 >= 0.95 * offered as f64);
}
