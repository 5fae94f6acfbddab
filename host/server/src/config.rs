//! Configuration: one TOML file, then `MOSEL_SECTION__KEY` variables, then flags; later ones win.
//!
//! A key nobody knows is refused by name (and by line, in the file), and every value has a range.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use mosel_core::Precision;
use mosel_models::{DeviceChoice, Devices};
use serde::{Deserialize, Serialize};

/// Everything about a server that can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A device for every lane: `cpu`, `cpu:N`, `cuda:N`, `auto`. Empty: `queue.lanes` lanes on `auto`.
    pub devices: Vec<String>,
    /// The wire.
    pub http: Http,
    /// What is served.
    pub models: Models,
    /// The scheduler, and what bounds it.
    pub queue: Queue,
    /// Jobs that have ended.
    pub finished: Finished,
    /// The policy in place at the start, and what it may use.
    pub policy: Policy,
    /// What is written down of what happens.
    pub journal: Journal,
}

/// The wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// Threads that speak HTTP; by default half as many as there are cores, 4 at most: the rest is for the models.
    pub threads: usize,
    /// Connections served at a time; more wait to be accepted.
    pub max_connections: usize,
    /// Bytes of one request's body.
    pub max_body_bytes: u64,
    /// How long a client may take over a request's head, and may leave a connection idle.
    pub header_timeout_ms: u64,
    /// How long a client may take over a request's body.
    pub body_timeout_ms: u64,
    /// The longest `Prefer: wait`.
    pub max_wait_ms: u64,
    /// How long accepted jobs get to finish once the server was told to stop.
    pub drain_timeout_ms: u64,
    /// A file with the token that whoever changes policies has to show; empty for none: then only this machine may.
    pub admin_token_file: PathBuf,
}

/// What is served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Names of zoo models.
    pub zoo: Vec<String>,
    /// Profiles to use instead of those shipped with the zoo's models, by name.
    pub profiles: BTreeMap<String, PathBuf>,
    /// Precisions that may be computed with, as far as the profiles have them.
    pub precisions: Vec<String>,
    /// Profiles that are served by sleeping as long as they say.
    pub timed: Vec<PathBuf>,
    /// How wrong these profiles are: such a model takes so many times as long.
    pub timed_factor: f64,
    /// Serve the model `null`, which answers at once.
    pub null: bool,
}

/// The scheduler, and what bounds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Lanes: a queue and a device thread each.
    pub lanes: u32,
    /// Jobs that may wait on one lane.
    pub max_jobs: usize,
    /// Requests a job may have.
    pub max_requests: u32,
    /// The shortest deadline a job may ask for.
    pub min_deadline_ms: u64,
    /// The longest deadline a job may ask for.
    pub max_deadline_ms: u64,
    /// Bytes of all inputs that are being received, wait or run.
    pub max_input_bytes: u64,
    /// Added to every time estimate, as a share of it.
    pub margin: f64,
}

/// Jobs that have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Finished {
    /// How many are kept for `GET /v1/jobs/{id}`.
    pub max_jobs: usize,
    /// How long they are kept.
    pub keep_ms: u64,
}

/// The policy in place at the start, and what it may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// A shipped policy, or NAME of a NAME.wasm in `dir`.
    pub name: String,
    /// Settings it is configured with, as JSON text.
    pub settings: String,
    /// A directory of components; empty for none.
    pub dir: PathBuf,
    /// How long one decision may take.
    pub budget_ms: u64,
    /// What its random numbers are drawn from.
    pub seed: u64,
    /// Linear memory a policy may use.
    pub memory_bytes: u64,
    /// So many failures among the last `rollback_window` answers bring the policy before back; 0 for never.
    pub rollback_failures: u32,
    /// Answers that `rollback_failures` looks back on.
    pub rollback_window: u32,
    /// A directory for compiled code, so that a known component is there at once after a restart; empty for none.
    pub cache_dir: PathBuf,
}

/// What is written down of what happens: see `mosel replay`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// A directory for journals; empty for none.
    pub dir: PathBuf,
    /// A journal that is larger is followed by another.
    pub max_file_bytes: u64,
    /// Journals that are kept, the one being written included; the oldest go first.
    pub max_files: usize,
}

impl Default for Http {
    fn default() -> Http {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Http {
            listen: "127.0.0.1:7070".into(),
            threads: (cores / 2).clamp(1, 4),
            max_connections: 1024,
            max_body_bytes: 32 << 20,
            header_timeout_ms: 30_000,
            body_timeout_ms: 30_000,
            max_wait_ms: 600_000,
            drain_timeout_ms: 30_000,
            admin_token_file: PathBuf::new(),
        }
    }
}

impl Default for Models {
    fn default() -> Models {
        Models {
            zoo: Vec::new(),
            profiles: BTreeMap::new(),
            precisions: Precision::ALL.map(|precision| precision.name().to_owned()).into(),
            timed: Vec::new(),
            timed_factor: 1.0,
            null: false,
        }
    }
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            lanes: 1,
            max_jobs: 1000,
            max_requests: 256,
            min_deadline_ms: 1,
            max_deadline_ms: 3_600_000,
            max_input_bytes: 1 << 30,
            margin: 0.05,
        }
    }
}

impl Default for Finished {
    fn default() -> Finished {
        Finished { max_jobs: 10_000, keep_ms: 600_000 }
    }
}

impl Default for Journal {
    fn default() -> Journal {
        Journal { dir: PathBuf::new(), max_file_bytes: 64 << 20, max_files: 8 }
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            name: "exact".into(),
            settings: "{}".into(),
            dir: PathBuf::new(),
            budget_ms: 20,
            seed: 7,
            memory_bytes: 64 << 20,
            rollback_failures: 5,
            rollback_window: 50,
            cache_dir: cache_dir().unwrap_or_default(),
        }
    }
}

/// What the command line says; the values that were not given are `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Overrides {
    /// Keys as `section.key`, with their values.
    pub values: Vec<(&'static str, serde_json::Value)>,
}

impl Config {
    /// The effective configuration of the file, the environment and the command line.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> anyhow::Result<Config> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).with_context(|| format!("reading the configuration {path:?}"))?;
            // toml names the line of a key that nobody knows; figment no longer could
            toml::from_str::<Config>(&text).with_context(|| format!("in the configuration {path:?}"))?;
            figment = figment.merge(Toml::string(&text));
        }
        figment = figment.merge(environment());
        for (key, value) in &overrides.values {
            figment = figment.merge(Serialized::global(key, value));
        }
        let config: Config = figment.extract().map_err(|error| anyhow::anyhow!("in the configuration: {error}"))?;
        config.check()?;
        Ok(config)
    }

    /// The whole configuration as TOML that [`Config::load`] reads back.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("every field has a TOML form")
    }

    /// Every value is in its range.
    pub fn check(&self) -> anyhow::Result<()> {
        let Config { devices, http, models, queue, finished, policy, journal } = self;
        check_devices(devices, queue.lanes)?;
        models.precisions()?;
        ensure!(http.listen.contains(':'), "http.listen is {:?}, expected ADDRESS:PORT", http.listen);
        within("http.threads", http.threads as u64, 1, 256)?;
        within("http.max_connections", http.max_connections as u64, 1, 1_000_000)?;
        within("http.max_body_bytes", http.max_body_bytes, 1024, 1 << 32)?;
        within("http.header_timeout_ms", http.header_timeout_ms, 10, HOUR_MS)?;
        within("http.body_timeout_ms", http.body_timeout_ms, 10, HOUR_MS)?;
        within("http.max_wait_ms", http.max_wait_ms, 1, 24 * HOUR_MS)?;
        within("http.drain_timeout_ms", http.drain_timeout_ms, 0, 24 * HOUR_MS)?;
        if !(0.001..=1000.0).contains(&models.timed_factor) {
            bail!("models.timed_factor is {}, expected 0.001 to 1000", models.timed_factor);
        }
        within("queue.lanes", queue.lanes.into(), 1, 64)?;
        within("queue.max_jobs", queue.max_jobs as u64, 1, 100_000)?;
        within("queue.max_requests", queue.max_requests.into(), 1, 4096)?;
        within("queue.min_deadline_ms", queue.min_deadline_ms, 1, HOUR_MS)?;
        within("queue.max_deadline_ms", queue.max_deadline_ms, queue.min_deadline_ms, 24 * HOUR_MS)?;
        within("queue.max_input_bytes", queue.max_input_bytes, http.max_body_bytes, 1 << 40)?;
        if !(0.0..=10.0).contains(&queue.margin) {
            bail!("queue.margin is {}, expected 0 to 10", queue.margin);
        }
        within("finished.max_jobs", finished.max_jobs as u64, 1, 10_000_000)?;
        within("finished.keep_ms", finished.keep_ms, 1, 24 * HOUR_MS)?;
        within("journal.max_file_bytes", journal.max_file_bytes, 1 << 16, 1 << 40)?;
        within("journal.max_files", journal.max_files as u64, 1, 10_000)?;
        within("policy.budget_ms", policy.budget_ms, 1, 60_000)?;
        within("policy.seed", policy.seed, 0, i64::MAX as u64)?;
        within("policy.memory_bytes", policy.memory_bytes, 1 << 20, 1 << 32)?;
        within("policy.rollback_failures", policy.rollback_failures.into(), 0, 10_000)?;
        let least = policy.rollback_failures.max(1).into();
        within("policy.rollback_window", policy.rollback_window.into(), least, 10_000)?;
        serde_json::from_str::<serde_json::Value>(&policy.settings)
            .with_context(|| format!("policy.settings is {:?}, expected JSON text", policy.settings))?;
        Ok(())
    }
}

/// Every device can be one, and there are as many as lanes, where both are given.
fn check_devices(devices: &[String], lanes: u32) -> anyhow::Result<()> {
    let parsed: Vec<DeviceChoice> =
        devices.iter().map(|device| device.parse()).collect::<Result<_, _>>().context("devices")?;
    if !parsed.is_empty() {
        Devices::new(parsed).context("devices")?;
    }
    let named = !matches!(devices, [] | [_]) || devices.iter().any(|device| device != "auto");
    let both = named && lanes != 1 && devices.len() != lanes as usize;
    ensure!(!both, "queue.lanes is {lanes}, and devices names {}: a lane has one device", devices.len());
    Ok(())
}

impl Models {
    /// The precisions that may be computed with.
    pub fn precisions(&self) -> anyhow::Result<Vec<Precision>> {
        let precisions = self.precisions.iter().map(|name| name.parse()).collect::<Result<Vec<Precision>, _>>();
        let precisions = precisions.context("models.precisions")?;
        ensure!(!precisions.is_empty(), "models.precisions is empty, expected at least one of fp32, bf16, fp16");
        Ok(precisions)
    }

    /// No model is named.
    pub fn is_empty(&self) -> bool {
        self.zoo.is_empty() && self.timed.is_empty() && !self.null
    }
}

impl Http {
    /// The longest `Prefer: wait`.
    pub fn max_wait(&self) -> Duration {
        Duration::from_millis(self.max_wait_ms)
    }

    /// How long a client may take over a request's body.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }
}

/// `mosel/compiled` in the user's cache; `None` without one.
fn cache_dir() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(cache.join("mosel/compiled"))
}

const HOUR_MS: u64 = 3_600_000;

/// Variables such as `MOSEL_QUEUE__MAX_JOBS`, and `MOSEL_DEVICES`. Others without `__` mean something to other programs
/// (`MOSEL_POLICY_DIR` to the build) and are left alone.
fn environment() -> Env {
    Env::prefixed("MOSEL_").filter(|key| key.as_str().contains("__") || key == "devices").split("__")
}

fn within(key: &str, value: u64, least: u64, most: u64) -> anyhow::Result<()> {
    ensure!((least..=most).contains(&value), "{key} is {value}, expected {least} to {most}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> anyhow::Result<Config> {
        let path = std::env::temp_dir().join(format!("mosel-config-{}-{:x}.toml", std::process::id(), fnv(text)));
        std::fs::write(&path, text).unwrap();
        let config = Config::load(Some(&path), &Overrides::default());
        std::fs::remove_file(&path).unwrap();
        config
    }

    fn fnv(text: &str) -> u64 {
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", file(text).unwrap_err())
    }

    #[test]
    fn the_printed_configuration_reads_back() {
        let mut config = Config::default();
        config.models.timed.push("a profile.json".into());
        config.models.profiles.insert("emoji".into(), "mine.json".into());
        config.queue.max_jobs = 7;
        config.policy.settings = r#"{"seed": 7}"#.into();
        assert_eq!(file(&config.to_toml()).unwrap(), config);
    }

    #[test]
    fn unknown_keys_are_refused_by_name_and_line() {
        let message = refusal("[queue]\nmax_jobs = 3\nmax_cats = 4\n");
        assert!(message.contains("max_cats") && message.contains("line 3"), "{message}");
        let message = refusal("[cats]\n");
        assert!(message.contains("cats"), "{message}");
    }

    #[test]
    fn flags_win_over_the_file_and_wrong_values_say_what_was_expected() {
        let overrides = Overrides { values: vec![("queue.max_jobs", 9.into())] };
        assert_eq!(Config::load(None, &overrides).unwrap().queue.max_jobs, 9);
        assert_eq!(refusal("[queue]\nmax_jobs = 0\n"), "queue.max_jobs is 0, expected 1 to 100000");
        assert_eq!(refusal("[queue]\nmargin = -0.5\n"), "queue.margin is -0.5, expected 0 to 10");
        let message = refusal("[policy]\nrollback_failures = 9\nrollback_window = 8\n");
        assert_eq!(message, "policy.rollback_window is 8, expected 9 to 10000");
        assert_eq!(file("[policy]\nrollback_failures = 9\nrollback_window = 9\n").unwrap().policy.rollback_window, 9);
        let message = refusal("[queue]\nlanes = \"two\"\n");
        assert!(message.contains("line 2") && message.contains("u32"), "{message}");
    }
}
