//! Random queues and the catalogs they refer to, for checks, tests and measurements. A seed and a shape say it all.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Accuracy, Catalog, DecisionId, JobId, JobRow, LaneId, Latency, Measurement, ModalitySet, Mode, ModelId, Profile,
    Snapshot, Step, Strategy, StrategyMatrix, StrategyTable, TableId, Tenant, Time, Trigger,
};

use crate::random::SeededRandom;

/// What a random queue is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many jobs wait.
    pub jobs: usize,
    /// How many tables they are spread over, at least 1.
    pub tables: usize,
    /// Strategies a table, at least 1.
    pub strategies: usize,
    /// How hard it is.
    pub pressure: Pressure,
}

/// How hard a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Every job is on time as things are.
    Slack,
    /// Some jobs would miss their deadlines, and every one of them can be saved.
    Tight,
    /// The same, with jobs among them that nothing saves.
    Hopeless,
    /// Whatever a server may send: late jobs, what a started job has left, floors that nothing reaches or everything,
    /// huge numbers.
    Wild,
}

/// A model's name in made-up catalogs: no policy should care.
const MODEL: &str = "made-up";
const TENANTS: [&str; 4] = ["", "alpha", "beta", "gamma"];
/// How long a policy may think, if the caller says nothing else.
const BUDGET: Duration = Duration::from_millis(100);

/// A catalog of `shape.tables` tables and a queue of jobs that refer to it.
pub fn random(seed: u64, shape: Shape) -> (Catalog, Snapshot) {
    let catalog = catalog(seed, shape.tables, shape.strategies);
    let snapshot = snapshot(seed, &catalog, shape.jobs, shape.pressure);
    (catalog, snapshot)
}

/// A catalog of one model with so many tables, ids from 0, of so many strategies each.
pub fn catalog(seed: u64, tables: usize, strategies: usize) -> Catalog {
    let mut random = SeededRandom::new(seed);
    let profile = Arc::new(random_profile(&mut random, 0));
    let table = |id: usize| {
        let requests = 1 + random.below(32) as u32;
        let drawn = random_strategies(&mut random, strategies);
        let strategies = drawn.into_iter().map(|(micros, accuracy)| one_step(micros, accuracy, requests)).collect();
        Arc::new(StrategyTable { id: TableId(id as u32), model: ModelId(0), requests, strategies })
    };
    Catalog { revision: 1, models: vec![(ModelId(0), profile)], tables: (0..tables).map(table).collect() }
}

/// A catalog as servers make them: two models, every job size up to 16, strategies solved from profiles.
pub fn solved_catalog(seed: u64) -> Catalog {
    let mut random = SeededRandom::new(seed);
    let matrices = [0, 1].map(|model| {
        let profile = Arc::new(random_profile(&mut random, model));
        StrategyMatrix::new(ModelId(model), profile, 16).expect("random profiles are sound")
    });
    Catalog {
        revision: 1,
        models: matrices.iter().map(|matrix| (matrix.variant(), Arc::clone(matrix.profile()))).collect(),
        tables: matrices.iter().flat_map(|matrix| matrix.tables().iter().cloned()).collect(),
    }
}

/// A queue of `jobs` jobs on tables of this catalog, which are not none.
pub fn snapshot(seed: u64, catalog: &Catalog, jobs: usize, pressure: Pressure) -> Snapshot {
    let mut random = SeededRandom::new(seed ^ 0x5eed);
    let now = random.below(1 << 40);
    let start = Time::from_micros(now + random.below(20_000));
    let any_factor = random.between(0.5, 2.0);
    let time_factor = *random.pick(&[1.0, 1.1, any_factor]);
    let triggers = [Trigger::Violation, Trigger::Violation, Trigger::Arrival, Trigger::Completion, Trigger::Rehearsal];
    let mut snapshot = Snapshot {
        decision: DecisionId(1),
        lane: LaneId(random.below(4) as u32),
        trigger: *random.pick(&triggers),
        now: Time::from_micros(now),
        start,
        budget: BUDGET,
        time_factor,
        catalog_revision: catalog.revision,
        jobs: Vec::with_capacity(jobs),
    };
    Rows::new(random, catalog, pressure, jobs).fill(&mut snapshot);
    snapshot
}

/// The rows of a queue, one after another.
struct Rows<'a> {
    random: SeededRandom,
    catalog: &'a Catalog,
    pressure: Pressure,
    jobs: usize,
    first_id: u64,
    /// Jobs are of different weight.
    weighted: bool,
    /// Where deadlines lie on the whole: 0 is the end of the work if all are fastest, 1 if all stay as they are.
    ease: f64,
    /// Profiled work up to the last row, as things are, and if all are as fast as their floors allow.
    work: Duration,
    least_work: Duration,
}

impl Rows<'_> {
    fn new(mut random: SeededRandom, catalog: &Catalog, pressure: Pressure, jobs: usize) -> Rows<'_> {
        let ease = if random.one_in(16) { 0.0 } else { random.between(0.1, 0.9) };
        let first_id = if pressure == Pressure::Wild && random.one_in(4) { u64::MAX << 17 } else { 1 };
        let weighted = random.one_in(2);
        let (work, least_work) = (Duration::ZERO, Duration::ZERO);
        Rows { random, catalog, pressure, jobs, first_id, weighted, ease, work, least_work }
    }

    fn fill(mut self, snapshot: &mut Snapshot) {
        let wild = self.pressure == Pressure::Wild;
        let started = wild && self.random.one_in(2);
        let late = if wild && self.random.one_in(3) { self.random.below(self.jobs as u64 / 4 + 1) } else { 0 };
        let first_late = self.jobs - late as usize;
        for place in 0..self.jobs {
            let mut row = self.row(snapshot, place as u64);
            if place == 0 && started {
                // what it has left need not be a legal row of its table
                row.current = self.random.below(u64::from(row.current) + 1) as u32;
                row.arrival = row.arrival - Duration::from_secs(1);
            }
            self.take_in(&row);
            row.deadline = self.deadline(snapshot);
            if place >= first_late {
                row.given_up = true;
                row.deadline = snapshot.now - Duration::from_micros(self.random.below(1000));
            }
            snapshot.jobs.push(row);
        }
    }

    fn row(&mut self, snapshot: &Snapshot, place: u64) -> JobRow {
        let table = self.random.pick(&self.catalog.tables);
        let min_accuracy = self.floor(table);
        let best = u64::from(table.most_accurate());
        let fastest = table.fastest_legal(min_accuracy).map_or(best, u64::from);
        let current = if self.random.one_in(4) { fastest + self.random.below(best - fastest + 1) } else { best };
        JobRow {
            id: JobId(self.first_id + 3 * place + self.random.below(3)),
            table: table.id,
            requests: table.requests,
            arrival: snapshot.now - Duration::from_micros(self.random.below(50_000)),
            deadline: Time::NEVER,
            min_accuracy,
            weight: self.weight(),
            tenant: Tenant::named(self.random.pick::<&str>(&TENANTS)),
            current: current as u32,
            given_up: false,
        }
    }

    /// None, or exactly a strategy's accuracy, or something up to the best.
    fn floor(&mut self, table: &StrategyTable) -> f64 {
        let best = table.strategy(table.most_accurate()).accuracy;
        if self.pressure == Pressure::Wild && self.random.one_in(10) {
            return *self.random.pick(&[-0.5, best + 1e-10, best + 0.01]);
        }
        match self.random.below(3) {
            0 => 0.0,
            1 => self.random.pick(&table.strategies).accuracy,
            _ => self.random.between(0.0, best),
        }
    }

    fn weight(&mut self) -> f64 {
        if self.pressure == Pressure::Wild && self.random.one_in(20) {
            return *self.random.pick(&[1e-6, 1e6]);
        }
        if self.weighted { self.random.between(0.1, 10.0) } else { 1.0 }
    }

    fn take_in(&mut self, row: &JobRow) {
        let table = self.catalog.table(row.table).expect("rows are drawn from the catalog");
        let latency = table.strategy(row.current).latency;
        let fastest = table.fastest_legal(row.min_accuracy).map_or(latency, |index| table.strategy(index).latency);
        self.work += latency;
        self.least_work += fastest.min(latency);
    }

    fn deadline(&mut self, snapshot: &Snapshot) -> Time {
        let hopeless = matches!(self.pressure, Pressure::Hopeless | Pressure::Wild) && self.random.one_in(8);
        if hopeless {
            let missed = self.least_work.mul_f64(self.random.between(0.2, 0.95));
            return snapshot.start.after(missed, snapshot.time_factor);
        }
        let ease = match self.pressure {
            Pressure::Slack => 1.0 + self.random.share(),
            _ if self.random.one_in(16) => 1.0,
            _ => (self.ease + self.random.between(-0.1, 0.3)).max(0.0),
        };
        let spare = (self.work - self.least_work).mul_f64(ease);
        snapshot.start.after(self.least_work + spare, snapshot.time_factor)
    }
}

/// (Microseconds, accuracy), both rising; in every other table the gains diminish, as they do in profiled ones.
fn random_strategies(random: &mut SeededRandom, strategies: usize) -> Vec<(u64, f64)> {
    let gain =
        |random: &mut SeededRandom| (1 + random.below(2000), (1 + random.below(10)) as f64 / (15 * strategies) as f64);
    let mut gains: Vec<(u64, f64)> = (0..strategies).map(|_| gain(random)).collect();
    if random.one_in(2) {
        gains.sort_by(|a, b| (b.1 / b.0 as f64).total_cmp(&(a.1 / a.0 as f64)));
    }
    let (mut micros, mut accuracy) = (100, 0.3);
    let climb = |(more, better): (u64, f64)| {
        micros += more;
        accuracy += better;
        (micros, accuracy)
    };
    gains.into_iter().map(climb).collect()
}

/// A strategy that is one batch of all requests.
fn one_step(micros: u64, accuracy: f64, requests: u32) -> Strategy {
    let latency = Duration::from_micros(micros);
    let step = Step {
        mode: Mode::full(ModalitySet::single(0)),
        batch_size: requests,
        batches: 1,
        requests,
        batch_latency: latency,
    };
    Strategy { latency, accuracy, memory_bytes: 0, steps: vec![step] }
}

/// Three selections of two modalities, each measured alone and in batches of 4: the dearer, the better, most times.
fn random_profile(random: &mut SeededRandom, model: u32) -> Profile {
    let mut measurements = Vec::new();
    for bits in 1..=3 {
        let single = 500 + u64::from(bits) * 1500 + random.below(1500);
        let correct = 500 + bits * 100 + random.below(150) as u32;
        for (batch_size, micros) in [(1, single), (4, single * 5 / 2)] {
            measurements.push(Measurement {
                mode: Mode::full(ModalitySet::from_bits(bits)),
                batch_size,
                latency: Latency::exactly(Duration::from_micros(micros)),
                accuracy: Accuracy { correct, samples: 1000 },
                memory_bytes: u64::from(batch_size) << 20,
            });
        }
    }
    let modalities = vec!["audio".into(), "video".into()];
    Profile { id: format!("{MODEL} {model}"), model: format!("{MODEL} {model}"), modalities, measurements }
}

#[cfg(test)]
mod tests {
    use mosel_core::Forecast;

    use super::*;

    fn shape(pressure: Pressure) -> Shape {
        Shape { jobs: 20, tables: 4, strategies: 6, pressure }
    }

    /// Over 200 seeds: how many jobs are late as things are, and how many after the fallback.
    fn late_jobs(pressure: Pressure) -> (usize, usize) {
        let late = |seed| {
            let (catalog, snapshot) = random(seed, shape(pressure));
            let late = |forecast: Forecast| forecast.violators().count();
            (late(Forecast::as_it_is(&snapshot, &catalog)), late(Forecast::with_fallback(&snapshot, &catalog)))
        };
        (0..200).map(late).fold((0, 0), |sum, late| (sum.0 + late.0, sum.1 + late.1))
    }

    #[test]
    fn pressure_is_what_it_says() {
        assert_eq!(late_jobs(Pressure::Slack), (0, 0));
        let (before, after) = late_jobs(Pressure::Tight);
        assert!(before > 500 && after == 0, "{before} late, {after} after the fallback");
        let (before, after) = late_jobs(Pressure::Hopeless);
        assert!(before > after && after > 200, "{before} late, {after} after the fallback");
        let (before, after) = late_jobs(Pressure::Wild);
        assert!(before > after && after > 200, "{before} late, {after} after the fallback");
    }

    #[test]
    fn the_seed_and_the_shape_say_it_all() {
        assert_eq!(random(3, shape(Pressure::Wild)), random(3, shape(Pressure::Wild)));
        assert_ne!(random(3, shape(Pressure::Wild)).1, random(4, shape(Pressure::Wild)).1);
    }

    #[test]
    fn queues_are_what_a_server_would_send() {
        for seed in 0..300 {
            let catalog = if seed % 2 == 0 { solved_catalog(seed) } else { catalog(seed, 3, 5) };
            let snapshot = snapshot(seed, &catalog, 1 + seed as usize % 30, Pressure::Wild);
            let mut ids: Vec<JobId> = snapshot.jobs.iter().map(|row| row.id).collect();
            ids.dedup();
            assert_eq!(ids.len(), snapshot.jobs.len(), "queue {seed} names a job twice");
            assert!(snapshot.jobs.is_sorted_by_key(|row| row.given_up), "queue {seed} has late jobs before others");
            for row in &snapshot.jobs {
                let table = catalog.table(row.table).expect("the table is there");
                assert!(row.current <= table.most_accurate() && row.weight > 0.0, "queue {seed}");
            }
        }
    }

    #[test]
    fn tables_rise() {
        let catalog = catalog(1, 50, 12);
        for table in &catalog.tables {
            let rises = |pair: &[Strategy]| pair[0].latency < pair[1].latency && pair[0].accuracy < pair[1].accuracy;
            assert!(table.strategies.windows(2).all(rises), "{table:?}");
        }
    }
}
