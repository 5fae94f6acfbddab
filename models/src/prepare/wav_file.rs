//! WAV files to one channel: whole numbers of 8 to 32 bits and floating-point ones of 32.

use hound::{SampleFormat, WavReader};

use super::recording::{Longest, Recording, Unread};

/// Channels that a file may have.
const MOST_CHANNELS: u16 = 32;

/// Whether the file says that it is one.
pub(super) fn is_wav(file: &[u8]) -> bool {
    file.starts_with(b"RIFF")
}

/// Reads a file and averages its channels.
pub(super) fn read(file: &[u8], longest: Longest) -> Result<Recording, Unread> {
    let reader = WavReader::new(file)?;
    let spec = reader.spec();
    let most = longest.samples_at(spec.sample_rate)?;
    if spec.channels > MOST_CHANNELS {
        return Err(Unread::Broken(format!("expected at most {MOST_CHANNELS} channels, got {}", spec.channels)));
    }
    if reader.duration() as usize > most {
        return Err(Unread::TooLong);
    }
    let samples = match spec.sample_format {
        SampleFormat::Float => mixed(reader.into_samples::<f32>(), spec.channels)?,
        SampleFormat::Int => {
            let unit = 1.0 / (1u64 << (spec.bits_per_sample.max(1) - 1)) as f32;
            let samples = reader.into_samples::<i32>().map(|sample| sample.map(|sample| sample as f32 * unit));
            mixed(samples, spec.channels)?
        }
    };
    Ok(Recording { hertz: spec.sample_rate, samples })
}

fn mixed(samples: impl Iterator<Item = hound::Result<f32>>, channels: u16) -> Result<Vec<f32>, Unread> {
    let share = 1.0 / f32::from(channels.max(1));
    let (mut mixed, mut sum) = (Vec::new(), 0.0);
    for (number, sample) in samples.enumerate() {
        let sample = sample?;
        if !sample.is_finite() {
            return Err(Unread::Broken(format!("sample {number} is {sample}")));
        }
        sum += sample.clamp(-1.0, 1.0);
        if (number + 1) % usize::from(channels.max(1)) == 0 {
            mixed.push(sum * share);
            sum = 0.0;
        }
    }
    Ok(mixed)
}
