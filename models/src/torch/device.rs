//! Opens a device: finds libtorch's CUDA half if there is one, and sets the number of threads.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Result, bail};

use crate::device::processor_name;
use crate::{DeviceChoice, DeviceFacts};

/// Opens a device for the calling thread, which computes with one thread from here on.
///
/// One thread: libgomp's threads spin at barriers, and two of them on busy cores are far slower than one. A server
/// with cores to spare runs one model a core instead.
pub(super) fn open(choice: DeviceChoice) -> Result<(tch::Device, DeviceFacts)> {
    // before any other tch call: libtorch looks for CUDA once and keeps the answer for the life of the process
    let cuda = load_cuda();
    let device = match (choice, cuda) {
        (DeviceChoice::Cpu, _) | (DeviceChoice::Auto, Err(_)) => tch::Device::Cpu,
        (DeviceChoice::Auto, Ok(())) => tch::Device::cuda_if_available(),
        (DeviceChoice::Cuda(index), Ok(())) => gpu(index)?,
        (DeviceChoice::Cuda(index), Err(reason)) => bail!("cuda:{index} was asked for, but {reason}"),
    };
    tch::set_num_threads(1);
    let note = match (choice, cuda) {
        (DeviceChoice::Auto, Err(reason)) => Some(format!("on the CPU: {reason}")),
        _ => None,
    };
    Ok((device, facts(device, note)))
}

/// libtorch sees a GPU.
pub(crate) fn gpu_is_there() -> bool {
    load_cuda().is_ok() && tch::Cuda::is_available()
}

fn gpu(index: usize) -> Result<tch::Device> {
    let count = tch::Cuda::device_count();
    if index as i64 >= count {
        bail!("cuda:{index} was asked for, but libtorch sees {count} GPUs");
    }
    Ok(tch::Device::Cuda(index))
}

fn facts(device: tch::Device, note: Option<String>) -> DeviceFacts {
    let name = match device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".into(),
    };
    let libraries = [("libtorch", "2.13.0"), ("tch", "0.26.0")];
    DeviceFacts {
        name,
        processor: processor_name(),
        threads: 1,
        libraries: libraries.map(|(name, version)| (name.into(), version.into())).into(),
        note,
    }
}

/// Loads libtorch's CUDA half, once for the process; else the reason why not.
fn load_cuda() -> Result<(), &'static str> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    LOADED.get_or_init(find_cuda).as_ref().copied().map_err(String::as_str)
}

fn find_cuda() -> Result<(), String> {
    open_library(Path::new("libcuda.so.1")).map_err(|_| "this machine has no NVIDIA driver".to_owned())?;
    // the first is where set-up puts it: torch-sys would link against it if it lay beside the CPU half
    let folder = Path::new(env!("MOSEL_LIBTORCH_LIB"));
    let places = [folder.join("../cuda/libtorch_cuda.so"), folder.join("libtorch_cuda.so")];
    match places.iter().find(|place| place.exists()) {
        Some(library) => open_library(library),
        None => Err("libtorch's CUDA half is not installed (python3 models/setup/setup.py libtorch --cuda)".into()),
    }
}

/// Loads a library for the life of the process and makes its symbols known to all others.
fn open_library(path: &Path) -> Result<(), String> {
    let name = CString::new(path.to_string_lossy().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the name is a C string that outlives the call; the handle is never closed, so nothing can dangle.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: dlerror returns null or a C string that stays valid until the next dl* call of this thread.
    let reason = unsafe { libc::dlerror().as_ref().map(|text| CStr::from_ptr(text).to_string_lossy().into_owned()) };
    Err(reason.unwrap_or_else(|| format!("{} does not load", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_computes_with_one_thread() {
        let (device, facts) = open(DeviceChoice::Cpu).unwrap();
        assert_eq!((device, facts.name.as_str(), facts.note), (tch::Device::Cpu, "cpu", None));
        assert_eq!(tch::get_num_threads(), 1);
    }

    #[test]
    fn a_gpu_that_is_not_there_is_an_error_with_its_reason() {
        let error = open(DeviceChoice::Cuda(99)).unwrap_err().to_string();
        assert!(error.starts_with("cuda:99 was asked for, but "), "{error}");
    }

    #[test]
    fn a_missing_library_says_which() {
        let error = open_library(Path::new("libnothing-of-that-name.so")).unwrap_err();
        assert!(error.contains("libnothing-of-that-name.so"), "{error}");
    }
}
