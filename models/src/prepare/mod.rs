//! Inputs as models want them: files to pixels, samples, spectrograms and token numbers. On the host, without tensors.
//!
//! `picture_of` and its like take what a client sent for one modality and what the model expects there, check it again
//! (it may have come another way than through admission) and decode it. Bounds hold before memory is taken.

mod flac_file;
mod jpeg_file;
mod log_mel;
mod mel;
#[cfg(test)]
mod mutated;
mod picture;
mod picture_file;
mod png_file;
mod recording;
mod resample;
mod resize;
mod samples;
mod sound;
mod text;
mod wav_file;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use log_mel::{Bands, Edges, Hann, Level, LogMel, LogMelSettings};
pub use mel::{MelNorm, MelScale};
pub use picture::Picture;
pub use picture_file::{MOST_PIXELS, decode_picture, frames_of, picture_of};
pub use recording::SOUND_RATES;
pub use resample::resample;
pub use resize::{Axis, Kernel, resize};
pub use samples::samples_of;
pub use sound::{LONGEST_SOUND, sound_of};
pub use text::{Tokenizer, text_of};

/// What a decoder makes of a file, in its words if nothing. A hostile file may bring the decoder down, not the server.
pub fn contained<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("the decoder gave up".into()))
}
