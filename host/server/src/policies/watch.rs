//! The folder of policies, watched: what is put there by hand is checked, and takes the place of an older version of
//! itself that is in place.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecursiveMode, Watcher};

use super::control::Policies;
use super::error::SwapError;
use super::prepared::PreparedPolicy;
use super::store::{Component, Source, StoreError, policy_of};
use crate::pulse::{Pulse, Silence};
use crate::supervisor::Supervisor;

/// The folder is watched until this is dropped.
pub(crate) struct Watch {
    _watcher: notify::RecommendedWatcher,
}

/// A file is looked at once nothing has happened to it for so long: a copy comes in pieces.
const QUIET: Duration = Duration::from_millis(200);
/// How long one file may take: it is compiled.
const LONGEST: Duration = Duration::from_secs(60);
/// Names that wait to be looked at.
const MOST_NAMES: usize = 1024;

/// Watches the folder of policies, if there is one.
pub(crate) fn start(policies: &Arc<Policies>, supervisor: &Arc<Supervisor>) -> anyhow::Result<Option<Watch>> {
    let Some(dir) = policies.store().dir() else { return Ok(None) };
    std::fs::create_dir_all(dir).with_context(|| format!("making the folder of policies {}", dir.display()))?;
    let (changed, names) = changes();
    let mut watcher = notify::recommended_watcher(move |event| changed.take(event))?;
    watcher.watch(dir, RecursiveMode::NonRecursive).with_context(|| format!("watching {}", dir.display()))?;
    let policies = Arc::downgrade(policies);
    let pulse = supervisor.pulse("watch", Silence::Said);
    supervisor
        .spawn("watch", move || names.look_at(&policies, &pulse))
        .context("starting the thread that watches policies")?;
    Ok(Some(Watch { _watcher: watcher }))
}

/// Where names of changed files are put, by a thread that must not wait.
struct Changes {
    names: Arc<Mutex<BTreeSet<String>>>,
    wake: SyncSender<()>,
}

/// Where they come out.
struct Names {
    names: Arc<Mutex<BTreeSet<String>>>,
    woken: Receiver<()>,
}

fn changes() -> (Changes, Names) {
    let names = Arc::new(Mutex::default());
    let (wake, woken) = sync_channel(1);
    (Changes { names: names.clone(), wake }, Names { names, woken })
}

impl Changes {
    fn take(&self, event: notify::Result<notify::Event>) {
        let event = match event {
            Ok(event) if is_change(event.kind) => event,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "the folder of policies cannot be watched any more");
                return;
            }
        };
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let named = event.paths.iter().filter_map(|path: &PathBuf| policy_of(path));
        let room = MOST_NAMES.saturating_sub(names.len());
        names.extend(named.take(room));
        if !names.is_empty() {
            // it is woken already
            let _ = self.wake.try_send(());
        }
    }
}

/// Reading a file is no change, and happens to every file that is looked at.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

impl Names {
    fn look_at(&self, policies: &Weak<Policies>, pulse: &Pulse) {
        while self.wait() {
            let names = std::mem::take(&mut *self.names.lock().unwrap_or_else(PoisonError::into_inner));
            for name in names {
                let Some(policies) = policies.upgrade() else { return };
                pulse.within(LONGEST, "looks at a policy's file");
                look_at(&policies, &name);
            }
            pulse.idle();
        }
    }

    /// Waits for a change and then for quiet; `false` once nobody watches any more.
    fn wait(&self) -> bool {
        let mut event = self.woken.recv().map_err(|_| RecvTimeoutError::Disconnected);
        while event.is_ok() {
            event = self.woken.recv_timeout(QUIET);
        }
        event == Err(RecvTimeoutError::Timeout)
    }
}

/// Something happened to the file of this policy.
fn look_at(policies: &Policies, name: &str) {
    let store = &policies.store();
    if mosel_policies::shipped(name).is_some() {
        tracing::warn!(policy = name, "a file has the name of a shipped policy, and is not used");
        return;
    }
    match store.file(name) {
        Ok(None) => {
            tracing::info!(policy = name, "a policy was taken from its folder");
            store.forget(name);
        }
        Ok(Some(component)) if store.is_known(name, &component.hash) => {}
        Ok(Some(component)) => {
            let error = try_file(policies, name, &component).err().map(|error| error.to_string());
            if let Some(error) = &error {
                tracing::warn!(policy = name, hash = component.hash, error, "a file is not used");
            }
            store.note(name, &component.hash, error);
        }
        Err(error) => unreadable(policies, name, &error),
    }
}

fn unreadable(policies: &Policies, name: &str, error: &StoreError) {
    tracing::warn!(policy = name, %error, "a file is not used");
    policies.store().note(name, "", Some(error.to_string()));
}

/// Checks a file that is new, and puts it in place of the one before of the same file.
fn try_file(policies: &Policies, name: &str, component: &Component) -> Result<(), SwapError> {
    let loaded = policies.loader().load(name, component)?;
    tracing::info!(policy = name, hash = component.hash, "a policy is in its folder");
    let active = policies.active();
    let in_place = active.tag.name == name && active.source == Source::File;
    if !in_place || active.tag.hash == component.hash {
        return Ok(());
    }
    let prepared: PreparedPolicy = policies.loader().configure(name, Source::File, loaded, &active.settings)?;
    match policies.swap_for(active.tag.generation, prepared) {
        Ok(changed) => {
            let generation = changed.active.tag.generation;
            tracing::info!(policy = name, generation, "the policy's new file took the place of the one before");
            Ok(())
        }
        Err(SwapError::Overtaken) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, Event, ModifyKind};

    #[test]
    fn only_changes_of_components_are_looked_at() {
        let (changes, names) = changes();
        let event = |kind, path: &str| Ok(Event::new(kind).add_path(path.into()));
        changes.take(event(EventKind::Access(AccessKind::Open(AccessMode::Read)), "/d/read.wasm"));
        changes.take(event(EventKind::Create(CreateKind::File), "/d/mine.partial"));
        assert!(names.woken.try_recv().is_err());
        changes.take(event(EventKind::Modify(ModifyKind::Any), "/d/mine.wasm"));
        changes.take(event(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/d/yours.wasm"));
        drop(changes);
        assert!(names.woken.try_recv().is_ok());
        assert_eq!(*names.names.lock().unwrap(), ["mine", "yours"].map(String::from).into());
        assert!(!names.wait());
    }
}
