//! Clips of a simulated world: ViZDoom, a research game, with the free levels of Freedoom.
//!
//! Two recordings: [`Recording::Tvlt`], which of ten monsters is near, and [`Recording::Tbn`], what the player does.
//! `models/setup/doom.py` makes them and describes their files. Whole maps are held out; the held-out clips are cut at
//! random into two halves of the same maps, because maps differ: one is dark, in another a monster is far away.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::split;
use super::{Cut, Example, Part};
use crate::assets::Assets;
use crate::{Input, Request};

/// Frames of a clip, 7 a second.
pub const FRAMES: usize = 8;
/// Pixels across a frame.
pub const WIDTH: usize = 128;
/// Pixels down a frame.
pub const HEIGHT: usize = 96;
/// Pixels across the picture that flow is of.
pub const FLOW_WIDTH: usize = 64;
/// Pixels down the picture that flow is of.
pub const FLOW_HEIGHT: usize = 48;
/// Samples of sound a second.
pub const HERTZ: u32 = 22_050;
/// Samples of a clip's sound: 1.14 s.
pub const SAMPLES: usize = 25_200;
/// The monsters, by the game's names: what [`Recording::Tvlt`] is labeled with.
pub const MONSTERS: [&str; 10] = [
    "Zombieman",
    "ShotgunGuy",
    "ChaingunGuy",
    "DoomImp",
    "Demon",
    "LostSoul",
    "Cacodemon",
    "HellKnight",
    "Revenant",
    "Arachnotron",
];
/// What the player does: what [`Recording::Tbn`] is labeled with.
pub const ACTIONS: [&str; 11] = [
    "stand",
    "forward",
    "backward",
    "left",
    "right",
    "turn left",
    "turn right",
    "fire pistol",
    "fire shotgun",
    "fire chaingun",
    "fire plasma rifle",
];

const SEED: u64 = 1;
const MAPS: u32 = 32;
const HELD_OUT_MAPS: usize = 10;
const FLOW_NUMBERS: usize = FRAMES * FLOW_HEIGHT * FLOW_WIDTH * 2;
const FORMAT: &str = "mosel-doom/1";

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// A monster appears; in three clips of ten the player turns away from it. Frames and sound.
    Tvlt,
    /// The player does one thing. Frames, optical flow and sound.
    Tbn,
}

/// One clip.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Its number in the recording, from 0: the clip is a function of it.
    pub number: usize,
    /// The level it was played on, 1 to 32.
    pub map: u32,
    /// [`FRAMES`] JPEG files in order, [`WIDTH`] by [`HEIGHT`] pixels.
    pub frames: Vec<Bytes>,
    /// A WAV file: 16 bit, mono, [`HERTZ`], [`SAMPLES`] samples.
    pub sound: Bytes,
    /// `Tbn` only: how far the pixel moved in the 1/35 s before each frame, in sixteenths of a pixel;
    /// `[FRAMES, FLOW_HEIGHT, FLOW_WIDTH, 2]`, right then down.
    pub flow: Option<Vec<i8>>,
    /// Position in [`Recording::labels`].
    pub label: usize,
    /// Its monster is in view in at least one frame.
    pub seen: bool,
}

impl Recording {
    /// The folder among the assets.
    pub fn folder(self) -> &'static str {
        match self {
            Recording::Tvlt => "doom-tvlt",
            Recording::Tbn => "doom-tbn",
        }
    }

    /// What its clips are labeled with.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Recording::Tvlt => &MONSTERS,
            Recording::Tbn => &ACTIONS,
        }
    }

    /// How it is cut; the same maps are held out of both recordings.
    pub fn cut(self) -> Cut {
        let description = format!(
            "simulated; {HELD_OUT_MAPS} of {MAPS} maps held out; half of the held-out clips profiled, the other half \
             served"
        );
        Cut { description, seed: SEED }
    }

    /// The clips of one part, by number. An error says how to make the recording if it is not there.
    pub fn read(self, assets: &Assets, part: Part) -> Result<Vec<Clip>> {
        let held_out = held_out_maps();
        let clips = self.read_where(assets, |clip| {
            let half = || split::half(SEED, &format!("{} {}", self.folder(), clip.number));
            part == if held_out.contains(&clip.map) { half() } else { Part::Train }
        })?;
        ensure!(!clips.is_empty(), "the recording {} has no clip for this part", self.folder());
        Ok(clips)
    }

    /// Reads the shards one after the other and keeps the clips that are wanted.
    fn read_where(self, assets: &Assets, wanted: impl Fn(&Place) -> bool) -> Result<Vec<Clip>> {
        let folder = assets.folder().join(self.folder());
        ensure!(
            folder.exists(),
            "{} is missing: `python3 models/setup/setup.py doom` records it, in some minutes",
            folder.display()
        );
        let index = Index::read(&folder, self)?;
        let (mut clips, mut first) = (Vec::new(), 0);
        for entry in &index.shards {
            let path = folder.join(&entry.file);
            let file = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let shard =
                Shard::parse(&file, self, entry.clips).with_context(|| format!("reading {}", path.display()))?;
            for row in 0..entry.clips {
                let place = Place { number: first + row, map: shard.maps[row] };
                if wanted(&place) {
                    clips.push(shard.clip(row, place));
                }
            }
            first += entry.clips;
        }
        Ok(clips)
    }
}

/// The clips of [`Recording::Tbn`] as clients of its model would send them: frames, flow, sound.
pub fn tbn_examples(assets: &Assets, part: Part) -> Result<Vec<Example>> {
    let example = |clip: Clip| {
        let flow = clip.flow.context("expected flow in every clip of this recording")?;
        let flow = Input::Samples(flow.into_iter().map(f32::from).collect());
        let request = Request::new(vec![Input::Frames(clip.frames.into()), flow, Input::Sound(clip.sound)]);
        Ok(Example { request, label: clip.label, name: format!("clip {}, map {}", clip.number, clip.map) })
    };
    Recording::Tbn.read(assets, part)?.into_iter().map(example).collect()
}

/// The clips of [`Recording::Tvlt`] as clients of its model would send them: frames, then sound.
pub fn tvlt_examples(assets: &Assets, part: Part) -> Result<Vec<Example>> {
    let example = |clip: Clip| {
        let seen = if clip.seen { "seen" } else { "unseen" };
        let name = format!("clip {}, map {}, {seen}", clip.number, clip.map);
        let request = Request::new(vec![Input::Frames(clip.frames.into()), Input::Sound(clip.sound)]);
        Example { request, label: clip.label, name }
    };
    Ok(Recording::Tvlt.read(assets, part)?.into_iter().map(example).collect())
}

/// Where a clip is: all that a cut may depend on.
#[derive(Clone, Copy)]
struct Place {
    number: usize,
    map: u32,
}

/// The maps whose names draw the lowest numbers.
fn held_out_maps() -> Vec<u32> {
    let mut maps: Vec<u32> = (1..=MAPS).collect();
    let draw = |map: &u32| split::draw(SEED, "group", &format!("doom map {map}"));
    maps.sort_by(|a, b| draw(a).total_cmp(&draw(b)));
    maps.truncate(HELD_OUT_MAPS);
    maps
}

/// What `index.json` says.
#[derive(Deserialize)]
struct Index {
    format: String,
    labels: Vec<String>,
    shards: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    clips: usize,
}

impl Index {
    fn read(folder: &Path, recording: Recording) -> Result<Index> {
        let path = folder.join("index.json");
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let index: Index = serde_json::from_slice(&text)
            .with_context(|| format!("{} does not describe a recording", path.display()))?;
        ensure!(index.format == FORMAT, "{}: expected format {FORMAT}, got {}", path.display(), index.format);
        let labels = recording.labels();
        ensure!(index.labels == labels, "{}: expected the labels {labels:?}, got {:?}", path.display(), index.labels);
        Ok(index)
    }
}

/// One file of clips, checked: every range below lies within its tensor.
struct Shard<'a> {
    jpeg: &'a [u8],
    /// Begin of the first frame, then the end of each.
    bounds: Vec<usize>,
    wav: &'a [u8],
    flow: Option<&'a [u8]>,
    labels: Vec<usize>,
    maps: Vec<u32>,
    seen: Vec<bool>,
}

impl<'a> Shard<'a> {
    fn parse(file: &'a [u8], recording: Recording, clips: usize) -> Result<Shard<'a>> {
        let tensors = SafeTensors::deserialize(file)?;
        let jpeg = bytes_of(&tensors, "jpeg", Dtype::U8)?;
        let mut bounds = vec![0];
        bounds.extend(integers(&tensors, "jpeg_ends", clips * FRAMES, 0..=jpeg.len() as i64)?.map(|end| end as usize));
        ensure!(bounds.is_sorted(), "expected the frames' ends in order");
        let wav = bytes_of(&tensors, "wav", Dtype::U8)?;
        ensure!(wav.len() % clips.max(1) == 0, "expected {clips} sounds of the same length, got {} bytes", wav.len());
        let flow = match recording {
            Recording::Tvlt => None,
            Recording::Tbn => Some(bytes_of(&tensors, "flow", Dtype::I8)?),
        };
        let expected = clips * FLOW_NUMBERS;
        ensure!(
            flow.is_none_or(|flow| flow.len() == expected),
            "expected {expected} numbers of flow, got {}",
            flow.unwrap_or_default().len()
        );
        let last_label = recording.labels().len() as i64 - 1;
        Ok(Shard {
            jpeg,
            bounds,
            wav,
            flow,
            labels: integers(&tensors, "label", clips, 0..=last_label)?.map(|label| label as usize).collect(),
            maps: integers(&tensors, "map", clips, 1..=i64::from(MAPS))?.map(|map| map as u32).collect(),
            seen: integers(&tensors, "seen", clips, 0..=1)?.map(|seen| seen == 1).collect(),
        })
    }

    /// Copies one clip out, so that the shard's other clips need not be kept.
    fn clip(&self, row: usize, place: Place) -> Clip {
        let bounds = &self.bounds[row * FRAMES..=(row + 1) * FRAMES];
        let frames = bounds.windows(2).map(|frame| Bytes::copy_from_slice(&self.jpeg[frame[0]..frame[1]])).collect();
        let row_of = |bytes: &'a [u8]| {
            let length = bytes.len() / self.labels.len();
            &bytes[row * length..(row + 1) * length]
        };
        Clip {
            number: place.number,
            map: place.map,
            frames,
            sound: Bytes::copy_from_slice(row_of(self.wav)),
            flow: self.flow.map(|flow| row_of(flow).iter().map(|&byte| byte.cast_signed()).collect()),
            label: self.labels[row],
            seen: self.seen[row],
        }
    }
}

fn bytes_of<'a>(tensors: &SafeTensors<'a>, name: &str, dtype: Dtype) -> Result<&'a [u8]> {
    let tensor = tensors.tensor(name)?;
    ensure!(tensor.dtype() == dtype, "expected {name} as {dtype:?}, got {:?}", tensor.dtype());
    Ok(tensor.data())
}

/// So many integers, each within a range.
fn integers(
    tensors: &SafeTensors<'_>,
    name: &str,
    count: usize,
    range: std::ops::RangeInclusive<i64>,
) -> Result<impl Iterator<Item = i64>> {
    let bytes = bytes_of(tensors, name, Dtype::I64)?;
    let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("chunks of eight bytes"));
    let numbers: Vec<i64> = bytes.chunks_exact(size_of::<i64>()).map(number).collect();
    ensure!(numbers.len() == count, "expected {count} numbers {name}, got {}", numbers.len());
    let strange = numbers.iter().find(|number| !range.contains(number));
    ensure!(strange.is_none(), "expected {name} in {range:?}, got {}", strange.unwrap_or(&0));
    Ok(numbers.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const PARTS: [Part; 3] = [Part::Train, Part::Profile, Part::Served];

    /// The first 32 clips of each recording: one on each map.
    fn sample() -> Assets {
        let folder = Assets::standard().path("doom-sample");
        Assets::at(folder.expect("run `python3 models/setup/setup.py doom-sample` first"))
    }

    #[test]
    fn every_clip_is_in_one_part_and_no_map_is_both_trained_on_and_held_out() {
        for recording in [Recording::Tvlt, Recording::Tbn] {
            let parts = PARTS.map(|part| recording.read(&sample(), part).unwrap());
            let mut numbers: Vec<usize> = parts.iter().flatten().map(|clip| clip.number).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..32).collect::<Vec<_>>());
            let [train, profile, served] = parts.map(|part| part.iter().map(|clip| clip.map).collect::<BTreeSet<_>>());
            assert_eq!((train.len(), profile.len() + served.len()), (22, 10));
            assert!(train.is_disjoint(&profile) && train.is_disjoint(&served));
        }
    }

    #[test]
    fn both_halves_come_from_the_same_maps() {
        let half = |clip: usize| split::half(SEED, &format!("doom-tvlt {clip}"));
        for map in held_out_maps() {
            let clips = (map as usize - 1..4096).step_by(MAPS as usize);
            let profiled = clips.clone().filter(|&clip| half(clip) == Part::Profile).count();
            assert!((32..96).contains(&profiled), "map {map}: {profiled} of {}", clips.count());
        }
    }

    #[test]
    fn a_clip_is_eight_jpegs_and_a_second_of_sound_and_flow_where_it_belongs() {
        for recording in [Recording::Tvlt, Recording::Tbn] {
            for clip in recording.read(&sample(), Part::Train).unwrap() {
                assert_eq!(clip.frames.len(), FRAMES);
                assert!(
                    clip.frames.iter().all(|frame| frame.starts_with(b"\xff\xd8\xff") && frame.ends_with(b"\xff\xd9"))
                );
                assert!(clip.sound.starts_with(b"RIFF"));
                assert_eq!(clip.sound.len(), 44 + 2 * SAMPLES);
                assert_eq!(clip.map as usize, 1 + clip.number % MAPS as usize);
                assert_eq!(clip.flow.map(|flow| flow.len()), (recording == Recording::Tbn).then_some(FLOW_NUMBERS));
            }
        }
    }

    #[test]
    fn a_missing_recording_says_how_to_make_it() {
        let error = Recording::Tbn.read(&Assets::at("/nowhere"), Part::Train).unwrap_err().to_string();
        assert_eq!(
            error,
            "/nowhere/doom-tbn is missing: `python3 models/setup/setup.py doom` records it, in some minutes"
        );
    }

    #[test]
    fn a_shard_that_points_outside_itself_is_refused() {
        let path = sample().path("doom-tvlt/000.safetensors").unwrap();
        let mut file = fs::read(path).unwrap();
        let refusal =
            |file: &[u8], clips| Shard::parse(file, Recording::Tvlt, clips).err().map(|error| error.to_string());
        assert_eq!(refusal(&file, 32), None);
        assert_eq!(refusal(&file, 31).unwrap(), "expected 248 numbers jpeg_ends, got 256");
        let last = SafeTensors::deserialize(&file).unwrap().tensor("jpeg").unwrap().shape()[0];
        let ends = SafeTensors::deserialize(&file).unwrap().tensor("jpeg_ends").unwrap().data().as_ptr();
        let at = ends as usize - file.as_ptr() as usize;
        file[at..at + 8].copy_from_slice(&(last as i64 + 1).to_le_bytes());
        assert_eq!(refusal(&file, 32).unwrap(), format!("expected jpeg_ends in 0..={last}, got {}", last + 1));
        file[at..at + 8].copy_from_slice(&(last as i64).to_le_bytes());
        assert_eq!(refusal(&file, 32).unwrap(), "expected the frames' ends in order");
    }
}
