//! Labelled inputs of a user's own model: `examples/examples.jsonl`, one example a line.
//!
//! `{"label": "cat", "inputs": {"photo": {"file": "cat1.jpg"}, "clip": {"files": ["1.jpg", "2.jpg"]}, "words": "a cat"}}`
//! A picture or a sound is a file beside the list, a video several, text a string or a file, numbers a (nested) list or a
//! file of little-endian 32-bit floats.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::{Example, Input, InputKind, Part, Request, Spec};

/// How they are cut, in words.
pub(super) const CUT: &str = "the user's examples: lines 1, 3, 5, ... are profiled, lines 2, 4, 6, ... are served";

const FOLDER: &str = "examples";
const LIST: &str = "examples.jsonl";
const MOST_EXAMPLES: usize = 100_000;
const MOST_LINE_BYTES: u64 = 16 << 20;
/// Of all inputs of one part together: they are kept in memory.
const MOST_BYTES: usize = 4 << 30;

/// Reads the examples of a part. Each must be what the model expects, and its label one of the model's.
pub(super) fn read(folder: &Path, spec: &Spec, part: Part) -> Result<Vec<Example>> {
    let folder = Folder { path: folder.join(FOLDER), spec };
    let path = folder.path.join(LIST);
    let file = fs::File::open(&path).with_context(|| {
        format!(
            "{} is missing: how accurate a model is can only be measured on inputs whose labels are known; \
             models/export/README.md says how to write them",
            path.display()
        )
    })?;
    let mut lines = BufReader::new(file);
    let (mut examples, mut bytes) = (Vec::new(), 0);
    for number in 1.. {
        let place = || format!("{}, line {number}", path.display());
        let mut line = String::new();
        let length = (&mut lines).take(MOST_LINE_BYTES + 1).read_line(&mut line).with_context(place)?;
        if length == 0 {
            break;
        }
        ensure!(number <= MOST_EXAMPLES, "{}: expected at most {MOST_EXAMPLES} lines", place());
        ensure!(length as u64 <= MOST_LINE_BYTES, "{}: expected at most {MOST_LINE_BYTES} bytes a line", place());
        if part == part_of(number) {
            let example = folder.example(&line, number).with_context(place)?;
            bytes += example.request.len_bytes();
            ensure!(bytes <= MOST_BYTES, "{}: expected at most {MOST_BYTES} bytes of inputs in all", place());
            examples.push(example);
        }
    }
    Ok(examples)
}

/// Lines are counted from 1.
fn part_of(number: usize) -> Part {
    if number % 2 == 1 { Part::Profile } else { Part::Served }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    label: String,
    inputs: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneFile {
    file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManyFiles {
    files: Vec<String>,
}

struct Folder<'s> {
    path: PathBuf,
    spec: &'s Spec,
}

impl Folder<'_> {
    fn example(&self, line: &str, number: usize) -> Result<Example> {
        let Line { label, inputs } = serde_json::from_str(line)?;
        let place = self.spec.labels.iter().position(|known| *known == label);
        let place = place.with_context(|| format!("expected one of the model's labels, got {label:?}"))?;
        let request = self.request(inputs)?;
        Ok(Example { request, label: place, name: format!("line {number}") })
    }

    fn request(&self, inputs: BTreeMap<String, Value>) -> Result<Request> {
        let mut named = Vec::new();
        for (name, value) in inputs {
            let modality = self.spec.modalities.iter().find(|modality| modality.name == name);
            let modality = modality.with_context(|| {
                format!("expected the modalities {}, got {name:?}", self.spec.modality_names().join(", "))
            })?;
            let input = self.input(&modality.kind, value).with_context(|| format!("modality {name}"))?;
            named.push((name, input));
        }
        Ok(self.spec.request(named)?)
    }

    fn input(&self, kind: &InputKind, value: Value) -> Result<Input> {
        match (kind, value) {
            (InputKind::Text { .. }, Value::String(text)) => Ok(Input::Text(text.into())),
            (InputKind::Text { .. }, value) => Ok(Input::Text(self.one(value)?)),
            (InputKind::Picture { .. }, value) => Ok(Input::Picture(self.one(value)?)),
            (InputKind::Sound { .. }, value) => Ok(Input::Sound(self.one(value)?)),
            (InputKind::Video { frames, .. }, value) => {
                let ManyFiles { files } = serde_json::from_value(value).context(r#"expected {"files": [...]}"#)?;
                ensure!(files.len() == *frames, "expected {frames} frames, got {}", files.len());
                Ok(Input::Frames(files.iter().map(|file| self.read(file)).collect::<Result<_>>()?))
            }
            (InputKind::Samples { .. }, Value::Array(rows)) => {
                let mut numbers = Vec::new();
                rows.iter().try_for_each(|row| flatten(row, &mut numbers))?;
                Ok(Input::Samples(numbers.into()))
            }
            (InputKind::Samples { .. }, value) => {
                let file = self.one(value)?;
                let (numbers, rest) = file.as_chunks::<4>();
                ensure!(rest.is_empty(), "expected little-endian 32-bit floats, got {} bytes", file.len());
                Ok(Input::Samples(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()))
            }
        }
    }

    fn one(&self, value: Value) -> Result<Bytes> {
        let OneFile { file } = serde_json::from_value(value).context(r#"expected {"file": "..."}"#)?;
        self.read(&file)
    }

    fn read(&self, name: &str) -> Result<Bytes> {
        let inside = !name.is_empty() && name.split('/').all(|part| !["", ".", ".."].contains(&part));
        ensure!(inside, "expected the path of a file in {FOLDER}/, got {name:?}");
        let path = self.path.join(name);
        let reading = || format!("reading {name}");
        let plain = fs::symlink_metadata(&path).with_context(reading)?.is_file();
        ensure!(plain, "{name}: expected a file, got a folder, a link or something else");
        let mut content = Vec::new();
        let file = fs::File::open(&path).with_context(reading)?;
        file.take(MOST_LINE_BYTES + 1).read_to_end(&mut content).with_context(reading)?;
        let bounded = content.len() as u64 <= MOST_LINE_BYTES;
        ensure!(bounded, "{name}: expected at most {MOST_LINE_BYTES} bytes, got more");
        Ok(content.into())
    }
}

fn flatten(value: &Value, numbers: &mut Vec<f32>) -> Result<()> {
    match value {
        Value::Array(rows) => rows.iter().try_for_each(|row| flatten(row, numbers)),
        Value::Number(number) => {
            numbers.push(number.as_f64().context("expected a number")? as f32);
            Ok(())
        }
        other => bail!("expected numbers, got {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Modality;

    fn spec() -> Spec {
        let modalities = vec![
            Modality::new("words", InputKind::Text { max_bytes: 9 }),
            Modality::new("numbers", InputKind::Samples { shape: vec![2, 2] }),
            Modality::new("clip", InputKind::Video { frames: 2, max_side: 16, raw: Vec::new() }),
        ];
        Spec {
            name: "toy".into(),
            modalities,
            labels: ["a", "b"].map(String::from).into(),
            weights_sha256: String::new(),
        }
    }

    const SOUND: &str = r#"{"label": "b", "inputs": {"words": "hi", "numbers": [[1, 2], [3, 4.5]], "clip": {"files": ["x.jpg", "in/x.jpg"]}}}"#;

    fn read_line(line: &str) -> Result<Vec<Example>> {
        let folder = tempfile::tempdir()?;
        let examples = folder.path().join(FOLDER);
        fs::create_dir_all(examples.join("in"))?;
        let picture = include_bytes!("../../tests/fixtures/red-blue.jpg");
        fs::write(examples.join("x.jpg"), picture)?;
        fs::write(examples.join("in/x.jpg"), picture)?;
        fs::write(examples.join("four.f32"), [1f32, 2.0, 3.0, 4.5].map(f32::to_le_bytes).concat())?;
        fs::write(examples.join("word"), "hi")?;
        fs::write(examples.join(LIST), line)?;
        read(folder.path(), &spec(), Part::Profile)
    }

    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        let changed = SOUND.replace(from, to);
        assert_ne!(changed, SOUND);
        let refusal = format!("{:#}", read_line(&changed).unwrap_err());
        assert!(refusal.contains("examples.jsonl, line 1: ") && refusal.contains(expected), "{refusal}");
    }

    #[test]
    fn inputs_stand_in_the_line_or_in_files() {
        let inline = read_line(SOUND).unwrap();
        let in_files =
            SOUND.replace("\"hi\"", r#"{"file": "word"}"#).replace("[[1, 2], [3, 4.5]]", r#"{"file": "four.f32"}"#);
        let in_files = read_line(&in_files).unwrap();
        assert_eq!((inline[0].label, &inline[0].request), (1, &in_files[0].request));
        assert_eq!(inline[0].request.inputs()[1], Input::Samples(vec![1.0, 2.0, 3.0, 4.5].into()));
    }

    #[test]
    fn every_other_line_is_kept_for_serving() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(FOLDER)).unwrap();
        let mut spec = spec();
        spec.modalities.truncate(1);
        let line = |word| format!("{{\"label\": \"a\", \"inputs\": {{\"words\": \"{word}\"}}}}\n");
        fs::write(folder.path().join(FOLDER).join(LIST), ["1", "2", "3"].map(line).concat()).unwrap();
        let names = |part| {
            let examples = read(folder.path(), &spec, part).unwrap();
            examples.into_iter().map(|example| example.name).collect::<Vec<_>>()
        };
        assert_eq!(names(Part::Profile), ["line 1", "line 3"]);
        assert_eq!(names(Part::Served), ["line 2"]);
        assert!(names(Part::Train).is_empty());
    }

    #[test]
    fn what_is_refused_says_in_which_line_and_why() {
        check("\"b\"", "\"c\"", r#"expected one of the model's labels, got "c""#);
        check("\"label\": \"b\", ", "", "missing field `label`");
        check("\"words\"", "\"smell\"", r#"expected the modalities words, numbers, clip, got "smell""#);
        check("\"hi\"", "\"\"", "modality words: expected text of 1 to 9 bytes, got 0");
        check("4.5]", "4.5, 6]", "modality numbers: expected 4 numbers ([2, 2]), got 5");
        check("4.5", "\"x\"", r#"modality numbers: expected numbers, got "x""#);
        check("\"x.jpg\", ", "", "modality clip: expected 2 frames, got 1");
        check("in/x.jpg", "../x.jpg", r#"expected the path of a file in examples/, got "../x.jpg""#);
        check("in/x.jpg", "y.jpg", "modality clip: reading y.jpg");
        check("in/x.jpg", "in", "modality clip: in: expected a file, got a folder, a link or something else");
        check("in/x.jpg", "word", "expected a PNG or JPEG file");
    }

    #[test]
    fn without_a_list_it_is_said_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = read(folder.path(), &spec(), Part::Profile).unwrap_err().to_string();
        assert!(
            refusal.contains("examples.jsonl is missing: how accurate a model is can only be measured"),
            "{refusal}"
        );
    }
}
