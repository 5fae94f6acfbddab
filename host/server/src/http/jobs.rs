//! `/v1/jobs`: submit, look up, list, cancel.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api_error::ApiError;
use super::app::App;
use super::body::{self, Bounds};
use super::caller::Caller;
use super::compression::{self, Coding};
use super::job_view::{self, JobView, PlanView};
use super::parsed_job::{self, Form, ParsedJob};
use super::preference::{self, Wait};
use super::submission::OnDisconnect;
use crate::auth::Token;
use crate::driver::Driver;
use crate::error_code::ErrorCode;
use crate::jobs::{Found, JobRecord, Key, Phase, SubmitResult, Submitted, Until};
use crate::service::Service;
use crate::shares::ShareKey;
use crate::wire_id::WireId;

/// `POST /v1/jobs`
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let key = preference::idempotency_key(request.headers())?.map(str::to_owned);
    // whoever asks again what became of a submission is answered to the end
    let service = if key.is_some() { app.alive()? } else { app.open()? };
    check_rate(&app, &caller)?;
    let form = parsed_job::form(request.headers())?;
    let wait = preference::wait(request.headers(), app.config.http.max_wait())?;
    let coding = compression::coding(request.headers())?;
    let share_key = caller.share_key();
    let received = body::receive(request, Bounds::of_jobs(&app.config.http), service.jobs.input_bytes()).await?;
    // the deadline's clock starts when the whole body is here: what reading it takes counts against it
    let arrived = service.driver.now();
    let inline = form == Form::Json && coding == Coding::Identity && received.bytes.len() <= INLINE_BYTES;
    // how much comes of a packed body is not known yet
    let bytes = if coding == Coding::Identity { received.bytes.len() } else { 8 * received.bytes.len() };
    let (models, limits, from) = (service.models.now(), app.config.queue.clone(), caller.clone());
    let read = move || {
        let (mut parsed_job, memory) = parsed_job::read(&form, coding, received, &*models, &limits)?;
        parsed_job.request.tenant = tenant_of(&from, parsed_job.request.tenant.take())?;
        let key = key.map(|name| Key { content: parsed_job.digest(), name });
        Ok::<_, ApiError>((parsed_job, key, memory.into_held()))
    };
    let (parsed_job, key, held) = if inline { read()? } else { app.work.run(share_key, bytes, read).await? };
    let ParsedJob { request, requests, on_disconnect } = parsed_job;
    let opened = if app.is_draining() {
        let known = key.as_ref().and_then(|key| service.jobs.known(&request.tenant, key));
        known.ok_or_else(ApiError::draining)?
    } else {
        let holder = request.tenant.clone().map_or_else(|| caller.share_key(), ShareKey::Tenant);
        service.jobs.open(Submitted { request, requests, held, key, holder }, new_id()?)
    };
    match opened {
        SubmitResult::New(record) => {
            let gone = CancelIfDropped::new(service, &record, on_disconnect);
            let turn = record.wait(wait.until());
            record.arrived(arrived);
            drop(service.driver.submit(&record));
            let answer = answer(service, &record, wait, turn).await;
            gone.stays();
            answer
        }
        SubmitResult::Same(record) => {
            let turn = record.wait(wait.until());
            answer(service, &record, wait, turn).await
        }
        SubmitResult::Conflict(job) => Err(conflict(&caller, job)),
        SubmitResult::Evicted(job) => Err(evicted(&job.to_string())),
    }
}

/// Cancels a job of which the client is gone that wanted it canceled then: when nobody waits for the answer any more.
struct CancelIfDropped {
    job: Option<(Arc<Driver>, Arc<JobRecord>)>,
}

impl CancelIfDropped {
    fn new(service: &Service, record: &Arc<JobRecord>, on_disconnect: OnDisconnect) -> CancelIfDropped {
        let cancels = on_disconnect == OnDisconnect::Cancel;
        CancelIfDropped { job: cancels.then(|| (service.driver.clone(), record.clone())) }
    }

    /// The client is there, and is answered.
    fn stays(mut self) {
        self.job = None;
    }
}

impl Drop for CancelIfDropped {
    fn drop(&mut self) {
        if let Some((driver, record)) = self.job.take()
            && record.progress().completion().is_none()
            && !record.is_waited_for()
        {
            drop(driver.cancel(record.id));
        }
    }
}

/// A body of so many bytes takes less to read than to hand over to another thread.
const INLINE_BYTES: usize = 4 << 10;

fn new_id() -> Result<WireId, ApiError> {
    WireId::random().map_err(|error| {
        ApiError::new(ErrorCode::Internal, format!("the system has no random numbers for a job's name: {error}"))
    })
}

/// Whose job it is: the token's tenant, or whom the client says where that is open.
fn tenant_of(caller: &Caller, said: Option<Arc<str>>) -> Result<Option<Arc<str>>, ApiError> {
    match (&caller.tenant, said) {
        (Some(tenant), Some(said)) if *tenant != said && !caller.rights.admin => {
            let message = format!("expected no tenant, or the token's, which is {tenant:?}; got {said:?}");
            Err(ApiError::new(ErrorCode::Forbidden, message))
        }
        (_, Some(said)) => Ok(Some(said)),
        (tenant, None) => Ok(tenant.clone()),
    }
}

fn check_rate(app: &App, caller: &Caller) -> Result<(), ApiError> {
    let token = caller.token.as_deref();
    let Some(rate) = app.auth.rate(token) else { return Ok(()) };
    let of_its_own = token.filter(|token| token.rate.is_some());
    // no tenant has a blank in its name
    let own_key = |token: &Token| ShareKey::Tenant(format!("token {}", token.name).into());
    let who = of_its_own.map_or_else(|| caller.share_key(), own_key);
    app.auth.rates.take(&who, rate, Instant::now()).map_err(|wait| {
        let message = format!("expected at most {} submissions a second of one tenant or address", rate.per_second);
        let details =
            json!({ "rate": rate.per_second, "burst": rate.burst, "retry_after_ms": wait.as_millis() as u64 + 1 });
        ApiError::new(ErrorCode::RateLimited, message).with(details).retry_after(wait)
    })
}

/// Where there are no tokens whoever knows a job's name may see it: so it is not told to somebody who may be another.
fn conflict(caller: &Caller, job: WireId) -> ApiError {
    let message = "expected a new Idempotency-Key: this one stands for another submission";
    if caller.token.is_none() {
        return ApiError::new(ErrorCode::IdempotencyConflict, message);
    }
    let details = json!({ "job": job.to_string() });
    ApiError::new(ErrorCode::IdempotencyConflict, format!("{message}, {job}")).with(details)
}

fn evicted(job: &str) -> ApiError {
    let message = format!(
        "{job} has ended, and what came out had to make room for the results of other jobs (finished.max_bytes)"
    );
    ApiError::new(ErrorCode::ResultEvicted, message)
}

/// `GET /v1/jobs/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let service = app.known()?;
    let record = find(service, &caller, &id)?;
    let plan = plan(service, &record);
    Ok(respond(service, &record, plan, StatusCode::OK))
}

/// `DELETE /v1/jobs/{id}`
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let service = app.service()?;
    let record = find(service, &caller, &id)?;
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
    Extension(caller): Extension<Caller>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let service = app.service()?;
    let Query(page) = page.map_err(|error| ApiError::new(ErrorCode::BadQuery, error.body_text()))?;
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::new(ErrorCode::BadQuery, format!("expected limit from 1 to {MAX_PAGE}, got {limit}")));
    }
    let after = page.after.as_deref().map(parse).transpose()?;
    let state = page.state.as_deref().map(known_state).transpose()?;
    if caller.token.is_none() {
        return Err(no_list());
    }
    let wanted = |record: &JobRecord| {
        caller.is_told(record.request.tenant.as_deref())
            && state.is_none_or(|state| job_view::state(&record.progress()) == state)
    };
    let found = service.jobs.page(after, limit, wanted);
    let (entries, next) = found.ok_or_else(|| forgotten_place(page.after.as_deref()))?;
    let next = next.map(|next| next.to_string());
    let jobs = entries.iter().map(|record| Row::new(service, record)).collect::<Vec<Row>>();
    Ok(Json(json!({ "jobs": jobs, "next": next })).into_response())
}

/// Where there are no tokens the name of a job is all that keeps others from it.
fn no_list() -> ApiError {
    let message = "expected a token: on a server without tokens whoever knows a job's id may see it, so a list of all ids is for \
                   its operator only, with the token that `mosel token local` prints";
    ApiError::new(ErrorCode::TokenMissing, message)
}

fn forgotten_place(after: Option<&str>) -> ApiError {
    let after = after.unwrap_or_default();
    let message =
        format!("expected after to be a job that the server knows, {after} is none, or ended too long ago: begin anew");
    ApiError::new(ErrorCode::UnknownJob, message)
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
        Row { id: record.wire_id.to_string(), state, model, requests: record.request.requests }
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
    if view.has_ended() {
        record.fetched();
    }
    // a vector of the right size from the start: axum's own way through a growing buffer takes three times as long
    let mut body = Vec::with_capacity(TYPICAL_BYTES + TYPICAL_ANSWER_BYTES * record.request.requests as usize);
    serde_json::to_writer(&mut body, &view).expect("a view has only text keys, and a vector takes every byte");
    let json = HeaderValue::from_static("application/json");
    let mut response = (status, [(header::CONTENT_TYPE, json)], body).into_response();
    if status == StatusCode::ACCEPTED {
        let location = HeaderValue::try_from(format!("/v1/jobs/{}", record.wire_id));
        response.headers_mut().insert(header::LOCATION, location.expect("an id is ASCII"));
    }
    response
}

/// The plan of a job that has not ended.
fn plan(service: &Service, record: &JobRecord) -> Option<PlanView> {
    if !matches!(record.progress().phase, Phase::Queued(_) | Phase::Running(_)) {
        return None;
    }
    let model = service.model(record);
    service.driver.query(|scheduler, now| PlanView::query(scheduler, now, record.id, &model))
}

/// The job of this id, if the caller may see it: whose job it is otherwise, nobody is told.
pub(super) fn find(service: &Service, caller: &Caller, id: &str) -> Result<Arc<JobRecord>, ApiError> {
    match service.jobs.find(parse(id)?) {
        Found::Job(record) if caller.sees(record.request.tenant.as_deref()) => Ok(record),
        Found::Evicted(tenant) if caller.sees(tenant.as_deref()) => Err(evicted(id)),
        _ => Err(unknown(id)),
    }
}

fn parse(id: &str) -> Result<WireId, ApiError> {
    id.parse().map_err(|_| unknown(id))
}

fn unknown(id: &str) -> ApiError {
    // whatever was asked for is not repeated at any length
    let id: String = id.chars().take(40).collect();
    ApiError::new(ErrorCode::UnknownJob, format!("there is no job {id:?}, or it ended long ago"))
}

fn known_state(state: &str) -> Result<&str, ApiError> {
    let expected = job_view::STATES.join(", ");
    let unknown =
        || ApiError::new(ErrorCode::BadQuery, format!("expected state to be one of {expected}; got {state:?}"));
    job_view::STATES.contains(&state).then_some(state).ok_or_else(unknown)
}
