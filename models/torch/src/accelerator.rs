//! What a GPU tells about itself while it computes: memory, time, and when it is done. Safe words for `shim/`.
//!
//! Every call fails, with libtorch's words, where there is no accelerator; none takes the process down.

use std::ffi::{CStr, c_char, c_int};
use std::ptr::NonNull;
use std::time::Duration;

use super::failure::failure;
use mosel_models::ModelError;

/// Memory of one device, in bytes, as libtorch's allocator counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceMemory {
    /// In tensors now.
    pub(crate) allocated_bytes: u64,
    /// In tensors at most since [`reset_peak`].
    pub(crate) peak_bytes: u64,
    /// On the device, not taken by any process.
    pub(crate) free_bytes: u64,
}

/// A point in what a device computes: reached when everything that was queued before it is done.
#[derive(Debug)]
pub(crate) struct Event(NonNull<Opaque>);

/// Until it is dropped, the calling thread's tensors keep nothing that only training needs.
#[derive(Debug)]
pub(super) struct InferenceMode(NonNull<Opaque>);

/// Reads what the allocator of this device counts. The device has been computed on before.
pub(crate) fn memory(device: usize) -> Result<DeviceMemory, ModelError> {
    let device = index(device)?;
    let mut bytes = [0i64; 3];
    // SAFETY: the array has the three places that the call fills.
    checked(unsafe { mosel_memory(device, bytes.as_mut_ptr()) })?;
    let [allocated_bytes, peak_bytes, free_bytes] = bytes.map(|bytes| u64::try_from(bytes).unwrap_or(0));
    Ok(DeviceMemory { allocated_bytes, peak_bytes, free_bytes })
}

/// Makes what is allocated now the peak.
pub(crate) fn reset_peak(device: usize) -> Result<(), ModelError> {
    let device = index(device)?;
    // SAFETY: takes no pointer.
    checked(unsafe { mosel_reset_peak(device) })
}

/// Gives memory that the allocators of all GPUs keep for later back to their devices.
pub(crate) fn empty_cache() -> Result<(), ModelError> {
    // SAFETY: takes no pointer.
    checked(unsafe { mosel_empty_cache() })
}

/// Waits until the device has done all that was queued.
pub(crate) fn synchronize(device: usize) -> Result<(), ModelError> {
    let device = index(device)?;
    // SAFETY: takes no pointer.
    checked(unsafe { mosel_synchronize(device) })
}

impl Event {
    /// The end of what is queued on the device now.
    pub(crate) fn record(device: usize) -> Result<Event, ModelError> {
        let device = index(device)?;
        let mut event = std::ptr::null_mut();
        // SAFETY: the call writes one pointer, owned from here on, and only if it succeeds.
        checked(unsafe { mosel_event_record(device, &mut event) })?;
        Ok(Event(NonNull::new(event).ok_or_else(nothing)?))
    }

    /// Waits for this event; the device's own time since the earlier one. Half a microsecond fine.
    pub(crate) fn since(&self, earlier: &Event) -> Result<Duration, ModelError> {
        let mut milliseconds = 0.0;
        // SAFETY: both events live; the call writes one number.
        checked(unsafe { mosel_event_elapsed(earlier.0.as_ptr(), self.0.as_ptr(), &mut milliseconds) })?;
        Ok(Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by the shim, freed once.
        unsafe { mosel_event_free(self.0.as_ptr()) }
    }
}

impl InferenceMode {
    pub(super) fn begin() -> Result<InferenceMode, ModelError> {
        let mut mode = std::ptr::null_mut();
        // SAFETY: the call writes one pointer, owned from here on, and only if it succeeds.
        checked(unsafe { mosel_inference_begin(&mut mode) })?;
        Ok(InferenceMode(NonNull::new(mode).ok_or_else(nothing)?))
    }
}

impl Drop for InferenceMode {
    fn drop(&mut self) {
        // SAFETY: made by the shim, freed once, and by the thread that made it: the pointer is not Send.
        unsafe { mosel_inference_end(self.0.as_ptr()) }
    }
}

/// libtorch counts devices in 8 bits.
fn index(device: usize) -> Result<c_int, ModelError> {
    let index =
        i8::try_from(device).map_err(|_| ModelError::Backend(format!("expected a GPU 0 to 127, got {device}")))?;
    Ok(c_int::from(index))
}

fn checked(status: c_int) -> Result<(), ModelError> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: a C string of this thread that lives until its next failure; copied at once.
    let words = unsafe { CStr::from_ptr(mosel_error()) }.to_string_lossy();
    Err(failure(&words))
}

fn nothing() -> ModelError {
    ModelError::Backend("libtorch made nothing and did not say why".into())
}

/// A C++ object.
#[repr(C)]
struct Opaque {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn mosel_error() -> *const c_char;
    fn mosel_memory(device: c_int, bytes: *mut i64) -> c_int;
    fn mosel_reset_peak(device: c_int) -> c_int;
    fn mosel_empty_cache() -> c_int;
    fn mosel_synchronize(device: c_int) -> c_int;
    fn mosel_event_record(device: c_int, event: *mut *mut Opaque) -> c_int;
    fn mosel_event_elapsed(start: *const Opaque, end: *const Opaque, milliseconds: *mut f64) -> c_int;
    fn mosel_event_free(event: *mut Opaque);
    fn mosel_inference_begin(mode: *mut *mut Opaque) -> c_int;
    fn mosel_inference_end(mode: *mut Opaque);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a machine with a GPU these calls succeed, and the tests of the GPU cover them.
    #[test]
    fn without_an_accelerator_every_call_fails_in_words() {
        if super::super::device::gpu_is_there() {
            return;
        }
        let failures =
            [memory(0).err(), reset_peak(0).err(), empty_cache().err(), synchronize(0).err(), Event::record(0).err()];
        for failure in failures {
            let words = failure.expect("a call without an accelerator").to_string();
            assert!(words.starts_with("the backend failed: ") && words.contains("accelerator"), "{words}");
        }
        let beyond = memory(128).unwrap_err().to_string();
        assert_eq!(beyond, "the backend failed: expected a GPU 0 to 127, got 128");
    }

    #[test]
    fn inference_mode_lasts_as_long_as_it_is_held() {
        let weight = tch::Tensor::ones([2], tch::kind::FLOAT_CPU).set_requires_grad(true);
        {
            let _mode = InferenceMode::begin().unwrap();
            assert!(!(&weight * 2.0).requires_grad());
        }
        assert!((&weight * 2.0).requires_grad());
    }
}
