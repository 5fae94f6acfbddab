//! How cases are drawn: models, machines, policies, applications and faults, mixed so that what is rare meets.

use std::time::Duration;

use mosel_core::{Config, Fairness, Job, JobId, LaneId, ModelId, OnLate, Profile, Tenant, Time, scale};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::{FaultMode, SimCase};
use crate::{ExternalEvent, Slowdown, stream};

/// The most requests of a drawn job that is not refused.
const MOST_REQUESTS: u32 = 16;

/// Models with two and three modalities; the times of the last two are so short that rounding matters.
const MODELS: [&str; 5] = [
    "modalities video audio
     measure audio 1 4ms 137/200
     measure video+audio 1 10ms 157/200",
    "modalities video audio
     measure audio 1 4ms 137/200
     measure audio 4 9ms 137/200
     measure video 1 7ms 120/200
     measure video+audio 1 10ms 157/200
     measure video+audio 4 32ms 157/200",
    "modalities image text sound
     measure image 1 3ms 55/100
     measure image 8 11ms 55/100
     measure text 1 2ms 61/100
     measure sound 2 5ms 58/100
     measure image+text 1 5ms 74/100
     measure image+text 8 21ms 74/100
     measure text+sound 1 6ms 70/100
     measure image+text+sound 1 9ms 82/100
     measure image+text+sound 4 30ms 82/100",
    "modalities a b
     measure a 1 3us 1/2
     measure a+b 1 7us 9/10",
    "modalities a b c
     measure a 1 1us 3/10
     measure b 2 3us 5/10
     measure a+b 1 4us 7/10
     measure a+b+c 1 5us 8/10
     measure a+b+c 3 11us 8/10",
];

impl SimCase {
    /// The case of this seed: the same on every machine.
    pub fn draw(seed: u64) -> SimCase {
        // the purpose is part of what a seed means, whatever a case is called today
        let mut random = stream(seed, "day");
        let profile = SimCase::parse(MODELS[random.random_range(0..MODELS.len())]).expect("the model reads").profile;
        let mut generator = Generator { unit: unit(&profile), random, lanes: 1 };
        let mut case = generator.machine(profile, seed);
        generator.lanes = case.config.lanes;
        case.events = generator.events(&case);
        case.share(stream(seed, "fairness"));
        // what came later is drawn apart: cases of before stay what they were
        if !case.nobody_may_be_late() {
            generator.random = stream(seed, "hangs and answers");
            generator.later_faults(&mut case);
        }
        case
    }
}

impl SimCase {
    /// On most cases late jobs have a share, on most tenants have, and jobs are of several tenants; drawn apart, so that all
    /// else about a seed stays what it was.
    fn share(&mut self, mut random: ChaCha8Rng) {
        let fairness = &mut self.config.fairness;
        if random.random_bool(0.7) {
            fairness.late_share = f64::from(random.random_range(1..=50)) / 100.0;
        }
        fairness.tenant_shares = random.random_bool(0.6);
        if fairness.tenant_shares && random.random_bool(0.5) {
            fairness.place_factor = f64::from(random.random_range(1..=20)) / 2.0;
        }
        let tenants: u64 = random.random_range(1..=4);
        for tenant in 0..tenants {
            if random.random_bool(0.3) {
                let weight = f64::from(random.random_range(1..=40)) / 10.0;
                fairness.weights.insert(Tenant(tenant), weight);
            }
        }
        for (_, external) in &mut self.events {
            if let ExternalEvent::Submit(job) = external {
                // the first has more jobs than the others
                job.tenant = Tenant(random.random_range(0..tenants).min(random.random_range(0..tenants)));
            }
        }
    }
}

/// What a case is drawn with.
struct Generator {
    random: ChaCha8Rng,
    /// One request on all modalities.
    unit: Duration,
    lanes: u32,
}

impl Generator {
    /// One case in eight is calm: nothing that could make a job late.
    fn machine(&mut self, profile: Profile, seed: u64) -> SimCase {
        let calm = self.chance(0.125);
        let config = Config {
            kinds: Vec::new(),
            lanes: [1, 1, 1, 2, 2, 3][self.random.random_range(0..6)],
            max_jobs: self.random.random_range(3..=24),
            margin: if calm || self.chance(0.5) { 0.0 } else { self.share(0.0, 0.2) },
            fairness: Fairness::off(),
            policy_budget: if calm || self.chance(0.2) { Duration::ZERO } else { self.units(0.05, 3.0) },
            ..Config::default()
        };
        let modes = if calm { vec![(FaultMode::Traps, 1), (FaultMode::Silent, 1)] } else { self.modes() };
        SimCase {
            profile,
            config,
            max_requests: MOST_REQUESTS,
            factor: if calm || self.chance(0.5) { 1.0 } else { self.share(0.4, 3.0) },
            spread: if calm || self.chance(0.6) { 0.0 } else { self.share(0.05, 0.5) },
            failures: if calm || self.chance(0.7) { 0.0 } else { self.share(0.01, 0.3) },
            unanswered: 0.0,
            seed,
            modes,
            eager: self.chance(0.4),
            answers: Vec::new(),
            always: None,
            events: Vec::new(),
        }
    }

    /// Sensible, or in one other mode, or in several.
    fn modes(&mut self) -> Vec<(FaultMode, u32)> {
        if self.chance(0.2) {
            return vec![(FaultMode::Sensible, 1)];
        }
        if self.chance(0.4) {
            return vec![(FaultMode::ALL[self.random.random_range(0..FaultMode::ALL.len())], 1)];
        }
        FaultMode::ALL.into_iter().map(|mode| (mode, self.random.random_range(0..4))).collect()
    }

    fn events(&mut self, case: &SimCase) -> Vec<(Time, ExternalEvent)> {
        let jobs = self.jobs(case);
        let end = jobs.last().map_or(Time::START, |(at, _)| *at);
        let mut events = jobs.clone();
        if self.chance(0.4) {
            self.cancels(&jobs, &mut events);
        }
        if self.chance(0.15) {
            let (at, _) = jobs[self.random.random_range(0..jobs.len())];
            let last = jobs.iter().rev().filter(|(arrival, _)| *arrival <= at).take(8);
            events.extend(last.map(|(_, external)| (at, cancel(external))));
        }
        for _ in 0..self.times(0.15) {
            events.push((self.transition(end), ExternalEvent::Install));
        }
        if !case.nobody_may_be_late() {
            self.faults(end, &mut events);
        }
        events.sort_by_key(|(at, _)| *at);
        events
    }

    /// One job in twenty is given up some time after it came, and some that never came.
    fn cancels(&mut self, jobs: &[(Time, ExternalEvent)], events: &mut Vec<(Time, ExternalEvent)>) {
        for (arrival, external) in jobs {
            if self.chance(0.05) {
                events.push((*arrival + self.units(0.0, 20.0), cancel(external)));
            }
        }
        events.push((Time::START, ExternalEvent::Cancel(JobId(jobs.len() as u64))));
    }

    /// Some kinds of faults, each a few times.
    fn faults(&mut self, end: Time, events: &mut Vec<(Time, ExternalEvent)>) {
        for _ in 0..self.times(0.25) {
            events.push((self.transition(end), ExternalEvent::Fail(self.lane())));
        }
        for _ in 0..self.times(0.25) {
            let factor = self.share(1.5, 10.0);
            events.push(self.slowdown(end, factor));
        }
        for _ in 0..self.times(0.12) {
            events.push(self.slowdown(end, f64::INFINITY));
        }
        for _ in 0..self.times(0.12) {
            let (lane, at) = (self.lane(), self.transition(end));
            events.push((at, ExternalEvent::Lose(lane)));
            if self.chance(0.8) {
                events.push((at + self.units(0.5, 30.0), ExternalEvent::Restore(lane)));
            }
        }
        for _ in 0..self.times(0.12) {
            events.push((self.transition(end), ExternalEvent::Jump(self.units(0.5, 12.0))));
        }
    }

    fn later_faults(&mut self, case: &mut SimCase) {
        if self.chance(0.2) {
            case.unanswered = self.share(0.02, 0.6);
        }
        let end = case.jobs().last().map_or(Time::START, |(at, _)| at);
        for _ in 0..self.times(0.15) {
            case.events.push((self.transition(end), ExternalEvent::Hang(self.lane())));
        }
        case.events.sort_by_key(|(at, _)| *at);
    }

    fn slowdown(&mut self, end: Time, factor: f64) -> (Time, ExternalEvent) {
        let from = self.transition(end);
        let until = from + self.units(0.5, 15.0);
        (from, ExternalEvent::Slowdown(self.lane(), Slowdown { from, until, factor }))
    }

    /// Jobs one after another at some load, with bursts.
    fn jobs(&mut self, case: &SimCase) -> Vec<(Time, ExternalEvent)> {
        let most = [16, 150, 1000][self.random.random_range(0..3)];
        let (count, load) = (self.random.random_range(3..=most), self.share(0.2, 1.5));
        let bursts = self.chance(0.3);
        let mut at = Time::START;
        let mut burst = 0;
        let mut jobs = Vec::new();
        for id in 0..count {
            burst = if burst == 0 && bursts && self.chance(0.2) { 6 } else { burst };
            match burst {
                0 => at = at + self.units(0.0, 8.0 / load / f64::from(self.lanes)),
                _ => burst -= 1,
            }
            let job = self.job(JobId(id), at, case);
            jobs.push((at, ExternalEvent::Submit(job)));
            if self.chance(0.01) {
                jobs.push((at, ExternalEvent::Submit(job)));
            }
        }
        jobs
    }

    fn job(&mut self, id: JobId, arrival: Time, case: &SimCase) -> Job {
        let most = [3, 12][self.random.random_range(0..2)];
        let requests = self.random.random_range(1..=most);
        let slack = match self.random.random_range(0..5) {
            0 => self.share(0.0, 1.0),
            1 | 2 => self.share(0.3, 3.0),
            3 => self.share(1.0, 8.0),
            _ => self.share(2.0, 20.0),
        };
        let deadline = arrival + scale(self.unit * requests, slack);
        let job = Job {
            id,
            model: ModelId(0),
            requests,
            deadline: if self.chance(0.03) { Time::NEVER } else { deadline },
            min_accuracy: self.floor(case),
            weight: if self.chance(0.7) { 1.0 } else { self.share(0.1, 5.0) },
            tenant: Tenant::default(),
            on_late: if self.chance(0.35) { OnLate::Drop } else { OnLate::Run },
        };
        if self.chance(0.03) { self.invalid(job) } else { job }
    }

    fn floor(&mut self, case: &SimCase) -> f64 {
        let means = case.profile.measurements.iter().map(|measured| measured.accuracy.mean());
        let (low, high) = means.fold((1.0, 0.0), |(low, high): (f64, f64), mean| (low.min(mean), high.max(mean)));
        match self.random.random_range(0..20) {
            0..8 => 0.0,
            8..17 => self.share(low, high),
            17..19 => high,
            _ => self.share(high, 1.0),
        }
    }

    /// A job that no server takes.
    fn invalid(&mut self, job: Job) -> Job {
        match self.random.random_range(0..5) {
            0 => Job { requests: 0, ..job },
            1 => Job { requests: MOST_REQUESTS + 1, ..job },
            2 => Job { min_accuracy: f64::NAN, ..job },
            3 => Job { weight: 0.0, ..job },
            _ => Job { model: ModelId(1), ..job },
        }
    }

    /// A few times on this share of cases, on the others never.
    fn times(&mut self, share: f64) -> u32 {
        if self.chance(share) { self.random.random_range(1..=4) } else { 0 }
    }

    fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    fn share(&mut self, least: f64, most: f64) -> f64 {
        // three digits are enough, and can be read
        (self.random.random_range(least..=most) * 1000.0).round() / 1000.0
    }

    /// So many times one request's time, in whole microseconds.
    fn units(&mut self, least: f64, most: f64) -> Duration {
        let micros = self.unit.as_micros() as f64 * self.random.random_range(least..=most);
        Duration::from_micros(micros as u64)
    }

    /// A time within the case, or shortly after the last job came.
    fn transition(&mut self, end: Time) -> Time {
        let last = end + self.unit * 10;
        Time::from_micros(self.random.random_range(0..=last.micros()))
    }

    fn lane(&mut self) -> LaneId {
        LaneId(self.random.random_range(0..self.lanes))
    }
}

fn cancel(external: &ExternalEvent) -> ExternalEvent {
    match external {
        ExternalEvent::Submit(job) => ExternalEvent::Cancel(job.id),
        other => other.clone(),
    }
}

fn unit(profile: &Profile) -> Duration {
    let single = profile.measurements.iter().filter(|measured| measured.batch_size == 1);
    single.map(|measured| measured.latency.mean).max().expect("every model of a case was measured at batch size 1")
}
