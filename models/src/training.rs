//! Training a model of the zoo, and what came of it.

use anyhow::Result;
use mosel_core::{ModalitySet, Mode};

use crate::assets::Assets;
use crate::profiler::{self, Score};
use crate::zoo::Task;
use crate::{Model, Part};

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The model.
    pub task: Task,
    /// What weights and order are drawn with: the same seed gives the same weights on the same machine.
    pub seed: u64,
    /// Times that every example is seen.
    pub epochs: usize,
    /// Examples a step.
    pub batch: usize,
    /// Largest learning rate.
    pub peak_rate: f64,
    /// Train on every selection of modalities, not only on all of them.
    pub modality_dropout: bool,
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// `towers` while tokens are computed, `training` while weights move.
    pub stage: &'static str,
    /// Done of [`Progress::total`].
    pub done: usize,
    /// Steps of this stage.
    pub total: usize,
    /// The last step's loss.
    pub loss: Option<f64>,
}

impl Recipe {
    /// The recipe that the shipped weights were made with.
    pub fn shipped(task: Task) -> Recipe {
        let epochs = match task {
            Task::Emoji => 15,
            Task::Watch => 20,
            Task::HomeTasks => 100,
            Task::DoomTvlt => 12,
            Task::DoomTbn => 30,
        };
        let (batch, peak_rate) = match task {
            Task::Emoji | Task::Watch | Task::DoomTvlt => (64, 1.5e-3),
            Task::HomeTasks => (32, 4e-3),
            Task::DoomTbn => (64, 2e-3),
        };
        Recipe { task, seed: 1, epochs, batch, peak_rate, modality_dropout: true }
    }

    /// Trains on the training part and returns a weight file. Computes on one thread of the CPU.
    pub fn train(&self, assets: &Assets, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>> {
        let examples = self.task.examples(assets, Part::Train)?;
        match self.task {
            Task::Emoji => crate::torch::train_emoji(assets, &examples, self, progress),
            Task::Watch => crate::torch::train_watch(&examples, self, progress),
            Task::HomeTasks => crate::torch::train_home_tasks(&examples, self, progress),
            Task::DoomTvlt => crate::torch::train_doom_tvlt(assets, &examples, self, progress),
            Task::DoomTbn => crate::torch::train_doom_tbn(assets, &examples, self, progress),
        }
    }

    /// What a weight file says about itself.
    pub(crate) fn note(&self) -> String {
        let Recipe { task, seed, epochs, batch, peak_rate, modality_dropout } = self;
        format!(
            "model {task}, seed {seed}, {epochs} epochs, batch {batch}, peak rate {peak_rate}, \
             modality dropout {modality_dropout}"
        )
    }
}

/// How often a model is right on everything that was held out, both halves, for every selection in full precision.
pub fn scores(model: &mut dyn Model, task: Task, assets: &Assets) -> Result<Vec<Score>> {
    let mut examples = task.examples(assets, Part::Profile)?;
    examples.extend(task.examples(assets, Part::Served)?);
    let selections = ModalitySet::selections(model.spec().modalities.len());
    selections.map(|selection| profiler::score(model, &examples, Mode::full(selection))).collect()
}
