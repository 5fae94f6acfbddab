//! The server under load: one of our own, or one that is there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use tempfile::TempDir;

use super::load_results::LoadResults;
use super::target_model::Model;
use crate::connect::connection;
use crate::policy_file;
use mosel_client::connection::Connection;
use mosel_client::spawned::Spawned;

/// A server, and how to talk to it.
pub(super) struct Server {
    /// A client of it.
    pub(super) connection: Connection,
    url: String,
    /// If it is our own.
    spawned: Option<Spawned>,
}

/// How a server is to be started.
pub(super) struct ServerOptions<'a> {
    /// The policy in place.
    pub(super) policy: &'a Policy,
    /// What it serves.
    pub(super) model: &'a Model,
    /// A queue and a device each.
    pub(super) lanes: u32,
    /// Where it writes its journal.
    pub(super) journal: Option<PathBuf>,
}

/// A policy that a server can be started with.
pub(super) struct Policy {
    name: String,
    /// Where its component is, unless it is shipped.
    folder: Option<TempDir>,
}

/// A server that drops its connections since it ends has ended after so long.
const ENDING: Duration = Duration::from_secs(1);

impl Server {
    /// A server of our own, which listens; its models may still be loading.
    pub(super) fn start(options: &ServerOptions<'_>) -> Result<Server> {
        let mut variables = vec![("MOSEL_QUEUE__LANES", options.lanes.to_string())];
        if std::env::var_os("MOSEL_LOG").is_none() {
            variables.push(("MOSEL_LOG", "warn".into()));
        }
        let spawned = Spawned::start_muted(&options.flags(), &variables)?;
        let url = spawned.url.clone();
        Ok(Server { connection: Connection::new(&url)?, url, spawned: Some(spawned) })
    }

    /// The server there.
    pub(super) fn connect(url: &str) -> Result<Server> {
        Ok(Server { connection: connection(url, None)?, url: url.into(), spawned: None })
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it serves; the name of the policy in place.
    pub(super) async fn settle(&self) -> Result<String> {
        self.connection.ready().await?;
        let policy = self.connection.get("/v1/policy").await?.success()?;
        Ok(policy["name"].as_str().context("expected a policy with a name")?.to_owned())
    }

    /// It has not ended, if it is our own.
    pub(super) fn check(&mut self, results: &LoadResults) -> Result<()> {
        let Some(spawned) = &mut self.spawned else { return Ok(()) };
        let Some(status) = spawned.ended()? else { return Ok(()) };
        let (heard, jobs) = (results.heard(), results.offers().len());
        bail!("the server ended ({status}) when {heard} of {jobs} jobs had been answered{}", spawned.last_words())
    }

    /// Why something went wrong: that our own server has ended says more than that nobody answers.
    pub(super) fn explain(mut self, error: Error) -> Error {
        let silent = error.chain().any(<dyn std::error::Error>::is::<hyper_util::client::legacy::Error>);
        let Some(spawned) = self.spawned.as_mut().filter(|_| silent) else { return error };
        let give_up = Instant::now() + ENDING;
        while Instant::now() < give_up {
            if let Ok(Some(status)) = spawned.ended() {
                return anyhow!("the server ended ({status}){}", spawned.last_words());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        error
    }

    /// Stops it if it is our own, and passes on what it had to say unless that is unwanted.
    pub(super) fn close(self, quiet: bool) -> Result<()> {
        let Some(spawned) = self.spawned else { return Ok(()) };
        let words = spawned.stop()?;
        if !quiet && !words.is_empty() {
            eprintln!("mosel: the server ended as it should{words}");
        }
        Ok(())
    }
}

impl ServerOptions<'_> {
    fn flags(&self) -> Vec<String> {
        let mut flags: Vec<String> = ["serve", "--listen", "127.0.0.1:0"].map(String::from).into();
        flags.extend(self.model.flags());
        let mut flag = |name: &str, value: String| flags.extend([name.to_owned(), value]);
        flag("--policy", self.policy.name.clone());
        if let Some(folder) = &self.policy.folder {
            flag("--policy-dir", folder.path().display().to_string());
        }
        if let Some(folder) = &self.journal {
            flag("--journal", folder.display().to_string());
        }
        flags
    }
}

impl Policy {
    /// The shipped policy or example of this name, or the component in this file.
    pub(super) fn find(named: &str) -> Result<Policy> {
        if mosel_policies::shipped(named).is_some() {
            return Ok(Policy { name: named.into(), folder: None });
        }
        let (name, component) = match mosel_policies::example(named) {
            Some(component) => (named.to_owned(), component.to_vec()),
            None => policy_file::component(named)?,
        };
        let folder = tempfile::tempdir().context("making a folder for the policy")?;
        let file = folder.path().join(format!("{name}.wasm"));
        std::fs::write(&file, component).with_context(|| format!("writing {}", file.display()))?;
        Ok(Policy { name, folder: Some(folder) })
    }

    /// What the server calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}
