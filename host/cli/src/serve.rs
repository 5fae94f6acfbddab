//! `mosel serve`: a server in the foreground; its flags are short names for configuration keys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use mosel_server::{Config, GIVEN_UP, LaneDevices, Overrides, Server, Stop, load_models};
use serde_json::{Value, json};

use crate::{libtorch, log};

/// Flags of `mosel serve`. Every value can also be set in the file and by MOSEL_SECTION__KEY.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Configuration, as TOML; see --print-config.
    #[arg(long, value_name = "FILE", env = "MOSEL_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// A model of the zoo, or one that was added; may be given more than once. Without any model: emoji.
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// A profile to use instead of the one shipped with a model; may be given more than once.
    #[arg(long, value_name = "NAME=FILE", value_parser = name_and_file)]
    profile: Vec<(String, PathBuf)>,
    /// Serve the model `null`, which answers at once.
    #[arg(long)]
    null: bool,
    /// Serve a model by sleeping as long as its profile says; may be given more than once.
    #[arg(long, value_name = "PROFILE.json")]
    timed: Vec<PathBuf>,
    /// A device for every lane: cpu, cpu:N (for several lanes on one CPU), cuda:N, auto.
    #[arg(long, value_name = "DEVICE", value_delimiter = ',')]
    devices: Vec<String>,
    /// Precisions that may be computed with: fp32, bf16, fp16. Without any: all that the profiles have.
    #[arg(long, value_name = "PRECISION", value_delimiter = ',')]
    precisions: Vec<String>,
    /// The policy in place at the start.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Directory of further policies, as NAME.wasm.
    #[arg(long, value_name = "DIR")]
    policy_dir: Option<PathBuf>,
    /// Directory for journals of all that happens, for `mosel replay` and `mosel explain`.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// How long accepted jobs get to finish once the server was told to stop.
    #[arg(long, value_name = "SECONDS")]
    drain_timeout: Option<f64>,
    /// File with the token that whoever changes policies has to show; without one, only this machine may change them.
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Print the effective configuration and exit.
    #[arg(long)]
    print_config: bool,
}

impl Serve {
    /// Serves until it is told to stop.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut config = Config::load(self.config.as_deref(), &self.overrides()?)?;
        if config.models.is_empty() {
            config.models.zoo.push("emoji".into());
        }
        if self.print_config {
            print!("{}", config.to_toml());
            return Ok(ExitCode::SUCCESS);
        }
        // a model may be loaded later, too
        if config.models.zoo.is_empty() {
            libtorch::prefer()?;
        } else {
            libtorch::require()?;
        }
        let server = Server::bind(config.clone())?;
        let output = log::standard_output()?;
        log::print(&output, &format!("listening on http://{}", server.address()));
        if let Some(address) = server.health_address() {
            log::print(&output, &format!("health on http://{address}"));
        }
        let devices = LaneDevices::of(&config)?;
        let models = load_models(&config.models, &devices.kinds, config.queue.max_requests)?;
        server.open(devices, models)?;
        tracing::info!("ready");
        let stop = server.wait()?;
        let code = if matches!(stop, Stop::Failed(_)) { FAILED } else { GIVEN_UP };
        let code = stop_in_time(server.longest_stop(), code);
        if stop == Stop::Told {
            tracing::info!("told to stop: not ready any more, and jobs are taken for a while yet");
            server.announce();
        }
        tracing::info!("draining");
        let stopped = server.drain()?;
        code.store(stopped.exit_code(), Ordering::Relaxed);
        let failed_before = if let Stop::Failed(why) = stop { Some(why) } else { None };
        if let Some(why) = failed_before.or(stopped.failure) {
            anyhow::bail!("the server could serve no more, and has to be started again: {why}");
        }
        tracing::info!(given_up = stopped.given_up, "stopped");
        Ok(if stopped.given_up > 0 { ExitCode::from(GIVEN_UP) } else { ExitCode::SUCCESS })
    }

    fn overrides(&self) -> anyhow::Result<Overrides> {
        let mut values: Vec<(&'static str, Value)> = Vec::new();
        values.extend(self.listen.as_ref().map(|listen| ("http.listen", json!(listen))));
        values.extend((!self.model.is_empty()).then(|| ("models.zoo", json!(self.model))));
        if !self.profile.is_empty() {
            let profiles: BTreeMap<&String, &PathBuf> = self.profile.iter().map(|(name, file)| (name, file)).collect();
            values.push(("models.profiles", json!(profiles)));
        }
        values.extend((!self.timed.is_empty()).then(|| ("models.timed", json!(self.timed))));
        values.extend((!self.devices.is_empty()).then(|| ("devices", json!(self.devices))));
        values.extend((!self.precisions.is_empty()).then(|| ("models.precisions", json!(self.precisions))));
        values.extend(self.null.then_some(("models.null", Value::Bool(true))));
        values.extend(self.policy.as_ref().map(|policy| ("policy.name", json!(policy))));
        values.extend(self.policy_dir.as_ref().map(|dir| ("policy.dir", json!(dir))));
        values.extend(self.journal.as_ref().map(|dir| ("journal.dir", json!(dir))));
        values.extend(self.admin_token_file.as_ref().map(|file| ("http.admin_token_file", json!(file))));
        if let Some(seconds) = self.drain_timeout {
            let sound = seconds.is_finite() && seconds >= 0.0;
            anyhow::ensure!(sound, "--drain-timeout is {seconds}, expected seconds from 0 on");
            values.push(("http.drain_timeout_ms", json!((seconds * 1000.0).round() as u64)));
        }
        Ok(Overrides { values })
    }
}

/// What a process ends with whose command has failed.
const FAILED: u8 = 1;

/// Ends the process once it had that long to stop, with this status, or what is in the answer then: something hangs.
fn stop_in_time(longest: Duration, code: u8) -> Arc<AtomicU8> {
    let code = Arc::new(AtomicU8::new(code));
    let last = code.clone();
    let wait = move || {
        std::thread::sleep(longest);
        mosel_server::exit_at_once(last.load(Ordering::Relaxed).into());
    };
    if let Err(error) = std::thread::Builder::new().name("stop".into()).spawn(wait) {
        tracing::error!(%error, "nobody watches that the server stops in time");
    }
    code
}

fn name_and_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.into(), file.into())),
        _ => Err("expected NAME=FILE".into()),
    }
}
