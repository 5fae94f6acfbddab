//! How long a batch takes, on whatever device.

use std::time::{Duration, Instant};

use crate::backend::{self, Mark};
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
    Gpu(Box<dyn Mark>),
}

impl Stopwatch {
    /// Starts on this device. An error if the device has failed.
    pub fn start(device: &DeviceFacts) -> Result<Stopwatch, ModelError> {
        Ok(Stopwatch(match (device.gpu(), backend::find()) {
            (Some(gpu), Some(backend)) => Kind::Gpu(backend.mark(gpu)?),
            _ => Kind::Clock(Instant::now()),
        }))
    }

    /// The time since the start; waits for a GPU to be done.
    pub fn stop(self) -> Result<Duration, ModelError> {
        match self.0 {
            Kind::Clock(start) => Ok(start.elapsed()),
            Kind::Gpu(start) => start.elapsed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_cpu_the_clock_tells() {
        let (stopwatch, start) = (Stopwatch::start(&DeviceFacts::fake("cpu")).unwrap(), Instant::now());
        std::thread::sleep(Duration::from_millis(2));
        let least = start.elapsed();
        assert!(stopwatch.stop().unwrap() >= least);
    }
}
