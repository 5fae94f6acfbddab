//! When jobs arrive: each kind of arrivals as times.

use std::f64::consts::TAU;

use super::arrivals::Kind;
use super::error::{MOST_JOBS, WorkloadError};
use super::pieces::{Piece, Pieces};
use super::stream::Stream;
use super::trace::Trace;

/// Pieces that stand for one period of a wave.
const PIECES_A_PERIOD: f64 = 256.0;

/// Seconds from the start at which jobs arrive, up to `duration_s` and at `rate` jobs a second on average: a Poisson
/// process.
pub fn poisson(rate: f64, duration_s: f64, seed: u64) -> Result<Vec<f64>, WorkloadError> {
    Kind::Poisson {}.times(rate, duration_s, seed)
}

impl Kind {
    /// Seconds from the start at which jobs arrive: ascending, up to `duration_s`, at `rate` jobs a second on average.
    pub(super) fn times(&self, rate: f64, duration_s: f64, seed: u64) -> Result<Vec<f64>, WorkloadError> {
        let expected = rate * duration_s;
        at_most(expected)?;
        let gaps = Stream::new(seed, "gaps");
        let pieces = match *self {
            Kind::Poisson {} => Pieces::steady(duration_s),
            Kind::Bursts { ratio, quiet_s, burst_s } => {
                bursts(duration_s, ratio, quiet_s, burst_s, Stream::new(seed, "bursts"))
            }
            Kind::Wave { period_s, depth } => wave(duration_s, period_s, depth),
            Kind::Step { from_s, until_s, factor } => step(duration_s, from_s, until_s, factor),
            Kind::Gamma { cv } => return at_most_drawn(renewals(rate, duration_s, cv, gaps)),
            Kind::Trace(ref file) => match file.trace()? {
                Trace::Counts(counts) => counted(duration_s, counts).map_err(|reason| file.error(reason))?,
                Trace::Rows(rows) => {
                    let times = rows.times(expected, duration_s, gaps, Stream::new(seed, "copies"));
                    return at_most_drawn(times.map_err(|reason| file.error(reason))?);
                }
            },
        };
        at_most_drawn(pieces.scaled(expected).arrivals(gaps))
    }
}

/// Gaps with this coefficient of variation. The first is what is left, at a random time, of a gap that is under way
/// (it is likelier to be a long one): so the rate is right from the start on, not only in the long run.
fn renewals(rate: f64, duration_s: f64, cv: f64, mut gaps: Stream) -> Vec<f64> {
    let shape = 1.0 / (cv * cv);
    let scale = 1.0 / (rate * shape);
    let mut arrivals = Vec::new();
    let mut at = gaps.unit() * gaps.gamma(shape + 1.0) * scale;
    while at <= duration_s {
        arrivals.push(at);
        at += gaps.gamma(shape) * scale;
    }
    arrivals
}

fn bursts(duration_s: f64, ratio: f64, quiet_s: f64, burst_s: f64, mut lengths: Stream) -> Pieces {
    let mut burst = lengths.unit() < burst_s / (quiet_s + burst_s);
    let (mut pieces, mut until_s) = (Vec::new(), 0.0);
    while until_s < duration_s {
        let (mean_s, rate) = if burst { (burst_s, ratio) } else { (quiet_s, 1.0) };
        until_s = duration_s.min(until_s + mean_s * lengths.exponential());
        pieces.push(Piece { until_s, rate });
        burst = !burst;
    }
    Pieces::new(pieces)
}

fn wave(duration_s: f64, period_s: f64, depth: f64) -> Pieces {
    let length_s = period_s / PIECES_A_PERIOD;
    let piece = |index: usize| {
        let (number, middle) = (index as f64, (index as f64 + 0.5) / PIECES_A_PERIOD);
        let rate = 1.0 + depth * libm::sin(TAU * middle.fract());
        Piece { until_s: duration_s.min((number + 1.0) * length_s), rate: rate.max(0.0) }
    };
    Pieces::new((0..(duration_s / length_s).ceil() as usize).map(piece).collect())
}

fn step(duration_s: f64, from_s: f64, until_s: f64, factor: f64) -> Pieces {
    let pieces = [(from_s, 1.0), (until_s, factor), (duration_s, 1.0)];
    Pieces::new(pieces.map(|(until_s, rate)| Piece { until_s, rate }).into())
}

/// A second for every count, from the start again if they are used up; or why there is nothing to scale.
fn counted(duration_s: f64, counts: &[u32]) -> Result<Pieces, String> {
    let seconds = duration_s.ceil() as usize;
    if counts.iter().take(seconds).all(|&count| count == 0) {
        return Err(format!("expected arrivals in its first {duration_s} s, found none"));
    }
    let until = |second: usize| duration_s.min(second as f64 + 1.0);
    let piece = |second| Piece { until_s: until(second), rate: counts[second % counts.len()].into() };
    Ok(Pieces::new((0..seconds).map(piece).collect()))
}

fn at_most_drawn(times: Vec<f64>) -> Result<Vec<f64>, WorkloadError> {
    at_most(times.len() as f64)?;
    Ok(times)
}

fn at_most(jobs: f64) -> Result<(), WorkloadError> {
    // a comparison that a number which is none does not pass
    if jobs <= MOST_JOBS as f64 {
        return Ok(());
    }
    Err(WorkloadError::TooManyJobs { jobs, most: MOST_JOBS })
}

#[cfg(test)]
mod tests;
