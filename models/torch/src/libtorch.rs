//! The backend as programs know it: every model by its kind, and what a GPU says of itself.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mosel_models::assets::Assets;
use mosel_models::backend::{self, Backend, Mark};
use mosel_models::custom::CustomModel;
use mosel_models::recipe::{Progress, Recipe};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Example, Model, ModelError, Spec};

use crate::accelerator::{self, Event};
use crate::{custom, device, doom_tbn, doom_tvlt, emoji, home_tasks, paper, watch};

/// Computes with libtorch, on the CPU or on NVIDIA GPUs.
#[derive(Clone, Copy, Debug)]
pub struct Libtorch;

/// Makes libtorch the program's backend.
pub fn install() {
    backend::install(&Libtorch);
}

impl Backend for Libtorch {
    fn load_zoo(&self, task: Task, assets: &Assets, weights: &Path, device: DeviceChoice) -> Result<Box<dyn Model>> {
        let model = match task {
            Task::Emoji => emoji::load(assets, weights, device),
            Task::Watch => watch::load(weights, device),
            Task::HomeTasks => home_tasks::load(weights, device),
            Task::DoomTvlt => doom_tvlt::load(assets, weights, device),
            Task::DoomTbn => doom_tbn::load(assets, weights, device),
        };
        model.with_context(|| format!("loading model {task}"))
    }

    fn load_custom(&self, custom: &CustomModel, device: DeviceChoice) -> Result<Box<dyn Model>> {
        custom::load(custom, device).with_context(|| format!("loading model {}", custom.spec().name))
    }

    fn load_checkpoint(&self, folder: &Path, device: DeviceChoice) -> Result<Box<dyn Model>> {
        paper::open(folder, device)
    }

    fn checkpoint_spec(&self, folder: &Path) -> Result<Spec> {
        paper::spec(folder)
    }

    fn checkpoint_parameters(&self, folder: &Path) -> Result<u64> {
        paper::parameters(folder)
    }

    fn train(
        &self,
        recipe: &Recipe,
        assets: &Assets,
        examples: &[Example],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<u8>> {
        match recipe.task {
            Task::Emoji => emoji::train(assets, examples, recipe, progress),
            Task::Watch => watch::train(examples, recipe, progress),
            Task::HomeTasks => home_tasks::train(examples, recipe, progress),
            Task::DoomTvlt => doom_tvlt::train(assets, examples, recipe, progress),
            Task::DoomTbn => doom_tbn::train(assets, examples, recipe, progress),
        }
    }

    fn gpu_is_there(&self) -> bool {
        device::gpu_is_there()
    }

    fn reset_peak(&self, gpu: usize) -> Result<u64, ModelError> {
        accelerator::synchronize(gpu)?;
        accelerator::reset_peak(gpu)?;
        Ok(accelerator::memory(gpu)?.allocated_bytes)
    }

    fn peak_bytes(&self, gpu: usize) -> Result<u64, ModelError> {
        Ok(accelerator::memory(gpu)?.peak_bytes)
    }

    fn empty_cache(&self) -> Result<(), ModelError> {
        accelerator::empty_cache()
    }

    fn mark(&self, gpu: usize) -> Result<Box<dyn Mark>, ModelError> {
        Ok(Box::new(GpuMark { gpu, event: Event::record(gpu)? }))
    }
}

/// An event on a GPU.
#[derive(Debug)]
struct GpuMark {
    gpu: usize,
    event: Event,
}

impl Mark for GpuMark {
    fn elapsed(&self) -> Result<Duration, ModelError> {
        Event::record(self.gpu)?.since(&self.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_models::{DeviceFacts, Stopwatch};

    #[test]
    fn a_gpu_that_is_not_there_is_an_error() {
        install();
        // libtorch counts to 127
        let absent = DeviceFacts { name: "cuda:999".into(), ..DeviceFacts::default() };
        let error = Stopwatch::start(&absent).unwrap_err().to_string();
        assert!(error.contains("999"), "{error}");
    }
}
