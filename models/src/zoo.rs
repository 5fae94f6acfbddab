//! The models there are: what each expects, its data, its weights and its profile.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::assets::Assets;
use crate::data::doom::Recording;
use crate::data::{Cut, doom, emoji, home_tasks, watch};
use crate::files;
use crate::{Example, InputKind, Modality, Part, ProfileFile, Spec};

/// A model of the zoo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Unicode group of an emoji from picture and name.
    Emoji,
    /// Exercise from a smartwatch's accelerometer and gyroscope.
    Watch,
    /// Task at home from features of sound and of a wrist's accelerometer.
    HomeTasks,
    /// Monster of a simulated world from video and audio.
    DoomTvlt,
    /// What the player of a simulated world does, from color, movement and sound.
    DoomTbn,
}

/// A name that no model of the zoo has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a model of the zoo (emoji, watch, home-tasks, doom-tvlt, doom-tbn), got {0:?}")]
pub struct UnknownModel(String);

/// Every model of the zoo.
pub const ALL: [Task; 5] = [Task::Emoji, Task::Watch, Task::HomeTasks, Task::DoomTvlt, Task::DoomTbn];

/// The folder of weights and profiles: `$MOSEL_ZOO`, else the one in the source tree.
pub fn folder() -> PathBuf {
    let named = env::var_os("MOSEL_ZOO").filter(|value| !value.is_empty());
    named.map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/zoo").into(), PathBuf::from)
}

impl Task {
    /// What the model expects and answers, without loading it; reads the weight file for its hash.
    pub fn spec(self) -> Result<Spec> {
        let path = self.weights_path();
        let weights = std::fs::read(&path)
            .with_context(|| format!("reading {} (`mosel train {self}` makes it)", path.display()))?;
        let sha256 = hex::encode(Sha256::digest(weights));
        Ok(self.spec_with(&sha256))
    }

    /// The labeled inputs of one part of its data.
    pub fn examples(self, assets: &Assets, part: Part) -> Result<Vec<Example>> {
        match self {
            Task::Emoji => emoji::read(assets, part),
            Task::Watch => watch::read(assets, part),
            Task::HomeTasks => home_tasks::read(assets, part),
            Task::DoomTvlt => doom::tvlt_examples(assets, part),
            Task::DoomTbn => doom::tbn_examples(assets, part),
        }
    }

    /// How its data is cut.
    pub fn cut(self) -> Cut {
        match self {
            Task::Emoji => emoji::cut(),
            Task::Watch => watch::cut(),
            Task::HomeTasks => home_tasks::cut(),
            Task::DoomTvlt => Recording::Tvlt.cut(),
            Task::DoomTbn => Recording::Tbn.cut(),
        }
    }

    /// Where its trained weights are.
    pub fn weights_path(self) -> PathBuf {
        let file = match self {
            Task::Emoji | Task::DoomTvlt | Task::DoomTbn => "fusion.safetensors",
            Task::Watch | Task::HomeTasks => "weights.safetensors",
        };
        folder().join(self.name()).join(file)
    }

    /// Where its profile on the CPU is.
    pub fn profile_path(self) -> PathBuf {
        self.profile_path_on("cpu")
    }

    /// Its profile on the CPU, checked to be of the weights that are there.
    pub fn profile(self) -> Result<ProfileFile> {
        self.profile_on("cpu")
    }

    /// Its profile on a kind of device (`cpu`, `cuda`), checked likewise.
    pub fn profile_on(self, kind: &str) -> Result<ProfileFile> {
        let path = self.profile_path_on(kind);
        let profile = ProfileFile::read(&path)
            .with_context(|| format!("{self} on {kind} (`mosel profile {self} --device {kind}` measures it)"))?;
        profile.check_model(&self.spec()?)?;
        Ok(profile)
    }

    /// Where its profile on a kind of device is.
    pub fn profile_path_on(self, kind: &str) -> PathBuf {
        let file = if kind == "cpu" { "profile.json".into() } else { format!("profile-{kind}.json") };
        folder().join(self.name()).join(file)
    }

    /// Numbers in its weight file and in those of its pretrained towers.
    pub fn parameters(self, assets: &Assets) -> Result<u64> {
        let towers: &[&str] = match self {
            Task::Emoji => &["towers/mobilenet_v2.safetensors", "towers/minilm.safetensors"],
            Task::Watch | Task::HomeTasks => &[],
            Task::DoomTvlt | Task::DoomTbn => &["towers/mobilenet_v2.safetensors"],
        };
        let of_towers = towers.iter().map(|tower| files::parameters(&assets.path(tower)?));
        of_towers.chain([files::parameters(&self.weights_path())]).sum()
    }

    /// Names of its modalities, whether its weights are there or not.
    pub fn modality_names(self) -> Vec<String> {
        self.spec_with("").modality_names().into_iter().map(String::from).collect()
    }

    /// As clients write it.
    pub fn name(self) -> &'static str {
        match self {
            Task::Emoji => "emoji",
            Task::Watch => "watch",
            Task::HomeTasks => "home-tasks",
            Task::DoomTvlt => "doom-tvlt",
            Task::DoomTbn => "doom-tbn",
        }
    }

    /// What the model expects and answers, with weights of this hash.
    pub fn spec_with(self, weights_sha256: &str) -> Spec {
        let samples = |shape: &[usize]| InputKind::Samples { shape: shape.into() };
        let frames = || InputKind::Video {
            frames: doom::FRAMES,
            max_side: 512,
            raw: vec![doom::FRAMES, doom::HEIGHT, doom::WIDTH, 3],
        };
        let sound = || InputKind::Sound { hertz: doom::HERTZ, samples: doom::SAMPLES };
        let (modalities, labels): (_, &[&str]) = match self {
            Task::Emoji => {
                let image = Modality::new("image", InputKind::Picture { max_side: 512, raw: Vec::new() });
                (vec![image, Modality::new("text", InputKind::Text { max_bytes: 256 })], &emoji::LABELS)
            }
            Task::Watch => {
                let axes = |name| Modality::new(name, samples(&[watch::WINDOW, watch::AXES]));
                (vec![axes("accelerometer"), axes("gyroscope")], &watch::LABELS)
            }
            Task::HomeTasks => {
                let audio = Modality::new("audio", samples(&[home_tasks::AUDIO]));
                let accelerometer = Modality::new("accelerometer", samples(&[home_tasks::ACCELEROMETER]));
                (vec![audio, accelerometer], &home_tasks::LABELS)
            }
            Task::DoomTvlt => {
                (vec![Modality::new("video", frames()), Modality::new("audio", sound())], &doom::MONSTERS)
            }
            Task::DoomTbn => {
                let flow = samples(&[doom::FRAMES, doom::FLOW_HEIGHT, doom::FLOW_WIDTH, 2]);
                let modalities = [("rgb", frames()), ("flow", flow), ("audio", sound())];
                (modalities.map(|(name, kind)| Modality::new(name, kind)).into(), &doom::ACTIONS)
            }
        };
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        Spec { name: self.name().into(), modalities, labels, weights_sha256: weights_sha256.into() }
    }
}

impl FromStr for Task {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Task, UnknownModel> {
        ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| UnknownModel(name.into()))
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_found_by_its_name() {
        for task in ALL {
            assert_eq!(task.to_string().parse(), Ok(task));
        }
        let refused = "vilt".parse::<Task>().unwrap_err().to_string();
        assert_eq!(
            refused,
            r#"expected a model of the zoo (emoji, watch, home-tasks, doom-tvlt, doom-tbn), got "vilt""#
        );
    }

    #[test]
    fn every_held_out_example_is_what_the_model_expects() {
        for task in ALL {
            let (spec, assets) = (task.spec_with(""), Assets::standard());
            // of a recording, its beginning will do: set-up makes the whole only where it is asked for
            let recorded = [Task::DoomTvlt, Task::DoomTbn].contains(&task);
            let assets = if recorded { Assets::at(assets.folder().join("doom-sample")) } else { assets };
            for example in task.examples(&assets, Part::Served).expect("run `make setup` first") {
                let named = spec.modality_names().into_iter().zip(example.request.inputs().iter().cloned());
                assert_eq!(spec.request(named).as_ref(), Ok(&example.request), "{}", example.name);
                assert!(example.label < spec.labels.len());
            }
        }
    }
}
