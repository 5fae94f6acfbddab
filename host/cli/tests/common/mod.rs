//! What tests of the program share.

use std::time::{Duration, Instant};

/// Looks again and again until it is so; fails after two minutes.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(120), "not so after two minutes: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
