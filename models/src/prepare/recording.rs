//! What is read of a file of sound, before it is made to fit a model.

use std::ops::RangeInclusive;

/// Samples a second that a file may have.
pub const SOUND_RATES: RangeInclusive<u32> = 1_000..=192_000;

/// One channel, as it was recorded.
pub(super) struct Recording {
    pub(super) hertz: u32,
    pub(super) samples: Vec<f32>,
}

/// How long a recording may be.
#[derive(Clone, Copy)]
pub(super) struct Longest {
    pub(super) hertz: u32,
    pub(super) samples: usize,
}

/// Why a recording could not be read.
pub(super) enum Unread {
    /// In the decoder's words.
    Broken(String),
    /// Longer than was allowed.
    TooLong,
}

impl Longest {
    /// Samples that a recording of this rate may have; an error if there is no such rate.
    pub(super) fn samples_at(self, hertz: u32) -> Result<usize, Unread> {
        if !SOUND_RATES.contains(&hertz) {
            let (least, most) = (SOUND_RATES.start(), SOUND_RATES.end());
            return Err(Unread::Broken(format!("expected {least} to {most} samples a second, got {hertz}")));
        }
        let samples = (self.samples as u64).saturating_mul(hertz.into()).div_ceil(self.hertz.max(1).into());
        Ok(usize::try_from(samples).unwrap_or(usize::MAX))
    }

    pub(super) fn millis(self) -> u64 {
        self.samples as u64 * 1000 / u64::from(self.hertz.max(1))
    }
}

impl<E: std::error::Error> From<E> for Unread {
    fn from(error: E) -> Unread {
        Unread::Broken(error.to_string())
    }
}
