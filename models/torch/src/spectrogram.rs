//! Spectrograms to tokens: four strided convolutions, trained with the network that reads the tokens.

use anyhow::Result;
use tch::{Device, Kind, TchError, Tensor};

use super::batch::rows;
use super::layers::Source;
use super::strided::Strided;
use mosel_models::prepare::{Bands, Edges, Hann, Level, LogMel, LogMelSettings, MelNorm, MelScale};

/// Frequencies of a spectrogram, low to high.
pub(super) const MELS: i64 = 64;
/// Moments of a spectrogram: 1.14 s, one every 256 samples.
pub(super) const MOMENTS: i64 = 96;
/// Width of a token.
pub(super) const WIDTH: i64 = 128;
/// Tokens of a spectrogram: 4 bands of frequency by 6 times.
pub(super) const PATCHES: i64 = 24;

/// Channels before, between and after the convolutions.
const CHANNELS: [i64; 5] = [1, 16, 32, 64, WIDTH];

/// Makes the spectrograms `[64, 96]` of sounds of this rate: 46 ms of sound every 12 ms at 22,050 Hz.
pub(super) fn log_mel(hertz: u32) -> Result<LogMel> {
    let (scale, norm) = (MelScale::Htk, MelNorm::Sum);
    LogMel::new(LogMelSettings {
        hertz,
        fft: 1024,
        window: 1024,
        hann: Hann::Periodic,
        hop: 256,
        frames: MOMENTS as usize,
        edges: Edges::Start,
        squared: true,
        bands: Bands::Mel { count: MELS as usize, scale, norm, low_hertz: 30.0, high_hertz: 10_500.0 },
        level: Level::Natural { added: 1e-6 },
    })
}

/// The spectrograms `[n, 64, 96]` of sounds, each row by row, a frequency a row; `None` if there are none.
pub(super) fn batch<'a>(
    sounds: impl Iterator<Item = &'a [f32]>,
    kind: Kind,
    device: Device,
) -> Result<Option<Tensor>, TchError> {
    let spectrograms = rows(sounds, &[MELS, MOMENTS])?;
    spectrograms.map(|spectrograms| spectrograms.f_to_device(device)?.f_to_kind(kind)).transpose()
}

/// Log-mel spectrograms `[n, 64, 96]` to tokens `[n, 24, 128]`.
pub(super) struct Patches {
    convs: Strided,
}

impl Patches {
    /// The convolutions with weights from `source`, under `name`.
    pub(super) fn new(source: &Source<'_>, name: &str) -> Result<Patches> {
        Ok(Patches { convs: Strided::new(source, name, &CHANNELS)? })
    }

    pub(super) fn tokens(&self, spectrograms: &Tensor) -> Result<Tensor, TchError> {
        self.convs.map(&normal(spectrograms)?)?.f_flatten(2, 3)?.f_transpose(1, 2)
    }
}

/// Spectrograms `[n, 64, 96]` as pictures of one channel: log-mel numbers lie around -8 with a deviation of about 4.
pub(super) fn normal(spectrograms: &Tensor) -> Result<Tensor, TchError> {
    spectrograms.f_add_scalar(8.0)?.f_div_scalar(4.0)?.f_unsqueeze(1)
}

/// Spectrograms as they might as well have been: shifted in time, louder or softer, with a band and a moment silent
/// (Park and others, 2019). Draws from libtorch's generator.
pub(super) fn vary(spectrograms: &Tensor) -> Result<Tensor, TchError> {
    const SHIFT: i64 = 12;
    const LOUDNESS: f64 = 0.8;
    const BAND: i64 = 10;
    const PAUSE: i64 = 16;
    /// What silence looks like.
    const SILENCE: f64 = -12.0;
    let count = spectrograms.size()[0];
    let shifts = draw(-SHIFT, SHIFT + 1, count)?;
    let times = places(MOMENTS)?.f_add(&shifts)?.f_remainder(MOMENTS)?;
    let shifted = spectrograms.f_gather(2, &times.f_unsqueeze(1)?.f_expand([-1, MELS, -1], false)?, false)?;
    let loudness = Tensor::f_randn([count, 1, 1], (Kind::Float, Device::Cpu))?.f_mul_scalar(LOUDNESS)?;
    let band = stretch(MELS, BAND, count)?.f_unsqueeze(2)?;
    let pause = stretch(MOMENTS, PAUSE, count)?.f_unsqueeze(1)?;
    shifted.f_add(&loudness)?.f_masked_fill(&band, SILENCE)?.f_masked_fill(&pause, SILENCE)
}

/// For each of `count` rows, true on a random stretch of up to `longest` of `length` places: `[count, length]`.
fn stretch(length: i64, longest: i64, count: i64) -> Result<Tensor, TchError> {
    let begin = draw(0, length, count)?;
    let end = begin.f_add(&draw(0, longest + 1, count)?)?;
    let places = places(length)?;
    places.f_ge_tensor(&begin)?.f_logical_and(&places.f_lt_tensor(&end)?)
}

/// `[1, length]`: 0, 1, 2...
fn places(length: i64) -> Result<Tensor, TchError> {
    Tensor::f_arange(length, (Kind::Int64, Device::Cpu))?.f_unsqueeze(0)
}

/// `[count, 1]` whole numbers from `low` to below `end`.
fn draw(low: i64, end: i64, count: i64) -> Result<Tensor, TchError> {
    Tensor::f_randint_low(low, end, [count, 1], (Kind::Int64, Device::Cpu))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::seeded;
    use mosel_models::data::doom;
    use tch::nn::VarStore;

    #[test]
    fn a_clip_of_sound_fills_the_spectrogram() {
        let log_mel = log_mel(doom::HERTZ).unwrap();
        assert_eq!(log_mel.shape(), [MELS as usize, MOMENTS as usize]);
        let silence = log_mel.of(&vec![0.0; doom::SAMPLES]);
        assert!(silence.iter().all(|&level| (level - 1e-6f32.ln()).abs() < 1e-4));
    }

    #[test]
    fn a_sound_has_the_same_tokens_alone_and_in_a_batch() {
        let _generator = seeded(1);
        let store = VarStore::new(Device::Cpu);
        let patches = Patches::new(&Source::Fresh(&store), "spectrogram").unwrap();
        let sounds = Tensor::randn([3, MELS, MOMENTS], (Kind::Float, Device::Cpu)) * 4.0 - 8.0;
        let together = patches.tokens(&sounds).unwrap();
        assert_eq!(together.size(), [3, PATCHES, WIDTH]);
        let alone = patches.tokens(&sounds.narrow(0, 1, 1)).unwrap();
        assert!((together.narrow(0, 1, 1) - alone).abs().max().double_value(&[]) < 1e-4);
    }

    #[test]
    fn variants_differ_from_each_other_and_from_the_original() {
        let _generator = seeded(1);
        let ramp = Tensor::arange(MELS * MOMENTS, (Kind::Float, Device::Cpu)).view([1, MELS, MOMENTS]);
        let sounds = ramp.expand([8, -1, -1], false);
        let varied = vary(&sounds).unwrap();
        assert_eq!(varied.size(), sounds.size());
        for row in 0..8 {
            let differs = |other: &Tensor| (varied.get(row) - other).abs().max().double_value(&[]) > 0.01;
            assert!(differs(&sounds.get(row)) && differs(&varied.get((row + 1) % 8)), "row {row}");
        }
    }
}
