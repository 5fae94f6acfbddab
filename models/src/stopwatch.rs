//! How long a batch takes, on whatever device.

use std::time::{Duration, Instant};

use crate::{DeviceFacts, ModelError};

/// Runs from [`Stopwatch::start`] until everything that was done meanwhile is finished, on the device too.
///
/// On the CPU: the monotonic clock. On a GPU: two events, which the device itself stamps. The first is stamped when
/// what was queued before is done, so nothing earlier is counted; the second when what was queued since is done. What
/// the host does in between, decoding inputs for example, counts on both: it is part of a batch's time.
///
/// A clock alone would do for [`Model::forward`](crate::Model::forward), whose answers have come to the host when it
/// returns; events are sound for a model that returns earlier, too.
#[derive(Debug)]
pub struct Stopwatch(Kind);

#[derive(Debug)]
enum Kind {
    Clock(Instant),
    #[cfg(feature = "torch")]
    Events {
        gpu: usize,
        start: crate::torch::Event,
    },
}

impl Stopwatch {
    /// Starts on this device. An error if the device has failed.
    pub fn start(device: &DeviceFacts) -> Result<Stopwatch, ModelError> {
        #[cfg(feature = "torch")]
        if let Some(gpu) = device.gpu() {
            return Ok(Stopwatch(Kind::Events { gpu, start: crate::torch::Event::record(gpu)? }));
        }
        let _ = device;
        Ok(Stopwatch(Kind::Clock(Instant::now())))
    }

    /// The time since the start; waits for a GPU to be done.
    pub fn stop(self) -> Result<Duration, ModelError> {
        match self.0 {
            Kind::Clock(start) => Ok(start.elapsed()),
            #[cfg(feature = "torch")]
            Kind::Events { gpu, start } => crate::torch::Event::record(gpu)?.since(&start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_cpu_the_clock_tells() {
        let (stopwatch, start) = (Stopwatch::start(&DeviceFacts::pretended("cpu")).unwrap(), Instant::now());
        std::thread::sleep(Duration::from_millis(2));
        let least = start.elapsed();
        assert!(stopwatch.stop().unwrap() >= least);
    }

    #[test]
    #[cfg(feature = "torch")]
    fn a_gpu_that_is_not_there_is_an_error() {
        // libtorch counts to 127
        let error = Stopwatch::start(&DeviceFacts::pretended("cuda:999")).unwrap_err().to_string();
        assert!(error.contains("999"), "{error}");
    }
}
