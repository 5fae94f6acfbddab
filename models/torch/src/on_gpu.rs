//! Tests that fill a GPU's memory, which only the libtorch backend can: `make test-cuda`.

use std::sync::{Mutex, PoisonError};

use mosel_core::{ModalitySet, Mode};
use tch::{Device, Kind, Tensor};

use super::{accelerator, device};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Model, ModelError, Request, backend, blank_request, split_on_out_of_memory, warm_up};

const MODE: Mode = Mode::full(ModalitySet::all(2));
/// Free on the device while the test runs; a batch of one window needs far less.
const LEFT_BYTES: u64 = 64 << 20;
/// Windows of two sensors, which need gigabytes.
const ABSURD: usize = 32_768;

/// Held by each test: they count the same memory.
static MEMORY: Mutex<()> = Mutex::new(());

#[test]
#[ignore = "needs an NVIDIA GPU: make test-cuda"]
fn cuda_out_of_memory_is_caught_and_the_batch_is_run_in_parts() {
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut model) = on_gpu() else { return };
    let blank = blank_request(model.spec());
    warm_up(model.as_mut(), &blank, &[MODE]).unwrap();
    let _taken = take_all_but(LEFT_BYTES);
    let requests: Vec<&Request> = vec![&blank; ABSURD];
    let refused = model.forward(&requests, MODE.modalities, MODE.precision);
    assert!(matches!(refused, Err(ModelError::OutOfMemory(_))), "{:?}", refused.map(|ran| ran.answers.len()));
    let answered = split_on_out_of_memory(model.as_mut(), &requests, MODE).unwrap();
    assert_eq!(answered.answers.len(), ABSURD);
    assert!(answered.batches > 1);
}

#[test]
#[ignore = "needs an NVIDIA GPU: make test-cuda"]
fn cuda_memory_is_counted_and_given_back() {
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(_model) = on_gpu() else { return };
    const BYTES: u64 = 256 << 20;
    accelerator::reset_peak(0).unwrap();
    let before = accelerator::memory(0).unwrap();
    drop(Tensor::zeros([BYTES as i64], (Kind::Uint8, Device::Cuda(0))));
    accelerator::synchronize(0).unwrap();
    let after = accelerator::memory(0).unwrap();
    assert_eq!(after.allocated_bytes, before.allocated_bytes);
    assert!(after.peak_bytes >= before.allocated_bytes + BYTES, "{before:?} {after:?}");
    accelerator::empty_cache().unwrap();
    assert!(accelerator::memory(0).unwrap().free_bytes >= after.free_bytes + BYTES);
}

/// The smallest model on the first GPU; `None` if there is none and none is demanded.
fn on_gpu() -> Option<Box<dyn Model>> {
    crate::install();
    let loaded = backend::load_zoo(Task::Watch, DeviceChoice::Cuda(0));
    if let Err(reason) = &loaded {
        assert_ne!(std::env::var("MOSEL_TEST_CUDA").as_deref(), Ok("1"), "{reason:#}");
        assert!(!device::gpu_is_there(), "{reason:#}");
        println!("skipped: {reason:#}");
    }
    loaded.ok()
}

/// Takes the GPU's memory, as much as is free but for this.
fn take_all_but(bytes: u64) -> Tensor {
    accelerator::empty_cache().unwrap();
    let free = accelerator::memory(0).unwrap().free_bytes;
    Tensor::f_empty([free.saturating_sub(bytes) as i64], (Kind::Uint8, Device::Cuda(0))).unwrap()
}
