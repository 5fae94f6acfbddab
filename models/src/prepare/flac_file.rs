//! FLAC files to one channel.

use claxon::{Block, FlacReader, FlacReaderOptions};

use super::recording::{Longest, Recording, Unread};

/// Reads a file and averages its channels.
pub(super) fn read(file: &[u8], longest: Longest) -> Result<Recording, Unread> {
    let options = FlacReaderOptions { metadata_only: false, read_vorbis_comment: false };
    let mut reader = FlacReader::new_ext(file, options)?;
    let info = reader.streaminfo();
    let most = longest.samples_at(info.sample_rate)?;
    if info.samples.is_some_and(|samples| samples > most as u64) {
        return Err(Unread::TooLong);
    }
    let mut samples = Vec::new();
    let mut blocks = reader.blocks();
    let mut buffer = Vec::new();
    while let Some(block) = blocks.read_next_or_eof(buffer)? {
        if samples.len() + block.duration() as usize > most {
            return Err(Unread::TooLong);
        }
        mix(&block, info.bits_per_sample, &mut samples);
        buffer = block.into_buffer();
    }
    match info.samples {
        Some(expected) if expected != samples.len() as u64 => {
            Err(Unread::Broken(format!("it says that it has {expected} samples and has {}", samples.len())))
        }
        _ => Ok(Recording { hertz: info.sample_rate, samples }),
    }
}

fn mix(block: &Block, bits: u32, samples: &mut Vec<f32>) {
    let unit = 1.0 / ((1u64 << bits.saturating_sub(1)) as f32 * block.channels() as f32);
    let start = samples.len();
    samples.resize(start + block.duration() as usize, 0.0);
    for channel in 0..block.channels() {
        for (sum, &sample) in samples[start..].iter_mut().zip(block.channel(channel)) {
            *sum += sample as f32 * unit;
        }
    }
    // a frame may be wider than its file says
    samples[start..].iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
}
