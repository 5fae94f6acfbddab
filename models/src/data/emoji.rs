//! Which of Unicode's nine groups an emoji is in, from its picture and its name.
//!
//! Pictures: Noto and Twemoji, 64x64. Names: emojibase (CLDR short names). Training sees both picture sets; what is
//! held out is Noto only.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde::Deserialize;

use super::split;
use super::{Cut, Example, Part};
use crate::assets::Assets;
use crate::{Input, Request};

/// The groups, in Unicode's order. `Component` (skin tones, hair) is left out: it is not a kind of emoji.
pub const LABELS: [&str; 9] = [
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
];

const SEED: u64 = 1;

/// How it is cut.
pub fn cut() -> Cut {
    let description = "30 % of the name families held out (variants by person and sex together, clock times \
                       together, every country flag its own), Noto pictures; half of the held-out emoji profiled, \
                       the other half served";
    Cut { description: description.into(), seed: SEED }
}

/// The examples of one part, in the order of Unicode's code points as written by the package.
pub fn read(assets: &Assets, part: Part) -> Result<Vec<Example>> {
    let names = read_names(&assets.path("emoji/emojibase.json")?)?;
    let pictures: &[&str] = if part == Part::Train { &["google", "twitter"] } else { &["google"] };
    let mut examples = Vec::new();
    for emoji in read_list(&assets.path("emoji/emoji.json")?)? {
        let name = names.get(&bare(&emoji.unified)).unwrap_or(&emoji.short_name).to_lowercase();
        if split::part(SEED, &family(&name), &emoji.unified) != part {
            continue;
        }
        let Some(label) = LABELS.iter().position(|&label| label == emoji.category) else { continue };
        for set in pictures {
            let picture = assets.path(&format!("emoji/{set}/64/{}", emoji.image))?;
            examples.push(example(&picture, &name, label, format!("{set}/{}", emoji.unified))?);
        }
    }
    ensure!(!examples.is_empty(), "the emoji list has no emoji for this part; expected about 280 or more");
    Ok(examples)
}

/// A picture and a name as a client would send them; the picture is the first input.
fn example(picture: &Path, text: &str, label: usize, name: String) -> Result<Example> {
    let file = fs::read(picture).with_context(|| format!("reading {}", picture.display()))?;
    let inputs = vec![Input::Picture(file.into()), Input::Text(Bytes::copy_from_slice(text.as_bytes()))];
    Ok(Example { request: Request::new(inputs), label, name })
}

/// One entry of the package's list; fields that are not used are not read.
#[derive(Deserialize)]
struct Emoji {
    unified: String,
    short_name: String,
    image: String,
    category: String,
}

#[derive(Deserialize)]
struct Name {
    hexcode: String,
    label: String,
}

fn read_list(path: &Path) -> Result<Vec<Emoji>> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not the emoji list expected", path.display()))
}

fn read_names(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let names: Vec<Name> =
        serde_json::from_slice(&text).with_context(|| format!("{} is not the name list expected", path.display()))?;
    Ok(names.into_iter().map(|name| (bare(&name.hexcode), name.label)).collect())
}

/// Code points without the variation selector, which the two packages write differently.
fn bare(code_points: &str) -> String {
    code_points.replace("-FE0F", "")
}

/// What an emoji's variants have in common: they are trained on together or held out together.
fn family(name: &str) -> String {
    const PEOPLE: [&str; 11] = ["man", "woman", "person", "men", "women", "people", "boy", "girl", "mr.", "mrs.", "mx"];
    if name.starts_with("flag: ") {
        return name.into();
    }
    if name.contains("o’clock") || name.ends_with("-thirty") {
        return "clock time".into();
    }
    let (first, rest) = name.split_once([' ', ':']).unwrap_or((name, ""));
    let subject = if PEOPLE.contains(&first) { rest.trim_start_matches([' ', ':']) } else { name };
    let stem = subject.split(':').next().unwrap_or_default().trim();
    if stem.is_empty() { "person".into() } else { stem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn variants_share_a_family() {
        let cases = [
            ("man running", "running"),
            ("women: red hair", "red hair"),
            ("person", "person"),
            ("woman’s hat", "woman’s hat"),
            ("keycap: 5", "keycap"),
            ("family: man, woman, boy", "family"),
            ("seven-thirty", "clock time"),
            ("two o’clock", "clock time"),
            ("flag: chad", "flag: chad"),
        ];
        for (name, expected) in cases {
            assert_eq!(family(name), expected, "{name}");
        }
    }

    #[test]
    fn no_family_is_both_trained_on_and_held_out() {
        let families = |part| -> BTreeSet<String> {
            let examples = read(&Assets::standard(), part).expect("run `make setup` first");
            let texts = examples.iter().map(|example| match &example.request.inputs()[1] {
                Input::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                other => panic!("{other:?}"),
            });
            texts.map(|text| family(&text)).collect()
        };
        let (train, profile, served) = (families(Part::Train), families(Part::Profile), families(Part::Served));
        assert!(train.is_disjoint(&profile) && train.is_disjoint(&served));
        assert!(train.len() > 800 && profile.len() > 150 && served.len() > 150);
    }
}
