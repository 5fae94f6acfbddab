//! From what a client wrote to a job and its inputs: ranges, names, shapes. Nothing is decoded but base64.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use axum::http::{HeaderMap, HeaderValue, Request as HttpRequest, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mosel_models::{Input, InputError, InputKind, Request, Spec};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::api_error::ApiError;
use super::submission::{self, OnDisconnect, RawInput, Requests, Submission};
use crate::config;
use crate::error_code::ErrorCode;
use crate::jobs::JobRequest;
use crate::model_registry::ModelSet;
use crate::served::ServedModel;
use crate::tenant::check_tenant;

/// A job that is sound as far as HTTP can tell.
#[derive(Debug)]
pub(crate) struct ParsedJob {
    pub(crate) request: JobRequest,
    pub(crate) requests: Arc<[Request]>,
    pub(crate) on_disconnect: OnDisconnect,
}

/// How a body is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Multipart(HeaderValue),
}

/// Reads a body of this form.
pub(crate) fn read(form: Form, body: Bytes, models: &ModelSet, limits: &config::Queue) -> Result<ParsedJob, ApiError> {
    match form {
        Form::Json => {
            let mut submission = Submission::parse(&body)?;
            let requests = submission.requests.take();
            let requests =
                requests.ok_or_else(|| ApiError::new(ErrorCode::MissingField, "expected the field requests"))?;
            let model = find(models, &submission.model)?;
            let request = job_request(&submission, model, requests.came, limits)?;
            let requests = from_json(&model.spec, requests)?;
            Ok(ParsedJob { request, requests, on_disconnect: submission.on_disconnect })
        }
        Form::Multipart(content_type) => whole(from_multipart(content_type, body, models, limits)),
    }
}

/// What this comes to, which waits for nothing: the body is here.
fn whole<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// What the body is written in, by its `Content-Type`.
pub(crate) fn form(headers: &HeaderMap) -> Result<Form, ApiError> {
    let unsupported = |came: &str| unsupported("application/json or multipart/form-data", came);
    let value = headers.get(header::CONTENT_TYPE).ok_or_else(|| unsupported("none"))?;
    let text = value.to_str().map_err(|_| unsupported("one that is not ASCII"))?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(Form::Json)
    } else if essence.eq_ignore_ascii_case("multipart/form-data") {
        Ok(Form::Multipart(value.clone()))
    } else {
        Err(unsupported(if essence.is_empty() { "an empty one" } else { essence }))
    }
}

/// A body written in something else.
pub(crate) fn unsupported(expected: &str, came: &str) -> ApiError {
    let message = format!("expected Content-Type {expected}, got {came}");
    ApiError::new(ErrorCode::UnsupportedMediaType, message)
}

impl ParsedJob {
    /// Hash of everything that makes the job what it is, however it was written, but the deadline: a retry has less left.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let JobRequest { model, requests, deadline: _, min_accuracy, weight, on_late, tenant } = &self.request;
        hash.update(format!("{model:?} {requests} {min_accuracy} {weight} {on_late:?} {tenant:?}"));
        for input in self.requests.iter().flat_map(Request::inputs) {
            hash.update((input.len_bytes() as u64).to_le_bytes());
            input.for_each_part(|part| hash.update(part));
        }
        hash.finalize().into()
    }
}

fn find<'m>(models: &'m ModelSet, name: &str) -> Result<&'m ServedModel, ApiError> {
    models.find(name).map(AsRef::as_ref).ok_or_else(|| super::model_view::unknown(models, name))
}

fn job_request(
    submission: &Submission,
    model: &ServedModel,
    requests: usize,
    limits: &config::Queue,
) -> Result<JobRequest, ApiError> {
    let least = limits.min_deadline_ms as f64;
    within("deadline_ms", submission.deadline_ms, least, limits.max_deadline_ms as f64)?;
    within("min_accuracy", submission.min_accuracy, 0.0, 1.0)?;
    within("priority", submission.priority, 0.001, 1000.0)?;
    if requests == 0 {
        return Err(ApiError::new(ErrorCode::NoRequests, "expected at least 1 request, got none"));
    }
    if requests > limits.max_requests as usize {
        let message = format!("expected at most {} requests in a job, got {requests}", limits.max_requests);
        let details = json!({ "max_requests": limits.max_requests });
        return Err(ApiError::new(ErrorCode::JobTooLarge, message).with(details));
    }
    Ok(JobRequest {
        model: model.id,
        requests: requests as u32,
        deadline: Duration::from_secs_f64(submission.deadline_ms / 1000.0),
        min_accuracy: submission.min_accuracy,
        weight: submission.priority,
        on_late: submission.on_late.into(),
        tenant: submission.tenant.as_deref().map(tenant).transpose()?,
    })
}

fn tenant(name: &str) -> Result<Arc<str>, ApiError> {
    check_tenant(name).map_err(|message| ApiError::new(ErrorCode::BadTenant, message))
}

fn within(field: &str, value: f64, least: f64, most: f64) -> Result<(), ApiError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::OutOfRange, format!("expected {field} from {least} to {most}, got {value}")))
}

fn from_json(spec: &Spec, requests: Requests) -> Result<Arc<[Request]>, ApiError> {
    let request = |(index, named): (usize, Vec<(Cow<'_, str>, RawInput<'_>)>)| {
        let named = named.into_iter().map(|(name, raw)| {
            let input = input(spec, index, &name, raw)?;
            Ok((name, input))
        });
        one_request(spec, index, named.collect::<Result<_, ApiError>>()?)
    };
    requests.read.into_iter().enumerate().map(request).collect()
}

fn one_request<'n>(spec: &Spec, index: usize, named: Vec<(Cow<'n, str>, Input)>) -> Result<Request, ApiError> {
    spec.request(named).map_err(|InputError { modality, fault }| {
        let details = json!({ "request": index, "modality": modality });
        ApiError::new(ErrorCode::from(&fault), format!("requests[{index}].{modality}: {fault}")).with(details)
    })
}

/// What the modality's kind makes of the JSON; a wrong kind is left to the model's own check.
fn input(spec: &Spec, index: usize, name: &str, raw: RawInput) -> Result<Input, ApiError> {
    let kind = kind_of(spec, name);
    match raw {
        RawInput::Text(text) => Ok(Input::Text(text.into_owned().into())),
        RawInput::Base64(text) => {
            let bytes = decoded(&text, format_args!("requests[{index}].{name}"))?;
            Ok(file(kind, bytes))
        }
        RawInput::Files(texts) => {
            let frame = |(frame, text): (usize, &Cow<'_, str>)| {
                decoded(text, format_args!("requests[{index}].{name}[{frame}]"))
            };
            Ok(Input::Frames(texts.iter().enumerate().map(frame).collect::<Result<_, ApiError>>()?))
        }
        RawInput::Numbers { shape, values } => {
            if let Some(expected) = kind.and_then(numbers_of) {
                check_shape(index, name, &expected, &shape)?;
            }
            Ok(Input::Samples(values.into()))
        }
    }
}

fn decoded(text: &str, place: fmt::Arguments<'_>) -> Result<Bytes, ApiError> {
    let bytes = STANDARD.decode(text);
    bytes
        .map(Bytes::from)
        .map_err(|error| ApiError::new(ErrorCode::BadBase64, format!("{place}: expected base64: {error}")))
}

/// What one file is for this kind; a wrong one is left to the model's own check.
fn file(kind: Option<&InputKind>, bytes: Bytes) -> Input {
    match kind {
        Some(InputKind::Text { .. }) => Input::Text(bytes),
        Some(InputKind::Sound { .. }) => Input::Sound(bytes),
        Some(InputKind::Video { .. }) => Input::Frames(vec![bytes].into()),
        _ => Input::Picture(bytes),
    }
}

/// The shape of the numbers that this kind takes, if it takes any.
fn numbers_of(kind: &InputKind) -> Option<Vec<usize>> {
    match kind {
        InputKind::Samples { shape } => Some(shape.clone()),
        InputKind::Sound { samples, .. } => Some(vec![*samples]),
        InputKind::Picture { raw, .. } | InputKind::Video { raw, .. } if !raw.is_empty() => Some(raw.clone()),
        _ => None,
    }
}

/// A flat list of the right length is welcome too; its length is checked by the model.
fn check_shape(index: usize, name: &str, expected: &[usize], came: &[usize]) -> Result<(), ApiError> {
    if came.len() == 1 || came == expected {
        return Ok(());
    }
    let message = format!("requests[{index}].{name}: expected numbers of the shape {expected:?}, got {came:?}");
    let details = json!({ "request": index, "modality": name });
    Err(ApiError::new(ErrorCode::InputShape, message).with(details))
}

/// The parts of one name, in their order.
#[derive(Debug)]
struct Column {
    name: String,
    parts: Vec<Part>,
}

/// What one part holds.
#[derive(Debug)]
struct Part {
    form: PartForm,
    content: Bytes,
}

/// How a part is written, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartForm {
    /// `application/json`
    Json,
    /// `application/x-float32`: little-endian 32-bit floats.
    Floats,
    /// All else: a file, or text.
    File,
}

/// The part `job` is the JSON without requests; the n-th part of a modality's name is of the n-th request. Of a video, as
/// many parts as it has frames make one request.
async fn from_multipart(
    content_type: HeaderValue,
    body: Bytes,
    models: &ModelSet,
    limits: &config::Queue,
) -> Result<ParsedJob, ApiError> {
    let mut fields = multipart(content_type, body).await?;
    let mut job = None;
    let mut columns: Vec<Column> = Vec::new();
    while let Some(field) = fields.next_field().await.map_err(|error| bad_multipart(&error.body_text()))? {
        let name = field.name().ok_or_else(|| bad_multipart("a part without a name"))?.to_owned();
        let form = PartForm::of(field.content_type());
        let content = field.bytes().await.map_err(|error| bad_multipart(&error.body_text()))?;
        let part = Part { form, content };
        match columns.iter_mut().find(|column| column.name == name) {
            _ if name == "job" && job.is_none() => job = Some(part.content),
            _ if name == "job" => return Err(bad_multipart("a second part named job")),
            Some(column) => column.parts.push(part),
            None => columns.push(Column { name, parts: vec![part] }),
        }
    }
    let job = job.ok_or_else(|| bad_multipart("no part named job"))?;
    let submission = Submission::parse(&job)?;
    if submission.requests.is_some() {
        let message = "expected no requests in the part job: each modality has its own parts";
        return Err(ApiError::new(ErrorCode::UnknownField, message));
    }
    let model = find(models, &submission.model)?;
    let columns: Vec<(&str, Vec<&[Part]>)> =
        columns.iter().map(|column| (column.name.as_str(), column.requests(&model.spec))).collect();
    let count = columns.iter().map(|(_, requests)| requests.len()).max().unwrap_or(0);
    let request = job_request(&submission, model, count, limits)?;
    let requests = from_columns(&model.spec, count, &columns)?;
    Ok(ParsedJob { request, requests, on_disconnect: submission.on_disconnect })
}

impl PartForm {
    fn of(content_type: Option<&str>) -> PartForm {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/json" => PartForm::Json,
            "application/x-float32" => PartForm::Floats,
            _ => PartForm::File,
        }
    }
}

impl Column {
    /// The parts of each request: one, or of a video as many files as it has frames. The last may have too few.
    fn requests(&self, spec: &Spec) -> Vec<&[Part]> {
        let frames = match kind_of(spec, &self.name) {
            Some(InputKind::Video { frames, .. }) => (*frames).max(1),
            _ => 1,
        };
        let (mut requests, mut rest) = (Vec::new(), &self.parts[..]);
        while !rest.is_empty() {
            let files = rest.iter().take(frames).take_while(|part| part.form == PartForm::File).count();
            let (request, others) = rest.split_at(files.max(1));
            requests.push(request);
            rest = others;
        }
        requests
    }
}

async fn multipart(content_type: HeaderValue, body: Bytes) -> Result<Multipart, ApiError> {
    let request = HttpRequest::builder().header(header::CONTENT_TYPE, content_type);
    let mut request = request.body(Body::from(body)).map_err(|error| bad_multipart(&error.to_string()))?;
    // the body was bounded when it was received
    DefaultBodyLimit::disable().apply(&mut request);
    Multipart::from_request(request, &()).await.map_err(|error| bad_multipart(&error.body_text()))
}

fn from_columns(spec: &Spec, count: usize, columns: &[(&str, Vec<&[Part]>)]) -> Result<Arc<[Request]>, ApiError> {
    let request = |index: usize| {
        let mut named = Vec::with_capacity(columns.len());
        for (name, requests) in columns {
            if let Some(parts) = requests.get(index) {
                named.push((Cow::Borrowed(*name), parts_input(spec, index, name, parts)?));
            }
        }
        one_request(spec, index, named)
    };
    (0..count).map(request).collect()
}

/// Numbers come as JSON, or as little-endian 32-bit floats; all else as it is. `parts` is not empty.
fn parts_input(spec: &Spec, index: usize, name: &str, parts: &[Part]) -> Result<Input, ApiError> {
    let kind = kind_of(spec, name);
    let Part { form, content } = &parts[0];
    match (kind, form) {
        (Some(InputKind::Text { .. }), _) => Ok(Input::Text(content.clone())),
        (Some(_), PartForm::Json) => {
            let raw = submission::numbers(submission::utf8(content)?).map_err(|error| {
                let message = format!("requests[{index}].{name}: expected nested arrays of numbers: {error}");
                ApiError::new(ErrorCode::WrongType, message)
            })?;
            input(spec, index, name, raw)
        }
        (Some(_), PartForm::Floats) | (Some(InputKind::Samples { .. }), PartForm::File) => {
            floats(content).map_err(|came| {
                let message = format!(
                    "requests[{index}].{name}: expected little-endian 32-bit floats (or JSON, declared as such), got {came} bytes"
                );
                ApiError::new(ErrorCode::WrongType, message)
            })
        }
        (Some(InputKind::Video { .. }), PartForm::File) => {
            Ok(Input::Frames(parts.iter().map(|part| part.content.clone()).collect()))
        }
        (kind, _) => Ok(file(kind, content.clone())),
    }
}

/// The numbers, or how many bytes came that are none.
fn floats(content: &[u8]) -> Result<Input, usize> {
    match content.as_chunks::<4>() {
        (numbers, []) => Ok(Input::Samples(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())),
        _ => Err(content.len()),
    }
}

fn kind_of<'s>(spec: &'s Spec, name: &str) -> Option<&'s InputKind> {
    spec.modalities.iter().find(|modality| modality.name == name).map(|modality| &modality.kind)
}

fn bad_multipart(came: &str) -> ApiError {
    ApiError::new(ErrorCode::BadMultipart, format!("expected multipart/form-data as documented: {came}"))
}

#[cfg(test)]
mod tests;
