//! Thousands of files that were sound once: whatever is changed about them, they decode within their bounds or are refused.

use std::io::Cursor;

use hound::{SampleFormat, WavSpec, WavWriter};

use super::picture_file::decode_picture;
use super::sound::sound_of;
use crate::{Input, InputFault, InputKind};

const MAX_SIDE: u32 = 64;
const KIND: InputKind = InputKind::Sound { hertz: 8000, samples: 4000 };

/// What a decoder may say of a file.
const CODES: [&str; 6] = [
    "input_not_picture",
    "input_broken_picture",
    "input_picture_size",
    "input_not_sound",
    "input_broken_sound",
    "input_sound_length",
];

/// Repeatable: the same seed, the same changes.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        match self.below(4) {
            0 => 0,
            1 => 0xff,
            _ => self.below(256) as u8,
        }
    }
}

fn png(color: png::ColorType, depth: png::BitDepth, side: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(color);
    encoder.set_depth(depth);
    let row = (side as usize * color.samples() * depth as usize).div_ceil(8);
    let pixels: Vec<u8> = (0..row * side as usize).map(|at| (at * 37 % 251) as u8).collect();
    encoder.add_text_chunk("a".into(), "b".repeat(20)).unwrap();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

fn wav(channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let spec = WavSpec { channels, sample_rate: 8000, bits_per_sample, sample_format };
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for at in 0..60 * i32::from(channels) {
        match sample_format {
            SampleFormat::Int => writer.write_sample(at % 100).unwrap(),
            SampleFormat::Float => writer.write_sample(at as f32 / 1e4).unwrap(),
        }
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn seeds() -> Vec<Vec<u8>> {
    use png::{BitDepth, ColorType};
    vec![
        png(ColorType::Rgb, BitDepth::Eight, 9),
        png(ColorType::Rgba, BitDepth::Sixteen, 5),
        png(ColorType::Grayscale, BitDepth::One, 33),
        png(ColorType::GrayscaleAlpha, BitDepth::Eight, 12),
        include_bytes!("../../tests/fixtures/red-blue.jpg").to_vec(),
        include_bytes!("../../tests/fixtures/red-blue-progressive.jpg").to_vec(),
        include_bytes!("../../tests/fixtures/red-blue-444.jpg").to_vec(),
        include_bytes!("../../tests/fixtures/red-blue-cmyk.jpg").to_vec(),
        include_bytes!("../../tests/fixtures/red-blue-gray.jpg").to_vec(),
        include_bytes!("../../tests/fixtures/tone.flac").to_vec(),
        include_bytes!("../../tests/fixtures/tone-24.flac").to_vec(),
        wav(1, 16, SampleFormat::Int),
        wav(6, 24, SampleFormat::Int),
        wav(2, 32, SampleFormat::Float),
    ]
}

fn mutate(file: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(file.len());
    match random.below(7) {
        0 => file[at] ^= 1 << random.below(8),
        1 => file[at] = random.byte(),
        2 => file.truncate(at.max(1)),
        3 => drop(file.drain(at..(at + 1 + random.below(16)).min(file.len()))),
        4 => {
            let copied = file[at..(at + 1 + random.below(64)).min(file.len())].to_vec();
            let to = random.below(file.len());
            file.splice(to..to, copied);
        }
        5 => {
            let bytes: Vec<u8> = (0..1 + random.below(8)).map(|_| random.byte()).collect();
            let end = (at + bytes.len()).min(file.len());
            file.splice(at..end, bytes);
        }
        _ => {
            let from = random.below(other.len());
            file.splice(at.., other[from..].iter().copied());
        }
    }
}

fn decode(file: &[u8]) -> Result<(), InputFault> {
    if file.starts_with(b"RIFF") || file.starts_with(b"fLaC") {
        let sound = sound_of(&Input::Sound(file.to_vec().into()), &KIND)?;
        assert!(sound.len() == 4000 && sound.iter().all(|sample| sample.abs() <= 1.0));
        return Ok(());
    }
    let picture = decode_picture(file, MAX_SIDE)?;
    assert!((1..=64).contains(&picture.width) && (1..=64).contains(&picture.height));
    assert_eq!(picture.pixels.len(), picture.width * picture.height * 3);
    Ok(())
}

fn fuzz(files: usize) {
    let seeds = seeds();
    seeds.iter().for_each(|seed| assert_eq!(decode(seed), Ok(())));
    for number in 0..files {
        let mut random = Random(number as u64);
        let mut file = seeds[number % seeds.len()].clone();
        let other = &seeds[random.below(seeds.len())];
        for _ in 0..1 + random.below(4) {
            mutate(&mut file, other, &mut random);
            if file.is_empty() {
                break;
            }
        }
        if let Err(fault) = decode(&file) {
            assert!(CODES.contains(&fault.code()), "seed {number}: {fault}");
        }
    }
}

#[test]
fn changed_files_decode_within_their_bounds_or_are_refused() {
    fuzz(6000);
}

#[test]
#[ignore = "20,000 files: run by hand, and by tests/measures/fuzz_media.py over HTTP"]
fn twenty_thousand_changed_files_do() {
    fuzz(20_000);
}
