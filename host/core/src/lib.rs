//! The scheduling core: which job runs next, and on which modalities.
//!
//! Pure: no clock, no I/O, no threads, no policies, no tensors. A driver calls
//! [`Scheduler::step`] with the time and an event and carries out the actions it returns; the live
//! server and the simulator are two such drivers.
//!
//! Where to start reading: [`Scheduler`], then [`Lane`](lane), then the nouns, one a file.

#![forbid(unsafe_code)]

mod modality;
mod profile;
mod time;

pub use modality::ModalitySet;
pub use profile::{Accuracy, Latency, Measurement, Profile, ProfileError};
pub use time::{Time, scale};
