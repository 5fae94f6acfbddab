//! Spectrograms: how loud a sound is, by time and frequency, as pictures for networks.

use std::f64::consts::PI;
use std::sync::Arc;

use anyhow::{Result, ensure};
use realfft::{RealFftPlanner, RealToComplex};

use super::mel::{self, MelNorm, MelScale, Triangle};

/// What a spectrogram is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct LogMelSettings {
    /// Samples a second of the sound.
    pub hertz: u32,
    /// Samples of a Fourier transform: 2 to 16,384.
    pub fft: usize,
    /// Samples under the window, in the middle of them: 2 to `fft`.
    pub window: usize,
    /// Which Hann window.
    pub hann: Hann,
    /// Samples from one frame to the next, 1 or more.
    pub hop: usize,
    /// Frames: 1 to 16,384.
    pub frames: usize,
    /// Where the first frame lies.
    pub edges: Edges,
    /// Whether a bin's magnitude is squared.
    pub squared: bool,
    /// What the bins are gathered in.
    pub bands: Bands,
    /// How loudness is told.
    pub level: Level,
}

/// A Hann window of `n` samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hann {
    /// As if another followed: divided by `n`. What most libraries take for spectra.
    Periodic,
    /// Both ends alike: divided by `n - 1`.
    Symmetric,
}

/// Where frame `i` lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// It begins at sample `i * hop`; after the end there is silence.
    Start,
    /// Its middle is at sample `i * hop`; outside there is silence.
    Silence,
    /// Its middle is at sample `i * hop`; outside the sound is mirrored at its ends, which are not repeated.
    Mirror,
}

/// What the bins of a spectrum are gathered in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bands {
    /// Nothing: every bin, `fft / 2 + 1` of them, from 0 Hz up.
    Linear,
    /// Triangles over the mel scale.
    Mel {
        /// How many: 1 to 512.
        count: usize,
        /// The scale.
        scale: MelScale,
        /// What a triangle is scaled to.
        norm: MelNorm,
        /// Where the first begins, in Hz.
        low_hertz: f32,
        /// Where the last ends, in Hz, no more than half of the rate.
        high_hertz: f32,
    },
}

/// How loudness is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// The natural logarithm of the value plus so much.
    Natural {
        /// More than 0.
        added: f32,
    },
    /// `10 log10` of the value, or of `least` if that is more, relative to the loudest, which is 0; nothing is further below
    /// it than `range`. With [`LogMelSettings::squared`] these are decibels.
    Decibels {
        /// More than 0.
        least: f32,
        /// More than 0.
        range: f32,
    },
}

/// Makes spectrograms of one kind. Cheap to share; computing one takes a few microseconds a frame.
pub struct LogMel {
    settings: LogMelSettings,
    transform: Arc<dyn RealToComplex<f32>>,
    /// As long as the transform, 0 outside the window.
    window: Vec<f32>,
    /// None: every bin.
    triangles: Option<Vec<Triangle>>,
}

const MOST_SAMPLES: usize = 16_384;
const MOST_BANDS: usize = 512;

impl LogMel {
    /// Checks the settings and plans the transform.
    pub fn new(settings: LogMelSettings) -> Result<LogMel> {
        settings.check()?;
        let triangles = match settings.bands {
            Bands::Linear => None,
            Bands::Mel { count, scale, norm, low_hertz, high_hertz } => {
                let bin_hertz = f64::from(settings.hertz) / settings.fft as f64;
                let range = (low_hertz.into(), high_hertz.into());
                Some(mel::triangles((count, scale, norm), range, settings.bins(), bin_hertz))
            }
        };
        let transform = RealFftPlanner::new().plan_fft_forward(settings.fft);
        Ok(LogMel { window: settings.window(), transform, triangles, settings })
    }

    /// `[bands, frames]` of every spectrogram.
    pub fn shape(&self) -> [usize; 2] {
        [self.settings.rows(), self.settings.frames]
    }

    /// The spectrogram of a sound, band by band, the lowest first.
    pub fn of(&self, samples: &[f32]) -> Vec<f32> {
        let LogMelSettings { frames, squared, level, .. } = self.settings;
        let mut spectrogram = vec![0.0; self.settings.rows() * frames];
        let mut frame = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        for number in 0..frames {
            self.cut(samples, number, &mut frame);
            self.transform
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .expect("all three were made by the transform itself");
            let loudness: Vec<f32> =
                spectrum.iter().map(|bin| if squared { bin.norm_sqr() } else { bin.norm() }).collect();
            let band = |(band, value)| spectrogram[band * frames + number] = value;
            match &self.triangles {
                None => loudness.into_iter().enumerate().for_each(band),
                Some(triangles) => {
                    triangles.iter().map(|triangle| triangle.of(&loudness)).enumerate().for_each(band);
                }
            }
        }
        level.apply(&mut spectrogram);
        spectrogram
    }

    /// One frame under the window.
    fn cut(&self, samples: &[f32], number: usize, frame: &mut [f32]) {
        let LogMelSettings { fft, hop, edges, .. } = self.settings;
        let before = if edges == Edges::Start { 0 } else { fft / 2 };
        let start = (number * hop) as i64 - before as i64;
        for (offset, (value, weight)) in frame.iter_mut().zip(&self.window).enumerate() {
            *value = weight * at(samples, start + offset as i64, edges);
        }
    }
}

fn at(samples: &[f32], place: i64, edges: Edges) -> f32 {
    let last = samples.len() as i64 - 1;
    let place = match edges {
        Edges::Mirror if last > 0 => {
            // back and forth: 0 1 2 1 0 1 2
            let place = place.rem_euclid(2 * last);
            place.min(2 * last - place)
        }
        _ => place,
    };
    usize::try_from(place).ok().and_then(|place| samples.get(place)).copied().unwrap_or(0.0)
}

impl LogMelSettings {
    fn check(&self) -> Result<()> {
        let LogMelSettings { hertz, fft, window, hop, frames, bands, level, .. } = *self;
        ensure!(hertz > 0, "expected 1 sample a second or more, got 0");
        ensure!((2..=MOST_SAMPLES).contains(&fft), "expected an fft of 2 to {MOST_SAMPLES} samples, got {fft}");
        ensure!((2..=fft).contains(&window), "expected a window of 2 to {fft} samples (the fft's), got {window}");
        ensure!((1..=MOST_SAMPLES).contains(&hop), "expected a hop of 1 to {MOST_SAMPLES} samples, got {hop}");
        ensure!((1..=MOST_SAMPLES).contains(&frames), "expected 1 to {MOST_SAMPLES} frames, got {frames}");
        if let Bands::Mel { count, low_hertz, high_hertz, .. } = bands {
            ensure!((1..=MOST_BANDS).contains(&count), "expected 1 to {MOST_BANDS} mel bands, got {count}");
            let half = hertz as f32 / 2.0;
            ensure!(
                0.0 <= low_hertz && low_hertz < high_hertz && high_hertz <= half,
                "expected frequencies with 0 <= low < high <= {half} (half of the rate), got {low_hertz} and {high_hertz}"
            );
        }
        let positive = |number: f32| number.is_finite() && number > 0.0;
        let sound = match level {
            Level::Natural { added } => positive(added),
            Level::Decibels { least, range } => positive(least) && positive(range),
        };
        ensure!(sound, "expected a level of finite numbers above 0, got {level:?}");
        Ok(())
    }

    fn bins(&self) -> usize {
        self.fft / 2 + 1
    }

    fn rows(&self) -> usize {
        match self.bands {
            Bands::Linear => self.bins(),
            Bands::Mel { count, .. } => count,
        }
    }

    fn window(&self) -> Vec<f32> {
        let LogMelSettings { fft, window, hann, .. } = *self;
        let period = match hann {
            Hann::Periodic => window,
            Hann::Symmetric => window - 1,
        } as f64;
        let before = (fft - window) / 2;
        let mut weights = vec![0.0; fft];
        for (number, weight) in weights[before..before + window].iter_mut().enumerate() {
            *weight = (0.5 - 0.5 * (2.0 * PI * number as f64 / period).cos()) as f32;
        }
        weights
    }
}

impl Triangle {
    fn of(&self, loudness: &[f32]) -> f32 {
        loudness[self.first_bin..].iter().zip(&self.weights).map(|(value, weight)| value * weight).sum()
    }
}

impl Level {
    fn apply(self, spectrogram: &mut [f32]) {
        match self {
            Level::Natural { added } => spectrogram.iter_mut().for_each(|value| *value = (*value + added).ln()),
            Level::Decibels { least, range } => {
                let loudest = spectrogram.iter().copied().fold(least, f32::max).log10() * 10.0;
                for value in spectrogram {
                    *value = (value.max(least).log10() * 10.0 - loudest).max(-range);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings of librosa.feature.melspectrogram followed by power_to_db(ref=np.max), smaller.
    fn like_librosa() -> LogMelSettings {
        LogMelSettings {
            hertz: 8000,
            fft: 256,
            window: 256,
            hann: Hann::Periodic,
            hop: 100,
            frames: 6,
            edges: Edges::Silence,
            squared: true,
            bands: Bands::Mel {
                count: 8,
                scale: MelScale::Slaney,
                norm: MelNorm::Area,
                low_hertz: 0.0,
                high_hertz: 4000.0,
            },
            level: Level::Decibels { least: 1e-10, range: 80.0 },
        }
    }

    /// Two tones and a slope, so that every band hears something.
    fn sound() -> Vec<f32> {
        let tone = |at: usize, hertz: f64| (2.0 * PI * hertz * at as f64 / 8000.0).sin();
        (0..500).map(|at| (0.5 * tone(at, 440.0) + 0.1 * tone(at, 2500.0) + at as f64 * 1e-4) as f32).collect()
    }

    #[test]
    fn a_tone_is_loudest_where_it_is() {
        let settings = LogMelSettings {
            bands: Bands::Linear,
            level: Level::Natural { added: 1e-6 },
            edges: Edges::Start,
            frames: 1,
            ..like_librosa()
        };
        // exactly in bin 16: a Hann window leaves half of it there and a quarter in each neighbor
        let tone: Vec<f32> = (0..256).map(|at| (2.0 * PI * 500.0 * f64::from(at) / 8000.0).sin() as f32).collect();
        let spectrogram = LogMel::new(settings).unwrap().of(&tone);
        assert_eq!(spectrogram.len(), 129);
        let energy = |bin: usize| spectrogram[bin].exp();
        assert!((energy(16) - (128.0f32 / 2.0).powi(2)).abs() < 0.5, "{}", energy(16));
        assert!((energy(15) - (128.0f32 / 4.0).powi(2)).abs() < 0.5, "{}", energy(15));
        assert!((0..129).all(|bin| (15..=17).contains(&bin) || energy(bin) < 1e-3));
    }

    /// What librosa and numpy made of the same sound; models/tests/fixtures/make.py is how.
    fn expected(name: &str) -> Vec<f32> {
        let file = include_str!("../../tests/fixtures/spectrograms.json");
        let mut made: std::collections::BTreeMap<String, Vec<f32>> = serde_json::from_str(file).unwrap();
        made.remove(name).unwrap()
    }

    #[track_caller]
    fn check(settings: LogMelSettings, name: &str) {
        let log_mel = LogMel::new(settings).unwrap();
        let (got, expected) = (log_mel.of(&sound()), expected(name));
        let [bands, frames] = log_mel.shape();
        assert_eq!((got.len(), bands * frames), (expected.len(), expected.len()));
        for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
            let (band, frame) = (at / frames, at % frames);
            assert!((got - expected).abs() < 2e-3, "band {band}, frame {frame}: {got}, expected {expected}");
        }
    }

    #[test]
    fn the_numbers_are_those_of_librosa() {
        check(like_librosa(), "decibels");
        let linear = LogMelSettings {
            window: 200,
            edges: Edges::Mirror,
            squared: false,
            bands: Bands::Linear,
            level: Level::Natural { added: 1e-2 },
            ..like_librosa()
        };
        check(linear, "linear");
    }

    #[test]
    fn frames_from_the_first_sample_on_under_a_symmetric_window_are_those_of_numpy() {
        let bands =
            Bands::Mel { count: 8, scale: MelScale::Htk, norm: MelNorm::Sum, low_hertz: 30.0, high_hertz: 3800.0 };
        let level = Level::Natural { added: 1e-6 };
        let summed =
            LogMelSettings { hann: Hann::Symmetric, edges: Edges::Start, frames: 5, bands, level, ..like_librosa() };
        check(summed, "summed");
    }

    #[test]
    fn settings_out_of_bounds_are_refused_with_what_was_expected() {
        let refusal = |change: fn(&mut LogMelSettings)| {
            let mut settings = like_librosa();
            change(&mut settings);
            LogMel::new(settings).err().expect("refused").to_string()
        };
        assert_eq!(refusal(|s| s.fft = 1), "expected an fft of 2 to 16384 samples, got 1");
        assert_eq!(refusal(|s| s.window = 257), "expected a window of 2 to 256 samples (the fft's), got 257");
        assert!(refusal(|s| s.hop = 0).starts_with("expected a hop"));
        assert!(refusal(|s| s.frames = 20_000).ends_with("got 20000"));
        assert!(refusal(|s| s.level = Level::Natural { added: f32::NAN }).contains("NaN"));
        assert!(refusal(|s| s.hertz = 7999).contains("half of the rate"));
    }
}
