//! How much memory a batch needs, measured on the device that it ran on.

use std::fs;

/// Measures the peak of memory between [`Meter::start`] and [`Meter::peak_bytes`].
///
/// On the CPU: the process's peak resident memory (`VmHWM`), reset through `/proc/self/clear_refs`, above what was
/// resident at the start. Freed pages are given back first, so that an earlier, larger batch does not hide this one.
/// Elsewhere: unknown.
#[derive(Debug)]
pub(crate) struct Meter {
    /// What was resident at the start; `None` where nothing can be measured.
    resident: Option<u64>,
}

impl Meter {
    /// Begins a measurement for a model on this device.
    pub(crate) fn start(device: &str) -> Meter {
        if device != "cpu" {
            return Meter { resident: None };
        }
        give_back_freed_pages();
        // "5" resets the peak; refused in some containers, and then nothing is known.
        let reset = fs::write("/proc/self/clear_refs", "5").ok();
        Meter { resident: reset.and_then(|()| status_bytes("VmRSS:")) }
    }

    /// Peak bytes since the start beyond what was there at the start; 0 if unknown.
    pub(crate) fn peak_bytes(&self) -> u64 {
        match (self.resident, status_bytes("VmHWM:")) {
            (Some(resident), Some(peak)) => peak.saturating_sub(resident),
            _ => 0,
        }
    }

    /// How it is measured, in words, for the profile.
    pub(crate) fn method(&self) -> &'static str {
        match self.resident {
            Some(_) => "process peak resident memory (VmHWM, reset before the runs) above the loaded, idle model",
            None => "unknown (0): not measured on this device",
        }
    }
}

/// Resident memory of the process; 0 if unknown.
pub(crate) fn resident_bytes() -> u64 {
    status_bytes("VmRSS:").unwrap_or(0)
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
        let meter = Meter::start("cpu");
        assert!(meter.resident.is_some(), "the peak could not be reset");
        drop(std::hint::black_box(vec![1u8; (512 * MIB) as usize]));
        let peak = meter.peak_bytes();
        assert!(peak > 256 * MIB, "{peak} bytes");
    }
}
