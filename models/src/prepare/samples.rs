//! Plain numbers.

use std::sync::Arc;

use crate::{Input, InputFault, InputKind};

/// The numbers that came for a modality of kind [`InputKind::Samples`].
pub fn samples_of(input: &Input, kind: &InputKind) -> Result<Arc<[f32]>, InputFault> {
    input.check(kind)?;
    match input {
        Input::Samples(samples) => Ok(samples.clone()),
        _ => Err(InputFault::WrongKind { expected: kind.describe(), got: "something that is not numbers" }),
    }
}
