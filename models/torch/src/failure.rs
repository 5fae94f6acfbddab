//! What libtorch's words mean: tch keeps the text of an exception and not its kind.

use tch::TchError;

use mosel_models::ModelError;

/// How libtorch says that memory ran out: its allocator for GPUs and the driver below it, its allocator for the CPU,
/// NVIDIA's libraries, and C++ itself.
const OUT_OF_MEMORY: [&str; 4] = ["out of memory", "can't allocate memory", "_STATUS_ALLOC_FAILED", "std::bad_alloc"];

/// The error that an exception of these words is.
pub(super) fn failure(words: &str) -> ModelError {
    // the first line only: libtorch adds its own stack
    let line = words.lines().next().unwrap_or("unknown").to_owned();
    match OUT_OF_MEMORY.iter().any(|mark| words.contains(mark)) {
        true => ModelError::OutOfMemory(line),
        false => ModelError::Backend(line),
    }
}

/// The error that a batch ends with when one of its calls does.
pub(super) fn failed(error: TchError) -> ModelError {
    failure(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    fn the_cpu_running_out_of_memory_is_told_apart() {
        // four pebibytes: beyond what a process can even name
        let error = Tensor::f_zeros([1 << 50], tch::kind::FLOAT_CPU).unwrap_err();
        let error = failed(error);
        assert!(matches!(error, ModelError::OutOfMemory(_)), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }

    #[test]
    fn another_failure_is_not_out_of_memory() {
        let error = Tensor::zeros([2], (Kind::Float, tch::Device::Cpu)).f_view([3]).unwrap_err();
        let error = failed(error);
        assert!(matches!(error, ModelError::Backend(_)), "{error}");
    }

    #[test]
    fn a_gpu_says_it_in_several_ways() {
        let said = [
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB",
            "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        ];
        for words in said {
            assert!(matches!(failure(words), ModelError::OutOfMemory(_)), "{words}");
        }
        let other = failure("CUDA error: an illegal memory access was encountered\nstack");
        assert_eq!(other, ModelError::Backend("CUDA error: an illegal memory access was encountered".into()));
    }
}
