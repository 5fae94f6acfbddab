//! Another number of samples a second: band-limited interpolation (Smith and Gossett, 1984).
//!
//! Every sample is a sum of its neighbors, weighted by a sinc under a Hann window that passes what both rates can hold.
//! The weights come from one table, so that no pair of rates costs more memory or more sines than another.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Zero crossings of the sinc on either side.
const CROSSINGS: usize = 16;
/// Entries of the table between two of them; between entries is a straight line, off by less than 6e-6.
const STEPS: usize = 512;
/// Share of the lower rate's half at which the filter passes half of a tone's level (-6 dB). Its slope lies around this
/// point: what lies just above half of the lower rate is only partly removed.
const PASSED: f64 = 0.95;

static KERNEL: LazyLock<Vec<f32>> = LazyLock::new(kernel);

/// The first `most` samples of a sound at rate `to`, or fewer if it is shorter; rates in samples a second, not 0.
///
/// Before its beginning and after its end there is silence.
pub fn resample(samples: &[f32], from: u32, to: u32, most: usize) -> Vec<f32> {
    let (from, to) = (u64::from(from.max(1)), u64::from(to.max(1)));
    let count = (samples.len() as u64 * to).div_ceil(from).min(most as u64);
    if from == to {
        return samples[..count as usize].to_vec();
    }
    // zero crossings a sample: the lower of the two rates has one a sample
    let density = PASSED * (to as f64 / from as f64).min(1.0);
    (0..count)
        .map(|number| weighted(samples, number * from / to, (number * from % to) as f64 / to as f64, density))
        .collect()
}

/// The sound at `fraction` of a sample after sample `whole`.
fn weighted(samples: &[f32], whole: u64, fraction: f64, density: f64) -> f32 {
    let reach = CROSSINGS as f64 / density;
    let first = (whole as f64 + fraction - reach).ceil().max(0.0) as usize;
    let last = ((whole as f64 + fraction + reach).floor() as usize).min(samples.len() - 1);
    let mut sum = 0.0;
    for (near, &sample) in samples.iter().enumerate().take(last + 1).skip(first) {
        let distance = (near as f64 - whole as f64 - fraction).abs() * density;
        sum += sample * between(distance);
    }
    sum * density as f32
}

fn between(distance: f64) -> f32 {
    let place = distance * STEPS as f64;
    let (entry, rest) = (place as usize, place.fract() as f32);
    match KERNEL.get(entry..entry + 2) {
        Some(&[here, next]) => here + (next - here) * rest,
        _ => 0.0,
    }
}

fn kernel() -> Vec<f32> {
    let weight = |entry: usize| {
        let distance = entry as f64 / STEPS as f64;
        let sinc = if entry == 0 { 1.0 } else { (PI * distance).sin() / (PI * distance) };
        let hann = (PI * distance / (2.0 * CROSSINGS as f64)).cos().powi(2);
        (sinc * hann) as f32
    };
    (0..=CROSSINGS * STEPS).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, rate: u32, count: usize) -> Vec<f32> {
        (0..count).map(|at| (2.0 * PI * hertz * at as f64 / f64::from(rate)).sin() as f32).collect()
    }

    /// The largest difference, away from both ends, where there is silence outside.
    fn difference(a: &[f32], b: &[f32]) -> f32 {
        let inside = 200..a.len().min(b.len()) - 200;
        inside.map(|at| (a[at] - b[at]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_tone_stays_the_same_tone_at_any_rate() {
        for (from, to) in [(44_100, 22_050), (48_000, 16_000), (8_000, 22_050), (16_000, 15_999), (192_000, 8_000)] {
            let hertz = 0.3 * f64::from(from.min(to));
            let sound = resample(&tone(hertz, from, from as usize), from, to, usize::MAX);
            assert_eq!(sound.len(), to as usize, "{from} to {to}");
            let off = difference(&sound, &tone(hertz, to, to as usize));
            assert!(off < 1e-3, "{from} to {to}: off by {off}");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_gone() {
        let sound = resample(&tone(15_000.0, 44_100, 44_100), 44_100, 16_000, usize::MAX);
        let loudest = sound[200..sound.len() - 200].iter().fold(0.0f32, |loudest, sample| loudest.max(sample.abs()));
        assert!(loudest < 1e-3, "{loudest}");
    }

    #[test]
    fn no_more_is_made_than_was_asked_for() {
        let sound = tone(100.0, 8000, 100);
        assert_eq!(resample(&sound, 8000, 8000, 10), sound[..10]);
        assert_eq!(resample(&sound, 8000, 4000, 10).len(), 10);
        assert_eq!(resample(&sound, 8000, 8001, usize::MAX).len(), 101);
        assert!(resample(&[], 8000, 4000, 10).is_empty());
        assert_eq!(resample(&[0.5], 192_000, 1000, 10).len(), 1);
    }
}
