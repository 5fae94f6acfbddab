//! The engine: what all policies of a process share.

use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex};

use mosel_core::PolicyError;
use sha2::{Digest, Sha256};
use wasmtime::Config;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::error::Context;

use crate::bindings::{Scheduler, SchedulerPre};
use crate::cache::Cache;
use crate::compiled::{Compiled, Known};
use crate::guest::Guest;
use crate::host::{Host, count_time_in_fuel};
use crate::ticker::{Ticker, Ticking};
use crate::{Limits, LoadError, Loaded, Metering, Origin, contract};

/// Compiles policies and bounds what they use up. Cheap to clone; one a process is enough.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<Host>,
    limits: Limits,
    /// Where calls are interrupted.
    ticker: Option<Ticker>,
    known: Known,
    cache: Option<Cache>,
    /// Why the last component that was compiled is not in the cache.
    cache_trouble: Mutex<Option<String>>,
}

impl Engine {
    /// An engine with these limits. Fails only if the machine cannot run one: no threads, no memory, a stack limit
    /// that makes no sense.
    pub fn new(limits: Limits) -> anyhow::Result<Engine> {
        Engine::build(limits, None)
    }

    /// The same, and what it compiles is kept in this directory, for this process and for later ones.
    ///
    /// Code that lies there is run as it is, outside of all limits, so the directory must belong to the user of this
    /// process and be writable by nobody else; it is made so if it is not there, and refused if it is otherwise. It
    /// holds 64 components and 256 MiB at most. That it cannot be written, or holds damaged files, costs time only:
    /// [`Engine::cache_trouble`].
    pub fn with_cache(limits: Limits, dir: &Path) -> anyhow::Result<Engine> {
        Engine::build(limits, Some(Cache::open(dir)?))
    }

    fn build(limits: Limits, cache: Option<Cache>) -> anyhow::Result<Engine> {
        let wasmtime = wasmtime::Engine::new(&config(&limits)).context("setting up the WebAssembly engine")?;
        let mut linker = Linker::new(&wasmtime);
        Scheduler::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).context("linking the host functions")?;
        if limits.metering == Metering::Fuel {
            count_time_in_fuel(&mut linker).context("linking the clock that goes by fuel")?;
        }
        let ticker = limits.metering.time().then(|| Ticker::start(wasmtime.weak())).transpose();
        let ticker = ticker.context("starting the thread that interrupts policies")?.map(|(ticker, _)| ticker);
        let (known, cache_trouble) = (Known::default(), Mutex::default());
        Ok(Engine { inner: Arc::new(Inner { wasmtime, linker, limits, ticker, known, cache, cache_trouble }) })
    }

    /// Compiles a component and asks it who it is. Takes a tenth of a second and more, on the calling thread alone
    /// (wasmtime is built without parallel compilation: all cores would be taken from decisions and batches):
    /// not to be done where jobs are waiting. A millisecond if the same bytes were compiled before: [`Loaded::origin`].
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Loaded, LoadError> {
        let most = self.limits().component_bytes;
        if bytes.len() > most {
            return Err(LoadError::TooLarge { bytes: bytes.len(), most });
        }
        contract::check_header(bytes)?;
        let hash = hash(bytes);
        if let Some(compiled) = self.inner.known.find(&hash) {
            return Ok(Loaded::new(self.clone(), name.into(), compiled, Origin::Memory));
        }
        let (compiled, origin) = match self.fetch(&hash) {
            Some(component) => (self.check(&component, hash)?, Origin::Disk),
            None => (self.compile(bytes, hash)?, Origin::Compiled),
        };
        let compiled = Arc::new(compiled);
        self.inner.known.put(&compiled);
        Ok(Loaded::new(self.clone(), name.into(), compiled, origin))
    }

    /// The limits of every policy.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Why the component that was compiled last is not in the cache directory; `None` if it is, or if there is no
    /// such directory.
    pub fn cache_trouble(&self) -> Option<String> {
        self.inner.cache_trouble.lock().expect("nobody panics while writing it down").clone()
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    /// Interruptions come until the answer is dropped, where there are any.
    pub(crate) fn tick(&self) -> Option<Ticking> {
        self.inner.ticker.as_ref().map(Ticker::tick)
    }

    fn compile(&self, bytes: &[u8], hash: String) -> Result<Compiled, LoadError> {
        let component = Component::from_binary(self.wasmtime(), bytes);
        let component = component.map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        let compiled = self.check(&component, hash)?;
        self.store(&compiled.hash, &component);
        Ok(compiled)
    }

    fn check(&self, component: &Component, hash: String) -> Result<Compiled, LoadError> {
        contract::check_names(component)?;
        let policy = self.link(component).map_err(|error| LoadError::WrongShape(format!("{error:#}")))?;
        let mut guest = Guest::new(self, &policy).map_err(|error| match error {
            // There is no answer yet: it is the types of the exports that do not fit.
            PolicyError::Malformed(reason) => LoadError::WrongShape(reason),
            other => LoadError::Describe(other),
        })?;
        let description = guest.describe()?;
        Ok(Compiled { policy, hash, description })
    }

    fn link(&self, component: &Component) -> wasmtime::Result<SchedulerPre<Host>> {
        SchedulerPre::new(self.inner.linker.instantiate_pre(component)?)
    }

    /// The component from the cache; `None` sends it to the compiler, whose code then replaces what is there.
    fn fetch(&self, hash: &str) -> Option<Component> {
        let code = self.inner.cache.as_ref()?.fetch(&self.cached_name(hash))?;
        // SAFETY: the bytes must be what wasmtime serialized. They lay in a file that only this user can write,
        // under this name and with a checksum of both, and `store` puts nothing else there.
        unsafe { Component::deserialize(self.wasmtime(), code) }.ok()
    }

    fn store(&self, hash: &str, component: &Component) {
        let Some(cache) = &self.inner.cache else { return };
        let store = || cache.store(&self.cached_name(hash), &component.serialize()?);
        let trouble = store().err().map(|error: anyhow::Error| format!("{error:#}"));
        *self.inner.cache_trouble.lock().expect("nobody panics while writing it down") = trouble;
    }

    /// The component, and what else decides over its code: wasmtime's version, its settings, the processor.
    fn cached_name(&self, hash: &str) -> String {
        let mut hasher = ShaHasher(Sha256::new());
        self.wasmtime().precompile_compatibility_hash().hash(&mut hasher);
        format!("{hash}-{:016x}", hasher.finish())
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", self.limits()).finish_non_exhaustive()
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
    // A trap is told by its name and by what the policy logged last. Where in the code it was nobody is told: to know it
    // would cost bytes of compiled code, and time at every load and at every trap.
    config.wasm_backtrace_max_frames(None);
    config.generate_address_map(false);
    config.native_unwind_info(false);
    config
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hasher that says the same tomorrow.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(*digest.first_chunk().expect("a digest has 32 bytes"))
    }
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

    /// The least that is a component; no policy.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn sound_files_that_hold_no_code_for_this_engine_are_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::with_cache(Limits::default(), dir.path()).unwrap();
        let other = Limits { metering: crate::Metering::Fuel, ..Limits::default() };
        let other = Engine::new(other).unwrap();
        let foreign = Component::from_binary(other.wasmtime(), COMPONENT).unwrap().serialize().unwrap();
        let own = Component::from_binary(engine.wasmtime(), COMPONENT).unwrap().serialize().unwrap();
        let found = |code: &[u8]| {
            engine.inner.cache.as_ref().unwrap().store(&engine.cached_name("hash"), code).unwrap();
            engine.fetch("hash").is_some()
        };
        assert_eq!([&own[..], b"", b"no code at all", &foreign, &own].map(found), [true, false, false, false, true]);
    }

    #[test]
    fn engines_of_other_settings_have_code_of_their_own() {
        let name = |metering| Engine::new(Limits { metering, ..Limits::default() }).unwrap().cached_name("hash");
        let metering = crate::Metering::default();
        assert_eq!(name(metering), name(metering));
        assert_ne!(name(metering), name(crate::Metering::Fuel));
    }
}
