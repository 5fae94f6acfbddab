//! Bodies of jobs, read without a server: for fuzzing, and for tests of what reading them costs.

#![allow(unreachable_pub, dead_code, reason = "open with the feature fuzzing only")]

use std::sync::LazyLock;
use std::time::Duration;

use axum::http::HeaderValue;
use mosel_core::ModelId;
use mosel_models::{InputKind, Modality, Spec};

use super::api_error::ApiError;
use super::body::{Bounds, Memory, Received};
use super::compression::Coding;
use super::parsed_job::{self, Form, KnownModels};
use crate::byte_budget::ByteBudget;
use crate::config;
use crate::error_code::ErrorCode;
use crate::shares::ShareKey;

/// What stands between the parts of a multipart body.
pub const BOUNDARY: &str = "cut";

/// The largest body, unpacked.
const MOST_BYTES: u64 = 8 << 20;

/// A model with a modality of every kind.
static TOY: LazyLock<Spec> = LazyLock::new(|| {
    let modalities = vec![
        Modality::new("photo", InputKind::Picture { max_side: 64, raw: vec![1, 1, 3] }),
        Modality::new("clip", InputKind::Video { frames: 2, max_side: 64, raw: vec![2, 1, 1, 3] }),
        Modality::new("voice", InputKind::Sound { hertz: 8000, samples: 2 }),
        Modality::new("words", InputKind::Text { max_bytes: 9 }),
        Modality::new("motion", InputKind::Samples { shape: vec![2, 1] }),
    ];
    Spec { name: "toy".into(), modalities, labels: vec!["a".into()].into(), weights_sha256: String::new() }
});

struct Toys;

impl KnownModels for Toys {
    fn find_model(&self, name: &str) -> Result<(ModelId, &Spec), ApiError> {
        match name {
            "toy" => Ok((ModelId(0), &TOY)),
            _ => Err(ApiError::new(ErrorCode::UnknownModel, "expected toy")),
        }
    }

    fn most_parts(&self) -> usize {
        parsed_job::parts_of_request(&TOY)
    }
}

/// Reads a job in JSON; answers with its requests.
pub fn read_json(body: &[u8]) -> Result<u32, ErrorCode> {
    read(&Form::Json, Coding::Identity, body, 64)
}

/// Reads a job in parts with [`BOUNDARY`] between them; answers with its requests.
pub fn read_multipart(body: &[u8]) -> Result<u32, ErrorCode> {
    read(&parts(), Coding::Identity, body, 64)
}

fn parts() -> Form {
    Form::Multipart(HeaderValue::from_static("multipart/form-data; boundary=cut"))
}

fn read(form: &Form, coding: Coding, body: &[u8], max_requests: u32) -> Result<u32, ErrorCode> {
    let budget = ByteBudget::new(16 * MOST_BYTES, MOST_BYTES);
    let full = (ErrorCode::InputsFull, "full");
    let bounds = Bounds { most_bytes: MOST_BYTES, timeout: Duration::from_secs(1), full };
    let mut held = budget.hold(ShareKey::Anybody, 1.0);
    held.take(body.len() as u64).map_err(|_| ErrorCode::InputsFull)?;
    let received = Received { bytes: body.to_vec().into(), memory: Memory::new(held, bounds) };
    let limits = config::Queue { max_requests, ..config::Queue::default() };
    let read = parsed_job::read(form, coding, received, &Toys, &limits);
    read.map(|(job, _)| job.request.requests).map_err(|error| error.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Write;

    const JOB: &str = r#"{"model":"toy","deadline_ms":50,"min_accuracy":0.5,"priority":2,"on_late":"drop","tenant":"a","requests":[REQUESTS]}"#;
    const REQUEST: &str = r#"{"photo":{"base64":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAA="},"clip":[[[[0,1,2]]],[[[3,4,5]]]],"voice":[0.5,-1e-1],"words":"h\u00ef","motion":[[1],[2]]}"#;

    fn job(requests: &str) -> String {
        JOB.replace("REQUESTS", requests)
    }

    fn multipart(parts: &[(&str, &str)]) -> String {
        let part = |(name, content): &(&str, &str)| {
            format!(
                "--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\ncontent-type: application/json\r\n\r\n{content}\r\n"
            )
        };
        parts.iter().map(part).collect::<String>() + "--cut--\r\n"
    }

    fn samples() -> Vec<(Form, String)> {
        let head = ("job", r#"{"model":"toy","deadline_ms":50}"#);
        let of_one = [
            ("photo", "[0,1,2]"),
            ("clip", "[0,1,2,3,4,5]"),
            ("voice", "[0,0]"),
            ("words", "hi"),
            ("motion", "[[1],[2]]"),
        ];
        let late: Vec<(&str, &str)> = of_one.iter().copied().chain([head]).collect();
        let early: Vec<(&str, &str)> = [head].into_iter().chain(of_one).chain(of_one).collect();
        let before = format!(r#"{{"requests":[{REQUEST},{REQUEST}],"deadline_ms":9,"model":"toy"}}"#);
        vec![
            (Form::Json, job(REQUEST)),
            (Form::Json, before),
            (parts(), multipart(&late)),
            (parts(), multipart(&early)),
        ]
    }

    #[test]
    fn samples_are_read() {
        let read: Vec<_> =
            samples().iter().map(|(form, body)| read(form, Coding::Identity, body.as_bytes(), 64)).collect();
        assert_eq!(read, [Ok(1), Ok(2), Ok(1), Ok(2)]);
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, most: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % most.max(1) as u64) as usize
        }
    }

    const WORDS: [&str; 20] = [
        "\"",
        "{",
        "[",
        "]",
        "}",
        ",",
        ":",
        "null",
        "NaN",
        "1e999",
        "-",
        "\\u0000",
        "\\ud800",
        "\r\n--cut",
        "\r\n\r\n",
        "--cut--",
        "{\"base64\":\"",
        "data:;base64,",
        "\"requests\":[",
        "\u{7f}\u{e9}",
    ];

    fn mutate(body: &mut Vec<u8>, random: &mut Random) {
        for _ in 0..=random.below(4) {
            let at = random.below(body.len() + 1);
            let end = (at + random.below(24)).min(body.len());
            match random.below(6) {
                0 => drop(body.drain(at..end)),
                1 => drop(body.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
                2 => body.truncate(at.max(1)),
                3 => {
                    let copy = body[at..end].to_vec();
                    let to = random.below(body.len());
                    drop(body.splice(to..to, copy));
                }
                _ if at < body.len() => body[at] = random.below(256) as u8,
                _ => {}
            }
        }
    }

    /// `MOSEL_FUZZ` sets how many.
    #[test]
    fn mutated_bodies_are_read_or_refused_each_with_a_code() {
        let count = std::env::var("MOSEL_FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
        let seed = 0x5eed_0013;
        println!("seed {seed:#x}, {count} bodies");
        let (mut random, samples) = (Random(seed), samples());
        let mut seen = BTreeMap::<&str, usize>::new();
        for _ in 0..count {
            let (form, body) = &samples[random.below(samples.len())];
            let mut body = body.clone().into_bytes();
            mutate(&mut body, &mut random);
            let word = match read(form, Coding::Identity, &body, 64) {
                Ok(_) => "ok",
                Err(code) => {
                    assert!(code.status().is_client_error(), "{code:?} for {:?}", String::from_utf8_lossy(&body));
                    code.word()
                }
            };
            *seen.entry(word).or_default() += 1;
        }
        println!("{seen:?}");
        assert!(seen.len() > 12, "mutations reach most of the code: {seen:?}");
    }

    #[test]
    fn mutated_packed_bodies_are_read_or_refused() {
        let body = job(&vec![REQUEST; 20].join(","));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(body.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(body.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
        let mut random = Random(0x5eed_0014);
        for (coding, packed) in [(Coding::Gzip, gzip), (Coding::Zstd, zstd)] {
            assert_eq!(read(&Form::Json, coding, &packed, 64), Ok(20));
            for _ in 0..2000 {
                let mut packed = packed.clone();
                mutate(&mut packed, &mut random);
                if let Err(code) = read(&Form::Json, coding, &packed, 64) {
                    assert!(code.status().is_client_error(), "{code:?}");
                }
            }
        }
    }

    /// Processor time of this thread over reading this body, the least of several times.
    fn cost(form: &Form, coding: Coding, body: &[u8]) -> Duration {
        let now = || {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: it writes to the struct that it is given
            unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        };
        let once = || {
            let begin = now();
            let _ = std::hint::black_box(read(form, coding, body, 4096));
            now() - begin
        };
        (0..5).map(|_| once()).min().unwrap_or_default()
    }

    /// Eight times the bytes cost about eight times the time; with the square they would cost 64 times as much.
    #[test]
    fn time_is_linear_in_the_bytes_whatever_their_shape() {
        type Shape = (&'static str, Form, Coding, fn(usize) -> Vec<u8>);
        fn times(count: usize, text: impl Fn(usize) -> String) -> String {
            (0..count).map(text).collect()
        }
        fn raw(requests: String) -> Vec<u8> {
            format!(r#"{{"requests":{requests},"model":"nobody","deadline_ms":5}}"#).into_bytes()
        }
        let shapes: Vec<Shape> = vec![
            ("requests", Form::Json, Coding::Identity, |n| job(&vec![REQUEST; n / 256].join(",")).into_bytes()),
            ("keys before the model", Form::Json, Coding::Identity, |n| {
                raw(format!("[{{{}\"z\":1}}]", times(n / 12, |i| format!("\"k{i}\":1,"))))
            }),
            ("the same key", Form::Json, Coding::Identity, |n| {
                raw(format!("[{{{}\"z\":1}}]", times(n / 12, |_| "\"words\":\"a\",".into())))
            }),
            ("depth", Form::Json, Coding::Identity, |n| raw("[".repeat(n / 2) + &"]".repeat(n / 2))),
            ("a long number", Form::Json, Coding::Identity, |n| {
                job(&format!("{{\"voice\":[{}]}}", "1".repeat(n))).into_bytes()
            }),
            ("a long fraction", Form::Json, Coding::Identity, |n| {
                job(&format!("{{\"voice\":[0.{}]}}", "1".repeat(n))).into_bytes()
            }),
            ("escapes", Form::Json, Coding::Identity, |n| {
                job(&format!("{{\"words\":\"{}\"}}", "\\u0041".repeat(n / 6))).into_bytes()
            }),
            ("base64", Form::Json, Coding::Identity, |n| {
                job(&format!("{{\"photo\":{{\"base64\":\"{}\"}}}}", "AAAA\\n".repeat(n / 6))).into_bytes()
            }),
            ("broken base64", Form::Json, Coding::Identity, |n| {
                job(&format!("{{\"photo\":{{\"base64\":\"{}%\"}}}}", "A".repeat(n))).into_bytes()
            }),
            ("blanks", Form::Json, Coding::Identity, |n| job(&" ".repeat(n)).into_bytes()),
            ("parts", parts(), Coding::Identity, |n| {
                let all: Vec<(&str, &str)> = vec![("words", "a"); n / 100];
                multipart(&[&[("job", r#"{"model":"toy","deadline_ms":50}"#)][..], &all].concat()).into_bytes()
            }),
            ("parts before the job", parts(), Coding::Identity, |n| {
                let names: Vec<String> = (0..n / 100).map(|i| format!("n{i}")).collect();
                multipart(&names.iter().map(|name| (name.as_str(), "a")).collect::<Vec<_>>()).into_bytes()
            }),
            ("almost boundaries", parts(), Coding::Identity, |n| {
                multipart(&[("job", r#"{"model":"toy","deadline_ms":50}"#), ("photo", &"\r\n--cu".repeat(n / 6))])
                    .into_bytes()
            }),
            ("gzip", Form::Json, Coding::Gzip, |n| {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(job(&vec![REQUEST; n / 64].join(",")).as_bytes()).unwrap();
                gzip.finish().unwrap()
            }),
        ];
        const SMALL: usize = 64 << 10;
        let mut worse = Vec::new();
        for (name, form, coding, shape) in shapes {
            let small = cost(&form, coding, &shape(SMALL)).max(Duration::from_micros(100));
            let large = cost(&form, coding, &shape(8 * SMALL));
            println!("{name}: {small:?} for 64 KiB, {large:?} for 512 KiB");
            if large > 28 * small {
                worse.push(name);
            }
        }
        assert!(worse.is_empty(), "worse than linear: {worse:?}");
    }
}
