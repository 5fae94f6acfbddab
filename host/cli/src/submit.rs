//! `mosel submit`: one job from the command line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};

use mosel_client::connection::Submission;
use mosel_eval::connect::connection;

/// Submits a job and prints what came of it, as JSON.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The server
    #[arg(long, value_name = "URL", env = "MOSEL_SERVER", default_value = "http://127.0.0.1:7070")]
    server: String,
    /// File with a token for the server; see MOSEL_TOKEN
    #[arg(long, value_name = "FILE", env = "MOSEL_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The model
    #[arg(long, default_value = "emoji")]
    model: String,
    /// One modality's input: NAME=TEXT or NAME=@FILE. The n-th of a name belongs to the n-th request
    #[arg(long = "input", value_name = "NAME=VALUE", required = true)]
    inputs: Vec<String>,
    /// Milliseconds from now
    #[arg(long, default_value_t = 1000.0)]
    deadline_ms: f64,
    /// The floor: least mean accuracy, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    min_accuracy: f64,
    /// Importance relative to other jobs
    #[arg(long, default_value_t = 1.0)]
    priority: f64,
    /// Give the job up when it cannot be on time
    #[arg(long)]
    drop_if_late: bool,
    /// Do not wait for the end
    #[arg(long)]
    no_wait: bool,
}

/// `mosel submit`.
pub(crate) fn run(args: &SubmitArgs) -> Result<()> {
    let job = job(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
    let job = Submission::json(job.to_string());
    let answer = runtime.block_on(connection(&args.server, args.token_file.as_deref())?.submit(job, !args.no_wait))?;
    println!("{}", serde_json::to_string_pretty(&answer.success()?)?);
    Ok(())
}

fn job(args: &SubmitArgs) -> Result<Value> {
    Ok(json!({
        "model": args.model,
        "deadline_ms": args.deadline_ms,
        "min_accuracy": args.min_accuracy,
        "priority": args.priority,
        "on_late": if args.drop_if_late { "drop" } else { "run" },
        "requests": requests(&args.inputs)?,
    }))
}

/// The n-th input of every name makes the n-th request; a request that lacks one is the server's to refuse.
fn requests(inputs: &[String]) -> Result<Vec<Map<String, Value>>> {
    let mut requests: Vec<Map<String, Value>> = Vec::new();
    for input in inputs {
        let (name, value) = input.split_once('=').with_context(|| format!("expected NAME=VALUE, got {input:?}"))?;
        ensure!(!name.is_empty(), "expected NAME=VALUE, got {input:?}");
        let value = value_of(value).with_context(|| format!("the input {name}"))?;
        match requests.iter_mut().find(|request| !request.contains_key(name)) {
            Some(request) => request.insert(name.into(), value),
            None => {
                requests.push(Map::from_iter([(name.to_owned(), value)]));
                None
            }
        };
    }
    Ok(requests)
}

/// Text as it is; a file's content as JSON if it is named so, else as base64.
fn value_of(value: &str) -> Result<Value> {
    let Some(path) = value.strip_prefix('@').map(Path::new) else { return Ok(value.into()) };
    let content = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::from_slice(&content).with_context(|| format!("{} is not JSON", path.display())),
        Some("txt") => Ok(String::from_utf8(content).context("the file is not UTF-8")?.trim_end().into()),
        _ => Ok(json!({ "base64": STANDARD.encode(content) })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_input_of_a_name_belongs_to_the_nth_request() {
        let inputs = ["text=a", "text=b", "image=x", "image=y"].map(String::from);
        let requests = serde_json::to_value(requests(&inputs).unwrap()).unwrap();
        assert_eq!(requests, json!([{"text": "a", "image": "x"}, {"text": "b", "image": "y"}]));
    }

    #[test]
    fn an_input_without_a_name_is_refused() {
        let message = requests(&["smile.png".into()]).unwrap_err().to_string();
        assert_eq!(message, r#"expected NAME=VALUE, got "smile.png""#);
        let message = format!("{:#}", requests(&["image=@/nowhere/smile.png".into()]).unwrap_err());
        assert!(message.starts_with("the input image: reading /nowhere/smile.png: "), "{message}");
    }
}
