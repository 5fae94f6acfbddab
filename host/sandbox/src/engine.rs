//! The engine: what all policies of a process share.

use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mosel_core::PolicyError;
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::error::Context;

use crate::bindings::{Scheduler, SchedulerPre};
use crate::compiled_policy::CompiledPolicy;
use crate::disk_cache::DiskCache;
use crate::guest::Guest;
use crate::host::{Host, count_time_in_fuel};
use crate::memory_cache::MemoryCache;
use crate::runtime::Runtime;
use crate::{Limits, LoadError, LoadedPolicy, Metering, Origin, contract};

/// Compiles policies and bounds what they use up. Cheap to clone; one a process is enough.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    linker: Linker<Host>,
    memory_cache: MemoryCache,
    disk_cache: Option<Arc<DiskCache>>,
    /// The cache did not answer in time once, and is asked no more.
    cache_frozen: AtomicBool,
    /// Why the last component that was compiled is not in the cache directory.
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
        let owned = dir.to_owned();
        let opened = beside(CACHE_ANSWERS_WITHIN, move || DiskCache::open(&owned));
        let cache = opened.ok_or_else(|| anyhow::anyhow!("the cache {}: {FROZEN}", dir.display()))??;
        Engine::build(limits, Some(cache))
    }

    fn build(limits: Limits, disk_cache: Option<DiskCache>) -> anyhow::Result<Engine> {
        let runtime = Runtime::new(limits)?;
        let linker = linker(&runtime)?;
        let (memory_cache, disk_cache) = (MemoryCache::default(), disk_cache.map(Arc::new));
        let (cache_frozen, cache_trouble) = (AtomicBool::new(false), Mutex::default());
        Ok(Engine { inner: Arc::new(Inner { runtime, linker, memory_cache, disk_cache, cache_frozen, cache_trouble }) })
    }

    /// Compiles a component and asks it who it is. Takes a tenth of a second and more, on the calling thread alone
    /// (wasmtime is built without parallel compilation: all cores would be taken from decisions and batches):
    /// not to be done where jobs are waiting. A millisecond if the same bytes were compiled before: [`LoadedPolicy::origin`].
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<LoadedPolicy, LoadError> {
        let most = self.limits().component_bytes;
        if bytes.len() > most {
            return Err(LoadError::TooLarge { bytes: bytes.len(), most });
        }
        contract::check_header(bytes)?;
        let hash = hash(bytes);
        if let Some(compiled) = self.inner.memory_cache.find(&hash) {
            return Ok(LoadedPolicy::new(self.inner.runtime.clone(), name.into(), compiled, Origin::Memory));
        }
        let (compiled, origin) = match self.fetch(&hash) {
            Some(component) => (self.check(&component, hash)?, Origin::Disk),
            None => (self.compile(bytes, hash)?, Origin::Compiled),
        };
        let compiled = Arc::new(compiled);
        self.inner.memory_cache.put(&compiled);
        Ok(LoadedPolicy::new(self.inner.runtime.clone(), name.into(), compiled, origin))
    }

    /// The limits of every policy.
    pub fn limits(&self) -> &Limits {
        self.inner.runtime.limits()
    }

    /// Why the component that was compiled last is not in the cache directory; `None` if it is, or if there is no
    /// such directory.
    pub fn cache_trouble(&self) -> Option<String> {
        self.inner.cache_trouble.lock().expect("nobody panics while writing it down").clone()
    }

    fn wasmtime(&self) -> &wasmtime::Engine {
        self.inner.runtime.wasmtime()
    }

    fn compile(&self, bytes: &[u8], hash: String) -> Result<CompiledPolicy, LoadError> {
        let component = Component::from_binary(self.wasmtime(), bytes);
        let component = component.map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        let compiled = self.check(&component, hash)?;
        self.store(&compiled.hash, &component);
        Ok(compiled)
    }

    fn check(&self, component: &Component, hash: String) -> Result<CompiledPolicy, LoadError> {
        contract::check_names(component)?;
        let code = self.link(component).map_err(|error| LoadError::WrongShape(format!("{error:#}")))?;
        let mut guest = Guest::new(&self.inner.runtime, &code).map_err(|error| match error {
            // There is no answer yet: it is the types of the exports that do not fit.
            PolicyError::Malformed(reason) => LoadError::WrongShape(reason),
            other => LoadError::Describe(other),
        })?;
        let description = guest.describe()?;
        Ok(CompiledPolicy { code, hash, description })
    }

    fn link(&self, component: &Component) -> wasmtime::Result<SchedulerPre<Host>> {
        SchedulerPre::new(self.inner.linker.instantiate_pre(component)?)
    }

    /// The component from the cache; `None` sends it to the compiler, whose code then replaces what is there.
    fn fetch(&self, hash: &str) -> Option<Component> {
        let name = self.cached_name(hash);
        let code = self.ask_cache(move |cache| cache.fetch(&name))?.ok()??;
        // SAFETY: the bytes must be what wasmtime serialized. They lay in a file that only this user can write,
        // under this name and with a checksum of both, and `store` puts nothing else there.
        unsafe { Component::deserialize(self.wasmtime(), code) }.ok()
    }

    fn store(&self, hash: &str, component: &Component) {
        let name = self.cached_name(hash);
        let stored = component
            .serialize()
            .map_err(anyhow::Error::from)
            .and_then(|code| self.ask_cache(move |cache| cache.store(&name, &code)).unwrap_or_else(|| Ok(Ok(())))?);
        let trouble = stored.err().map(|error| format!("{error:#}"));
        *self.inner.cache_trouble.lock().expect("nobody panics while writing it down") = trouble;
    }

    /// Asks the directory of compiled code, if there is one: a disk that is frozen holds up nobody more than once.
    fn ask_cache<T: Send + 'static>(
        &self,
        question: impl FnOnce(&DiskCache) -> T + Send + 'static,
    ) -> Option<anyhow::Result<T>> {
        let Inner { disk_cache, cache_frozen, .. } = &*self.inner;
        let cache = disk_cache.clone()?;
        if cache_frozen.load(Ordering::Relaxed) {
            return Some(Err(anyhow::anyhow!(FROZEN)));
        }
        let answer = beside(CACHE_ANSWERS_WITHIN, move || question(&cache));
        cache_frozen.store(answer.is_none(), Ordering::Relaxed);
        Some(answer.ok_or_else(|| anyhow::anyhow!(FROZEN)))
    }

    /// The component, and what else decides over its code: wasmtime's version, its settings, the processor.
    fn cached_name(&self, hash: &str) -> String {
        let mut hasher = ShaHasher(Sha256::new());
        self.wasmtime().precompile_compatibility_hash().hash(&mut hasher);
        format!("{hash}-{:016x}", hasher.finish())
    }
}

/// How long the directory of compiled code may take over an answer.
const CACHE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const FROZEN: &str = "its disk did not answer within 2 s, and it is not used any more";

/// Does this on a thread of its own, which is left behind if it takes longer.
fn beside<T: Send + 'static>(within: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, answer) = sync_channel(1);
    let work = move || drop(done.send(work()));
    std::thread::Builder::new().name("cache".into()).spawn(work).ok()?;
    answer.recv_timeout(within).ok()
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", self.limits()).finish_non_exhaustive()
    }
}

fn linker(runtime: &Runtime) -> anyhow::Result<Linker<Host>> {
    let mut linker = Linker::new(runtime.wasmtime());
    Scheduler::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).context("linking the host functions")?;
    if runtime.limits().metering == Metering::Fuel {
        count_time_in_fuel(&mut linker).context("linking the clock that goes by fuel")?;
    }
    Ok(linker)
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
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
            engine.inner.disk_cache.as_ref().unwrap().store(&engine.cached_name("hash"), code).unwrap();
            engine.fetch("hash").is_some()
        };
        assert_eq!([&own[..], b"", b"no code at all", &foreign, &own].map(found), [true, false, false, false, true]);
    }

    #[test]
    fn a_cache_that_does_not_answer_is_left_behind() {
        assert_eq!(beside(Duration::from_secs(20), || 7), Some(7));
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        assert_eq!(beside(Duration::from_millis(10), move || never.recv().is_ok()), None);
    }

    #[test]
    fn engines_of_other_settings_have_code_of_their_own() {
        let name = |metering| Engine::new(Limits { metering, ..Limits::default() }).unwrap().cached_name("hash");
        let metering = crate::Metering::default();
        assert_eq!(name(metering), name(metering));
        assert_ne!(name(metering), name(crate::Metering::Fuel));
    }
}
