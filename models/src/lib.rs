//! Models that serve any subset of their modalities, what was measured about them, and how they are made.
//!
//! Where to start reading: [`Model`], then [`zoo`] (the models there are), [`profiler`] (how they are measured) and
//! [`profile_file`] (how that is kept). Nothing here shows a tensor: only `torch/` knows libtorch, and it is compiled
//! with the feature `torch` alone. Without it the [`Timed`] and [`Null`] models, the data sets and the profiles remain.

pub mod assets;
#[cfg(feature = "prepare")]
pub mod catalogue;
pub mod data;
mod device;
mod devices;
pub mod files;
mod headers;
mod input;
mod memory;
mod model;
mod null;
#[cfg(feature = "prepare")]
pub mod own;
#[cfg(feature = "prepare")]
pub mod prepare;
#[cfg(test)]
mod pretend;
pub mod profile_file;
pub mod profiler;
mod split;
mod stopwatch;
mod timed;
#[cfg(feature = "torch")]
mod torch;
#[cfg(feature = "torch")]
pub mod training;
mod warm_up;
pub mod zoo;

pub use data::{Example, Part};
pub use device::{DeviceChoice, DeviceFacts, UnknownDevice};
pub use devices::{Devices, DevicesError};
pub use input::{Input, InputError, InputFault, InputKind};
pub use model::{Modality, Model, ModelError, Output, Request, Spec};
pub use null::Null;
pub use profile_file::ProfileFile;
pub use split::{Answered, split_on_out_of_memory};
pub use stopwatch::Stopwatch;
pub use timed::Timed;
#[cfg(feature = "torch")]
pub use torch::paper;
pub use warm_up::{blank_request, warm_up};

/// There is a GPU that libtorch can use. Always false in a build without libtorch.
pub fn gpu_is_there() -> bool {
    #[cfg(feature = "torch")]
    return torch::gpu_is_there();
    #[cfg(not(feature = "torch"))]
    false
}
