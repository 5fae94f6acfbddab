//! What the demo served, as a page: a few jobs, what each request was made of, what the server ran and answered.
//!
//! One file without a script, which needs nothing beside it: pictures and sounds are in it.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mosel_chart::escape;
use mosel_models::{Example, Input, Spec};
use serde_json::Value;

/// A job that was served: the examples it was made of, and what the server said.
pub(super) struct Served<'a> {
    /// In the order of the requests.
    pub(super) examples: Vec<&'a Example>,
    /// The whole answer.
    pub(super) body: &'a Value,
}

/// Jobs on a page at most.
const MOST_JOBS: usize = 4;
/// Frames of a video that are shown, evenly spread.
const MOST_FRAMES: usize = 8;

const STYLE: &str = "
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
  section { border-top: 1px solid #8888; margin-top: 2rem; }
  .request { display: grid; grid-template-columns: 1fr 16rem; gap: 1rem; align-items: start; border-top: 1px solid #8883;
             padding: .75rem 0; }
  .input { margin-bottom: .5rem; } .input.dropped { opacity: .35; }
  .input > span { display: block; font-size: .85rem; }
  .frames { display: flex; flex-wrap: wrap; gap: 2px; } .frames img { width: 96px; image-rendering: pixelated; }
  audio { width: 100%; max-width: 24rem; }
  .right { color: #18794e; } .wrong { color: #ca244d; }
  @media (max-width: 40rem) { .request { grid-template-columns: 1fr; } }
  @media (prefers-color-scheme: dark) { .right { color: #3dd68c; } .wrong { color: #ff8b9d; } }
";

/// The page: those jobs first in which requests were run in the most different ways.
pub(super) fn page(spec: &Spec, title: &str, note: &str, jobs: &[Served<'_>]) -> String {
    let mut chosen: Vec<&Served> = jobs.iter().collect();
    chosen.sort_by_key(|job| std::cmp::Reverse(ways(job.body)));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n<style>{STYLE}</style>\n\
         <h1>{title}</h1>\n<p>{note}</p>\n<p>{count} of {all} jobs that were served, those first whose requests were run \
         in the most different ways. An input that the server did not look at is faded.</p>\n",
        title = escape(title),
        note = escape(note),
        count = chosen.len().min(MOST_JOBS),
        all = jobs.len(),
    );
    for job in chosen.into_iter().take(MOST_JOBS) {
        html += &section(spec, job);
    }
    html + "</html>\n"
}

/// In how many ways the requests of a job were run.
fn ways(body: &Value) -> usize {
    body["certificate"]["mix"].as_array().map_or(0, Vec::len)
}

fn section(spec: &Spec, job: &Served<'_>) -> String {
    let body = job.body;
    let certificate = &body["certificate"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let mut html = format!(
        "<section><h2>Job {}</h2><p>{} requests, to be done {:.0} ms after it came at an accuracy of {:.4} or more. \
         Done after {:.0} ms, of which {:.0} ms on the device, at a profiled accuracy of {:.4}: the floor was {}.</p>\n",
        escape(body["id"].as_str().unwrap_or("?")),
        job.examples.len(),
        number(&certificate["deadline_ms"]),
        number(&certificate["floor"]),
        number(&certificate["finish_ms"]),
        number(&body["timings"]["device_ms"]),
        number(&certificate["accuracy"]),
        match certificate["floor_kept"].as_bool() {
            Some(true) => "kept",
            Some(false) => "broken",
            None => "neither kept nor broken",
        },
    );
    let outputs = body["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (example, output) in job.examples.iter().zip(outputs) {
        html += &request(spec, example, output);
    }
    html + "</section>\n"
}

fn request(spec: &Spec, example: &Example, output: &Value) -> String {
    let ran_on = output["modalities"].as_str().unwrap_or_default();
    let mut html = String::from("<div class=\"request\"><div>");
    for (modality, input) in spec.modalities.iter().zip(example.request.inputs()) {
        let used = ran_on.split('+').any(|name| name == modality.name);
        let class = if used { "input" } else { "input dropped" };
        let _ = write!(html, "<div class=\"{class}\"><span>{}</span>{}</div>", escape(&modality.name), shown(input));
    }
    let (truth, answer) = (&spec.labels[example.label], output["label"].as_str().unwrap_or("none"));
    let verdict = if truth == answer { "right" } else { "wrong" };
    let _ = writeln!(
        html,
        "</div><div>ran on <b>{}</b> in {}<br>said <b class=\"{verdict}\">{}</b> ({:.0} %)<br>it is <b>{}</b></div></div>",
        escape(ran_on),
        escape(output["precision"].as_str().unwrap_or("fp32")),
        escape(answer),
        100.0 * output["probability"].as_f64().unwrap_or(0.0),
        escape(truth),
    );
    html
}

fn shown(input: &Input) -> String {
    match input {
        Input::Picture(file) => format!("<div class=\"frames\">{}</div>", picture(file)),
        Input::Frames(files) => {
            let step = files.len().div_ceil(MOST_FRAMES).max(1);
            let frames: String = files.iter().step_by(step).map(|file| picture(file)).collect();
            format!("<div class=\"frames\">{frames}</div>")
        }
        Input::Sound(file) => {
            let kind = if file.starts_with(b"fLaC") { "flac" } else { "wav" };
            format!("<audio controls src=\"data:audio/{kind};base64,{}\"></audio>", STANDARD.encode(file))
        }
        Input::Text(text) => format!("<q>{}</q>", escape(&String::from_utf8_lossy(text))),
        Input::Samples(samples) => format!("{} numbers", samples.len()),
    }
}

fn picture(file: &[u8]) -> String {
    let kind = if file.starts_with(b"\x89PNG") { "png" } else { "jpeg" };
    format!("<img alt=\"\" src=\"data:image/{kind};base64,{}\">", STANDARD.encode(file))
}

#[cfg(test)]
mod tests {
    use mosel_models::{InputKind, Modality, Request};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_shows_what_was_run_and_fades_what_was_dropped() {
        let modalities = vec![
            Modality::new("video", InputKind::Video { frames: 2, max_side: 9, raw: vec![] }),
            Modality::new("audio", InputKind::Sound { hertz: 8000, samples: 9 }),
        ];
        let labels: Vec<String> = ["<imp>", "demon"].map(String::from).into();
        let spec = Spec { name: "toy".into(), modalities, labels: labels.into(), weights_sha256: String::new() };
        let inputs = vec![Input::Frames(vec!["\u{1}".into(), "x".into()].into()), Input::Sound("RIFF".into())];
        let example = Example { request: Request::new(inputs), label: 0, name: "clip".into() };
        let body = json!({
            "id": "j-1", "timings": { "device_ms": 5.0 },
            "certificate": {
                "deadline_ms": 100.0, "finish_ms": 40.0, "floor": 0.5, "floor_kept": true, "accuracy": 0.6,
                "mix": [{}, {}],
            },
            "outputs": [{ "modalities": "audio", "precision": "fp32", "label": "demon", "probability": 0.5 }],
        });
        let job = Served { examples: vec![&example], body: &body };
        let html = page(&spec, "A run", "Synthetic.", &[job]);
        for part in [
            "<div class=\"input dropped\"><span>video</span>",
            "<div class=\"input\"><span>audio</span><audio controls src=\"data:audio/wav;base64,UklGRg==\">",
            "said <b class=\"wrong\">demon</b> (50 %)<br>it is <b>&lt;imp&gt;</b>",
            "at a profiled accuracy of 0.6000: the floor was kept",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        assert_eq!(html.matches("<img").count(), 2);
    }
}
