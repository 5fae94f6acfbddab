//! WAV and FLAC files to one channel of samples at the rate that a model wants.

use super::recording::{Longest, Recording, Unread};
use super::{contained, flac_file, resample, wav_file};
use crate::{Input, InputFault, InputKind};

/// A file may last so many times as long as the model listens; the rest is not heard. A longer one is refused.
pub const LONGEST_SOUND: usize = 4;

/// The sound that came for a modality of kind [`InputKind::Sound`]: exactly as many samples as the model wants.
///
/// Channels are averaged, other rates resampled. What is too short ends in silence; what is too long is cut, and refused
/// beyond [`LONGEST_SOUND`]. Numbers beyond -1 and 1, which only files of floating-point numbers hold, are taken as these.
pub fn sound_of(input: &Input, kind: &InputKind) -> Result<Vec<f32>, InputFault> {
    input.check(kind)?;
    match (input, kind) {
        (Input::Samples(samples), InputKind::Sound { .. }) => Ok(samples.to_vec()),
        (Input::Sound(file), InputKind::Sound { hertz, samples }) => {
            let recording = decode(file, Longest { hertz: *hertz, samples: samples.saturating_mul(LONGEST_SOUND) })?;
            let mut sound = resample(&recording.samples, recording.hertz, *hertz, *samples);
            sound.resize(*samples, 0.0);
            Ok(sound)
        }
        _ => Err(InputFault::WrongKind { expected: kind.describe(), got: "something that is not a sound" }),
    }
}

fn decode(file: &[u8], longest: Longest) -> Result<Recording, InputFault> {
    let read = || if wav_file::is_wav(file) { wav_file::read(file, longest) } else { flac_file::read(file, longest) };
    // a file that is too long is no fault of the decoder
    let decoded = contained(|| match read() {
        Ok(recording) => Ok(Some(recording)),
        Err(Unread::TooLong) => Ok(None),
        Err(Unread::Broken(reason)) => Err(reason),
    });
    let recording = decoded.map_err(|reason| InputFault::BrokenSound { reason })?;
    recording.ok_or_else(|| InputFault::SoundLength { longest_ms: longest.millis() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{SampleFormat, WavSpec, WavWriter};
    use std::io::Cursor;

    const KIND: InputKind = InputKind::Sound { hertz: 8000, samples: 400 };

    /// A WAV file of whole numbers, the channels' samples one after the other.
    fn wav(hertz: u32, channels: u16, bits: u16, samples: &[i32]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let spec = WavSpec { channels, sample_rate: hertz, bits_per_sample: bits, sample_format: SampleFormat::Int };
        let mut writer = WavWriter::new(&mut file, spec).unwrap();
        samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
        file.into_inner()
    }

    fn floats(samples: &[f32]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let spec = WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 32, sample_format: SampleFormat::Float };
        let mut writer = WavWriter::new(&mut file, spec).unwrap();
        samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
        file.into_inner()
    }

    fn heard(file: &[u8]) -> Result<Vec<f32>, InputFault> {
        sound_of(&Input::Sound(file.to_vec().into()), &KIND)
    }

    /// Half a second of 440 Hz at half of full volume, left, and silence, right, written by libsndfile; models/tests/fixtures
    /// says how.
    const FLACS: [(&str, &[u8]); 2] = [
        ("16 bits", include_bytes!("../../tests/fixtures/tone.flac")),
        ("24 bits", include_bytes!("../../tests/fixtures/tone-24.flac")),
    ];

    #[test]
    fn every_width_and_number_of_channels_is_one_channel() {
        for bits in [8, 16, 24, 32] {
            let half = 1 << (bits - 2);
            let sound = heard(&wav(8000, 1, bits, &[half, -half, 0])).unwrap();
            assert_eq!((&sound[..4], sound.len()), (&[0.5, -0.5, 0.0, 0.0][..], 400), "{bits} bits");
        }
        let three = heard(&wav(8000, 3, 16, &[1 << 14, 0, -1 << 14, 3 << 12, 0, 0])).unwrap();
        assert_eq!(three[..3], [0.0, 0.125, 0.0]);
        assert!(heard(&wav(8000, 32, 16, &[5; 64])).is_ok());
        assert_eq!(heard(&wav(8000, 33, 16, &[5; 66])).unwrap_err().code(), "input_broken_sound");
        assert_eq!(heard(&floats(&[0.25, -3.0])).unwrap()[..3], [0.25, -1.0, 0.0]);
        assert_eq!(heard(&floats(&[f32::NAN])).unwrap_err().code(), "input_broken_sound");
    }

    #[test]
    fn a_sound_may_last_four_times_as_long_as_is_heard_and_no_longer() {
        assert_eq!(heard(&wav(8000, 1, 16, &[1 << 14; 1600])).unwrap(), [0.5; 400]);
        let refusal = heard(&wav(8000, 1, 16, &[1; 1601])).unwrap_err();
        assert_eq!(refusal.to_string(), "expected a sound of at most 200 ms, got a longer one");
        assert_eq!(heard(&wav(1000, 1, 16, &[1; 201])).unwrap_err(), refusal);
        assert_eq!(heard(&wav(999, 1, 16, &[1])).unwrap_err().code(), "input_broken_sound");
        assert_eq!(heard(&wav(192_001, 1, 16, &[1])).unwrap_err().code(), "input_broken_sound");
        assert_eq!(heard(&wav(8000, 1, 16, &[])).unwrap(), [0.0; 400]);
    }

    #[test]
    fn flac_is_heard_as_it_was_recorded() {
        let kind = InputKind::Sound { hertz: 8000, samples: 4000 };
        for (width, file) in FLACS {
            let sound = sound_of(&Input::Sound(file.into()), &kind).unwrap();
            for (at, sample) in sound.iter().enumerate() {
                let tone = 0.25 * (2.0 * std::f64::consts::PI * 440.0 * at as f64 / 8000.0).sin();
                assert!((f64::from(*sample) - tone).abs() < 1e-4, "{width}: {sample} at {at}, {tone} was recorded");
            }
        }
    }

    #[test]
    fn a_file_cut_short_is_broken_wherever_it_is_cut() {
        let wav = wav(8000, 2, 16, &[5; 200]);
        for whole in [&wav, FLACS[0].1] {
            let kind = InputKind::Sound { hertz: 8000, samples: 4000 };
            for length in 0..whole.len() {
                let cut = Input::Sound(whole[..length].to_vec().into());
                let fault = sound_of(&cut, &kind).expect_err("refused").code();
                assert!(["input_not_sound", "input_broken_sound"].contains(&fault), "{fault} at {length}");
            }
        }
    }

    #[test]
    fn no_change_of_a_byte_brings_the_decoder_down() {
        let kind = InputKind::Sound { hertz: 8000, samples: 4000 };
        for whole in [&wav(8000, 2, 16, &[5; 20]), FLACS[0].1] {
            for at in 0..whole.len() {
                for bits in [0xff, 0x01, 0x80] {
                    let mut changed = whole.to_vec();
                    changed[at] ^= bits;
                    if let Ok(sound) = sound_of(&Input::Sound(changed.into()), &kind) {
                        assert!(sound.len() == 4000 && sound.iter().all(|sample| sample.abs() <= 1.0));
                    }
                }
            }
        }
    }
}
