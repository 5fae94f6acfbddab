//! How a model of the zoo is trained.

use crate::zoo::Task;

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

    /// What a weight file says about itself.
    pub fn note(&self) -> String {
        let Recipe { task, seed, epochs, batch, peak_rate, modality_dropout } = self;
        format!(
            "model {task}, seed {seed}, {epochs} epochs, batch {batch}, peak rate {peak_rate}, \
             modality dropout {modality_dropout}"
        )
    }
}
