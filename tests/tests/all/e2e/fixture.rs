//! A server in this process, its models, and jobs for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mosel_core::{Accuracy, Latency, Measurement, ModalitySet, Mode, ModelId, Precision, Profile};
use mosel_models::{
    BatchAnswers, DeviceChoice, DeviceFacts, Input, InputError, InputFault, InputKind, Modality, Model, ModelError,
    Request, Spec, Timed, Unanswered,
};
use mosel_server::{Config, LaneDevices, ModelSource, ServedModel, Server, local_admin_token};
use serde_json::{Value, json};

use crate::guests::HOSTILE;
use mosel_testkit::client::Client;

/// A running server; stops with the test.
pub(crate) struct Fixture {
    server: Option<Server>,
    pub(crate) client: Client,
    _folder: Option<Folder>,
}

impl Fixture {
    pub(crate) fn start() -> Fixture {
        Fixture::with(|_| {})
    }

    /// With a configuration that differs in this from the default.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Fixture {
        mosel_torch::install();
        let mut config = Config::default();
        config.http.listen = "127.0.0.1:0".into();
        config.drain.linger_ms = 0;
        config.policy.name = "highest-accuracy".into();
        config.policy.cache_dir = PathBuf::new();
        change(&mut config);
        config.check().expect("a test's configuration is sound");
        let max_requests = config.queue.max_requests;
        let devices = LaneDevices::of(&config).expect("a test's devices are sound");
        let server = Server::bind(config).expect("port 0 is free");
        let models = models(max_requests, &devices.kinds);
        server.open(devices, models).expect("the models are sound");
        let address = server.address();
        let client = Client::operator(address, local_admin_token(&format!("http://{address}")));
        Fixture { server: Some(server), client, _folder: None }
    }

    /// With a policy in place from the start that misbehaves in this way; whatever is there at the start needs no
    /// rehearsal.
    pub(crate) fn with_hostile(settings: Value) -> Fixture {
        Fixture::with_hostile_and(settings, |_| {})
    }

    pub(crate) fn with_hostile_and(mut settings: Value, change: impl FnOnce(&mut Config)) -> Fixture {
        let folder = Folder::new("hostile");
        folder.put("hostile", HOSTILE);
        settings["spare_lane_0"] = json!(false);
        let mut fixture = Fixture::with(|config| {
            config.policy.dir = folder.0.clone();
            config.policy.name = "hostile".into();
            config.policy.settings = settings.to_string();
            config.policy.budget_ms = PATIENT_MS;
            change(config);
        });
        fixture._folder = Some(folder);
        fixture
    }

    /// Takes the server out, to stop it oneself.
    pub(crate) fn into_server(mut self) -> Server {
        self.server.take().expect("it was not taken out before")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(server) = self.server.take()
            && !std::thread::panicking()
        {
            server.drain().expect("a server can be stopped");
        }
    }
}

/// So that a busy machine does not turn a decision, or a panic, into silence.
pub(crate) const PATIENT_MS: u64 = 2000;

/// Submits so many jobs of 16 requests at once, without a floor; how each of them ended.
pub(crate) fn overload(client: Client, jobs: usize, deadline_ms: f64) -> Vec<Value> {
    let wish = with(job(16), "deadline_ms", deadline_ms);
    let accepted: Vec<_> = (0..jobs).map(|_| client.submit(&wish).expect(202)).collect();
    accepted.iter().map(|job| client.await_state(job.id(), "served").json).collect()
}

/// A directory of this test alone.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mosel-e2e-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Folder(path)
    }

    pub(crate) fn put(&self, policy: &str, bytes: &[u8]) {
        std::fs::write(Path::new(&self.0).join(format!("{policy}.wasm")), bytes).expect("it is writable");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The beginning of a PNG file of 8x8 pixels; the models of these tests read no further.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAYAAAA=";

/// A job of so many requests for `pair`, which has a minute.
///
/// On both modalities a batch of 4 takes 60 ms, on text alone 8 ms.
pub(crate) fn job(requests: usize) -> Value {
    let request = |number: usize| json!({ "image": { "base64": PNG }, "text": format!("number {number}") });
    let requests: Vec<Value> = (0..requests).map(request).collect();
    json!({ "model": "pair", "deadline_ms": 60_000, "requests": requests })
}

/// The same job with another value in a field.
pub(crate) fn with(mut job: Value, field: &str, value: impl Into<Value>) -> Value {
    job[field] = value.into();
    job
}

/// A job of one request with this text, which `pair` may find offensive.
pub(crate) fn saying(text: &str) -> Value {
    let mut job = job(1);
    job["requests"][0]["text"] = text.into();
    job
}

fn models(max_requests: u32, kinds: &[String]) -> Vec<ServedModel> {
    let mut first = 0;
    let serve = |source: ModelSource| {
        let served = source.serve(ModelId(first), max_requests).expect("the profiles are sound");
        first += served.variants.len() as u32;
        served
    };
    [pair(kinds), motion()].map(serve).into()
}

/// What is called cuda here is four times as fast; there need be no GPU for it.
fn speedup(kind: &str) -> u32 {
    if kind == "cuda" { 4 } else { 1 }
}

fn pair(kinds: &[String]) -> ModelSource {
    let image = Modality::new("image", InputKind::Picture { max_side: 64, raw: vec![] });
    let spec = spec("pair", vec![image, Modality::new("text", InputKind::Text { max_bytes: 2000 })]);
    let measurements = vec![
        measurement(1, 1, 12, 65),
        measurement(1, 4, 40, 65),
        measurement(2, 1, 4, 80),
        measurement(2, 4, 8, 80),
        measurement(3, 1, 20, 90),
        measurement(3, 4, 60, 90),
    ];
    let slow = profile(&spec, measurements);
    let on = |kind: &String| {
        let mut profile = slow.clone();
        for measurement in &mut profile.measurements {
            measurement.latency = Latency::exactly(measurement.latency.mean / speedup(kind));
        }
        if speedup(kind) > 1 {
            profile.id.push_str(&format!(" on {kind}"));
        }
        profile
    };
    let profiles = kinds.iter().map(on).collect();
    let model_spec = spec.clone();
    let past = Arc::new(Past::default());
    let build = move |device: DeviceChoice| {
        let fails = past.builds_to_fail.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if fails.is_ok() {
            return Err(ModelError::Backend("the weights are gone".into()).into());
        }
        let timed = Timed::new(model_spec.clone(), slow.clone(), 1.0 / f64::from(speedup(device.kind())))?;
        Ok(Box::new(Moody(timed, past.clone(), false)) as Box<dyn Model>)
    };
    ModelSource { spec, profiles, build: Arc::new(build) }
}

fn motion() -> ModelSource {
    let spec = spec("motion", vec![Modality::new("speed", InputKind::Samples { shape: vec![3, 2] })]);
    let profile = profile(&spec, vec![measurement(1, 1, 1, 70)]);
    ModelSource::timed(spec, profile, 1.0)
}

fn spec(name: &str, modalities: Vec<Modality>) -> Spec {
    let labels: Vec<String> = ["ant", "bee", "cat", "dog", "eel"].map(String::from).into();
    Spec { name: name.into(), modalities, labels: labels.into(), weights_sha256: String::new() }
}

fn profile(spec: &Spec, measurements: Vec<Measurement>) -> Profile {
    let modalities = spec.modality_names().into_iter().map(String::from).collect();
    Profile { id: format!("profile of {}", spec.name), model: spec.name.clone(), modalities, measurements }
}

fn measurement(modalities: u32, batch_size: u32, millis: u64, correct: u32) -> Measurement {
    Measurement {
        mode: Mode::full(ModalitySet::from_bits(modalities)),
        batch_size,
        latency: Latency::exactly(Duration::from_millis(millis)),
        accuracy: Accuracy { correct, samples: 100 },
        memory_bytes: 0,
    }
}

/// Takes its time, and fails at texts that name a way to fail. What it remembers is shared with those built after it, but
/// for whether its device has gone away.
struct Moody(Timed, Arc<Past>, bool);

#[derive(Default)]
struct Past {
    failures: AtomicU32,
    builds_to_fail: AtomicU32,
}

impl Model for Moody {
    fn spec(&self) -> &Spec {
        self.0.spec()
    }

    fn device(&self) -> &DeviceFacts {
        self.0.device()
    }

    fn forward(
        &mut self,
        requests: &[&Request],
        modalities: ModalitySet,
        precision: Precision,
    ) -> Result<BatchAnswers, ModelError> {
        if self.2 {
            return Err(ModelError::Backend("a device went away".into()));
        }
        let says = |request: &Request, text: &str| request.inputs()[1] == Input::Text(text.to_owned().into());
        assert!(!requests.iter().any(|request| says(request, "panic")), "offended");
        if requests.iter().any(|request| says(request, "fail")) {
            return Err(ModelError::Backend("out of memory".into()));
        }
        let says_once = requests.iter().any(|request| says(request, "fail once"));
        if says_once && self.1.failures.fetch_add(1, Ordering::Relaxed) == 0 {
            self.2 = true;
            return Err(ModelError::Backend("a device went away".into()));
        }
        for (text, builds) in [("fail, and so do two builds", 2), ("fail, and so do four builds", 4)] {
            if requests.iter().any(|request| says(request, text)) {
                self.1.builds_to_fail.store(builds, Ordering::Relaxed);
                self.2 = true;
                return Err(ModelError::Backend("a device went away".into()));
            }
        }
        let fault = InputFault::BrokenPicture { reason: "torn".into() };
        let broken = Unanswered::Input(InputError { modality: "image".into(), fault });
        let BatchAnswers { answers, prepare } = self.0.forward(requests, modalities, precision)?;
        let answers = answers.into_iter().zip(requests).map(|(answer, request)| match () {
            () if says(request, "broken") => Err(broken.clone()),
            () if says(request, "nan") => Ok(self.spec().output(0, f32::NAN)?),
            () => answer,
        });
        Ok(BatchAnswers { answers: answers.collect(), prepare })
    }
}
