//! What decoding costs a request: a modality that a job is not run on saves this much.
//!
//! `cargo bench -p mosel-models`

use std::io::Cursor;

use bytes::Bytes;
use divan::Bencher;
use hound::{SampleFormat, WavSpec, WavWriter};
use mosel_models::prepare::{
    Bands, Edges, Hann, Level, LogMel, LogMelSettings, MelNorm, MelScale, frames_of, picture_of, sound_of,
};
use mosel_models::{Input, InputKind};

/// 128x96 pixels, written by libjpeg; models/tests/fixtures/make.py says how.
const FRAME: &[u8] = include_bytes!("../tests/fixtures/frame.jpg");
const HERTZ: u32 = 22_050;
const SAMPLES: usize = 25_200;

fn main() {
    divan::main();
}

#[divan::bench]
fn one_jpeg_of_128x96(bencher: Bencher<'_, '_>) {
    let kind = InputKind::Picture { max_side: 512, raw: Vec::new() };
    let input = Input::Picture(Bytes::from_static(FRAME));
    bencher.bench(|| picture_of(&input, &kind).unwrap());
}

#[divan::bench]
fn video_of_8_frames(bencher: Bencher<'_, '_>) {
    let kind = InputKind::Video { frames: 8, max_side: 512, raw: Vec::new() };
    let input = Input::Frames(vec![Bytes::from_static(FRAME); 8].into());
    bencher.bench(|| frames_of(&input, &kind).unwrap());
}

#[divan::bench]
fn sound_of_its_own_rate(bencher: Bencher<'_, '_>) {
    let input = Input::Sound(wav(HERTZ, 1));
    bencher.bench(|| sound_of(&input, &sound()).unwrap());
}

#[divan::bench]
fn stereo_sound_of_another_rate(bencher: Bencher<'_, '_>) {
    let input = Input::Sound(wav(48_000, 2));
    bencher.bench(|| sound_of(&input, &sound()).unwrap());
}

#[divan::bench]
fn spectrogram_of_96_frames(bencher: Bencher<'_, '_>) {
    let samples = sound_of(&Input::Sound(wav(HERTZ, 1)), &sound()).unwrap();
    let bands =
        Bands::Mel { count: 64, scale: MelScale::Htk, norm: MelNorm::Sum, low_hertz: 30.0, high_hertz: 10_500.0 };
    let settings = LogMelSettings {
        hertz: HERTZ,
        fft: 1024,
        window: 1024,
        hann: Hann::Periodic,
        hop: 256,
        frames: 96,
        edges: Edges::Start,
        squared: true,
        bands,
        level: Level::Natural { added: 1e-6 },
    };
    let log_mel = LogMel::new(settings).unwrap();
    bencher.bench(|| log_mel.of(&samples));
}

fn sound() -> InputKind {
    InputKind::Sound { hertz: HERTZ, samples: SAMPLES }
}

/// As long as the model listens, 16 bits.
fn wav(hertz: u32, channels: u16) -> Bytes {
    let mut file = Cursor::new(Vec::new());
    let spec = WavSpec { channels, sample_rate: hertz, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    let frames = SAMPLES as u64 * u64::from(hertz) / u64::from(HERTZ);
    for number in 0..frames * u64::from(channels) {
        writer.write_sample((number * 37 % 20_000) as i16 - 10_000).unwrap();
    }
    writer.finalize().unwrap();
    file.into_inner().into()
}
