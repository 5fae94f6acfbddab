//! The models end to end, with the shipped weights: answers, dropped modalities, broken inputs, precisions, devices.

use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Model, backend};

mod cuda;
mod doom;
mod doom_tbn;
mod emoji;
mod exported;
mod home_tasks;
mod watch;

/// A model of the zoo with its shipped weights, on the CPU.
fn load(task: Task) -> anyhow::Result<Box<dyn Model>> {
    mosel_torch::install();
    backend::load_zoo(task, DeviceChoice::Cpu)
}
