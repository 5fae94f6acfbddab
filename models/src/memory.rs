//! How much memory a batch needs, measured on the device that it ran on.

use std::fs;

use crate::{DeviceFacts, backend};

/// Measures the peak of memory between [`Meter::start`] and [`Meter::peak_bytes`].
///
/// On the CPU: the process's peak resident memory (`VmHWM`), reset through `/proc/self/clear_refs`, above what was
/// resident at the start. Freed pages are given back first, so that an earlier, larger batch does not hide this one.
/// On a GPU: bytes in tensors at the peak, as libtorch's allocator counts them, above those at the start.
/// Elsewhere: unknown.
#[derive(Debug)]
pub(crate) struct Meter {
    source: Source,
    /// What was there at the start.
    start_bytes: u64,
}

#[derive(Debug)]
enum Source {
    Process,
    Gpu(usize),
    Unknown,
}

impl Meter {
    /// Begins a measurement for a model on this device.
    pub(crate) fn start(device: &DeviceFacts) -> Meter {
        let (source, start_bytes) = begin(device).unwrap_or((Source::Unknown, 0));
        Meter { source, start_bytes }
    }

    /// Peak bytes since the start beyond what was there at the start; 0 if unknown.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let peak = match self.source {
            Source::Process => status_bytes("VmHWM:"),
            Source::Gpu(gpu) => backend::find().and_then(|backend| backend.peak_bytes(gpu).ok()),
            Source::Unknown => None,
        };
        peak.unwrap_or(0).saturating_sub(self.start_bytes)
    }

    /// What was there at the start: with a model that is loaded and idle, what it takes. 0 if unknown.
    pub(crate) fn start_bytes(&self) -> u64 {
        self.start_bytes
    }

    /// How it is measured, in words, for the profile.
    pub(crate) fn method(&self) -> &'static str {
        match self.source {
            Source::Process => {
                "process peak resident memory (VmHWM, reset before the runs) above the loaded, idle model"
            }
            Source::Gpu(_) => {
                "peak of allocated bytes in libtorch's allocator for the GPU above the loaded, idle model"
            }
            Source::Unknown => "unknown (0): not measured on this device",
        }
    }
}

/// Gives memory that is free but kept back to the device: the allocator's cache of a GPU, freed pages of the CPU.
pub(crate) fn give_back(device: &DeviceFacts) {
    if let (Some(_), Some(backend)) = (device.gpu(), backend::find()) {
        // where even this fails the next batch will tell
        let _ = backend.empty_cache();
        return;
    }
    give_back_freed_pages();
}

/// Resets the peak; what is there now. `None` where nothing can be measured.
fn begin(device: &DeviceFacts) -> Option<(Source, u64)> {
    if let Some(gpu) = device.gpu() {
        return Some((Source::Gpu(gpu), backend::find()?.reset_peak(gpu).ok()?));
    }
    if device.name != "cpu" {
        return None;
    }
    give_back_freed_pages();
    // "5" resets the peak; refused in some containers, and then nothing is known.
    fs::write("/proc/self/clear_refs", "5").ok()?;
    Some((Source::Process, status_bytes("VmRSS:")?))
}

fn status_bytes(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn give_back_freed_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes no pointer and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_large_allocation_shows_in_the_peak_after_it_is_gone() {
        const MIB: u64 = 1 << 20;
        let meter = Meter::start(&DeviceFacts::fake("cpu"));
        assert!(matches!(meter.source, Source::Process), "the peak could not be reset");
        assert!(meter.start_bytes() > MIB);
        drop(std::hint::black_box(vec![1u8; (512 * MIB) as usize]));
        let peak = meter.peak_bytes();
        assert!(peak > 256 * MIB, "{peak} bytes");
    }

    #[test]
    fn where_nothing_is_measured_nothing_is_claimed() {
        for device in ["timed", "cuda:999"] {
            let meter = Meter::start(&DeviceFacts::fake(device));
            assert_eq!((meter.peak_bytes(), meter.start_bytes()), (0, 0));
            assert_eq!(meter.method(), "unknown (0): not measured on this device");
        }
    }
}
