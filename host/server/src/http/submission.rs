//! A job as a client writes it in JSON, read in one pass.
//!
//! The head comes first: as soon as the model is known, requests are read against what it takes. Whatever it does not take is
//! refused where it stands, before memory is taken for it, and the rest of the body is not read. Where the requests come before
//! the model, they are stepped over, which takes no memory, and read when the head is complete.
//!
//! Errors have a type: what is wrong is put down where it is found ([`Reader::refuse`]), and serde is only told to stop.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use bytes::Bytes;
use mosel_core::OnLate;
use mosel_models::{Input, InputError, InputFault, InputKind, Modality, Request, Spec};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::api_error::ApiError;
use super::base64;
use super::body::Memory;
use crate::error_code::ErrorCode;

/// A job as it was written; what is missing stands at its default.
#[derive(Debug)]
pub(crate) struct Submission<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) requests: Vec<Request>,
}

/// The fields of a job, but for its requests.
#[derive(Debug, Default)]
pub(crate) struct Head<'a> {
    /// The model's name.
    pub(crate) model: Cow<'a, str>,
    /// Milliseconds after the job's arrival.
    pub(crate) deadline_ms: f64,
    /// The floor.
    pub(crate) min_accuracy: f64,
    /// Importance relative to other jobs.
    pub(crate) priority: f64,
    /// The wish for the case that the deadline cannot be met.
    pub(crate) on_late: Wish,
    /// Who it is for.
    pub(crate) tenant: Option<Cow<'a, str>>,
    /// The wish for the case that the client goes away while it waits.
    pub(crate) on_disconnect: OnDisconnect,
}

/// `on_disconnect` on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnDisconnect {
    #[default]
    Keep,
    Cancel,
}

/// `on_late` on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wish {
    #[default]
    Run,
    Drop,
}

/// What a job is read against.
pub(crate) struct Limits<'m> {
    /// What the model of this name takes.
    pub(crate) spec: &'m dyn Fn(&str) -> Result<&'m Spec, ApiError>,
    /// Requests of a job.
    pub(crate) max_requests: usize,
}

impl From<Wish> for OnLate {
    fn from(wish: Wish) -> OnLate {
        match wish {
            Wish::Run => OnLate::Run,
            Wish::Drop => OnLate::Drop,
        }
    }
}

impl From<OnLate> for Wish {
    fn from(wish: OnLate) -> Wish {
        match wish {
            OnLate::Run => Wish::Run,
            OnLate::Drop => Wish::Drop,
        }
    }
}

/// Reads a whole job.
pub(crate) fn job<'a, 's>(
    text: &'a str,
    limits: &Limits<'s>,
    memory: &'s RefCell<Memory>,
) -> Result<Submission<'a>, ApiError> {
    let reader = Reader::new(memory, limits.max_requests);
    let body = reader.run(text, 0, text, BodySeed { reader: &reader, limits: Some(limits) })?;
    let requests = match (body.requests, body.raw) {
        (None, Some(raw)) => {
            let spec = (limits.spec)(&body.head.model)?;
            let before = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            reader.run(text, before, raw.get(), RequestsSeed { reader: &reader, spec })?
        }
        (requests, _) => requests,
    };
    let requests = requests.ok_or_else(|| missing("requests"))?;
    Ok(Submission { head: body.head, requests })
}

/// Reads a job without requests, as the part `job` of a multipart body has it.
pub(crate) fn head<'a>(text: &'a str, memory: &RefCell<Memory>) -> Result<Head<'a>, ApiError> {
    let reader = Reader::new(memory, 0);
    Ok(reader.run(text, 0, text, BodySeed { reader: &reader, limits: None })?.head)
}

/// Reads one input, as a part of a multipart body in JSON has it.
pub(crate) fn input(
    text: &str,
    request: usize,
    modality: &Modality,
    memory: &RefCell<Memory>,
) -> Result<Input, ApiError> {
    let reader = Reader::new(memory, 0);
    reader.place.set(Place::Input(request, &modality.name));
    reader.run(text, 0, text, InputSeed { reader: &reader, request, modality })
}

/// The body as text, or which byte is none.
pub(crate) fn utf8(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|error| {
        let byte = error.valid_up_to();
        ApiError::new(ErrorCode::InvalidUtf8, format!("expected UTF-8, byte {byte} of the JSON does not continue it"))
    })
}

/// The modality's input is at fault, of this request.
pub(crate) fn at_fault(request: usize, modality: &str, fault: &InputFault) -> ApiError {
    input_error(request, modality, ErrorCode::from(fault), &fault.to_string())
}

/// Likewise, in these words.
pub(crate) fn input_error(request: usize, modality: &str, code: ErrorCode, words: &str) -> ApiError {
    let modality = shown(modality);
    let details = json!({ "request": request, "modality": modality });
    ApiError::new(code, format!("requests[{request}].{modality}: {words}")).with(details)
}

/// The model has no such modality, or has it once.
pub(crate) fn unknown_modality(spec: &Spec, request: usize, name: &str) -> ApiError {
    let expected = spec.modality_names().join(", ");
    at_fault(request, name, &InputFault::Unknown { expected })
}

/// A job has more requests than it may.
pub(crate) fn too_many(max_requests: usize) -> ApiError {
    let message = format!("expected at most {max_requests} requests in a job, got more");
    ApiError::new(ErrorCode::JobTooLarge, message).with(json!({ "max_requests": max_requests }))
}

/// What base64 stands for, with memory taken for it.
pub(crate) fn decoded(text: &str, place: Place<'_>, memory: &mut Memory) -> Result<Bytes, ApiError> {
    // what it stands for, and for a moment a copy without line ends
    let most = text.len() + text.len() / 4 * 3 + 3;
    memory.take(most)?;
    let bytes = base64::decode(text).map_err(|fault| {
        let error = place.error(ErrorCode::BadBase64, format_args!("expected base64, got {}", fault.reason));
        let mut details = error.details.clone();
        details["position"] = json!(fault.position);
        error.with(details)
    })?;
    memory.give(most - bytes.len());
    Ok(bytes.into())
}

/// What one file is for this kind; a wrong one is left to the model's own check.
pub(crate) fn file(kind: &InputKind, bytes: Bytes) -> Input {
    match kind {
        InputKind::Text { .. } => Input::Text(bytes),
        InputKind::Sound { .. } => Input::Sound(bytes),
        InputKind::Video { .. } => Input::Frames(vec![bytes].into()),
        _ => Input::Picture(bytes),
    }
}

/// The shape of the numbers that this kind takes, if it takes any.
pub(crate) fn numbers_of(kind: &InputKind) -> Option<Vec<usize>> {
    match kind {
        InputKind::Samples { shape } => Some(shape.clone()),
        InputKind::Sound { samples, .. } => Some(vec![*samples]),
        InputKind::Picture { raw, .. } | InputKind::Video { raw, .. } if !raw.is_empty() => Some(raw.clone()),
        _ => None,
    }
}

/// A name that a client chose, as far as it is repeated to it.
fn shown(name: &str) -> Cow<'_, str> {
    const MOST_CHARS: usize = 64;
    match name.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}...", &name[..end]).into(),
        None => name.into(),
    }
}

fn missing(field: &str) -> ApiError {
    ApiError::new(ErrorCode::MissingField, format!("{DOCUMENTED}: missing field `{field}`"))
        .with(json!({ "field": field }))
}

const DOCUMENTED: &str = "expected a JSON object as documented";

/// Where in a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place<'p> {
    Body,
    Field(&'p str),
    Request(usize),
    Input(usize, &'p str),
    Frame(usize, &'p str, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Body => Ok(()),
            Place::Field(name) => write!(f, "{name}: "),
            Place::Request(request) => write!(f, "requests[{request}]: "),
            Place::Input(request, modality) => write!(f, "requests[{request}].{modality}: "),
            Place::Frame(request, modality, frame) => write!(f, "requests[{request}].{modality}[{frame}]: "),
        }
    }
}

impl Place<'_> {
    fn error(self, code: ErrorCode, words: impl fmt::Display) -> ApiError {
        let details = match self {
            Place::Body => json!(null),
            Place::Field(field) => json!({ "field": field }),
            Place::Request(request) => json!({ "request": request }),
            Place::Input(request, modality) => json!({ "request": request, "modality": modality }),
            Place::Frame(request, modality, frame) => {
                json!({ "request": request, "modality": modality, "frame": frame })
            }
        };
        ApiError::new(code, format!("{self}{words}")).with(details)
    }
}

/// What all that reads one job shares.
struct Reader<'s> {
    memory: &'s RefCell<Memory>,
    max_requests: usize,
    place: Cell<Place<'s>>,
    fault: RefCell<Option<ApiError>>,
}

impl<'s> Reader<'s> {
    fn new(memory: &'s RefCell<Memory>, max_requests: usize) -> Reader<'s> {
        Reader { memory, max_requests, place: Cell::new(Place::Body), fault: RefCell::new(None) }
    }

    /// Reads one value that fills this part of a text, which begins at this byte of it.
    fn run<'a, S: DeserializeSeed<'a>>(
        &self,
        whole: &str,
        begin: usize,
        text: &'a str,
        seed: S,
    ) -> Result<S::Value, ApiError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = seed.deserialize(&mut deserializer).and_then(|value| {
            self.place.set(Place::Body);
            deserializer.end().map(|()| value)
        });
        read.map_err(|error| self.error(&whole[..begin], &error))
    }

    /// What was found wrong: by us, or by serde_json, which knows what is JSON.
    fn error(&self, before: &str, error: &serde_json::Error) -> ApiError {
        let lines = before.matches('\n').count();
        let column = if error.line() > 1 { 0 } else { before.len() - before.rfind('\n').map_or(0, |end| end + 1) };
        let position = format!(" at line {} column {}", lines + error.line(), column + error.column());
        if let Some(mut fault) = self.fault.take() {
            let of_json =
                [ErrorCode::WrongType, ErrorCode::UnknownField, ErrorCode::DuplicateField, ErrorCode::MissingField];
            if of_json.contains(&fault.code) {
                fault.message.push_str(&position);
            }
            return fault;
        }
        let code = if error.is_data() { ErrorCode::WrongType } else { ErrorCode::MalformedJson };
        let text = error.to_string();
        let words = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
        let place = self.place.get();
        let mut fault = place.error(code, format_args!("{words}{position}"));
        fault.message = format!("{DOCUMENTED}: {}", fault.message);
        fault
    }

    /// Puts down what is wrong here; serde is told to stop.
    fn refuse<E: Error>(&self, code: ErrorCode, words: impl fmt::Display) -> E {
        let place = self.place.get();
        let mut error = place.error(code, words);
        if matches!(place, Place::Body | Place::Field(_)) {
            error.message = format!("{DOCUMENTED}: {}", error.message);
        }
        self.stop(error)
    }

    fn stop<E: Error>(&self, fault: ApiError) -> E {
        self.fault.replace(Some(fault));
        E::custom("refused")
    }

    fn wrong_type<E: Error>(&self, expected: &str, got: &str) -> E {
        self.refuse(ErrorCode::WrongType, format_args!("expected {expected}, got {got}"))
    }

    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        self.memory.borrow_mut().take(bytes).map_err(|full| self.stop(full))
    }

    fn give(&self, bytes: usize) {
        self.memory.borrow_mut().give(bytes);
    }
}

/// For a visitor that takes none of these.
macro_rules! refuse_others {
    ($expected:expr; $($method:ident($type:ty) $got:literal)*) => {
        $(fn $method<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Err(self.reader.wrong_type(&$expected(&self), $got))
        })*

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&$expected(self))
        }
    };
}

/// What was read of a body.
struct Body<'a> {
    head: Head<'a>,
    requests: Option<Vec<Request>>,
    /// Requests that came before the model.
    raw: Option<&'a RawValue>,
}

struct BodySeed<'r, 's> {
    reader: &'r Reader<'s>,
    /// Without any, requests are not taken.
    limits: Option<&'r Limits<'s>>,
}

const FIELDS: [&str; 8] =
    ["model", "deadline_ms", "min_accuracy", "priority", "on_late", "tenant", "on_disconnect", "requests"];

impl<'de> DeserializeSeed<'de> for BodySeed<'_, '_> {
    type Value = Body<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Body<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_, '_> {
    type Value = Body<'de>;

    refuse_others! {
        |_: &Self| "an object with the fields of a job".to_owned();
        visit_bool(bool) "true or false" visit_f64(f64) "a number" visit_u64(u64) "a number" visit_i64(i64) "a number"
        visit_str(&str) "a string"
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Err(self.reader.wrong_type("an object with the fields of a job", "null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.reader.wrong_type("an object with the fields of a job", "an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Body<'de>, A::Error> {
        let reader = self.reader;
        let head = Head { priority: 1.0, ..Head::default() };
        let mut body = Body { head, requests: None, raw: None };
        let mut seen = [false; FIELDS.len()];
        let key = KeySeed { reader, known: &FIELDS };
        while let Some(index) = fields.next_key_seed(key)? {
            reader.place.set(Place::Field(FIELDS[index]));
            if std::mem::replace(&mut seen[index], true) {
                reader.place.set(Place::Body);
                return Err(
                    reader.refuse(ErrorCode::DuplicateField, format_args!("duplicate field `{}`", FIELDS[index]))
                );
            }
            let number = ScalarSeed { reader, expected: Expected::Number };
            let text = ScalarSeed { expected: Expected::Text, ..number };
            match index {
                0 => body.head.model = fields.next_value_seed(text)?.text(),
                1 => body.head.deadline_ms = fields.next_value_seed(number)?.number(),
                2 => body.head.min_accuracy = fields.next_value_seed(number)?.number(),
                3 => body.head.priority = fields.next_value_seed(number)?.number(),
                4 => body.head.on_late = wish(reader, &fields.next_value_seed(text)?.text())?,
                5 => {
                    let tenant = fields.next_value_seed(ScalarSeed { expected: Expected::TextOrNull, ..number })?;
                    body.head.tenant = tenant.optional_text();
                }
                6 => body.head.on_disconnect = on_disconnect(reader, &fields.next_value_seed(text)?.text())?,
                _ => {
                    let Some(limits) = self.limits else {
                        let words = "expected no requests in the part job: each modality has its own parts";
                        reader.place.set(Place::Body);
                        return Err(reader.refuse(ErrorCode::UnknownField, words));
                    };
                    if seen[0] {
                        let spec = (limits.spec)(&body.head.model).map_err(|error| reader.stop(error))?;
                        body.requests = fields.next_value_seed(RequestsSeed { reader, spec })?;
                    } else {
                        body.raw = Some(fields.next_value()?);
                    }
                }
            }
            reader.place.set(Place::Body);
        }
        for needed in [0, 1] {
            if !seen[needed] {
                return Err(reader.stop(missing(FIELDS[needed])));
            }
        }
        Ok(body)
    }
}

fn wish<E: Error>(reader: &Reader<'_>, word: &str) -> Result<Wish, E> {
    match word {
        "run" => Ok(Wish::Run),
        "drop" => Ok(Wish::Drop),
        other => Err(reader.wrong_type("run or drop", &format!("{:?}", shown(other)))),
    }
}

fn on_disconnect<E: Error>(reader: &Reader<'_>, word: &str) -> Result<OnDisconnect, E> {
    match word {
        "keep" => Ok(OnDisconnect::Keep),
        "cancel" => Ok(OnDisconnect::Cancel),
        other => Err(reader.wrong_type("keep or cancel", &format!("{:?}", shown(other)))),
    }
}

/// Reads the name of a field, as its number among those that are known.
#[derive(Clone, Copy)]
struct KeySeed<'r, 's> {
    reader: &'r Reader<'s>,
    known: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        self.known.iter().position(|field| *field == name).ok_or_else(|| {
            let (name, expected) = (shown(name), self.known.join(", "));
            self.reader.refuse(ErrorCode::UnknownField, format_args!("unknown field `{name}`, expected {expected}"))
        })
    }
}

/// A number or a string.
enum Scalar<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Null,
}

impl<'a> Scalar<'a> {
    fn number(self) -> f64 {
        if let Scalar::Number(number) = self { number } else { f64::NAN }
    }

    fn text(self) -> Cow<'a, str> {
        self.optional_text().unwrap_or_default()
    }

    fn optional_text(self) -> Option<Cow<'a, str>> {
        if let Scalar::Text(text) = self { Some(text) } else { None }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Expected {
    Number,
    Text,
    TextOrNull,
}

#[derive(Clone, Copy)]
struct ScalarSeed<'r, 's> {
    reader: &'r Reader<'s>,
    expected: Expected,
}

impl ScalarSeed<'_, '_> {
    fn wrong<E: Error>(self, got: &str) -> E {
        let expected = if self.expected == Expected::Number { "a number" } else { "a string" };
        self.reader.wrong_type(expected, got)
    }
}

impl<'de> DeserializeSeed<'de> for ScalarSeed<'_, '_> {
    type Value = Scalar<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed<'_, '_> {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a string")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar<'de>, E> {
        if self.expected == Expected::Number { Ok(Scalar::Number(number)) } else { Err(self.wrong("a number")) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar<'de>, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar<'de>, E> {
        self.visit_f64(number as f64)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        if self.expected == Expected::Number { Err(self.wrong("a string")) } else { Ok(Scalar::Text(text.into())) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'de>, E> {
        if self.expected == Expected::Number {
            return Err(self.wrong("a string"));
        }
        // names are short, and a longer one is refused for what it is, which needs its beginning only
        Ok(Scalar::Text(text.chars().take(MAX_NAME_CHARS).collect::<String>().into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar<'de>, E> {
        if self.expected == Expected::TextOrNull { Ok(Scalar::Null) } else { Err(self.wrong("null")) }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar<'de>, E> {
        Err(self.wrong("true or false"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Scalar<'de>, A::Error> {
        Err(self.wrong("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Scalar<'de>, A::Error> {
        Err(self.wrong("an object"))
    }
}

/// More than any name may have.
const MAX_NAME_CHARS: usize = 1024;

/// Reads all requests; `None` for null.
struct RequestsSeed<'r, 's> {
    reader: &'r Reader<'s>,
    spec: &'s Spec,
}

impl<'de> DeserializeSeed<'de> for RequestsSeed<'_, '_> {
    type Value = Option<Vec<Request>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.reader.place.set(Place::Field("requests"));
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RequestsSeed<'_, '_> {
    type Value = Option<Vec<Request>>;

    refuse_others! {
        |_: &Self| "an array of requests".to_owned();
        visit_bool(bool) "true or false" visit_f64(f64) "a number" visit_u64(u64) "a number" visit_i64(i64) "a number"
        visit_str(&str) "a string"
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.reader.wrong_type("an array of requests", "an object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let Self { reader, spec } = self;
        let mut named = Vec::new();
        while let Some(inputs) = items.next_element_seed(RequestSeed { reader, spec, request: named.len() })? {
            reader.take(REQUEST_BYTES + INPUT_BYTES * spec.modalities.len())?;
            named.push(inputs);
        }
        let whole = |(index, inputs): (usize, Inputs)| {
            let present = spec.modalities.iter().map(|modality| modality.name.as_str()).zip(inputs);
            let named = present.filter_map(|(name, input)| input.map(|input| (name, input)));
            let checked = spec.request(named);
            checked.map_err(|InputError { modality, fault }| reader.stop(at_fault(index, &modality, &fault)))
        };
        named.into_iter().enumerate().map(whole).collect::<Result<Vec<Request>, A::Error>>().map(Some)
    }
}

/// What a request and an input take beside the content.
const REQUEST_BYTES: usize = 64;
const INPUT_BYTES: usize = 2 * size_of::<Input>() + 32;

/// The inputs that were named, by modality.
type Inputs = Vec<Option<Input>>;

struct RequestSeed<'r, 's> {
    reader: &'r Reader<'s>,
    spec: &'s Spec,
    request: usize,
}

impl<'de> DeserializeSeed<'de> for RequestSeed<'_, '_> {
    type Value = Inputs;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inputs, D::Error> {
        if self.request == self.reader.max_requests {
            return Err(self.reader.stop(too_many(self.reader.max_requests)));
        }
        self.reader.place.set(Place::Request(self.request));
        deserializer.deserialize_any(self)
    }
}

const A_REQUEST: &str = "an object with one input for every modality";

impl<'de> Visitor<'de> for RequestSeed<'_, '_> {
    type Value = Inputs;

    refuse_others! {
        |_: &Self| A_REQUEST.to_owned();
        visit_bool(bool) "true or false" visit_f64(f64) "a number" visit_u64(u64) "a number" visit_i64(i64) "a number"
        visit_str(&str) "a string"
    }

    fn visit_unit<E: Error>(self) -> Result<Inputs, E> {
        Err(self.reader.wrong_type(A_REQUEST, "null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Inputs, A::Error> {
        Err(self.reader.wrong_type(A_REQUEST, "an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Inputs, A::Error> {
        let Self { reader, spec, request } = self;
        let mut inputs: Inputs = vec![None; spec.modalities.len()];
        while let Some(index) = fields.next_key_seed(ModalitySeed { reader, spec, request, inputs: &inputs })? {
            let modality = &spec.modalities[index];
            inputs[index] = Some(fields.next_value_seed(InputSeed { reader, request, modality })?);
            reader.place.set(Place::Request(request));
        }
        Ok(inputs)
    }
}

/// Reads the name of a modality that has no input yet.
struct ModalitySeed<'r, 's, 'i> {
    reader: &'r Reader<'s>,
    spec: &'s Spec,
    request: usize,
    inputs: &'i Inputs,
}

impl<'de> DeserializeSeed<'de> for ModalitySeed<'_, '_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ModalitySeed<'_, '_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a modality")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let known = self.spec.modalities.iter().position(|modality| modality.name == name);
        let empty = known.filter(|index| self.inputs[*index].is_none());
        empty.ok_or_else(|| self.reader.stop(unknown_modality(self.spec, self.request, name)))
    }
}

/// Reads one input of this modality.
#[derive(Clone, Copy)]
struct InputSeed<'r, 's> {
    reader: &'r Reader<'s>,
    request: usize,
    modality: &'s Modality,
}

const AN_INPUT: &str = "a string, {\"base64\": a string}, an array of these, or nested arrays of numbers";

impl<'s> InputSeed<'_, 's> {
    fn fault<E: Error>(self, fault: &InputFault) -> E {
        self.reader.stop(at_fault(self.request, &self.modality.name, fault))
    }

    fn error<E: Error>(self, code: ErrorCode, words: impl fmt::Display) -> E {
        self.reader.stop(input_error(self.request, &self.modality.name, code, &words.to_string()))
    }

    fn wrong_kind<E: Error>(self, got: &'static str) -> E {
        self.fault(&InputFault::WrongKind { expected: self.modality.kind.describe(), got })
    }

    fn text<E: Error>(self, text: &str) -> Result<Input, E> {
        match self.modality.kind {
            InputKind::Text { max_bytes } if text.len() > max_bytes => {
                Err(self.fault(&InputFault::TextLength { max_bytes, got: text.len() }))
            }
            InputKind::Text { .. } => {
                self.reader.take(text.len())?;
                Ok(Input::Text(Bytes::copy_from_slice(text.as_bytes())))
            }
            InputKind::Samples { .. } => Err(self.wrong_kind("text")),
            _ if base64::is_data_url(text) => Ok(file(&self.modality.kind, self.decoded(text)?)),
            _ => Err(self.wrong_kind("text")),
        }
    }

    /// The model may take a file of so much base64.
    fn check_file<E: Error>(self, text: &str) -> Result<(), E> {
        match self.modality.kind {
            InputKind::Samples { .. } => Err(self.wrong_kind("a file")),
            // line ends and padding aside
            InputKind::Text { max_bytes } if text.len() / 4 > max_bytes + 1024 => {
                Err(self.fault(&InputFault::TextLength { max_bytes, got: text.len() / 4 * 3 }))
            }
            _ => Ok(()),
        }
    }

    fn decoded<E: Error>(self, text: &str) -> Result<Bytes, E> {
        let reader = self.reader;
        decoded(text, reader.place.get(), &mut reader.memory.borrow_mut()).map_err(|error| reader.stop(error))
    }

    fn here(self) -> Place<'s> {
        Place::Input(self.request, &self.modality.name)
    }
}

impl<'de> DeserializeSeed<'de> for InputSeed<'_, '_> {
    type Value = Input;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Input, D::Error> {
        self.reader.place.set(self.here());
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InputSeed<'_, '_> {
    type Value = Input;

    refuse_others! {
        |_: &Self| AN_INPUT.to_owned();
        visit_bool(bool) "true or false" visit_f64(f64) "a number" visit_u64(u64) "a number" visit_i64(i64) "a number"
    }

    fn visit_unit<E: Error>(self) -> Result<Input, E> {
        Err(self.reader.wrong_type(AN_INPUT, "null"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Input, E> {
        self.text(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Input, A::Error> {
        let bytes = FileSeed { input: self, whole: true }.visit_map(fields)?;
        Ok(file(&self.modality.kind, bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Input, A::Error> {
        let reader = self.reader;
        let mut files: Vec<Bytes> = Vec::new();
        let mut numbers = Numbers { values: Vec::new(), shape: numbers_of(&self.modality.kind).unwrap_or_default() };
        let (mut length, mut nested) = (0, false);
        loop {
            let element = ElementSeed { input: self, numbers: &mut numbers, index: length, files: files.len() };
            let Some(element) = items.next_element_seed(element)? else { break };
            reader.place.set(self.here());
            match element {
                Element::File(bytes) if length == 0 => files.push(bytes),
                Element::Number if files.is_empty() && (length == 0 || !nested) => length += 1,
                Element::Row if files.is_empty() && (length == 0 || nested) => {
                    nested = true;
                    length += 1;
                    if length > numbers.shape[0] {
                        return Err(numbers.more(self));
                    }
                }
                Element::File(_) => return Err(mixed(reader)),
                Element::Number | Element::Row if !files.is_empty() => return Err(mixed(reader)),
                Element::Number | Element::Row => return Err(ragged(reader, length)),
            }
        }
        if !files.is_empty() {
            return Ok(Input::Frames(files.into()));
        }
        if numbers.shape.is_empty() {
            return Err(self.wrong_kind("a list of numbers"));
        }
        if nested && length != numbers.shape[0] {
            let came: Vec<usize> = [length].iter().chain(&numbers.shape[1..]).copied().collect();
            let words = format!("expected numbers of the shape {:?}, got {came:?}", numbers.shape);
            return Err(self.error(ErrorCode::InputShape, words));
        }
        let (length, capacity) = (numbers.values.len(), numbers.values.capacity());
        reader.give((capacity - length) * size_of::<f32>());
        Ok(Input::Samples(numbers.values.into()))
    }
}

fn mixed<E: Error>(reader: &Reader<'_>) -> E {
    reader.refuse(ErrorCode::WrongType, "expected files or numbers in an array, got both")
}

fn ragged<E: Error>(reader: &Reader<'_>, row: usize) -> E {
    reader.refuse(ErrorCode::WrongType, format_args!("expected rows of one shape, row {row} differs"))
}

/// The numbers of an input, in one flat list, and the shape that they fill.
struct Numbers {
    values: Vec<f32>,
    shape: Vec<usize>,
}

impl Numbers {
    fn most(&self) -> usize {
        self.shape.iter().product()
    }

    fn push<E: Error>(&mut self, value: f64, input: InputSeed<'_, '_>) -> Result<(), E> {
        let narrow = value as f32;
        if !narrow.is_finite() {
            let words = format_args!("expected a number within 32-bit floating point, got {value:e}");
            return Err(input.reader.refuse(ErrorCode::WrongType, words));
        }
        let (length, most) = (self.values.len(), self.most());
        if length == most {
            let words = format!("expected {most} numbers ({:?}), got more", self.shape);
            return Err(input.error(ErrorCode::InputSampleCount, words));
        }
        if length == self.values.capacity() {
            let more = length.max(FEW_NUMBERS).min(most - length);
            input.reader.take(more * size_of::<f32>())?;
            self.values.reserve_exact(more);
        }
        self.values.push(narrow);
        Ok(())
    }

    /// There are more rows than the shape has, or rows in rows.
    fn more<E: Error>(&self, input: InputSeed<'_, '_>) -> E {
        let words = format!("expected numbers of the shape {:?}, got more or deeper rows", self.shape);
        input.error(ErrorCode::InputShape, words)
    }
}

/// Room is made for so many numbers first.
const FEW_NUMBERS: usize = 64;

/// One element of an input's outermost array.
enum Element {
    File(Bytes),
    Number,
    Row,
}

/// Reads one element; numbers go into the flat list.
struct ElementSeed<'n, 'r, 's> {
    input: InputSeed<'r, 's>,
    numbers: &'n mut Numbers,
    index: usize,
    files: usize,
}

impl ElementSeed<'_, '_, '_> {
    fn number<E: Error>(self, value: f64) -> Result<Element, E> {
        if self.numbers.shape.is_empty() && self.files == 0 {
            return Err(self.input.wrong_kind("a list of numbers"));
        }
        if self.files == 0 {
            self.numbers.push(value, self.input)?;
        }
        Ok(Element::Number)
    }

    /// The seed of one frame, if the model takes one more.
    fn frame<'r, 's, E: Error>(input: InputSeed<'r, 's>, files: usize) -> Result<FileSeed<'r, 's>, E> {
        match input.modality.kind {
            InputKind::Video { frames, .. } if files < frames => {
                input.reader.place.set(Place::Frame(input.request, &input.modality.name, files));
                Ok(FileSeed { input, whole: false })
            }
            InputKind::Video { frames, .. } => {
                Err(input.error(ErrorCode::InputFrameCount, format_args!("expected {frames} frames, got more")))
            }
            _ => Err(input.wrong_kind("several files")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ElementSeed<'_, '_, '_> {
    type Value = Element;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element, D::Error> {
        deserializer.deserialize_any(self)
    }
}

const AN_ELEMENT: &str = "a number, an array of numbers or {\"base64\": a string}";

impl<'de> Visitor<'de> for ElementSeed<'_, '_, '_> {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(AN_ELEMENT)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Element, E> {
        Err(self.input.reader.wrong_type(AN_ELEMENT, "true or false"))
    }

    fn visit_unit<E: Error>(self) -> Result<Element, E> {
        Err(self.input.reader.wrong_type(AN_ELEMENT, "null"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Element, E> {
        if self.index > 0 || !base64::is_data_url(text) {
            return Err(self.input.reader.wrong_type(AN_ELEMENT, "a string"));
        }
        Self::frame(self.input, self.files)?.input.decoded(text).map(Element::File)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Element, E> {
        self.number(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Element, E> {
        self.number(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Element, E> {
        self.number(value as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Element, A::Error> {
        if self.files > 0 {
            return Err(mixed(self.input.reader));
        }
        if self.numbers.shape.is_empty() {
            return Err(self.input.wrong_kind("a list of numbers"));
        }
        RowSeed { input: self.input, numbers: self.numbers, level: 1, index: self.index }.visit_seq(items)?;
        Ok(Element::Row)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Element, A::Error> {
        if self.index > 0 {
            return Err(mixed(self.input.reader));
        }
        Self::frame(self.input, self.files)?.visit_map(fields).map(Element::File)
    }
}

/// Reads one row below the outermost array, as long and as deep as the shape says.
struct RowSeed<'n, 'r, 's> {
    input: InputSeed<'r, 's>,
    numbers: &'n mut Numbers,
    level: usize,
    /// Which one among its siblings.
    index: usize,
}

impl RowSeed<'_, '_, '_> {
    fn number<E: Error>(self, value: f64) -> Result<(), E> {
        if self.level < self.numbers.shape.len() {
            let words = format!("expected numbers of the shape {:?}, got flatter ones", self.numbers.shape);
            return Err(self.input.error(ErrorCode::InputShape, words));
        }
        if self.numbers.values.len() == self.numbers.most() {
            return Err(self.numbers.more(self.input));
        }
        self.numbers.push(value, self.input)
    }

    fn other<E: Error>(self, got: &str) -> E {
        self.input.reader.wrong_type("a number or an array of numbers", got)
    }
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or an array of numbers")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let RowSeed { input, numbers, level, index } = self;
        let Some(expected) = numbers.shape.get(level).copied() else { return Err(numbers.more(input)) };
        let mut length = 0;
        while items
            .next_element_seed(RowSeed { input, numbers: &mut *numbers, level: level + 1, index: length })?
            .is_some()
        {
            length += 1;
            if length > expected {
                return Err(if index > 0 { ragged(input.reader, index) } else { numbers.more(input) });
            }
        }
        if length < expected {
            let words = format!("expected numbers of the shape {:?}, got a row of {length}", numbers.shape);
            return Err(match index {
                0 => input.error(ErrorCode::InputShape, words),
                row => ragged(input.reader, row),
            });
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Err(self.other("true or false"))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Err(self.other("null"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(self.other("a string"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.other("an object"))
    }
}

/// Reads what is in `{"base64": "..."}`.
struct FileSeed<'r, 's> {
    input: InputSeed<'r, 's>,
    /// It is the whole input, not one frame.
    whole: bool,
}

impl FileSeed<'_, '_> {
    fn visit_map<'de, A: MapAccess<'de>>(self, mut fields: A) -> Result<Bytes, A::Error> {
        let reader = self.input.reader;
        let key = KeySeed { reader, known: &["base64"] };
        let mut file = None;
        while fields.next_key_seed(key)?.is_some() {
            if file.is_some() {
                return Err(reader.refuse(ErrorCode::DuplicateField, "duplicate field `base64`"));
            }
            file = Some(fields.next_value_seed(Base64Seed(&self))?);
        }
        let missing = || reader.refuse(ErrorCode::MissingField, "missing field `base64`");
        file.ok_or_else(missing)
    }
}

struct Base64Seed<'f, 'r, 's>(&'f FileSeed<'r, 's>);

impl<'de> DeserializeSeed<'de> for Base64Seed<'_, '_, '_> {
    type Value = Bytes;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Bytes, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Base64Seed<'_, '_, '_> {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        let FileSeed { input, whole } = self.0;
        if *whole {
            input.check_file(text)?;
        }
        input.decoded(text)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Bytes, E> {
        Err(self.0.input.reader.wrong_type("a string of base64", "true or false"))
    }

    fn visit_unit<E: Error>(self) -> Result<Bytes, E> {
        Err(self.0.input.reader.wrong_type("a string of base64", "null"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Bytes, E> {
        Err(self.0.input.reader.wrong_type("a string of base64", "a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Bytes, E> {
        Err(self.0.input.reader.wrong_type("a string of base64", "a number"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Bytes, E> {
        Err(self.0.input.reader.wrong_type("a string of base64", "a number"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Bytes, A::Error> {
        Err(self.0.input.reader.wrong_type("a string of base64", "an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Bytes, A::Error> {
        Err(self.0.input.reader.wrong_type("a string of base64", "an object"))
    }
}
