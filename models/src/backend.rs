//! What computes with real models. The one there is, libtorch, is in `mosel-torch`: a program that links it installs it
//! at its start, and one that does not runs without.

use std::fmt::Debug;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::assets::Assets;
use crate::custom::CustomModel;
use crate::recipe::{Progress, Recipe};
use crate::zoo::Task;
use crate::{DeviceChoice, Example, Model, ModelError, Spec};

/// Loads models and trains them, and tells of the GPUs that they run on, by number.
///
/// Models are loaded in the thread that will own them: a backend may keep settings by thread.
pub trait Backend: Send + Sync {
    /// Loads a model of the zoo with these weights, its towers from the assets.
    fn load_zoo(&self, task: Task, assets: &Assets, weights: &Path, device: DeviceChoice) -> Result<Box<dyn Model>>;

    /// Loads a custom model and runs every network of it once.
    fn load_custom(&self, custom: &CustomModel, device: DeviceChoice) -> Result<Box<dyn Model>>;

    /// Loads the published checkpoint in a folder.
    fn load_checkpoint(&self, folder: &Path, device: DeviceChoice) -> Result<Box<dyn Model>>;

    /// What the checkpoint in a folder expects and answers; its weights are hashed, not loaded.
    fn checkpoint_spec(&self, folder: &Path) -> Result<Spec>;

    /// Numbers in a checkpoint's weights.
    fn checkpoint_parameters(&self, folder: &Path) -> Result<u64>;

    /// Trains a model of the zoo on these examples and returns a weight file.
    fn train(
        &self,
        recipe: &Recipe,
        assets: &Assets,
        examples: &[Example],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<u8>>;

    /// There is a GPU that can be used.
    fn gpu_is_there(&self) -> bool;

    /// Waits until a GPU is done, makes the bytes in tensors on it now their peak, and tells how many they are.
    fn reset_peak(&self, gpu: usize) -> Result<u64, ModelError>;

    /// Bytes in tensors on a GPU at most since the last [`Backend::reset_peak`].
    fn peak_bytes(&self, gpu: usize) -> Result<u64, ModelError>;

    /// Gives memory that is kept for later back to all GPUs.
    fn empty_cache(&self) -> Result<(), ModelError>;

    /// Marks the end of what is queued on a GPU now.
    fn mark(&self, gpu: usize) -> Result<Box<dyn Mark>, ModelError>;
}

/// A point in what a GPU computes, which time is measured from.
pub trait Mark: Debug {
    /// Waits until the GPU has done all that is queued now; its own time since this point.
    fn elapsed(&self) -> Result<Duration, ModelError>;
}

static INSTALLED: OnceLock<&'static dyn Backend> = OnceLock::new();

/// Makes this backend the program's, at its start; the first one stays.
pub fn install(backend: &'static dyn Backend) {
    INSTALLED.get_or_init(|| backend);
}

/// The program's backend.
pub fn installed() -> Result<&'static dyn Backend> {
    find().context("expected a program with libtorch to run models (`mosel-torch` is one), this one has none")
}

/// The program has a backend.
pub fn is_installed() -> bool {
    find().is_some()
}

/// There is a GPU that the backend can use.
pub fn gpu_is_there() -> bool {
    find().is_some_and(Backend::gpu_is_there)
}

/// Loads a model of the zoo with its own weights and the standard assets. Takes half a second.
pub fn load_zoo(task: Task, device: DeviceChoice) -> Result<Box<dyn Model>> {
    installed()?.load_zoo(task, &Assets::standard(), &task.weights_path(), device)
}

pub(crate) fn find() -> Option<&'static dyn Backend> {
    INSTALLED.get().copied()
}
