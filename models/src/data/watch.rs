//! Which of seven shoulder exercises a person does, from the accelerometer and the gyroscope of a smartwatch.
//!
//! Ten people, 50 Hz, windows of four seconds, cut by person. In training windows overlap by half; held-out windows do
//! not overlap, so that counting them as independent samples is less wrong.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use safetensors::SafeTensors;

use super::split;
use super::tensors::{integers, rows};
use super::{Cut, Example, Part};
use crate::assets::Assets;
use crate::{Input, Request};

/// The exercises, by the abbreviations of the data set.
pub const LABELS: [&str; 7] = ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"];
/// Samples of a window: four seconds.
pub const WINDOW: usize = 200;
/// x, y, z.
pub const AXES: usize = 3;

const SEED: u64 = 1;
const HELD_OUT_PEOPLE: usize = 3;

/// How it is cut.
pub fn cut() -> Cut {
    let description = format!(
        "{HELD_OUT_PEOPLE} of 10 people held out, windows of 4 s that do not overlap; half of the held-out windows \
         profiled, the other half served"
    );
    Cut { description, seed: SEED }
}

/// The examples of one part, by recording and time.
pub fn read(assets: &Assets, part: Part) -> Result<Vec<Example>> {
    let recordings = read_recordings(assets)?;
    let held_out = held_out_people(&recordings);
    let mut examples = Vec::new();
    for (number, recording) in recordings.iter().enumerate() {
        let training = part == Part::Train;
        if held_out.contains(&recording.person) == training {
            continue;
        }
        let step = if training { WINDOW / 2 } else { WINDOW };
        let windows = recording.signals.windows(WINDOW).step_by(step);
        for (index, window) in windows.enumerate() {
            let name = format!("person {}, recording {number}, window {index}", recording.person);
            if training || split::half(SEED, &name) == part {
                let request = Request::new(vec![axes(window, 0), axes(window, AXES)]);
                examples.push(Example { request, label: recording.label, name });
            }
        }
    }
    ensure!(!examples.is_empty(), "the recordings have no window for this part; expected about 150 or more");
    Ok(examples)
}

/// The first three columns are the accelerometer's, the others the gyroscope's.
type Row = [f32; 2 * AXES];

struct Recording {
    signals: Vec<Row>,
    label: usize,
    person: i64,
}

fn axes(window: &[Row], first: usize) -> Input {
    Input::Samples(window.iter().flat_map(|row| &row[first..first + AXES]).copied().collect())
}

/// The people whose names draw the lowest numbers.
fn held_out_people(recordings: &[Recording]) -> BTreeSet<i64> {
    let people: BTreeSet<i64> = recordings.iter().map(|recording| recording.person).collect();
    let mut people: Vec<i64> = people.into_iter().collect();
    let draw = |person: &i64| split::draw(SEED, "group", &format!("person {person}"));
    people.sort_by(|a, b| draw(a).total_cmp(&draw(b)));
    people.into_iter().take(HELD_OUT_PEOPLE).collect()
}

fn read_recordings(assets: &Assets) -> Result<Vec<Recording>> {
    check_labels(assets)?;
    let path = assets.path("watch/watch.safetensors")?;
    let file = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let tensors = SafeTensors::deserialize(&file).with_context(|| format!("reading {}", path.display()))?;
    let mut rows = rows(&tensors, "signals")?.into_iter();
    let (lengths, labels, people) =
        (integers(&tensors, "lengths")?, integers(&tensors, "labels")?, integers(&tensors, "subjects")?);
    let mut recordings = Vec::with_capacity(lengths.len());
    for ((length, label), person) in lengths.into_iter().zip(labels).zip(people) {
        let label = usize::try_from(label).ok().filter(|&label| label < LABELS.len());
        let label = label.context("expected labels 0 to 6 in the watch recordings")?;
        let signals = rows.by_ref().take(usize::try_from(length)?).collect();
        recordings.push(Recording { signals, label, person });
    }
    Ok(recordings)
}

fn check_labels(assets: &Assets) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Description {
        labels: Vec<String>,
    }
    let path = assets.path("watch/watch.json")?;
    let description: Description = serde_json::from_slice(&fs::read(&path)?)
        .with_context(|| format!("{} does not describe the watch recordings", path.display()))?;
    ensure!(description.labels == LABELS, "expected the exercises {LABELS:?}, got {:?}", description.labels);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_both_trained_on_and_held_out() {
        let people = |part| -> BTreeSet<String> {
            let examples = read(&Assets::standard(), part).expect("run `make setup` first");
            examples.iter().map(|example| example.name.split(',').next().unwrap().to_owned()).collect()
        };
        let (train, profile, served) = (people(Part::Train), people(Part::Profile), people(Part::Served));
        assert_eq!((train.len(), profile.len()), (7, 3));
        assert_eq!(profile, served);
        assert!(train.is_disjoint(&profile));
    }

    #[test]
    fn a_window_is_four_seconds_of_three_axes_of_each_sensor() {
        let examples = read(&Assets::standard(), Part::Profile).expect("run `make setup` first");
        for example in &examples {
            let lengths: Vec<usize> = example.request.inputs().iter().map(Input::len_bytes).collect();
            assert_eq!(lengths, [WINDOW * AXES * 4; 2]);
        }
    }
}
