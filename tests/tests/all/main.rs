//! Tests over the whole workspace: servers end to end, hostile policies and what they do to jobs, the sandbox, the
//! conformance suite, components built against released contracts, a policy in Python, the order of modules and what crates show.
//!
//! All in one program, which is linked once: `cargo test --release -p mosel-tests sandbox::` runs those of one module.

mod compatibility;
mod conformance;
mod e2e;
mod faults;
mod guests;
mod modules;
mod public_items;
mod python_policy;
mod sandbox;
