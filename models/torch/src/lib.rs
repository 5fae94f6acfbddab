//! The libtorch backend: the only crate that knows tch. One network, one file.
//!
//! Where to start reading: [`install`], `model` (a network as a [`Model`](mosel_models::Model)) and `emoji`, then any other.
//! Calls that an input can influence are the `f_` ones: they return an error where the others panic.

mod accelerator;
mod batch;
mod custom;
mod device;
mod doom_tbn;
mod doom_tvlt;
mod emoji;
mod failure;
mod fit;
mod guard;
mod home_tasks;
mod joint;
mod kept;
mod late;
mod layers;
mod libtorch;
mod minilm;
mod mobilenet;
mod model;
#[cfg(test)]
mod on_gpu;
pub mod paper;
mod pickle;
mod picture;
mod precise;
mod safetensors_file;
mod script;
mod shared;
mod spectrogram;
mod state_file;
mod stored;
mod strided;
mod tensors;
mod watch;
mod weights;
mod windows;

pub use libtorch::{Libtorch, install};
