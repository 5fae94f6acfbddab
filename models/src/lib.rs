//! Models that serve any subset of their modalities, what was measured about them, and how they are made.
//!
//! Where to start reading: [`Model`], then [`zoo`] (the models there are), [`profiler`] (how they are measured) and
//! [`profile_file`] (how that is kept). There is no tensor here: [`backend`] says what computes with real models, and
//! the crate `mosel-torch` does it with libtorch. The [`Timed`] and [`Null`] models need nothing.

pub mod assets;
pub mod backend;
pub mod custom;
pub mod data;
mod device;
mod devices;
#[cfg(test)]
mod fake;
pub mod files;
mod headers;
mod input;
mod input_error;
pub mod installed;
mod isolate;
mod memory;
mod model;
mod null;
mod output;
pub mod prepare;
pub mod profile_file;
pub mod profiler;
pub mod recipe;
mod split;
mod stopwatch;
mod timed;
pub mod training;
mod warm_up;
pub mod zoo;

pub use data::{Example, Part};
pub use device::{DeviceChoice, DeviceFacts, UnknownDevice, processor_name};
pub use devices::{Devices, DevicesError};
pub use input::{Input, InputKind, check_range};
pub use input_error::{InputError, InputFault};
pub use isolate::isolate_failures;
pub use model::{BatchAnswers, Modality, Model, ModelError, Request, Spec};
pub use null::Null;
pub use output::{Output, OutputFault, Unanswered};
pub use profile_file::ProfileFile;
pub use split::{Answered, split_on_out_of_memory};
pub use stopwatch::Stopwatch;
pub use timed::Timed;
pub use warm_up::{blank_request, warm_up};
