//! Time for microlp inside a sandbox: what it takes from the crate `web-time`, with the server's clock behind it.
//!
//! The real `web-time` asks a browser through wasm-bindgen, whose imports no server offers: a component with it does not
//! even link. `[patch.crates-io]` in the root manifest puts this one in its place. Natively time is the standard
//! library's, in both.

#[cfg(not(target_arch = "wasm32"))]
pub use std::time::{Duration, Instant};

#[cfg(target_arch = "wasm32")]
pub use std::time::Duration;

#[cfg(target_arch = "wasm32")]
pub use sandboxed::Instant;

#[cfg(target_arch = "wasm32")]
mod sandboxed {
    use std::time::Duration;

    /// A point in time on the server's clock, to the microsecond.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Instant(Duration);

    impl Instant {
        /// Asks the server.
        pub fn now() -> Instant {
            Instant(Duration::from_micros(mosel_sdk::now()))
        }

        /// What has passed since; nothing if that was later.
        pub fn elapsed(&self) -> Duration {
            Instant::now().duration_since(*self)
        }

        /// From an earlier point to this one; nothing if that was later.
        pub fn duration_since(&self, earlier: Instant) -> Duration {
            self.0.saturating_sub(earlier.0)
        }

        /// So much later; `None` if that cannot be expressed.
        pub fn checked_add(&self, later: Duration) -> Option<Instant> {
            self.0.checked_add(later).map(Instant)
        }
    }
}
