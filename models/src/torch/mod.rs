//! The libtorch backend: the only place that knows tch. One network, one file.
//!
//! Calls that an input can influence are the `f_` ones: they return an error where the others panic.

mod accelerator;
mod batch;
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
mod kept_clips;
mod kept_frames;
mod late;
mod layers;
mod minilm;
mod mobilenet;
mod model;
#[cfg(test)]
mod on_gpu;
mod own;
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
mod tokens;
mod watch;
mod weights;
mod windows;

pub(crate) use accelerator::{Event, empty_cache, memory, reset_peak, synchronize};
pub(crate) use device::gpu_is_there;
pub(crate) use doom_tbn::{load as load_doom_tbn, train as train_doom_tbn};
pub(crate) use doom_tvlt::{load as load_doom_tvlt, train as train_doom_tvlt};
pub(crate) use emoji::{load as load_emoji, train as train_emoji};
pub(crate) use home_tasks::{load as load_home_tasks, train as train_home_tasks};
#[cfg(test)]
pub(crate) use own::fixture as own_fixture;
pub(crate) use own::load as load_own;
pub(crate) use watch::{load as load_watch, train as train_watch};
