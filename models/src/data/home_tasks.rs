//! Which of seven tasks somebody does at home, from features of sound and of a wrist's movement.
//!
//! HTAD, a table of 1,386 windows of about three seconds: 36 cepstral coefficients of the sound, 16 statistics of the
//! accelerometer. It does not say who is heard, and whole recordings cannot be held out either: some tasks have three.
//! Windows next to each other are alike, so stretches of ten are held out, not single windows: with single ones, a
//! window is recognised by its neighbors.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use safetensors::SafeTensors;

use super::split;
use super::tensors::{integers, rows};
use super::{Cut, Example, Part};
use crate::assets::Assets;
use crate::{Input, Request};

/// The tasks, as the data set writes them.
pub const LABELS: [&str; 7] =
    ["brush_teeth", "eat_chips", "mop_floor", "sweep", "type_on_keyboard", "wash_hands", "watch_tv"];
/// Numbers of a window's sound: twelve mel-frequency cepstral coefficients of each of its seconds.
pub const AUDIO: usize = 36;
/// Numbers of a window's movement: means, deviations, maxima and correlations of the axes, and the magnitude's.
pub const ACCELEROMETER: usize = 16;

const SEED: u64 = 1;
/// Successive windows that are held out together.
const STRETCH: usize = 10;

/// How it is cut.
pub fn cut() -> Cut {
    let description = format!(
        "30 % held out, in stretches of {STRETCH} successive windows; the people are not known and are the same in \
         training; half of the held-out windows profiled, the other half served"
    );
    Cut { description, seed: SEED }
}

/// The examples of one part, in the order of the table.
pub fn read(assets: &Assets, part: Part) -> Result<Vec<Example>> {
    let windows = read_windows(assets)?;
    let places = places(&windows);
    let held_out = held_out_stretches(&places);
    let mut examples = Vec::new();
    for (window, place) in windows.iter().zip(places) {
        let name = format!("recording {}, window {}", place.recording, place.window);
        let half = || split::half(SEED, &name);
        if part == if held_out.contains(&place.stretch()) { half() } else { Part::Train } {
            examples.push(Example { request: window.request(), label: window.label, name });
        }
    }
    ensure!(!examples.is_empty(), "the table has no window for this part; expected about 200 or more");
    Ok(examples)
}

/// Where a window lies: all that the cut may depend on.
#[derive(Clone, Copy)]
struct Place {
    /// Rows of one task, one after the other.
    recording: usize,
    window: usize,
}

impl Place {
    /// Recording and number of its stretch.
    fn stretch(self) -> (usize, usize) {
        (self.recording, self.window / STRETCH)
    }
}

fn places(windows: &[Window]) -> Vec<Place> {
    let (mut recording, mut start) = (0, 0);
    let place = |(number, window): (usize, &Window)| {
        if window.label != windows[start].label {
            (recording, start) = (recording + 1, number);
        }
        Place { recording, window: number - start }
    };
    windows.iter().enumerate().map(place).collect()
}

/// Three in ten of the stretches: those whose names draw the lowest numbers.
fn held_out_stretches(places: &[Place]) -> BTreeSet<(usize, usize)> {
    let stretches: BTreeSet<(usize, usize)> = places.iter().map(|place| place.stretch()).collect();
    let mut stretches: Vec<(usize, usize)> = stretches.into_iter().collect();
    let draw = |(recording, stretch): &(usize, usize)| {
        split::draw(SEED, "group", &format!("recording {recording}, stretch {stretch}"))
    };
    stretches.sort_by(|a, b| draw(a).total_cmp(&draw(b)));
    stretches.truncate(stretches.len() * 3 / 10);
    stretches.into_iter().collect()
}

/// One row of the table.
struct Window {
    audio: [f32; AUDIO],
    accelerometer: [f32; ACCELEROMETER],
    label: usize,
}

impl Window {
    /// Sound first.
    fn request(&self) -> Request {
        Request::new(vec![Input::Samples(self.audio.into()), Input::Samples(self.accelerometer.into())])
    }
}

fn read_windows(assets: &Assets) -> Result<Vec<Window>> {
    check_labels(assets)?;
    let path = assets.path("home-tasks/home-tasks.safetensors")?;
    let file = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let tensors = SafeTensors::deserialize(&file).with_context(|| format!("reading {}", path.display()))?;
    let (audio, accelerometer) = (rows(&tensors, "audio")?, rows(&tensors, "accelerometer")?);
    let labels = integers(&tensors, "labels")?;
    ensure!(
        audio.len() == labels.len() && accelerometer.len() == labels.len(),
        "expected as many windows of each sensor as labels, got {} and {} for {}",
        audio.len(),
        accelerometer.len(),
        labels.len()
    );
    let window = |((audio, accelerometer), label): (([f32; AUDIO], [f32; ACCELEROMETER]), i64)| {
        let label = usize::try_from(label).ok().filter(|&label| label < LABELS.len());
        Ok(Window { audio, accelerometer, label: label.context("expected labels 0 to 6 in the home tasks")? })
    };
    audio.into_iter().zip(accelerometer).zip(labels).map(window).collect()
}

fn check_labels(assets: &Assets) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Description {
        labels: Vec<String>,
    }
    let path = assets.path("home-tasks/home-tasks.json")?;
    let description: Description = serde_json::from_slice(&fs::read(&path)?)
        .with_context(|| format!("{} does not describe the home tasks", path.display()))?;
    ensure!(description.labels == LABELS, "expected the tasks {LABELS:?}, got {:?}", description.labels);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part; 3] = [Part::Train, Part::Profile, Part::Served];

    fn names(part: Part) -> Vec<String> {
        let examples = read(&Assets::standard(), part).expect("run `make setup` first");
        examples.into_iter().map(|example| example.name).collect()
    }

    #[test]
    fn every_window_is_in_one_part() {
        let parts = PARTS.map(names);
        let all: BTreeSet<&String> = parts.iter().flatten().collect();
        assert_eq!((all.len(), parts.iter().map(Vec::len).sum()), (1386, 1386));
    }

    #[test]
    fn no_stretch_of_windows_is_both_trained_on_and_held_out() {
        let stretches = |part| -> BTreeSet<(String, usize)> {
            let stretch = |name: String| {
                let (recording, window) = name.split_once(", window ").expect("the names above");
                (recording.to_owned(), window.parse::<usize>().unwrap() / STRETCH)
            };
            names(part).into_iter().map(stretch).collect()
        };
        let [train, profile, served] = PARTS.map(stretches);
        assert!(train.is_disjoint(&profile) && train.is_disjoint(&served));
        // the halves are cut window by window
        assert!(profile.intersection(&served).count() > profile.len() / 2);
    }

    #[test]
    fn every_task_is_in_every_part() {
        for part in PARTS {
            let examples = read(&Assets::standard(), part).expect("run `make setup` first");
            let mut counts = [0; LABELS.len()];
            examples.iter().for_each(|example| counts[example.label] += 1);
            assert!(counts.iter().all(|&count| count >= 5), "{part:?}: {counts:?}");
        }
    }
}
