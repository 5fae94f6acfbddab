//! `/v1/jobs`: submit, look up, list, cancel.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mosel_core::JobId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api_error::ApiError;
use super::app::App;
use super::body::{self, Bounds, Received};
use super::caller::Caller;
use super::job_id::{parse_id, wire_id};
use super::job_view::{self, JobView, PlanView};
use super::parsed_job;
use super::preference::{self, Wait};
use crate::error_code::ErrorCode;
use crate::jobs::{JobRecord, Key, Phase, SubmitResult, Until};
use crate::service::Service;

/// `POST /v1/jobs`
pub(super) async fn submit(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Response, ApiError> {
    let service = app.open()?;
    let form = parsed_job::form(request.headers())?;
    let wait = preference::wait(request.headers(), app.config.http.max_wait())?;
    let key = preference::idempotency_key(request.headers())?.map(str::to_owned);
    let share_key = Caller::share_key_of(&request);
    let received = body::receive(request, Bounds::of_jobs(&app.config.http), service.jobs.input_bytes()).await?;
    let Received { bytes, held } = received;
    let (models, limits) = (service.models.now(), app.config.queue.clone());
    let read = move || {
        let parsed_job = parsed_job::read(form, bytes, &models, &limits)?;
        let key = key.map(|name| Key { content: parsed_job.digest(), name });
        Ok::<_, ApiError>((parsed_job, key))
    };
    let (parsed_job, key) = match held.bytes() {
        ..=INLINE_BYTES => read()?,
        bytes => app.work.run(share_key, bytes as usize, read).await?,
    };
    match service.jobs.open(parsed_job.request, parsed_job.requests, held, key) {
        SubmitResult::New(record) => {
            let turn = record.wait(wait.until());
            drop(service.driver.submit(&record));
            answer(service, &record, wait, turn).await
        }
        SubmitResult::Same(record) => {
            let turn = record.wait(wait.until());
            answer(service, &record, wait, turn).await
        }
        SubmitResult::Conflict(job) => {
            let message =
                format!("expected a new Idempotency-Key: this one stands for another submission, {}", wire_id(job));
            Err(ApiError::new(ErrorCode::IdempotencyConflict, message).with(json!({ "job": wire_id(job) })))
        }
    }
}

/// A body of so many bytes takes less to read than to hand over to another thread.
const INLINE_BYTES: u64 = 4 << 10;

/// `GET /v1/jobs/{id}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let service = app.service()?;
    let record = find(service, &id)?;
    let plan = plan(service, &record);
    Ok(respond(service, &record, plan, StatusCode::OK))
}

/// `DELETE /v1/jobs/{id}`
pub(super) async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let service = app.service()?;
    let record = find(service, &id)?;
    let ended = record.wait(Until::Ended);
    if record.progress().completion().is_none() {
        drop(service.driver.cancel(record.id));
        ended.await;
    }
    match job_view::state(&record.progress()) {
        "cancelled" => {}
        state => {
            let message = format!("expected a job that has not ended, {id} is {state}");
            return Err(ApiError::new(ErrorCode::JobEnded, message).with(json!({ "state": state })));
        }
    }
    Ok(respond(service, &record, None, StatusCode::OK))
}

/// What `GET /v1/jobs` may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<String>,
    state: Option<String>,
}

/// `GET /v1/jobs`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let service = app.service()?;
    let Query(page) = page.map_err(|error| ApiError::new(ErrorCode::BadQuery, error.body_text()))?;
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::new(ErrorCode::BadQuery, format!("expected limit from 1 to {MAX_PAGE}, got {limit}")));
    }
    let after = page.after.as_deref().map_or(Ok(JobId(0)), parse_id)?;
    let state = page.state.as_deref().map(known_state).transpose()?;
    let wanted = |record: &JobRecord| state.is_none_or(|state| job_view::state(&record.progress()) == state);
    let entries = service.jobs.page(after, limit, wanted);
    let next = entries.last().filter(|_| entries.len() == limit).map(|record| wire_id(record.id));
    let jobs = entries.iter().map(|record| Row::new(service, record)).collect::<Vec<Row>>();
    Ok(Json(json!({ "jobs": jobs, "next": next })).into_response())
}

const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// A job in a list.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    state: &'static str,
    model: String,
    requests: u32,
}

impl Row {
    fn new(service: &Service, record: &JobRecord) -> Row {
        let model = service.model(record).spec.name.clone();
        let state = job_view::state(&record.progress());
        Row { id: wire_id(record.id), state, model, requests: record.request.requests }
    }
}

/// Waits as long as the client wants to, and tells it how far the job is then.
async fn answer(
    service: &Service,
    record: &Arc<JobRecord>,
    wait: Wait,
    turn: impl Future<Output = ()>,
) -> Result<Response, ApiError> {
    match wait {
        Wait::No => turn.await,
        Wait::For(most) => {
            if tokio::time::timeout(most, turn).await.is_err() {
                record.wait(Until::Answered).await;
            }
        }
    }
    let status = {
        let progress = record.progress();
        match &progress.phase {
            Phase::Refused(why) => return Err(ApiError::rejected(why, progress.arrival)),
            Phase::Ended(_) => StatusCode::OK,
            _ => StatusCode::ACCEPTED,
        }
    };
    Ok(respond(service, record, None, status))
}

impl Wait {
    fn until(self) -> Until {
        match self {
            Wait::No => Until::Answered,
            Wait::For(_) => Until::Ended,
        }
    }
}

/// The JSON of a job with one request.
const TYPICAL_BYTES: usize = 1024;
const TYPICAL_ANSWER_BYTES: usize = 128;

fn respond(service: &Service, record: &JobRecord, plan: Option<PlanView>, status: StatusCode) -> Response {
    let model = service.model(record);
    let view = JobView::new(record, &model, plan);
    // a vector of the right size from the start: axum's own way through a growing buffer takes three times as long
    let mut body = Vec::with_capacity(TYPICAL_BYTES + TYPICAL_ANSWER_BYTES * record.request.requests as usize);
    serde_json::to_writer(&mut body, &view).expect("a view has only text keys, and a vector takes every byte");
    let json = HeaderValue::from_static("application/json");
    let mut response = (status, [(header::CONTENT_TYPE, json)], body).into_response();
    if status == StatusCode::ACCEPTED {
        let location = HeaderValue::try_from(format!("/v1/jobs/{}", wire_id(record.id)));
        response.headers_mut().insert(header::LOCATION, location.expect("an id is ASCII"));
    }
    response
}

/// The plan of a job that has not ended.
fn plan(service: &Service, record: &JobRecord) -> Option<PlanView> {
    let (Phase::Queued(accepted) | Phase::Running(accepted)) = record.progress().phase else { return None };
    let model = service.model(record);
    service.driver.query(|scheduler, now| PlanView::query(scheduler, now, record.id, accepted.lane, &model))
}

fn find(service: &Service, id: &str) -> Result<Arc<JobRecord>, ApiError> {
    let unknown = || ApiError::new(ErrorCode::UnknownJob, format!("there is no job {id}, or it ended long ago"));
    service.jobs.find(parse_id(id)?).ok_or_else(unknown)
}

fn known_state(state: &str) -> Result<&str, ApiError> {
    let expected = job_view::STATES.join(", ");
    let unknown =
        || ApiError::new(ErrorCode::BadQuery, format!("expected state to be one of {expected}; got {state:?}"));
    job_view::STATES.contains(&state).then_some(state).ok_or_else(unknown)
}
