//! Strategies: the ways to serve all requests of a job, precomputed for every job size.
//!
//! The offline program of the paper (how many batches of which selection and size, least time, at or
//! above an accuracy) is an integer knapsack. Solved for one floor at a time it is a solver call; solved
//! as a dynamic program over requests it yields every floor of every job size at once: the *strategy
//! matrix*. At run time a job's strategy table is a look-up.

use std::sync::Arc;
use std::time::Duration;

use crate::{DeviceKind, Mode, ModelId, Profile, ProfileError, TableId};

/// The most strategies a table keeps; the front is thinned to this, hull points and an even spread first.
pub const MAX_STRATEGIES: usize = 32;

/// The most requests a job may have; table ids have room for no more.
pub const MAX_REQUESTS: u32 = 0xffff;

/// Fronts of more than three undominated selections are thinned to this many points between merges.
/// Up to three selections, every front is exact before it is thinned to a table.
const MERGED_FRONT: usize = 96;

/// `batches` batches of up to `batch_size` requests in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What these requests are run on, and with which numbers.
    pub mode: Mode,
    /// The measured batch size that is used.
    pub batch_size: u32,
    /// How many batches.
    pub batches: u32,
    /// Requests served; the last batch may be partial.
    pub requests: u32,
    /// Expected time of one batch.
    pub batch_latency: Duration,
}

impl Step {
    /// Expected time of all its batches.
    pub fn latency(&self) -> Duration {
        self.batch_latency * self.batches
    }
}

/// One precomputed way to serve all requests of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategy {
    /// Expected time for the whole job, alone on one lane.
    pub latency: Duration,
    /// Request-weighted mean of the profiled accuracies, in 0..=1.
    pub accuracy: f64,
    /// The largest peak among the steps; 0 if unknown.
    pub memory_bytes: u64,
    /// In execution order: cheap ones first, so that dear ones can still be dropped.
    pub steps: Vec<Step>,
}

/// The strategy table for jobs of one size: strategies sorted by latency; latency and accuracy both strictly
/// increase. Never empty; the last one is the most accurate there is.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyTable {
    /// Names the table in a catalog.
    pub id: TableId,
    /// The model it is for.
    pub model: ModelId,
    /// The job size it is for, at least 1.
    pub requests: u32,
    /// The strategies, fast to accurate.
    pub strategies: Vec<Strategy>,
}

impl StrategyTable {
    /// The index of the fastest strategy at or above `floor`, if there is one.
    pub fn fastest_legal(&self, floor: f64) -> Option<u32> {
        let index = self.strategies.partition_point(|strategy| !crate::at_least(strategy.accuracy, floor));
        (index < self.strategies.len()).then_some(index as u32)
    }

    /// The index of the slowest, most accurate strategy.
    pub fn most_accurate(&self) -> u32 {
        self.strategies.len() as u32 - 1
    }

    /// The index of the most accurate strategy whose time `fits`; if a time fits, so must every shorter one.
    pub fn slowest_that(&self, fits: impl Fn(Duration) -> bool) -> Option<u32> {
        let index = self.strategies.partition_point(|strategy| fits(strategy.latency));
        (index > 0).then(|| index as u32 - 1)
    }

    /// The index of the fastest strategy that takes at least `latency`; the slowest if none does.
    pub fn fastest_from(&self, latency: Duration) -> u32 {
        let index = self.strategies.partition_point(|strategy| strategy.latency < latency);
        self.most_accurate().min(index as u32)
    }

    /// The strategy at `index`; `index` must come from this table.
    pub fn strategy(&self, index: u32) -> &Strategy {
        &self.strategies[index as usize]
    }
}

/// The tables of one model for every job size from 1 to [`StrategyMatrix::max_requests`].
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyMatrix {
    variant: ModelId,
    model: ModelId,
    kind: DeviceKind,
    profile: Arc<Profile>,
    tables: Vec<Arc<StrategyTable>>,
}

impl StrategyMatrix {
    /// Solves the offline program for every job size up to `max_requests` (1 to [`MAX_REQUESTS`], else the
    /// nearest of these) and for every floor.
    pub fn new(model: ModelId, profile: Arc<Profile>, max_requests: u32) -> Result<StrategyMatrix, ProfileError> {
        profile.check()?;
        let max_requests = max_requests.clamp(1, MAX_REQUESTS);
        let fronts = Fronts::solve(&profile, max_requests as usize);
        let table = |requests| {
            let strategies = fronts.table(requests as usize, MAX_STRATEGIES);
            Arc::new(StrategyTable { id: TableId(model.0 << 16 | requests), model, requests, strategies })
        };
        let tables = (1..=max_requests).map(table).collect();
        Ok(StrategyMatrix { variant: model, model, kind: DeviceKind(0), profile, tables })
    }

    /// The same matrix for the lanes of one kind of device: jobs name the `model`, and are served by the variant of it that
    /// was measured on the kind of device they wait for.
    pub fn on(self, model: ModelId, kind: DeviceKind) -> StrategyMatrix {
        StrategyMatrix { model, kind, ..self }
    }

    /// The variant it is for: the model as one kind of device has it, by which batches and policies name it.
    pub fn variant(&self) -> ModelId {
        self.variant
    }

    /// What jobs call the model: the variant's own id, unless the model was measured on several kinds of device.
    pub fn model(&self) -> ModelId {
        self.model
    }

    /// The kind of device that it was measured on, as [`Config::kinds`](crate::Config::kinds) numbers them.
    pub fn kind(&self) -> DeviceKind {
        self.kind
    }

    /// The profile it was computed from.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// The table of this name is one of its own.
    pub fn owns(&self, table: TableId) -> bool {
        table.0 >> 16 == self.variant.0
    }

    /// The largest job size it has a table for.
    pub fn max_requests(&self) -> u32 {
        self.tables.len() as u32
    }

    /// The strategy table for jobs of `requests` requests; `None` for 0 and for sizes above the largest.
    pub fn table(&self, requests: u32) -> Option<&Arc<StrategyTable>> {
        self.tables.get((requests as usize).checked_sub(1)?)
    }

    /// All tables, by job size.
    pub fn tables(&self) -> &[Arc<StrategyTable>] {
        &self.tables
    }
}

/// The whole Pareto front of one job size, before it is thinned to a table; for benchmarks and tests.
///
/// Exact when at most three selections are undominated; beyond that, thinned between merges.
pub fn front(profile: &Profile, requests: u32) -> Result<Vec<Strategy>, ProfileError> {
    profile.check()?;
    let fronts = Fronts::solve(profile, requests as usize);
    Ok(fronts.table(requests as usize, usize::MAX))
}

/// One mode, with the cheapest way to serve any number of requests in it.
struct Column {
    mode: Mode,
    accuracy: f64,
    /// Measured (batch size, batch time, peak memory).
    sizes: Vec<(u32, Duration, u64)>,
    /// Least microseconds for `r` requests; a padded last batch is allowed.
    cheapest: Vec<u64>,
    /// Which of `sizes` the cheapest way for `r` requests begins with.
    first: Vec<usize>,
}

impl Column {
    fn new(profile: &Profile, mode: Mode, max_requests: usize) -> Column {
        let of_this = profile.measurements.iter().filter(|m| m.mode == mode);
        let sizes: Vec<_> = of_this.map(|m| (m.batch_size, m.latency.mean, m.memory_bytes)).collect();
        let (mut cheapest, mut first) = (vec![0], vec![0]);
        for requests in 1..=max_requests {
            let cost = |index: usize| {
                let (size, latency, _) = sizes[index];
                micros(latency) + cheapest[requests.saturating_sub(size as usize)]
            };
            let best = (0..sizes.len()).min_by_key(|&index| cost(index)).expect("a selection has measurements");
            cheapest.push(cost(best));
            first.push(best);
        }
        let accuracy = profile.accuracy(mode).expect("a selection has measurements").mean();
        Column { mode, accuracy, sizes, cheapest, first }
    }

    /// The batches of the cheapest way, grouped by size, largest first; only the last may be partial.
    fn steps(&self, requests: usize) -> Vec<Step> {
        let mut count = vec![0u32; self.sizes.len()];
        let mut left = requests;
        while left > 0 {
            let index = self.first[left];
            count[index] += 1;
            left = left.saturating_sub(self.sizes[index].0 as usize);
        }
        let mut used: Vec<usize> = (0..count.len()).filter(|&index| count[index] > 0).collect();
        used.sort_by_key(|&index| std::cmp::Reverse(self.sizes[index].0));
        let mut left = requests as u32;
        let step = |index: usize| {
            let (batch_size, batch_latency, _) = self.sizes[index];
            let requests = left.min(batch_size * count[index]);
            left -= requests;
            Step { mode: self.mode, batch_size, batches: count[index], requests, batch_latency }
        };
        used.into_iter().map(step).collect()
    }

    fn memory_bytes(&self, batch_size: u32) -> u64 {
        self.sizes.iter().find(|size| size.0 == batch_size).map_or(0, |size| size.2)
    }

    fn dominates(&self, other: &Column) -> bool {
        self.accuracy >= other.accuracy
            && self.cheapest.iter().zip(&other.cheapest).all(|(mine, theirs)| mine <= theirs)
    }
}

/// A point of a front: serves some number of requests; remembers how it was made.
#[derive(Clone, Copy)]
struct Point {
    micros: u64,
    /// Expected right answers: the sum of the requests' accuracies.
    correct: f64,
    /// Requests on the last merged selection.
    on_last: u32,
    /// The point of the front before that merge, for the other requests.
    rest: u32,
}

/// For every merged number of selections and every number of requests: the Pareto front.
struct Fronts {
    columns: Vec<Column>,
    /// `levels[c][r]`: the front of `r` requests on the first `c + 1` columns, by ascending time.
    levels: Vec<Vec<Vec<Point>>>,
}

impl Fronts {
    fn solve(profile: &Profile, max_requests: usize) -> Fronts {
        let columns = undominated(profile, max_requests);
        let thin_to = if columns.len() > 3 { MERGED_FRONT } else { usize::MAX };
        let mut levels: Vec<Vec<Vec<Point>>> = Vec::new();
        for column in &columns {
            let level = match levels.last() {
                None => (0..=max_requests).map(|requests| vec![alone(column, requests)]).collect(),
                Some(before) => (0..=max_requests).map(|requests| merge(before, column, requests, thin_to)).collect(),
            };
            levels.push(level);
        }
        Fronts { columns, levels }
    }

    /// The front of `requests` requests, thinned to `most`, as strategies.
    fn table(&self, requests: usize, most: usize) -> Vec<Strategy> {
        let front = &self.levels.last().expect("a profile has selections")[requests];
        thin(front, most).into_iter().map(|index| self.strategy(requests, index)).collect()
    }

    fn strategy(&self, requests: usize, index: usize) -> Strategy {
        let point = self.levels.last().expect("a profile has selections")[requests][index];
        let mut mix = self.mix(requests, index);
        mix.retain(|&(_, count)| count > 0);
        mix.sort_by_key(|&(column, count)| (self.columns[column].cheapest[count] / count as u64, column));
        let steps: Vec<Step> = mix.iter().flat_map(|&(column, count)| self.columns[column].steps(count)).collect();
        let peak = |&(column, count): &(usize, usize)| {
            let column = &self.columns[column];
            column.steps(count).iter().map(|step| column.memory_bytes(step.batch_size)).max().unwrap_or(0)
        };
        let memory_bytes = mix.iter().map(peak).max().unwrap_or(0);
        // A job on one selection has exactly its accuracy; no rounding through a sum.
        let accuracy = match mix[..] {
            [(column, _)] => self.columns[column].accuracy,
            _ => point.correct / requests as f64,
        };
        Strategy { latency: Duration::from_micros(point.micros), accuracy, memory_bytes, steps }
    }

    /// How many requests the point puts on each column.
    fn mix(&self, requests: usize, index: usize) -> Vec<(usize, usize)> {
        let (mut requests, mut index) = (requests, index);
        let mut mix = Vec::with_capacity(self.columns.len());
        for column in (0..self.columns.len()).rev() {
            let point = self.levels[column][requests][index];
            mix.push((column, point.on_last as usize));
            requests -= point.on_last as usize;
            index = point.rest as usize;
        }
        mix
    }
}

/// The modes that no other beats in accuracy and in time for every number of requests.
fn undominated(profile: &Profile, max_requests: usize) -> Vec<Column> {
    let mut kept: Vec<Column> = Vec::new();
    for mode in profile.modes() {
        let column = Column::new(profile, mode, max_requests);
        if kept.iter().any(|other| other.dominates(&column)) {
            continue;
        }
        kept.retain(|other| !column.dominates(other));
        kept.push(column);
    }
    kept
}

fn alone(column: &Column, requests: usize) -> Point {
    let correct = column.accuracy * requests as f64;
    Point { micros: column.cheapest[requests], correct, on_last: requests as u32, rest: 0 }
}

/// Every split of `requests` between what was merged before and `column`, Pareto-filtered.
fn merge(before: &[Vec<Point>], column: &Column, requests: usize, thin_to: usize) -> Vec<Point> {
    let mut candidates = Vec::new();
    for on_last in 0..=requests {
        let (micros, correct) = (column.cheapest[on_last], column.accuracy * on_last as f64);
        let rests = before[requests - on_last].iter().enumerate();
        candidates.extend(rests.map(|(rest, point)| Point {
            micros: point.micros + micros,
            correct: point.correct + correct,
            on_last: on_last as u32,
            rest: rest as u32,
        }));
    }
    let front = pareto(candidates);
    thin(&front, thin_to).into_iter().map(|index| front[index]).collect()
}

/// The points that no other beats, by ascending time.
fn pareto(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_unstable_by(|a, b| a.micros.cmp(&b.micros).then(b.correct.total_cmp(&a.correct)));
    let mut front: Vec<Point> = Vec::new();
    for point in points {
        // Sums of the same accuracies in another order differ in the last bits; that is not a gain.
        if front.last().is_none_or(|last| point.correct > last.correct + 1e-9) {
            front.push(point);
        }
    }
    front
}

/// Indices of at most `most` points that stand for the front: its ends, its hull, an even spread.
fn thin(front: &[Point], most: usize) -> Vec<usize> {
    if front.len() <= most {
        return (0..front.len()).collect();
    }
    let last = front.len() - 1;
    let mut kept = hull(front);
    if kept.len() > most / 2 {
        let step = |part: usize| kept[part * (kept.len() - 1) / (most / 2 - 1)];
        kept = (0..most / 2).map(step).collect();
    }
    let spread = most - kept.len();
    let (low, high) = (front[0].correct, front[last].correct);
    for part in 1..=spread {
        let target = low + (high - low) * part as f64 / (spread + 1) as f64;
        kept.push(front.partition_point(|point| point.correct < target).min(last));
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// Indices of the upper concave hull (accuracy over time), both ends included.
fn hull(front: &[Point]) -> Vec<usize> {
    let slope =
        |a: usize, b: usize| (front[b].correct - front[a].correct) / (front[b].micros as f64 - front[a].micros as f64);
    let mut hull: Vec<usize> = Vec::new();
    for index in 0..front.len() {
        while let [.., a, b] = hull[..] {
            if slope(a, b) > slope(b, index) {
                break;
            }
            hull.pop();
        }
        hull.push(index);
    }
    hull
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{MAX_STRATEGIES, Step, StrategyMatrix, front};
    use crate::{Accuracy, Latency, Measurement, ModalitySet, Mode, ModelId, Profile, TableId};

    fn profile(rows: &[Row]) -> Profile {
        let measurement = |&(modalities, batch_size, micros, correct): &Row| Measurement {
            mode: Mode::full(ModalitySet::from_bits(modalities)),
            batch_size,
            latency: Latency::exactly(Duration::from_micros(micros)),
            accuracy: Accuracy { correct, samples: 1000 },
            memory_bytes: u64::from(batch_size) * 1000,
        };
        let modalities = ["video", "audio", "text"].map(String::from).to_vec();
        let measurements = rows.iter().map(measurement).collect();
        Profile { id: "test".into(), model: "toy".into(), modalities, measurements }
    }

    /// Every multiset of batches, tried one by one: the least time for each reachable sum of accuracies.
    fn exhaustive(profile: &Profile, requests: u32) -> Vec<(u64, f64)> {
        let mut reached: BTreeMap<(u32, u64), u64> = BTreeMap::from([((0, 0), 0)]);
        for done in 0..requests {
            let here: Vec<_> = reached.range((done, 0)..(done + 1, 0)).map(|(&key, &time)| (key, time)).collect();
            for ((_, correct), time) in here {
                for m in &profile.measurements {
                    for served in 1..=m.batch_size.min(requests - done) {
                        let key = (done + served, correct + u64::from(m.accuracy.correct * served));
                        let time = time + m.latency.mean.as_micros() as u64;
                        let best = reached.entry(key).or_insert(time);
                        *best = time.min(*best);
                    }
                }
            }
        }
        let mut all: Vec<(u64, u64)> = reached.range((requests, 0)..).map(|(key, &time)| (time, key.1)).collect();
        all.sort_by_key(|&(time, correct)| (time, std::cmp::Reverse(correct)));
        let mut front: Vec<(u64, u64)> = Vec::new();
        for point in all {
            if front.last().is_none_or(|last| point.1 > last.1) {
                front.push(point);
            }
        }
        front.into_iter().map(|(time, correct)| (time, correct as f64 / 1000.0 / f64::from(requests))).collect()
    }

    type Row = (u32, u32, u64, u32);

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let selection = (1u32..8, prop::collection::btree_map(1u32..5, 1u64..5000, 1..3), 1u32..1000);
        prop::collection::vec(selection, 1..4).prop_map(|selections| {
            let mut rows = BTreeMap::new();
            for (modalities, sizes, correct) in selections {
                rows.entry(modalities).or_insert((sizes, correct));
            }
            let flat = |(modalities, (sizes, correct)): (u32, (BTreeMap<u32, u64>, u32))| {
                sizes.into_iter().map(move |(size, micros)| (modalities, size, micros, correct))
            };
            rows.into_iter().flat_map(flat).collect::<Vec<_>>()
        })
    }

    proptest! {
        #[test]
        fn the_front_is_what_exhaustive_search_finds(rows in rows(), requests in 1u32..9) {
            let profile = profile(&rows);
            let found = front(&profile, requests).unwrap();
            let expected = exhaustive(&profile, requests);
            prop_assert_eq!(found.len(), expected.len(), "{:?} {:?}", found, expected);
            for (strategy, (time, accuracy)) in found.iter().zip(expected) {
                prop_assert_eq!(strategy.latency, Duration::from_micros(time));
                prop_assert!((strategy.accuracy - accuracy).abs() < 1e-9);
            }
        }

        #[test]
        fn a_strategy_does_what_it_says(rows in rows(), requests in 1u32..40) {
            let profile = Arc::new(profile(&rows));
            let matrix = StrategyMatrix::new(ModelId(0), profile.clone(), requests).unwrap();
            let table = matrix.table(requests).unwrap();
            for strategy in &table.strategies {
                let total: u32 = strategy.steps.iter().map(|step| step.requests).sum();
                prop_assert_eq!(total, requests);
                let time: Duration = strategy.steps.iter().map(Step::latency).sum();
                prop_assert_eq!(time, strategy.latency);
                let correct: f64 = strategy.steps.iter()
                    .map(|step| profile.accuracy(step.mode).unwrap().mean() * f64::from(step.requests)).sum();
                prop_assert!((correct / f64::from(requests) - strategy.accuracy).abs() < 1e-9);
                for step in &strategy.steps {
                    prop_assert!(step.requests > (step.batches - 1) * step.batch_size);
                    prop_assert!(step.requests <= step.batches * step.batch_size);
                }
            }
            for pair in table.strategies.windows(2) {
                prop_assert!(pair[0].latency < pair[1].latency && pair[0].accuracy < pair[1].accuracy);
            }
            let best = profile.modes().into_iter().map(|s| profile.accuracy(s).unwrap().mean());
            // a sum of floats: selections of one accuracy, mixed, may differ from each in the last digit
            let reached = table.strategies.last().unwrap().accuracy;
            prop_assert!((reached - best.fold(0.0, f64::max)).abs() < 1e-9, "{}", reached);
        }
    }

    #[test]
    fn a_menu_is_thinned_but_keeps_both_ends_and_the_hull() {
        let profile =
            Arc::new(profile(&[(1, 1, 9_000, 800), (1, 8, 50_000, 800), (2, 1, 2_000, 600), (3, 8, 60_000, 870)]));
        let whole = front(&profile, 128).unwrap();
        let matrix = StrategyMatrix::new(ModelId(0), profile, 128).unwrap();
        let table = &matrix.table(128).unwrap().strategies;
        assert!(whole.len() > MAX_STRATEGIES, "the case must need thinning, has {}", whole.len());
        assert!(table.len() <= MAX_STRATEGIES && table.len() > MAX_STRATEGIES / 2);
        assert_eq!(table.first(), whole.first());
        assert_eq!(table.last(), whole.last());
        let gaps = table.windows(2).map(|pair| pair[1].accuracy - pair[0].accuracy);
        assert!(gaps.fold(0.0, f64::max) < 0.03);
    }

    #[test]
    fn dear_modalities_come_last_in_a_strategy() {
        let profile = profile(&[(2, 1, 4_000, 685), (3, 1, 10_000, 785)]);
        for strategy in front(&profile, 10).unwrap() {
            let dear = strategy.steps.iter().position(|step| step.mode.modalities == ModalitySet::all(2));
            assert!(dear.is_none_or(|index| index == strategy.steps.len() - 1), "{strategy:?}");
        }
    }

    #[test]
    fn a_padded_batch_is_used_where_it_is_cheaper() {
        let profile = profile(&[(1, 1, 10_000, 800), (1, 8, 12_000, 800)]);
        let [strategy] = &front(&profile, 7).unwrap()[..] else { panic!("one selection, one strategy") };
        assert_eq!(strategy.latency, Duration::from_millis(12));
        assert_eq!((strategy.steps[0].batches, strategy.steps[0].requests), (1, 7));
    }

    #[test]
    fn sizes_outside_the_matrix_have_no_table() {
        let matrix = StrategyMatrix::new(ModelId(0), Arc::new(profile(&[(1, 1, 5, 5)])), 4).unwrap();
        assert!(matrix.table(0).is_none() && matrix.table(5).is_none());
        assert_eq!(matrix.table(4).unwrap().id, TableId(4));
    }
}
