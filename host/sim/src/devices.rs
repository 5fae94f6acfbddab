//! Devices: how long a batch takes in a simulation, and whether it fails.
//!
//! A batch's time is drawn from the distribution that was measured of its selection and size. A profile has four
//! numbers of it: the quantile function is taken to be linear between the median, p95 and p99, as long below the
//! median as it is to half of p95 above it, and as long beyond p99 as from p95 to there; then it is scaled so that
//! its mean is the measured one. Draws are independent of one another; what makes a real device slow for a while
//! (heat, neighbors) is a [`Slowdown`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mosel_core::{Batch, LaneId, Latency, Measurement, Mode, ModelId, Profile, Time, scale};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::stream;

/// The devices of all lanes.
#[derive(Debug)]
pub struct Devices {
    /// True times over profiled times, whatever the lane: how wrong the profiles are. Positive; 1 if they are right.
    pub factor: f64,
    /// Draw times from their distributions; else every batch takes the mean.
    pub spread: bool,
    /// Share of batches that fail once they have run, in 0..=1.
    pub failures: f64,
    /// Share of requests that have no answer though their batch ran, in 0..=1; they take their time.
    pub unanswered: f64,
    /// What every batch takes beside: getting it to the device and its answers back.
    pub dispatch: Duration,
    slowdowns: BTreeMap<LaneId, Vec<Slowdown>>,
    /// Lanes that have lost their model: every batch fails at once.
    lost: BTreeSet<LaneId>,
    recorded: BTreeMap<(ModelId, Mode), Vec<Recorded>>,
    latencies: BTreeMap<ModelId, Vec<Measurement>>,
    random: ChaCha8Rng,
    /// Apart, so that requests without an answer change no time and no failure.
    answers: ChaCha8Rng,
}

/// How long a batch really took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recorded {
    /// When it was started.
    pub at: Time,
    /// Over what the profile says; positive.
    pub ratio: f64,
}

/// A lane's device is slower for a while, or gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slowdown {
    /// From when on.
    pub from: Time,
    /// Until when.
    pub until: Time,
    /// So many times as long as usual; infinite: every batch fails at once.
    pub factor: f64,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BatchResult {
    pub(crate) takes: Duration,
    pub(crate) fails: bool,
    /// Requests that have an answer.
    pub(crate) answered: u32,
}

impl Devices {
    /// Devices as these profiles, in the order of their models' ids, describe them; with spread, without failures.
    pub fn new<'a>(profiles: impl IntoIterator<Item = &'a Profile>, seed: u64) -> Devices {
        let measured = |(id, profile): (usize, &Profile)| (ModelId(id as u32), profile.measurements.clone());
        Devices {
            factor: 1.0,
            spread: true,
            failures: 0.0,
            unanswered: 0.0,
            dispatch: Duration::ZERO,
            slowdowns: BTreeMap::new(),
            lost: BTreeSet::new(),
            recorded: BTreeMap::new(),
            latencies: profiles.into_iter().enumerate().map(measured).collect(),
            random: stream(seed, "devices"),
            answers: stream(seed, "answers"),
        }
    }

    /// From now on the lane's device is slowed down, for as long as it says; slowdowns multiply.
    pub fn slow_down(&mut self, lane: LaneId, slowdown: Slowdown) {
        self.slowdowns.entry(lane).or_default().push(slowdown);
    }

    /// From now on this lane has lost its model, or has it again.
    pub fn lose(&mut self, lane: LaneId, lost: bool) {
        if lost {
            self.lost.insert(lane);
        } else {
            self.lost.remove(&lane);
        }
    }

    /// From now on nothing is drawn: a batch is as much slower than its profile as the one of the same selection was that
    /// was recorded nearest to its start. A selection without records is as its profile says.
    pub fn repeat(&mut self, model: ModelId, mode: Mode, recorded: Recorded) {
        self.spread = false;
        let all = self.recorded.entry((model, mode)).or_default();
        let place = all.partition_point(|other| other.at <= recorded.at);
        all.insert(place, recorded);
    }

    /// Draws what becomes of a batch that starts now.
    pub(crate) fn result(&mut self, batch: &Batch, now: Time) -> BatchResult {
        // Always as many draws a batch, so that a fault changes nothing about what comes after it.
        let (luck, at) = (self.random.random::<f64>(), self.random.random::<f64>());
        let slowdown = self.slowdown(batch.lane, now);
        if slowdown.is_infinite() || self.lost.contains(&batch.lane) {
            return BatchResult { takes: Duration::from_micros(1), fails: true, answered: 0 };
        }
        let latency = self.latency(batch);
        let profiled = if self.spread { quantile(latency, at) } else { latency.mean };
        let repeated = self.repeated(batch, now);
        let takes = scale(profiled, self.factor * slowdown * repeated) + self.dispatch;
        // Virtual time has no fractions of a microsecond.
        let takes = Duration::from_micros(u64::try_from(takes.as_micros()).unwrap_or(u64::MAX).max(1));
        BatchResult { takes, fails: luck < self.failures, answered: self.answered(batch.requests) }
    }

    fn answered(&mut self, requests: u32) -> u32 {
        if self.unanswered == 0.0 {
            return requests;
        }
        (0..requests).filter(|_| self.answers.random::<f64>() >= self.unanswered).count() as u32
    }

    fn repeated(&self, batch: &Batch, now: Time) -> f64 {
        let Some(all) = self.recorded.get(&(batch.model, batch.mode)) else { return 1.0 };
        let place = all.partition_point(|recorded| recorded.at <= now);
        let neighbors = all[place.saturating_sub(1)..].iter().take(2);
        let distance = |recorded: &&Recorded| recorded.at.since(now).max(now.since(recorded.at));
        neighbors.min_by_key(distance).map_or(1.0, |recorded| recorded.ratio)
    }

    fn slowdown(&mut self, lane: LaneId, now: Time) -> f64 {
        let Some(slowdowns) = self.slowdowns.get_mut(&lane) else { return 1.0 };
        slowdowns.retain(|slowdown| slowdown.until > now);
        slowdowns.iter().filter(|slowdown| slowdown.from <= now).map(|slowdown| slowdown.factor).product()
    }

    /// As long as the smallest measured size that holds the requests: what is missing from a batch saves no time
    /// until a smaller size would do.
    fn latency(&self, batch: &Batch) -> Latency {
        let measured = self.latencies.get(&batch.model).into_iter().flatten();
        let same = measured.filter(|measurement| measurement.mode == batch.mode);
        let enough = same.filter(|measurement| measurement.batch_size >= batch.requests);
        let smallest = enough.min_by_key(|measurement| measurement.batch_size);
        smallest.expect("batches are made of measured selections and sizes").latency
    }
}

/// The time that this share of batches is faster than, by the rule in the first lines of this file.
fn quantile(latency: Latency, share: f64) -> Duration {
    let [median, p95, p99] = [latency.median, latency.p95, latency.p99].map(|time| time.as_secs_f64());
    let low = (median - (p95 - median) / 2.0).max(median / 2.0);
    let points = [(0.0, low), (0.5, median), (0.95, p95), (0.99, p99), (1.0, p99 + (p99 - p95))];
    let mean: f64 = points.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0).sum();
    let at = points.windows(2).find(|pair| share <= pair[1].0).unwrap_or(&points[3..]);
    let within = (share - at[0].0) / (at[1].0 - at[0].0);
    let time = at[0].1 + within * (at[1].1 - at[0].1);
    scale(latency.mean, time / mean)
}

#[cfg(test)]
mod tests {
    use mosel_core::ModalitySet;

    use super::*;
    use mosel_core::{Accuracy, BatchId, JobId};

    fn latency(mean: u64, median: u64, p95: u64, p99: u64) -> Latency {
        let [mean, median, p95, p99] = [mean, median, p95, p99].map(Duration::from_micros);
        Latency { mean, median, p95, p99 }
    }

    fn profile() -> Profile {
        let measurement = |batch_size: u32| Measurement {
            mode: Mode::full(ModalitySet::all(1)),
            batch_size,
            latency: latency(1050, 1000, 1400, 1800),
            accuracy: Accuracy { correct: 1, samples: 2 },
            memory_bytes: 0,
        };
        let measurements = vec![measurement(1), measurement(8)];
        Profile { id: "p".into(), model: "toy".into(), modalities: vec!["text".into()], measurements }
    }

    fn batch(lane: LaneId) -> Batch {
        Batch {
            id: BatchId(1),
            lane,
            job: JobId(1),
            model: ModelId(0),
            first: 0,
            requests: 3,
            batch_size: 8,
            mode: Mode::full(ModalitySet::all(1)),
            expected: Duration::ZERO,
        }
    }

    fn mean_ms(devices: &mut Devices) -> f64 {
        let times = (0..20_000).map(|_| devices.result(&batch(LaneId(0)), Time::START).takes.as_secs_f64() * 1e3);
        times.sum::<f64>() / 20_000.0
    }

    #[test]
    fn draws_have_the_measured_mean_and_quantiles_in_its_proportion() {
        let mean = mean_ms(&mut Devices::new([&profile()], 1));
        assert!((mean - 1.05).abs() < 0.01, "{mean}");
        let at = |share| quantile(latency(1050, 1000, 1400, 1800), share).as_secs_f64();
        assert!((at(0.95) / at(0.5) - 1.4).abs() < 1e-6 && (at(0.99) / at(0.5) - 1.8).abs() < 1e-6);
        assert!(at(0.0) > 0.0 && at(0.0) < at(0.5) && at(0.99) < at(1.0));
    }

    #[test]
    fn a_latency_without_spread_is_drawn_as_it_is() {
        let exact = Latency::exactly(Duration::from_micros(700));
        assert!([0.0, 0.3, 0.97, 1.0].iter().all(|&share| quantile(exact, share) == exact.mean));
    }

    #[test]
    fn factors_and_slowdowns_multiply_and_end() {
        let mut devices = Devices { spread: false, factor: 2.0, ..Devices::new([&profile()], 1) };
        devices
            .slow_down(LaneId(0), Slowdown { from: Time::from_millis(10), until: Time::from_millis(20), factor: 3.0 });
        let takes =
            |devices: &mut Devices, lane, at| devices.result(&batch(lane), Time::from_millis(at)).takes.as_micros();
        assert_eq!([0, 10, 20].map(|at| takes(&mut devices, LaneId(0), at)), [2100, 6300, 2100]);
        devices
            .slow_down(LaneId(0), Slowdown { from: Time::from_millis(20), until: Time::from_millis(30), factor: 10.0 });
        assert_eq!(takes(&mut devices, LaneId(1), 25), 2100);
        assert_eq!(takes(&mut devices, LaneId(0), 25), 21_000);
    }

    #[test]
    fn a_lost_device_fails_every_batch_and_changes_no_other_draw() {
        let mut whole = Devices::new([&profile()], 5);
        let mut lost = Devices::new([&profile()], 5);
        lost.slow_down(LaneId(0), Slowdown { from: Time::START, until: Time::from_millis(1), factor: f64::INFINITY });
        assert!(
            lost.result(&batch(LaneId(0)), Time::START).fails && !whole.result(&batch(LaneId(0)), Time::START).fails
        );
        let later = Time::from_millis(1);
        assert_eq!(lost.result(&batch(LaneId(0)), later), whole.result(&batch(LaneId(0)), later));
    }

    #[test]
    fn what_was_recorded_is_repeated_by_nearest_time() {
        let mut devices = Devices::new([&profile()], 1);
        for (at, ratio) in [(20, 3.0), (0, 2.0), (10, 1.5)] {
            devices.repeat(ModelId(0), Mode::full(ModalitySet::all(1)), Recorded { at: Time::from_millis(at), ratio });
        }
        let takes =
            |devices: &mut Devices, at| devices.result(&batch(LaneId(0)), Time::from_millis(at)).takes.as_micros();
        assert_eq!([0, 4, 6, 14, 16, 99].map(|at| takes(&mut devices, at)), [2100, 2100, 1575, 1575, 3150, 3150]);
    }

    #[test]
    fn failures_come_as_often_as_asked() {
        let mut devices = Devices { failures: 0.2, ..Devices::new([&profile()], 1) };
        let failed = (0..10_000).filter(|_| devices.result(&batch(LaneId(0)), Time::START).fails).count();
        assert!((1800..2200).contains(&failed), "{failed}");
    }
}
