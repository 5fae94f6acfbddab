//! A strategy as decisions need it.

/// A strategy of a table. Along a table latencies (whole microseconds) and accuracies both strictly increase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) latency: f64,
    pub(crate) accuracy: f64,
    /// Accuracy gained a microsecond on the way to `next`.
    pub(crate) slope: f64,
    /// The next strategy on the hull of what begins here; the last strategy is its own.
    pub(crate) next: u32,
}

impl Point {
    /// A point that is on no hull yet.
    pub(crate) fn new(latency: f64, accuracy: f64) -> Point {
        Point { latency, accuracy, slope: 0.0, next: 0 }
    }
}
