//! From a body to a job and its inputs: ranges, names, shapes. Of the inputs nothing is decoded but base64.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use mosel_core::ModelId;
use mosel_models::{Input, InputError, InputKind, Modality, Request, Spec};
use sha2::{Digest, Sha256};

use super::api_error::ApiError;
use super::body::{Memory, Received};
use super::compression::{self, Coding};
use super::multipart::Parts;
use super::submission::{self, Head, Limits, OnDisconnect};
use crate::byte_budget::SMALL_BYTES;
use crate::config;
use crate::error_code::ErrorCode;
use crate::jobs::JobRequest;
use crate::model_registry::ModelSet;
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

/// Reads a body of this form. What is held in the end is what the inputs take.
pub(crate) fn read(
    form: &Form,
    coding: Coding,
    received: Received,
    models: &dyn KnownModels,
    limits: &config::Queue,
) -> Result<(ParsedJob, Memory), ApiError> {
    let Received { bytes, mut memory } = received;
    let bytes = compression::unpacked(coding, bytes, &mut memory)?;
    let memory = RefCell::new(memory);
    let parsed_job = match form {
        Form::Json => {
            let parsed_job = from_json(&bytes, models, limits, &memory)?;
            memory.borrow_mut().give(bytes.len());
            parsed_job
        }
        Form::Multipart(content_type) => from_multipart(content_type, bytes, models, limits, &memory)?,
    };
    Ok((parsed_job, memory.into_inner()))
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

/// The models that a job may name.
pub(crate) trait KnownModels {
    /// Its number, and what it takes.
    fn find_model(&self, name: &str) -> Result<(ModelId, &Spec), ApiError>;

    /// The most parts of a multipart body that one request of any model may have.
    fn most_parts(&self) -> usize;
}

impl KnownModels for ModelSet {
    fn find_model(&self, name: &str) -> Result<(ModelId, &Spec), ApiError> {
        let model = self.find(name).ok_or_else(|| super::model_view::unknown(self, name))?;
        Ok((model.id, &model.spec))
    }

    fn most_parts(&self) -> usize {
        self.served.iter().map(|model| parts_of_request(&model.spec)).max().unwrap_or(0)
    }
}

fn job_request(head: &Head, model: ModelId, requests: usize, limits: &config::Queue) -> Result<JobRequest, ApiError> {
    let least = limits.min_deadline_ms as f64;
    within("deadline_ms", head.deadline_ms, least, limits.max_deadline_ms as f64)?;
    within("min_accuracy", head.min_accuracy, 0.0, 1.0)?;
    within("priority", head.priority, 0.001, 1000.0)?;
    if requests == 0 {
        return Err(ApiError::new(ErrorCode::NoRequests, "expected at least 1 request, got none"));
    }
    Ok(JobRequest {
        model,
        requests: requests as u32,
        deadline: Duration::from_secs_f64(head.deadline_ms / 1000.0),
        min_accuracy: head.min_accuracy,
        weight: head.priority,
        on_late: head.on_late.into(),
        tenant: head.tenant.as_deref().map(tenant).transpose()?,
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

fn from_json(
    body: &[u8],
    models: &dyn KnownModels,
    limits: &config::Queue,
    memory: &RefCell<Memory>,
) -> Result<ParsedJob, ApiError> {
    let text = submission::utf8(body)?;
    let spec = |name: &str| models.find_model(name).map(|(_, spec)| spec);
    let reading = Limits { spec: &spec, max_requests: limits.max_requests as usize };
    let submission = submission::job(text, &reading, memory)?;
    let (model, _) = models.find_model(&submission.head.model)?;
    let request = job_request(&submission.head, model, submission.requests.len(), limits)?;
    let on_disconnect = submission.head.on_disconnect;
    Ok(ParsedJob { request, requests: submission.requests.into(), on_disconnect })
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

/// What one part holds.
#[derive(Debug)]
struct Part {
    form: PartForm,
    content: Bytes,
}

/// The parts of a body by the model's modalities, in their order.
struct Columns<'s> {
    spec: &'s Spec,
    max_requests: usize,
    parts: Vec<Vec<Part>>,
}

/// Bytes of the part `job`.
const MAX_JOB_PART_BYTES: usize = 64 << 10;

/// The part `job` is the JSON without requests; the n-th part of a modality's name is of the n-th request. Of a video, as
/// many parts as it has frames make one request.
///
/// Parts may come before `job`: so many as any model could take.
fn from_multipart(
    content_type: &HeaderValue,
    body: Bytes,
    models: &dyn KnownModels,
    limits: &config::Queue,
    memory: &RefCell<Memory>,
) -> Result<ParsedJob, ApiError> {
    // a slice of a small body would keep the buffer alive that it was received in
    let body = if body.len() as u64 <= SMALL_BYTES { Bytes::copy_from_slice(&body) } else { body };
    let max_requests = limits.max_requests as usize;
    let most_parts = models.most_parts() * max_requests;
    let mut parts = Parts::new(content_type, body).map_err(|fault| bad_multipart(&fault))?;
    let (mut early, mut job) = (Vec::new(), None);
    while let Some(part) = parts.next().map_err(|fault| bad_multipart(&fault))? {
        let name = part.name;
        if name == "job" {
            if job.is_some() {
                return Err(bad_multipart("a second part named job"));
            }
            job = Some(begin(part.content, &mut early, models, max_requests, memory)?);
            continue;
        }
        memory.borrow_mut().take(PART_BYTES)?;
        let part = Part { form: PartForm::of(part.content_type.as_deref()), content: part.content };
        match &mut job {
            Some(job) => job.columns.push(&name, part)?,
            None if early.len() == most_parts => return Err(submission::too_many(max_requests)),
            None => early.push((name, part)),
        }
    }
    let job = job.ok_or_else(|| bad_multipart("no part named job"))?;
    let text = submission::utf8(&job.content)?;
    let head = submission::head(text, memory)?;
    let columns: Vec<Vec<&[Part]>> = job.columns.requests();
    let count = columns.iter().map(Vec::len).max().unwrap_or(0);
    let request = job_request(&head, job.model, count, limits)?;
    let requests = from_columns(job.columns.spec, count, &columns, memory)?;
    Ok(ParsedJob { request, requests, on_disconnect: head.on_disconnect })
}

/// What is kept of a part beside its content.
const PART_BYTES: usize = size_of::<(String, Part)>() + 64;

/// A job whose part `job` has been read.
struct BegunJob<'m> {
    content: Bytes,
    model: ModelId,
    columns: Columns<'m>,
}

/// The part `job` is here: finds the model, and puts the parts that came before it in their places.
fn begin<'m>(
    content: Bytes,
    early: &mut Vec<(String, Part)>,
    models: &'m dyn KnownModels,
    max_requests: usize,
    memory: &RefCell<Memory>,
) -> Result<BegunJob<'m>, ApiError> {
    if content.len() > MAX_JOB_PART_BYTES {
        return Err(bad_multipart(&format!("a part job of more than {MAX_JOB_PART_BYTES} bytes")));
    }
    let (model, spec) = models.find_model(&submission::head(submission::utf8(&content)?, memory)?.model)?;
    let mut columns = Columns::new(spec, max_requests);
    for (name, part) in early.drain(..) {
        columns.push(&name, part)?;
    }
    Ok(BegunJob { content, model, columns })
}

/// The parts that one request of this model may have.
pub(super) fn parts_of_request(spec: &Spec) -> usize {
    spec.modalities.iter().map(frames_of).sum()
}

fn frames_of(modality: &Modality) -> usize {
    match modality.kind {
        InputKind::Video { frames, .. } => frames.max(1),
        _ => 1,
    }
}

impl<'s> Columns<'s> {
    fn new(spec: &'s Spec, max_requests: usize) -> Columns<'s> {
        Columns { spec, max_requests, parts: spec.modalities.iter().map(|_| Vec::new()).collect() }
    }

    fn push(&mut self, name: &str, part: Part) -> Result<(), ApiError> {
        let place = self.spec.modalities.iter().position(|modality| modality.name == name);
        let place = place.ok_or_else(|| submission::unknown_modality(self.spec, 0, name))?;
        if self.parts[place].len() == self.max_requests * frames_of(&self.spec.modalities[place]) {
            return Err(submission::too_many(self.max_requests));
        }
        self.parts[place].push(part);
        Ok(())
    }

    /// By modality, the parts of each request: one, or of a video as many files as it has frames. The last may have too few.
    fn requests(&self) -> Vec<Vec<&[Part]>> {
        self.spec.modalities.iter().zip(&self.parts).map(|(modality, parts)| requests_of(modality, parts)).collect()
    }
}

fn requests_of<'p>(modality: &Modality, parts: &'p [Part]) -> Vec<&'p [Part]> {
    let frames = frames_of(modality);
    let (mut requests, mut rest) = (Vec::new(), parts);
    while !rest.is_empty() {
        let files = rest.iter().take(frames).take_while(|part| part.form == PartForm::File).count();
        let (request, others) = rest.split_at(files.max(1));
        requests.push(request);
        rest = others;
    }
    requests
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

fn from_columns(
    spec: &Spec,
    count: usize,
    columns: &[Vec<&[Part]>],
    memory: &RefCell<Memory>,
) -> Result<Arc<[Request]>, ApiError> {
    let request = |index: usize| {
        let mut named = Vec::with_capacity(columns.len());
        for (modality, requests) in spec.modalities.iter().zip(columns) {
            if let Some(parts) = requests.get(index) {
                named.push((modality.name.as_str(), parts_input(modality, index, parts, memory)?));
            }
        }
        spec.request(named).map_err(|InputError { modality, fault }| submission::at_fault(index, &modality, &fault))
    };
    // one that has too many requests is refused before any of them is read
    (0..count).map(request).collect()
}

/// Numbers come as JSON, or as little-endian 32-bit floats; all else as it is. `parts` is not empty.
fn parts_input(modality: &Modality, index: usize, parts: &[Part], memory: &RefCell<Memory>) -> Result<Input, ApiError> {
    let Part { form, content } = &parts[0];
    match (&modality.kind, form) {
        (InputKind::Text { .. }, _) => Ok(Input::Text(content.clone())),
        (_, PartForm::Json) => submission::input(submission::utf8(content)?, index, modality, memory),
        (_, PartForm::Floats) | (InputKind::Samples { .. }, PartForm::File) => {
            let most = submission::numbers_of(&modality.kind).map_or(0, |shape| shape.iter().product());
            if content.len() / size_of::<f32>() > most {
                let words = format!("expected {most} numbers, got {} bytes of them", content.len());
                return Err(submission::input_error(index, &modality.name, ErrorCode::InputSampleCount, &words));
            }
            memory.borrow_mut().take(content.len())?;
            floats(content).map_err(|came| {
                let words =
                    format!("expected little-endian 32-bit floats (or JSON, declared as such), got {came} bytes");
                submission::input_error(index, &modality.name, ErrorCode::WrongType, &words)
            })
        }
        (InputKind::Video { .. }, PartForm::File) => {
            Ok(Input::Frames(parts.iter().map(|part| part.content.clone()).collect()))
        }
        (kind, _) => Ok(submission::file(kind, content.clone())),
    }
}

/// The numbers, or how many bytes came that are none.
fn floats(content: &[u8]) -> Result<Input, usize> {
    match content.as_chunks::<4>() {
        (numbers, []) => Ok(Input::Samples(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())),
        _ => Err(content.len()),
    }
}

/// Not built as documented.
fn bad_multipart(came: &str) -> ApiError {
    ApiError::new(ErrorCode::BadMultipart, format!("expected multipart/form-data as documented: {came}"))
}

#[cfg(test)]
mod tests;
