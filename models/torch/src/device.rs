//! Opens a device: finds libtorch's CUDA half if there is one, and sets the number of threads.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::transmute;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Result, bail};

use mosel_models::{DeviceChoice, DeviceFacts, processor_name};

/// Opens a device for the calling thread, which computes with one thread from here on.
///
/// One thread: libgomp's threads spin at barriers, and two of them on busy cores are far slower than one. A server
/// with cores to spare runs one lane a core instead.
pub(super) fn open(choice: DeviceChoice) -> Result<(tch::Device, DeviceFacts)> {
    // before any other tch call: libtorch looks for CUDA once and keeps the answer for the life of the process
    let cuda = load_cuda();
    let device = match (choice, cuda) {
        (DeviceChoice::Cpu | DeviceChoice::CpuLane(_), _) | (DeviceChoice::Auto, Err(_)) => tch::Device::Cpu,
        (DeviceChoice::Auto, Ok(())) => tch::Device::cuda_if_available(),
        (DeviceChoice::Cuda(index), Ok(())) => gpu(index)?,
        (DeviceChoice::Cuda(index), Err(reason)) => bail!("cuda:{index} was asked for, but {reason}"),
    };
    tch::set_num_threads(1);
    let note = match (choice, cuda) {
        (DeviceChoice::Auto, Err(reason)) => Some(format!("on the CPU: {reason}")),
        (DeviceChoice::Auto, Ok(())) if device == tch::Device::Cpu => {
            Some("on the CPU: libtorch sees no GPU that it can use".into())
        }
        _ => None,
    };
    Ok((device, facts(device, choice, note)))
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

fn facts(device: tch::Device, choice: DeviceChoice, note: Option<String>) -> DeviceFacts {
    let name = match device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".into(),
    };
    let lane = match choice {
        DeviceChoice::CpuLane(_) => choice.to_string(),
        _ => name.clone(),
    };
    let libraries = [("libtorch", "2.13.0"), ("tch", "0.26.0")];
    let mut libraries = BTreeMap::from(libraries.map(|(name, version)| (name.to_owned(), version.to_owned())));
    let processor = match device {
        tch::Device::Cuda(index) => {
            let driver = Driver::find();
            libraries.extend(driver.as_ref().and_then(Driver::version).map(|version| ("cuda driver".into(), version)));
            driver.and_then(|driver| driver.name_of(index)).unwrap_or_else(|| "unknown".into())
        }
        _ => processor_name(),
    };
    DeviceFacts { name, lane, processor, threads: 1, libraries, note }
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

/// The functions of NVIDIA's driver that tell what a GPU is called; they return 0 when they are done.
struct Driver {
    init: Init,
    device: Device,
    name: Name,
    version: Version,
}

type Init = unsafe extern "C" fn(flags: u32) -> c_int;
type Device = unsafe extern "C" fn(device: *mut c_int, ordinal: c_int) -> c_int;
type Name = unsafe extern "C" fn(name: *mut c_char, len: c_int, device: c_int) -> c_int;
type Version = unsafe extern "C" fn(version: *mut c_int) -> c_int;
type Symbol = *mut c_void;

impl Driver {
    /// The driver that [`load_cuda`] has loaded.
    fn find() -> Option<Driver> {
        // SAFETY: these are the signatures that NVIDIA documents, and a function pointer has the size of any pointer.
        unsafe {
            Some(Driver {
                init: transmute::<Symbol, Init>(symbol(c"cuInit")?),
                device: transmute::<Symbol, Device>(symbol(c"cuDeviceGet")?),
                name: transmute::<Symbol, Name>(symbol(c"cuDeviceGetName")?),
                version: transmute::<Symbol, Version>(symbol(c"cuDriverGetVersion")?),
            })
        }
    }

    /// `NVIDIA H200`
    fn name_of(&self, index: usize) -> Option<String> {
        let (mut device, mut name) = (0, [0u8; 256]);
        let length = name.len() as c_int - 1;
        // SAFETY: the driver fills one number and at most as many bytes as it is told; the last one stays 0.
        let done = unsafe {
            (self.init)(0) == 0
                && (self.device)(&mut device, c_int::try_from(index).ok()?) == 0
                && (self.name)(name.as_mut_ptr().cast(), length, device) == 0
        };
        let name = CStr::from_bytes_until_nul(&name).ok()?.to_string_lossy().into_owned();
        done.then_some(name)
    }

    /// The newest CUDA that the driver knows: `13.0`.
    fn version(&self) -> Option<String> {
        let mut version = 0;
        // SAFETY: the driver fills one number.
        let done = unsafe { (self.version)(&mut version) } == 0;
        done.then(|| format!("{}.{}", version / 1000, version % 1000 / 10))
    }
}

/// A function of any library that is loaded.
fn symbol(name: &CStr) -> Option<Symbol> {
    // SAFETY: the name is a C string that outlives the call.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
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
    fn every_lane_of_the_cpu_is_profiled_as_the_cpu() {
        let facts = |choice| open(choice).unwrap().1;
        let (alone, third) = (facts(DeviceChoice::Cpu), facts(DeviceChoice::CpuLane(3)));
        assert_eq!((alone.name.as_str(), alone.lane.as_str(), alone.gpu()), ("cpu", "cpu", None));
        assert_eq!((third.name.as_str(), third.lane.as_str(), third.gpu()), ("cpu", "cpu:3", None));
        assert_eq!(alone.processor, third.processor);
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

    #[test]
    fn a_driver_that_is_not_loaded_has_no_functions() {
        assert!(symbol(c"malloc").is_some());
        assert!(symbol(c"cuNothingOfThatName").is_none());
    }
}
