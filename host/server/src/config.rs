//! Configuration: one TOML file, then `MOSEL_SECTION__KEY` variables, then flags; later ones win.
//!
//! A key nobody knows is refused by name (and by line, in the file), and every value has a range.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use mosel_core::{OverdueLimits, Precision, Tenant};
use mosel_models::{DeviceChoice, Devices};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything about a server that can be chosen. What stands at a key here is what the reference says of it
/// ([`crate::reference`]), and its range is the one that is checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A device for every lane: `cpu`, `cpu:N` (for several lanes on one CPU), `cuda:N` or `auto`. Empty for
    /// `queue.lanes` lanes on `auto`, which is a GPU where there is one and every model was measured on one, else the CPU.
    pub devices: Vec<String>,
    /// The HTTP interface: its address, its threads, and what bounds a request.
    pub http: Http,
    /// Who may do what.
    pub auth: Auth,
    /// Which models are served from the start.
    pub models: Models,
    /// The queues of the scheduler, and what bounds a job.
    pub queue: Queue,
    /// How the device is shared between tenants, and with jobs that are late.
    pub fairness: Fairness,
    /// What is kept of jobs that have ended.
    pub finished: Finished,
    /// The policy in place at the start, and what a policy may use.
    pub policy: Policy,
    /// The journal, in which everything that happens is written down.
    pub journal: Journal,
    /// How the server stops.
    pub drain: Drain,
    /// How it is watched that everything lives.
    pub watch: Watch,
}

/// The HTTP interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port to listen on, as ADDRESS:PORT; port 0 takes a free one.
    pub listen: String,
    /// Threads that speak HTTP. The default is half as many as there are cores, 4 at most: the rest is for the models.
    #[schemars(range(min = 1, max = 256))]
    pub threads: usize,
    /// Threads that read what clients send: JSON, base64, compressed bodies. They run below the priority of all others. The
    /// default is half as many as there are cores.
    #[schemars(range(min = 1, max = 256))]
    pub work_threads: usize,
    /// Bodies that may wait for these threads; one client has two thirds of the places at most, and one more is refused with
    /// `work_full`.
    #[schemars(range(min = 1, max = 100_000))]
    pub work_queue: usize,
    /// Another address and port, on which only `/healthz`, `/readyz` and `/metrics` are answered, by a thread of their own;
    /// port 0 takes a free one. Empty for none: they are answered on `http.listen` in any case.
    pub health_listen: String,
    /// Connections at a time. When there are as many, the one that has been idle longest makes room for a new one, then the
    /// slowest; where all are in use the new one is answered 503 `connections_full`, unless it asks for health. Bounded by
    /// the file descriptors that the process may have, too.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// Connections of one address at a time (of one /64 of IPv6), a proxy's included. What is over makes room as at
    /// `http.max_connections`, among the connections of this address.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections_per_peer: usize,
    /// Bytes of one request's body at most.
    #[schemars(range(min = 1024, max = 4_294_967_296_u64))]
    pub max_body_bytes: u64,
    /// Bytes of one request's head at most, its line and headers; more is answered 431, or 414.
    #[schemars(range(min = 8192, max = 1_048_576))]
    pub max_header_bytes: u32,
    /// Requests that one connection of HTTP/2 may have under way.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_streams: u32,
    /// Milliseconds that a client may take over a request's head, the first one's counted from the connection's begin.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub header_timeout_ms: u64,
    /// Milliseconds that a client may leave a connection idle after an answer. More than proxies in front keep theirs (60 s
    /// to 75 s are usual), so that it is they who close.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub keep_alive_ms: u64,
    /// Milliseconds that a client may take over a request's body.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub body_timeout_ms: u64,
    /// Bytes a second that a body has to come with on average, once a sixth of `http.body_timeout_ms` is over.
    #[schemars(range(min = 0, max = 1_073_741_824))]
    pub min_body_bytes_per_s: u64,
    /// Milliseconds that a client may leave an answer unread: nothing of it could be sent for so long.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub write_timeout_ms: u64,
    /// The longest `Prefer: wait` in milliseconds; clients that ask for more wait so long.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub max_wait_ms: u64,
    /// Milliseconds that accepted jobs get to finish once the server was told to stop; what is left then is ended.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub drain_timeout_ms: u64,
    /// A file with a token, of at least 16 bytes, that may do everything. Empty for none: if no token of `auth.tokens_file`
    /// may change policies and models either, the server makes one for programs of its own user on its machine.
    pub admin_token_file: PathBuf,
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// A file of tokens, as `mosel token new --file FILE` writes it: then everything but health and readiness takes a token,
    /// and a job is its tenant's. Empty for none: then whoever reaches the server may submit and read, which is allowed on a
    /// loopback address only. Read again at SIGHUP.
    pub tokens_file: PathBuf,
    /// Lets everybody who reaches the server submit and read, though it listens on more than a loopback address and there is
    /// no `auth.tokens_file`.
    pub none: bool,
    /// Names, without a port, that the server may be called by beside `localhost` and loopback addresses where there is no
    /// `auth.tokens_file`.
    pub hosts: Vec<String>,
    /// Origins, such as `https://app.example`, of pages in browsers that may call the server. A page of the server's own may
    /// anyway.
    pub origins: Vec<String>,
    /// Wrong tokens from one address that are answered within a minute; after that wrong ones are answered `token_throttled` for a while; right ones never are.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_failures: u32,
}

/// Which models are served from the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Names of models of the zoo, or of ones that were added to this machine. `mosel serve` without any model takes
    /// `emoji`.
    pub zoo: Vec<String>,
    /// Files of profiles to use instead of those that come with the models, by the model's name.
    pub profiles: BTreeMap<String, PathBuf>,
    /// Precisions that may be computed with (`fp32`, `bf16`, `fp16`), as far as the profiles have them.
    pub precisions: Vec<String>,
    /// Files of profiles that are served without a model, by sleeping as long as they say.
    pub timed: Vec<PathBuf>,
    /// How wrong the profiles of `models.timed` are made to be: such a model takes so many times as long as they say.
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub timed_factor: f64,
    /// Serves the model `null`, which answers at once: what is left is the server's own time.
    pub null: bool,
}

/// The queues of the scheduler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Lanes, which are a queue and a device thread each. With `devices` there are as many as these are.
    #[schemars(range(min = 1, max = 64))]
    pub lanes: u32,
    /// Jobs that may wait on one lane; one more is refused with `queue_full`.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_jobs: usize,
    /// Requests that one job may have. Strategies are computed for every number up to it.
    #[schemars(range(min = 1, max = 4096))]
    pub max_requests: u32,
    /// The shortest deadline that a job may ask for, in milliseconds after its arrival.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub min_deadline_ms: u64,
    /// The longest deadline that a job may ask for, in milliseconds after its arrival; at least `queue.min_deadline_ms`.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub max_deadline_ms: u64,
    /// Bytes of all inputs that are being received, wait or run; at least `http.max_body_bytes`.
    #[schemars(range(min = 1024, max = 1_099_511_627_776_u64))]
    pub max_input_bytes: u64,
    /// Added to every estimate of time, as a share of it: 0.05 is 5 %.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub margin: f64,
}

/// How the device is shared between tenants, and with jobs that are late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fairness {
    /// The share of a busy device that jobs with `on_late: run` get once they are late. With 0 they run only when no
    /// other job waits.
    #[schemars(range(min = 0.0, max = 0.5))]
    pub late_share: f64,
    /// Tenants have shares of the queue's places and of the device's time; jobs without a tenant are one tenant.
    pub tenant_shares: bool,
    /// A tenant may hold so many times its weight as many places of a lane as are free there: 9 leaves a tenth of them to
    /// others.
    #[schemars(range(min = 0.1, max = 1_000_000.0))]
    pub queue_factor: f64,
    /// What tenants count relative to one another, 0.01 to 100; for those that are not named what their tokens say, else 1.
    pub weights: BTreeMap<String, f64>,
    /// Submissions a second of one tenant, or of one address where there are no tokens; 0 for any number. A token may have a
    /// rate of its own.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub rate: f64,
    /// Submissions that may come at once before `fairness.rate` holds.
    #[schemars(range(min = 1.0, max = 1_000_000.0))]
    pub burst: f64,
}

/// What is kept of jobs that have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Finished {
    /// Bytes, roughly, of all jobs that have ended and are kept for `GET /v1/jobs/{id}`. Beyond it whoever has most of them
    /// loses its oldest.
    #[schemars(range(min = 16_384, max = 1_099_511_627_776_u64))]
    pub max_bytes: u64,
    /// Jobs that have ended and are kept, whatever their size.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_jobs: usize,
    /// Milliseconds that a job is kept after its end, and its `Idempotency-Key` is known.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub keep_ms: u64,
}

/// The policy in place at the start, and what a policy may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The policy in place at the start: a shipped one, or NAME of a NAME.wasm in `policy.dir`.
    pub name: String,
    /// The settings that it is configured with, as JSON text.
    pub settings: String,
    /// A folder of components, which is watched; what is pushed over HTTP is kept there. Empty for none: then what was
    /// pushed is gone after a restart.
    pub dir: PathBuf,
    /// Milliseconds that one decision may take.
    #[schemars(range(min = 1, max = 60_000))]
    pub budget_ms: u64,
    /// What a policy's random numbers are drawn from.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_u64))]
    pub seed: u64,
    /// Bytes of linear memory that a policy may use.
    #[schemars(range(min = 1_048_576, max = 4_294_967_296_u64))]
    pub memory_bytes: u64,
    /// So many failures among the last `policy.rollback_window` answers bring the policy before back; 0 for never.
    #[schemars(range(min = 0, max = 10_000))]
    pub rollback_failures: u32,
    /// Answers that `policy.rollback_failures` looks back on; at least as many as these.
    #[schemars(range(min = 1, max = 10_000))]
    pub rollback_window: u32,
    /// A folder for compiled code, so that a known component is there at once after a restart. It must belong to the
    /// server's user and be writable by nobody else. Empty for none.
    pub cache_dir: PathBuf,
}

/// The journal, in which everything that happens is written down: see `mosel replay` and `mosel explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// A folder for journals. Empty for none.
    pub dir: PathBuf,
    /// Bytes after which a journal is followed by another. `journal.max_files` times as many are kept in all.
    #[schemars(range(min = 65_536, max = 1_099_511_627_776_u64))]
    pub max_file_bytes: u64,
    /// Journals that are kept, the one being written included; the oldest go first.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_files: usize,
}

/// How the server stops, once it was told to; `http.drain_timeout_ms` says how long accepted jobs get to finish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// Milliseconds after SIGTERM for which the server says that it is not ready and still takes jobs, so that whoever
    /// balances load turns to others before jobs are refused. 0 for none.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub announce_ms: u64,
    /// Milliseconds that results which nobody has fetched stay fetchable after the last job has ended. 0 for none.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub linger_ms: u64,
}

/// How it is watched that everything lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// A batch that takes so many times its p99 by the profile (corrected where the device is known to be slow), and
    /// `watch.suspect_grace_ms` more, makes its lane suspect: nothing new is promised there.
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub suspect_factor: f64,
    /// Milliseconds beyond `watch.suspect_factor`.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub suspect_grace_ms: u64,
    /// A batch that takes so many times its p99, and `watch.lost_grace_ms` more, is given up, and its lane with it.
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub lost_factor: f64,
    /// Milliseconds beyond `watch.lost_factor`.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub lost_grace_ms: u64,
    /// A lane whose batches take more than so many times what the profile says is suspect: it is tried now and then, and
    /// promised nothing else.
    #[schemars(range(min = 1.5, max = 1000.0))]
    pub slow_factor: f64,
    /// Milliseconds after which a job that the profile allows is tried on an idle lane, where what was learned of its device
    /// would refuse it.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub probe_interval_ms: u64,
    /// Device threads that hang in a batch and were given up, at a time: while there are so many, a lane whose batch does
    /// not end is not started again. 0 to start none again.
    #[schemars(range(min = 0, max = 64))]
    pub lane_restarts: u32,
}

impl Default for Drain {
    fn default() -> Drain {
        Drain { announce_ms: 2000, linger_ms: 3000 }
    }
}

impl Watch {
    /// When a batch is overdue, as the core is told.
    pub(crate) fn overdue(&self) -> OverdueLimits {
        let Watch { suspect_factor, suspect_grace_ms, lost_factor, lost_grace_ms, .. } = *self;
        let (suspect_grace, lost_grace) =
            (Duration::from_millis(suspect_grace_ms), Duration::from_millis(lost_grace_ms));
        OverdueLimits { suspect_factor, suspect_grace, lost_factor, lost_grace }
    }
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            suspect_factor: 2.0,
            suspect_grace_ms: 250,
            lost_factor: 3.0,
            lost_grace_ms: 900,
            slow_factor: 20.0,
            probe_interval_ms: 1000,
            lane_restarts: 3,
        }
    }
}

impl Default for Http {
    fn default() -> Http {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Http {
            listen: "127.0.0.1:7070".into(),
            threads: (cores / 2).clamp(1, 4),
            work_threads: (cores / 2).clamp(1, 256),
            work_queue: 1024,
            health_listen: String::new(),
            max_connections: 4096,
            max_connections_per_peer: 2048,
            max_body_bytes: 32 << 20,
            max_header_bytes: 64 << 10,
            max_streams: 100,
            header_timeout_ms: 30_000,
            keep_alive_ms: 90_000,
            body_timeout_ms: 30_000,
            min_body_bytes_per_s: 1024,
            write_timeout_ms: 30_000,
            max_wait_ms: 600_000,
            drain_timeout_ms: 30_000,
            admin_token_file: PathBuf::new(),
        }
    }
}

impl Default for Auth {
    fn default() -> Auth {
        Auth { tokens_file: PathBuf::new(), none: false, hosts: Vec::new(), origins: Vec::new(), max_failures: 10 }
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

impl Default for Fairness {
    fn default() -> Fairness {
        let mosel_core::Fairness { late_share, tenant_shares, place_factor, .. } = mosel_core::Fairness::default();
        Fairness {
            late_share,
            tenant_shares,
            queue_factor: place_factor,
            weights: BTreeMap::new(),
            rate: 0.0,
            burst: 10.0,
        }
    }
}

impl Fairness {
    /// As the core has it.
    pub fn to_core(&self) -> mosel_core::Fairness {
        mosel_core::Fairness {
            late_share: self.late_share,
            tenant_shares: self.tenant_shares,
            place_factor: self.queue_factor,
            weights: self.weights.iter().map(|(name, &weight)| (Tenant::named(name), weight)).collect(),
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        for (name, weight) in &self.weights {
            ensure!((0.01..=100.0).contains(weight), "fairness.weights.{name} is {weight}, expected 0.01 to 100");
        }
        Ok(())
    }
}

impl Default for Finished {
    fn default() -> Finished {
        Finished { max_bytes: 256 << 20, max_jobs: 1_000_000, keep_ms: 600_000 }
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
        let Config { devices, http, models, queue, policy, .. } = self;
        self.check_ranges()?;
        check_devices(devices, queue.lanes)?;
        models.precisions()?;
        self.fairness.check()?;
        ensure!(http.listen.contains(':'), "http.listen is {:?}, expected ADDRESS:PORT", http.listen);
        let health = &http.health_listen;
        ensure!(
            health.is_empty() || health.contains(':'),
            "http.health_listen is {health:?}, expected ADDRESS:PORT or nothing"
        );
        within("queue.max_deadline_ms", queue.max_deadline_ms, queue.min_deadline_ms, 24 * HOUR_MS)?;
        within("queue.max_input_bytes", queue.max_input_bytes, http.max_body_bytes, 1 << 40)?;
        let least = policy.rollback_failures.max(1).into();
        within("policy.rollback_window", policy.rollback_window.into(), least, 10_000)?;
        serde_json::from_str::<Value>(&policy.settings)
            .with_context(|| format!("policy.settings is {:?}, expected JSON text", policy.settings))?;
        Ok(())
    }

    /// Every key, section by section, by name.
    pub fn keys() -> Vec<Key> {
        let schema = schema_for!(Config).to_value();
        let mut keys = Vec::new();
        collect(&schema, &schema, "", &mut keys);
        keys
    }

    /// Every number is in the range that stands at its field.
    fn check_ranges(&self) -> anyhow::Result<()> {
        let values = serde_json::to_value(self).context("a configuration has a JSON form")?;
        for key in Config::keys() {
            let Some((least, most)) = &key.range else { continue };
            let value = key.name.split('.').fold(&values, |value, name| &value[name]);
            ensure!(
                in_range(value, least, most),
                "{} is {}, expected {} to {}",
                key.name,
                plain(value),
                plain(least),
                plain(most)
            );
        }
        Ok(())
    }
}

/// One key of the configuration, as its reference has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// `section.key`, or the key alone where there is no section.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean`, `array` (of strings) or `object` (of strings).
    pub kind: String,
    /// The least and the most, for numbers.
    pub range: Option<(Value, Value)>,
    /// What it is without being set; in words where that depends on the machine.
    pub default: Value,
    /// What it means, in sentences.
    pub text: String,
}

/// Defaults that differ from machine to machine, in words.
const OF_THE_MACHINE: [(&str, &str); 3] = [
    ("http.threads", "half of the cores, 1 to 4"),
    ("http.work_threads", "half of the cores, 1 at least"),
    ("policy.cache_dir", "mosel/compiled in the user's cache folder"),
];

/// The keys of this object of the schema, sections resolved.
fn collect(root: &Value, object: &Value, prefix: &str, keys: &mut Vec<Key>) {
    for (name, property) in object["properties"].as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        let section = property["$ref"].as_str().and_then(|link| root.pointer(link.trim_start_matches('#')));
        match section {
            Some(section) => collect(root, section, &format!("{name}."), keys),
            None => keys.push(Key::of(name, property)),
        }
    }
}

impl Key {
    fn of(name: String, property: &Value) -> Key {
        let range = property.get("minimum").cloned().zip(property.get("maximum").cloned());
        let text = property["description"].as_str().unwrap_or_default().replace('\n', " ");
        let of_the_machine = OF_THE_MACHINE.iter().find(|(key, _)| *key == name);
        let default = of_the_machine.map_or_else(|| property["default"].clone(), |(_, words)| (*words).into());
        Key { kind: property["type"].as_str().unwrap_or_default().into(), range, default, text, name }
    }
}

fn in_range(value: &Value, least: &Value, most: &Value) -> bool {
    match [value, least, most].map(Value::as_u64) {
        [Some(value), Some(least), Some(most)] => (least..=most).contains(&value),
        _ => {
            let [value, least, most] = [value, least, most].map(|number| number.as_f64().unwrap_or(f64::NAN));
            (least..=most).contains(&value)
        }
    }
}

/// A number without a fraction that says nothing.
fn plain(number: &Value) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
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
    pub(crate) fn precisions(&self) -> anyhow::Result<Vec<Precision>> {
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
    pub(crate) fn max_wait(&self) -> Duration {
        Duration::from_millis(self.max_wait_ms)
    }

    /// How long a client may take over a request's body.
    pub(crate) fn body_timeout(&self) -> Duration {
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
    fn every_key_is_explained_and_has_a_default_and_every_number_a_range() {
        let keys = Config::keys();
        assert!(keys.iter().any(|key| key.name == "devices") && keys.iter().any(|key| key.name == "journal.max_files"));
        for key in &keys {
            assert!(key.text.ends_with('.'), "{key:?}");
            assert!(!key.default.is_null() && !key.kind.is_empty(), "{key:?}");
            let is_number = matches!(key.kind.as_str(), "integer" | "number");
            assert_eq!(is_number, key.range.is_some(), "{key:?}");
        }
        let values = toml::Value::try_from(Config::default()).unwrap();
        let sections = values.as_table().unwrap().values().filter_map(toml::Value::as_table);
        let count = sections.map(toml::Table::len).sum::<usize>() + 1;
        assert_eq!(keys.len(), count, "devices, and every key of every section");
    }

    #[test]
    fn ranges_are_kept_to_the_last_number() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().is_err()
        };
        assert!(!refused(|config| config.policy.seed = i64::MAX as u64));
        assert!(refused(|config| config.policy.seed = i64::MAX as u64 + 1));
        assert!(!refused(|config| config.models.timed_factor = 0.001));
        assert!(refused(|config| config.models.timed_factor = f64::NAN));
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
