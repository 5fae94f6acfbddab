//! Mel filter banks: triangles over frequency, as wide as the ear is coarse there.

/// How a frequency's pitch is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MelScale {
    /// `2595 log10(1 + f / 700)`, as in the Hidden Markov Model Toolkit.
    Htk,
    /// In proportion up to 1,000 Hz, logarithmic above, as in Slaney's Auditory Toolbox; what librosa takes unasked.
    Slaney,
}

/// What a triangle is scaled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MelNorm {
    /// Its peak is 1.
    Peak,
    /// Its area is 1, in Hz; `norm="slaney"` of librosa.
    Area,
    /// Its weights sum up to 1.
    Sum,
}

/// One triangle: the weights of neighboring bins of a spectrum.
pub(super) struct Triangle {
    pub(super) first_bin: usize,
    pub(super) weights: Vec<f32>,
}

/// `count` triangles between two frequencies over bins that are `bin_hertz` apart, `bins` of them from 0 Hz up.
pub(super) fn triangles(
    (count, scale, norm): (usize, MelScale, MelNorm),
    (low_hertz, high_hertz): (f64, f64),
    bins: usize,
    bin_hertz: f64,
) -> Vec<Triangle> {
    let (low, high) = (scale.mels(low_hertz), scale.mels(high_hertz));
    let corner = |number: usize| scale.hertz(low + (high - low) * number as f64 / (count + 1) as f64);
    (0..count).map(|band| triangle([corner(band), corner(band + 1), corner(band + 2)], norm, bins, bin_hertz)).collect()
}

fn triangle([left, peak, right]: [f64; 3], norm: MelNorm, bins: usize, bin_hertz: f64) -> Triangle {
    let weight = |bin: usize| {
        let hertz = bin as f64 * bin_hertz;
        ((hertz - left) / (peak - left)).min((right - hertz) / (right - peak)).max(0.0)
    };
    let first_bin = ((left / bin_hertz).ceil().max(0.0) as usize).min(bins);
    let end = ((right / bin_hertz).floor() as usize + 1).clamp(first_bin, bins);
    let weights: Vec<f64> = (first_bin..end).map(weight).collect();
    let divisor = match norm {
        MelNorm::Peak => 1.0,
        MelNorm::Area => (right - left) / 2.0,
        // a triangle between two bins has no weights at all
        MelNorm::Sum => weights.iter().sum::<f64>().max(f64::MIN_POSITIVE),
    };
    Triangle { first_bin, weights: weights.into_iter().map(|weight| (weight / divisor) as f32).collect() }
}

/// Where Slaney's scale turns logarithmic.
const TURN_HERTZ: f64 = 1000.0;
const HERTZ_PER_MEL: f64 = 200.0 / 3.0;
const TURN_MELS: f64 = TURN_HERTZ / HERTZ_PER_MEL;

impl MelScale {
    fn mels(self, hertz: f64) -> f64 {
        match self {
            MelScale::Htk => 2595.0 * (1.0 + hertz / 700.0).log10(),
            MelScale::Slaney if hertz < TURN_HERTZ => hertz / HERTZ_PER_MEL,
            MelScale::Slaney => TURN_MELS + (hertz / TURN_HERTZ).ln() / log_step(),
        }
    }

    fn hertz(self, mels: f64) -> f64 {
        match self {
            MelScale::Htk => 700.0 * (10f64.powf(mels / 2595.0) - 1.0),
            MelScale::Slaney if mels < TURN_MELS => mels * HERTZ_PER_MEL,
            MelScale::Slaney => TURN_HERTZ * ((mels - TURN_MELS) * log_step()).exp(),
        }
    }
}

fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_go_there_and_back() {
        for scale in [MelScale::Htk, MelScale::Slaney] {
            for hertz in [0.0, 30.0, 999.0, 1000.0, 1001.0, 22_050.0] {
                assert!((scale.hertz(scale.mels(hertz)) - hertz).abs() < 1e-6, "{scale:?} {hertz}");
            }
        }
        assert!((MelScale::Htk.mels(1000.0) - 999.985).abs() < 1e-3);
        assert!((MelScale::Slaney.mels(6400.0) - 42.0).abs() < 1e-9);
    }

    #[test]
    fn triangles_are_scaled_as_was_asked_for() {
        let of = |norm| triangles((20, MelScale::Htk, norm), (30.0, 10_500.0), 513, 22_050.0 / 1024.0);
        for triangle in of(MelNorm::Sum) {
            assert!((triangle.weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        for triangle in of(MelNorm::Area) {
            let area = triangle.weights.iter().sum::<f32>() * 22_050.0 / 1024.0;
            assert!((area - 1.0).abs() < 0.1, "{area}");
        }
        assert!(
            of(MelNorm::Peak).iter().flat_map(|triangle| &triangle.weights).all(|weight| (0.0..=1.0).contains(weight))
        );
    }
}
