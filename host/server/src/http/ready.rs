//! `GET /readyz`: would a job be served that were sent now? Derived from the parts that would serve it, each time anew.
//!
//! Whoever looks at the status alone sees 200 or 503. The JSON says why not (`reasons`), what is amiss although jobs are
//! served (`warnings`), and how each lane is. It is answered within 100 ms whatever the others do: nobody is waited for, and
//! a part that cannot be asked is a reason.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mosel_core::{LaneCondition, LaneId, ModelId, Scheduler, StrategyMatrix, Time};
use serde::Serialize;
use serde_json::{Value, json};

use super::app::App;
use crate::driver::BROKEN;
use crate::error_code::ErrorCode;
use crate::pulse::{Silence, Stuck};
use crate::service::Service;

/// Whether a job would be served, and why not.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Readiness {
    /// It would.
    pub(crate) ready: bool,
    /// Why not; empty if it would.
    pub(crate) reasons: Vec<Reason>,
    /// What is amiss although jobs are served.
    pub(crate) warnings: Vec<Reason>,
    /// How the lanes are; empty before models are loaded, and while the scheduler cannot be asked.
    pub(crate) lanes: Vec<LaneView>,
}

/// One part that does not do what it should.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Reason {
    /// For programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
    /// The lane that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lane: Option<u32>,
    /// The thread that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thread: Option<String>,
}

/// How a lane is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LaneView {
    lane: u32,
    /// `sound`; or why nothing new is promised there: `overdue`, `slow`, `lost`.
    condition: String,
    /// Names of models that its device has lost.
    models_lost: Vec<String>,
    /// Measured time over profiled time.
    correction: f64,
    /// It takes jobs for some model.
    #[serde(skip)]
    serves: bool,
}

/// How long the scheduler is waited for.
const PATIENCE: Duration = Duration::from_millis(50);

/// `GET /readyz`
pub(super) async fn show(State(app): State<Arc<App>>) -> Response {
    readiness(&app).await.into_response()
}

/// Asks every part that would serve a job.
pub(crate) async fn readiness(app: &App) -> Readiness {
    let mut readiness = Readiness { ready: false, reasons: Vec::new(), warnings: Vec::new(), lanes: Vec::new() };
    match app.service.get() {
        None => readiness.reason("starting", "the server is starting; its models are being loaded"),
        Some(service) => readiness.ask(service).await,
    }
    if let Some(why) = app.supervisor.failure() {
        let message = format!("the server stops and has to be started again: {why}");
        readiness.reasons.insert(0, Reason::new("failed", message));
    } else if app.leaving.load(Ordering::Relaxed) || app.draining.load(Ordering::Relaxed) {
        let message = "the server is stopping; it finishes what it has accepted and takes nothing new";
        readiness.reasons.insert(0, Reason::new("draining", message));
    }
    if app.work.is_full() {
        readiness.reason("work_full", "as many bodies wait to be read as may");
    }
    if app.service.get().is_some_and(|service| service.jobs.input_bytes().is_full()) {
        readiness.reason("inputs_full", "inputs fill queue.max_input_bytes");
    }
    if app.metrics.http.is_full() {
        readiness.reason("connections_full", "as many connections as the server takes are in use");
    }
    for stuck in app.supervisor.stuck() {
        readiness.silent(&stuck);
    }
    readiness.ready = readiness.reasons.is_empty();
    readiness
}

impl Readiness {
    fn reason(&mut self, code: &'static str, message: impl Into<String>) {
        self.reasons.push(Reason::new(code, message));
    }

    async fn ask(&mut self, service: &Service) {
        if service.driver.is_broken() {
            return self.reason("failed", format!("the server stops and has to be started again: {BROKEN}"));
        }
        let models = service.models.now();
        let name = |id: ModelId| {
            let is_it = |variant: &Arc<StrategyMatrix>| variant.variant() == id;
            models.served.iter().find(|model| model.variants.iter().any(is_it)).map(|model| model.spec.name.clone())
        };
        let look = |scheduler: &Scheduler, now: Time| {
            let lanes = (0..scheduler.config().lanes).map(LaneId);
            lanes.map(|lane| LaneView::new(scheduler, lane, now, &name)).collect::<Vec<_>>()
        };
        let begin = Instant::now();
        let lanes = loop {
            if let Some(lanes) = service.driver.try_query(|scheduler, now| look(scheduler, now)) {
                break lanes;
            }
            if begin.elapsed() >= PATIENCE {
                return self.reason("scheduler_busy", "the scheduler could not be asked for 50 ms");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let serving: Vec<&LaneView> = lanes.iter().filter(|lane| lane.serves).collect();
        for lane in &lanes {
            self.warnings.extend(lane.trouble());
        }
        if serving.is_empty() {
            // what is amiss with the lanes is why nothing is served
            self.reasons.append(&mut self.warnings);
            self.reason("no_lane", "no lane takes jobs");
        }
        let lost: BTreeSet<&String> = lanes.iter().flat_map(|lane| &lane.models_lost).collect();
        for model in lost.into_iter().filter(|model| serving.iter().all(|lane| lane.models_lost.contains(model))) {
            self.warnings.push(Reason::new("model_unavailable", format!("no lane takes jobs for the model {model}")));
        }
        self.lanes = lanes;
    }

    /// Says what the silence of a thread means.
    fn silent(&mut self, stuck: &Stuck) {
        let code = if stuck.down { "thread_down" } else { "thread_stuck" };
        let reason = Reason { thread: Some(stuck.thread.clone()), ..Reason::new(code, stuck.to_string()) };
        match stuck.silence {
            Silence::Vital(_) | Silence::NotReady => self.reasons.push(reason),
            Silence::Said => self.warnings.push(reason),
        }
    }

    /// With the error that whoever looked at it before knows.
    fn body(&self) -> Value {
        let mut body = json!(self);
        if let Some(first) = self.reasons.first() {
            let known = [ErrorCode::Starting, ErrorCode::Draining, ErrorCode::Failed];
            let code = known.into_iter().find(|code| code.word() == first.code).unwrap_or(ErrorCode::NotReady);
            body["error"] = json!({ "code": code.word(), "message": first.message });
        }
        body
    }
}

impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        let status = if self.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut response = (status, Json(self.body())).into_response();
        if !self.ready {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl Reason {
    fn new(code: &'static str, message: impl Into<String>) -> Reason {
        Reason { code, message: message.into(), lane: None, thread: None }
    }
}

impl LaneView {
    fn new(scheduler: &Scheduler, lane: LaneId, now: Time, name: &impl Fn(ModelId) -> Option<String>) -> LaneView {
        let models_lost: Vec<String> =
            scheduler.lost().iter().filter(|(of, _)| *of == lane).filter_map(|(_, id)| name(*id)).collect();
        let kind = scheduler.config().kind(lane);
        let taken = |model: &&Arc<StrategyMatrix>| {
            model.kind() == kind
                && !scheduler.retired().contains(&model.model())
                && !scheduler.lost().contains(&(lane, model.variant()))
        };
        let condition = scheduler.condition(lane);
        LaneView {
            lane: lane.0,
            condition: condition.to_string(),
            models_lost,
            correction: scheduler.correction_at(lane, now).unwrap_or(1.0),
            serves: condition == LaneCondition::Sound && scheduler.models().iter().any(|model| taken(&model)),
        }
    }

    fn trouble(&self) -> Vec<Reason> {
        let about = |code, message: String| Reason { lane: Some(self.lane), ..Reason::new(code, message) };
        let lane = self.lane;
        let lost = (!self.models_lost.is_empty()).then(|| {
            about("models_lost", format!("lane {lane} cannot run the models {}", self.models_lost.join(", ")))
        });
        let suspect = match self.condition.as_str() {
            "sound" => None,
            "overdue" => Some(about("lane_suspect", format!("a batch on lane {lane} takes far longer than it should"))),
            "slow" => Some(about("lane_suspect", format!("lane {lane} takes many times what the profiles say"))),
            _ => {
                Some(about("lane_lost", format!("a batch on lane {lane} did not end, and its device is started anew")))
            }
        };
        suspect.into_iter().chain(lost).collect()
    }
}
