//! A job as a client writes it: JSON, read in one pass and bounded, before any model is looked at.

use std::borrow::Cow;
use std::fmt;

use mosel_core::OnLate;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use super::api_error::ApiError;
use crate::error_code::ErrorCode;

/// The fields of a job; what is missing stands at its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submission<'a> {
    /// The model's name.
    #[serde(borrow)]
    pub(crate) model: Cow<'a, str>,
    /// Milliseconds after the job's arrival.
    pub(crate) deadline_ms: f64,
    /// The floor.
    #[serde(default)]
    pub(crate) min_accuracy: f64,
    /// Importance relative to other jobs.
    #[serde(default = "one")]
    pub(crate) priority: f64,
    /// The wish for the case that the deadline cannot be met.
    #[serde(default)]
    pub(crate) on_late: Wish,
    /// The wish for the case that the client goes away while it waits.
    #[serde(default)]
    pub(crate) on_disconnect: OnDisconnect,
    /// Who it is for.
    #[serde(borrow, default)]
    pub(crate) tenant: Option<Cow<'a, str>>,
    /// Absent in the `job` part of a multipart body.
    #[serde(borrow, default)]
    pub(crate) requests: Option<Requests<'a>>,
}

/// `on_late` on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wish {
    #[default]
    Run,
    Drop,
}

/// `on_disconnect` on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnDisconnect {
    #[default]
    Keep,
    Cancel,
}

/// The requests that were read, and how many came.
#[derive(Debug, Default)]
pub(crate) struct Requests<'a> {
    /// At most [`MAX_REQUESTS`].
    pub(crate) read: Vec<Vec<(Cow<'a, str>, RawInput<'a>)>>,
    /// All that came; those beyond the most were skipped.
    pub(crate) came: usize,
}

/// One modality's input as JSON writes it.
#[derive(Debug, PartialEq)]
pub(crate) enum RawInput<'a> {
    /// `"a cat"`
    Text(Cow<'a, str>),
    /// `{"base64": "…"}`, not decoded yet.
    Base64(Cow<'a, str>),
    /// `[{"base64": "…"}, {"base64": "…"}]`, the frames of a video; not decoded yet.
    Files(Vec<Cow<'a, str>>),
    /// `[[0.5, 1], [2, 3]]`, row by row, with its shape.
    Numbers { shape: Vec<usize>, values: Vec<f32> },
}

/// More than any configuration allows; what comes beyond is counted, not kept.
pub(crate) const MAX_REQUESTS: usize = 4096;

impl<'a> Submission<'a> {
    /// Reads a body, or says what is wrong with it and where.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Submission<'a>, ApiError> {
        let text = utf8(body)?;
        serde_json::from_str(text).map_err(|error| json_fault(text, &error))
    }
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

/// The body as text, or which byte is none.
pub(crate) fn utf8(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|error| {
        let byte = error.valid_up_to();
        ApiError::new(ErrorCode::InvalidUtf8, format!("expected UTF-8, byte {byte} of the JSON does not continue it"))
    })
}

/// What serde found wrong in this text, under the code of its kind.
pub(crate) fn json_fault(text: &str, error: &serde_json::Error) -> ApiError {
    // naming the place of an error hides its kind, so the text is read again
    let malformed = serde_json::from_str::<IgnoredAny>(text).err();
    let message = malformed.as_ref().unwrap_or(error).to_string();
    let code = match error.classify() {
        _ if malformed.is_some() => ErrorCode::MalformedJson,
        Category::Syntax | Category::Eof => ErrorCode::MalformedJson,
        _ if message.contains("unknown field") => ErrorCode::UnknownField,
        _ if message.contains("missing field") => ErrorCode::MissingField,
        _ if message.contains("duplicate field") => ErrorCode::DuplicateField,
        _ => ErrorCode::WrongType,
    };
    ApiError::new(code, format!("expected a JSON object as documented: {message}"))
}

/// One input from JSON text of its own, as a multipart part carries it.
pub(crate) fn numbers(text: &str) -> Result<RawInput<'_>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let input = InputSeed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(input)
}

fn one() -> f64 {
    1.0
}

impl<'de: 'a, 'a> Deserialize<'de> for Requests<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Requests<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of requests")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Requests<'de>, A::Error> {
                let mut requests = Requests::default();
                while requests.came < MAX_REQUESTS {
                    let Some(request) = items.next_element_seed(RequestSeed(requests.came))? else {
                        return Ok(requests);
                    };
                    requests.read.push(request);
                    requests.came += 1;
                }
                while items.next_element::<IgnoredAny>()?.is_some() {
                    requests.came += 1;
                }
                Ok(requests)
            }
        }
        deserializer.deserialize_seq(Each)
    }
}

/// Reads the request of this index.
struct RequestSeed(usize);

impl<'de> DeserializeSeed<'de> for RequestSeed {
    type Value = Vec<(Cow<'de, str>, RawInput<'de>)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let index = self.0;
        deserializer.deserialize_map(self).map_err(|error| located(format_args!("requests[{index}]"), &error))
    }
}

impl<'de> Visitor<'de> for RequestSeed {
    type Value = Vec<(Cow<'de, str>, RawInput<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one input for every modality")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut inputs = Vec::with_capacity(2);
        while let Some(Name(name)) = fields.next_key()? {
            let input = fields.next_value_seed(InputSeed).map_err(|error| located(format_args!(".{name}"), &error))?;
            inputs.push((name, input));
        }
        Ok(inputs)
    }
}

/// A string, borrowed where JSON allows it.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads one input.
struct InputSeed;

impl<'de> DeserializeSeed<'de> for InputSeed {
    type Value = RawInput<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawInput<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InputSeed {
    type Value = RawInput<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, {\"base64\": a string}, an array of these, or nested arrays of numbers")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<RawInput<'de>, E> {
        Ok(RawInput::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<RawInput<'de>, E> {
        Ok(RawInput::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<RawInput<'de>, A::Error> {
        base64(fields).map(RawInput::Base64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawInput<'de>, A::Error> {
        let (mut files, mut values) = (Vec::new(), Vec::new());
        let mut rows = Rows::default();
        while let Some(element) = items.next_element_seed(ElementSeed(&mut values))? {
            match element {
                Element::File(file) if rows.length == 0 => files.push(file),
                Element::Row(shape) if files.is_empty() => rows.push(shape)?,
                _ => return Err(A::Error::custom("expected files or numbers in an array, got both")),
            }
        }
        if files.is_empty() {
            return Ok(RawInput::Numbers { shape: rows.shape(), values });
        }
        Ok(RawInput::Files(files))
    }
}

/// One element of an input's outermost array.
enum Element<'a> {
    /// A frame in base64.
    File(Cow<'a, str>),
    /// Numbers of this shape.
    Row(Vec<usize>),
}

/// Reads one element; numbers go into the flat list.
struct ElementSeed<'v>(&'v mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for ElementSeed<'_> {
    type Value = Element<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed<'_> {
    type Value = Element<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, an array of numbers or {\"base64\": a string}")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Element<'de>, E> {
        Level(self.0).visit_f64(value).map(Element::Row)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Element<'de>, E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Element<'de>, E> {
        self.visit_f64(value as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Element<'de>, A::Error> {
        Level(self.0).visit_seq(items).map(Element::Row)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Element<'de>, A::Error> {
        base64(fields).map(Element::File)
    }
}

/// Reads what is in `{"base64": "…"}`.
fn base64<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Cow<'de, str>, A::Error> {
    let mut content = None;
    while let Some(Name(name)) = fields.next_key()? {
        if name != "base64" {
            return Err(A::Error::unknown_field(&name, &["base64"]));
        }
        let Name(text) = fields.next_value()?;
        if content.replace(text).is_some() {
            return Err(A::Error::duplicate_field("base64"));
        }
    }
    content.ok_or_else(|| A::Error::missing_field("base64"))
}

/// Rows of an array, which are of one shape.
#[derive(Default)]
struct Rows {
    length: usize,
    inner: Option<Vec<usize>>,
}

impl Rows {
    fn push<E: Error>(&mut self, shape: Vec<usize>) -> Result<(), E> {
        if self.inner.as_ref().is_some_and(|first| *first != shape) {
            return Err(E::custom(format_args!("expected rows of one shape, row {} differs", self.length)));
        }
        self.inner.get_or_insert(shape);
        self.length += 1;
        Ok(())
    }

    /// The shape of the array.
    fn shape(self) -> Vec<usize> {
        let mut shape = self.inner.unwrap_or_default();
        shape.insert(0, self.length);
        shape
    }
}

/// Reads one level of nested arrays into the flat list; answers with the shape below it.
struct Level<'v>(&'v mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Vec<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<usize>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Vec<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or an array of numbers")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Vec<usize>, E> {
        let narrow = value as f32;
        if !narrow.is_finite() {
            return Err(E::custom(format_args!("expected a number within 32-bit floating point, got {value:e}")));
        }
        self.0.push(narrow);
        Ok(Vec::new())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Vec<usize>, E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Vec<usize>, E> {
        self.visit_f64(value as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<usize>, A::Error> {
        let mut rows = Rows::default();
        while let Some(shape) = items.next_element_seed(Level(&mut *self.0))? {
            rows.push(shape)?;
        }
        Ok(rows.shape())
    }
}

/// Puts the place in front of what serde found; serde_json keeps the line and column of the first.
fn located<E: Error>(place: fmt::Arguments<'_>, error: &E) -> E {
    let message = error.to_string();
    let glue = if message.starts_with('.') { "" } else { ": " };
    E::custom(format_args!("{place}{glue}{message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(request: &str) -> Result<Vec<(String, String)>, ApiError> {
        let body = format!(r#"{{"model":"m","deadline_ms":5,"requests":[{{"a":"ok"}},{request}]}}"#);
        let submission = Submission::parse(body.as_bytes())?;
        let mut requests = submission.requests.unwrap();
        Ok(requests.read.pop().unwrap().into_iter().map(|(n, i)| (n.into_owned(), format!("{i:?}"))).collect())
    }

    fn refusal(request: &str) -> String {
        inputs(request).unwrap_err().message
    }

    #[test]
    fn every_form_of_input_is_read() {
        assert_eq!(inputs(r#"{"a":"x\ny"}"#).unwrap()[0].1, r#"Text("x\ny")"#);
        assert_eq!(inputs(r#"{"a":{"base64":"AA=="}}"#).unwrap()[0].1, r#"Base64("AA==")"#);
        let frames = inputs(r#"{"a":[{"base64":"AA=="},{"base64":"/w=="}]}"#).unwrap();
        assert_eq!(frames[0].1, r#"Files(["AA==", "/w=="])"#);
        let nested = inputs(r#"{"a":[[1,-2.5],[3e1,4]]}"#).unwrap();
        assert_eq!(nested[0].1, "Numbers { shape: [2, 2], values: [1.0, -2.5, 30.0, 4.0] }");
        assert_eq!(inputs(r#"{"a":[]}"#).unwrap()[0].1, "Numbers { shape: [0], values: [] }");
    }

    #[test]
    fn a_bad_input_is_named_by_request_and_modality() {
        let message = refusal(r#"{"a":"ok","b":7}"#);
        assert!(message.contains("requests[1].b: invalid type: integer `7`, expected a string, {"), "{message}");
        assert!(refusal(r#"{"a":[[1,2],[3]]}"#).contains("requests[1].a: expected rows of one shape, row 1 differs"));
        assert!(refusal(r#"{"a":[1e39]}"#).contains("requests[1].a: expected a number within 32-bit"));
        assert!(refusal(r#"{"a":{"base46":"x"}}"#).contains("requests[1].a: unknown field `base46`"));
        let both = "requests[1].a: expected files or numbers in an array, got both";
        assert!(refusal(r#"{"a":[{"base64":"AA=="},1]}"#).contains(both));
        assert!(refusal(r#"{"a":[[1],{"base64":"AA=="}]}"#).contains(both));
        assert!(refusal(r#"{"a":[[1,{"base64":"AA=="}]]}"#).contains("expected a number or an array of numbers"));
        assert!(refusal(r#"{"a":[{"base46":"x"}]}"#).contains("requests[1].a: unknown field `base46`"));
        assert!(refusal("7").contains("requests[1]: invalid type: integer `7`, expected an object"));
    }

    #[test]
    fn the_place_in_the_text_is_given_once() {
        let message = refusal(r#"{"a":7}"#);
        assert_eq!(message.matches(" at line 1 column ").count(), 1, "{message}");
    }

    #[test]
    fn codes_tell_kinds_of_mistakes_apart() {
        let code = |body: &str| Submission::parse(body.as_bytes()).unwrap_err().code.word();
        assert_eq!(code(r#"{"model":"m","deadline_ms":"#), "malformed_json");
        assert_eq!(code(r#"{"model":"m","deadline_ms":5,"requests":[{"a":"x"},"#), "malformed_json");
        assert_eq!(code(r#"{"model":"m","deadline_ms":5,"requests":[{"a":tru"#), "malformed_json");
        assert_eq!(code(r#"{"model":"m","deadline_ms":NaN}"#), "malformed_json");
        assert_eq!(code(r#"{"model":"m"}"#), "missing_field");
        assert_eq!(code(r#"{"model":"m","deadline":5}"#), "unknown_field");
        assert_eq!(code(r#"{"model":"m","model":"m"}"#), "duplicate_field");
        assert_eq!(code(r#"{"model":"m","deadline_ms":"soon"}"#), "wrong_type");
        assert_eq!(Submission::parse(b"{\"model\":\"\xff\"}").unwrap_err().code.word(), "invalid_utf8");
    }

    #[test]
    fn requests_beyond_the_most_are_counted_and_not_kept() {
        let body = format!(r#"{{"model":"m","deadline_ms":5,"requests":[{}{{}}]}}"#, "{},".repeat(5000));
        let requests = Submission::parse(body.as_bytes()).unwrap().requests.unwrap();
        assert_eq!((requests.read.len(), requests.came), (MAX_REQUESTS, 5001));
    }
}
