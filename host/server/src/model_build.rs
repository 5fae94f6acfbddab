//! How a model is made for a device, and made anew when it was lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::anyhow;
use mosel_core::Mode;
use mosel_models::{DeviceChoice, Model, blank_request, warm_up};

use crate::supervisor::words;

/// Builds one model for a device. Called again when the model is lost.
pub type Build = Arc<dyn Fn(DeviceChoice) -> anyhow::Result<Box<dyn Model>> + Send + Sync>;

/// Builds a model and runs it once in each of these modes: what it makes at its first batches is there before they come.
pub(crate) fn build(build: &Build, device: DeviceChoice, modes: &[Mode]) -> anyhow::Result<Box<dyn Model>> {
    let built = catch_unwind(AssertUnwindSafe(|| {
        let mut model = build(device)?;
        let blank = blank_request(model.spec());
        warm_up(model.as_mut(), &blank, modes)?;
        Ok(model)
    }));
    built.unwrap_or_else(|panic| Err(anyhow!("it panicked: {}", words(&*panic))))
}

/// Drops a model: one that is broken may panic at that, too.
pub(crate) fn discard<T>(gone: T) {
    drop(catch_unwind(AssertUnwindSafe(|| drop(gone))));
}
