//! The hostile components that the build script made.

macro_rules! guest {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm"))
    };
}

pub(crate) const HOSTILE: &[u8] = guest!("hostile");
pub(crate) const LOOP_AT_START: &[u8] = guest!("loop-at-start");
pub(crate) const LOOP_IN_DESCRIBE: &[u8] = guest!("loop-in-describe");
pub(crate) const TRAP_IN_DESCRIBE: &[u8] = guest!("trap-in-describe");
pub(crate) const BOAST_IN_DESCRIBE: &[u8] = guest!("boast-in-describe");
