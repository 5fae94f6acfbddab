//! The engine: what all policies of a process share.

use std::sync::Arc;

use mosel_core::PolicyError;
use sha2::{Digest, Sha256};
use wasmtime::Config;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::error::Context;

use crate::bindings::{Scheduler, SchedulerPre};
use crate::guest::Guest;
use crate::host::Host;
use crate::ticker::{Ticker, Ticking};
use crate::{Limits, LoadError, Loaded, contract};

/// Compiles policies and bounds what they use up. Cheap to clone; one a process is enough.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Arc<Linker<Host>>,
    limits: Arc<Limits>,
    /// Where calls are interrupted.
    ticker: Option<Arc<Ticker>>,
}

impl Engine {
    /// An engine with these limits. Fails only if the machine cannot run one: no threads, no memory, a stack limit
    /// that makes no sense.
    pub fn new(limits: Limits) -> anyhow::Result<Engine> {
        let wasmtime = wasmtime::Engine::new(&config(&limits)).context("setting up the WebAssembly engine")?;
        let mut linker = Linker::new(&wasmtime);
        Scheduler::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).context("linking the host functions")?;
        let ticker = limits.metering.time().then(|| Ticker::start(wasmtime.weak())).transpose();
        let ticker = ticker.context("starting the thread that interrupts policies")?;
        let ticker = ticker.map(|(ticker, _)| Arc::new(ticker));
        Ok(Engine { wasmtime, linker: Arc::new(linker), limits: Arc::new(limits), ticker })
    }

    /// Compiles a component and asks it who it is. Takes a tenth of a second and more, on the calling thread alone
    /// (wasmtime is built without parallel compilation: all cores would be taken from decisions and batches):
    /// not to be done where jobs are waiting.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Loaded, LoadError> {
        if bytes.len() > self.limits.component_bytes {
            return Err(LoadError::TooLarge { bytes: bytes.len(), most: self.limits.component_bytes });
        }
        contract::check_header(bytes)?;
        let component = Component::from_binary(&self.wasmtime, bytes);
        let component = component.map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        contract::check_names(&component)?;
        let policy = self.link(&component).map_err(|error| LoadError::WrongShape(format!("{error:#}")))?;
        let mut guest = Guest::new(self, &policy).map_err(|error| match error {
            // There is no answer yet: it is the types of the exports that do not fit.
            PolicyError::Malformed(reason) => LoadError::WrongShape(reason),
            other => LoadError::Describe(other),
        })?;
        let description = guest.describe()?;
        Ok(Loaded::new(self.clone(), policy, name.into(), hash(bytes), description))
    }

    /// The limits of every policy.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Interruptions come until the answer is dropped, where there are any.
    pub(crate) fn tick(&self) -> Option<Ticking> {
        self.ticker.as_ref().map(|ticker| ticker.tick())
    }

    fn link(&self, component: &Component) -> wasmtime::Result<SchedulerPre<Host>> {
        SchedulerPre::new(self.linker.instantiate_pre(component)?)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn config(limits: &Limits) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.consume_fuel(limits.metering.fuel());
    config.epoch_interruption(limits.metering.time());
    config.max_wasm_stack(limits.stack_bytes);
    // Answers must not depend on the processor.
    config.wasm_relaxed_simd(false);
    config
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha256_in_hex() {
        assert_eq!(hash(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_component_may_be_as_large_as_the_limit_and_no_larger() {
        let engine = Engine::new(Limits { component_bytes: 10, ..Limits::default() }).unwrap();
        assert_eq!(engine.load("x", &[0; 10]).unwrap_err(), LoadError::NotWasm { bytes: 10 });
        assert_eq!(engine.load("x", &[0; 11]).unwrap_err(), LoadError::TooLarge { bytes: 11, most: 10 });
    }
}
