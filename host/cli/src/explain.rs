//! `mosel explain`: one job's history, from a server or from a journal.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use mosel_core::{Checkpoint, JobId};
use mosel_journal::{JobHistories, Naming, ReplayEvent, replay};
use serde_json::Value;

use mosel_client::connection::Connection;
use mosel_eval::replay::{journals, open};
use mosel_server::job_explanation;

/// Explains what was decided about a job.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The job, such as j-17
    #[arg(value_name = "JOB", value_parser = job)]
    job: JobId,
    /// The server that has it. Default: what MOSEL_SERVER says, else http://127.0.0.1:7070
    #[arg(long, alias = "url", value_name = "URL", conflicts_with = "journal")]
    server: Option<String>,
    /// A journal, or a folder of journals, to read instead
    #[arg(long, value_name = "JOURNAL")]
    journal: Option<PathBuf>,
    /// JSON instead of sentences
    #[arg(long)]
    json: bool,
}

/// `mosel explain`.
pub(crate) fn run(args: &ExplainArgs) -> Result<()> {
    let explained = match &args.journal {
        Some(_) => from_journals(args)?,
        None => mosel_client::runtime()?.block_on(from_server(args))?,
    };
    if args.json {
        println!("{explained}");
        return Ok(());
    }
    let sentences = explained["sentences"].as_array().context("expected sentences in the server's answer")?;
    sentences.iter().filter_map(Value::as_str).for_each(|sentence| println!("{sentence}"));
    Ok(())
}

async fn from_server(args: &ExplainArgs) -> Result<Value> {
    // asked for here and not by clap, for which a variable would conflict with --journal
    let server = args.server.clone().or_else(|| std::env::var("MOSEL_SERVER").ok().filter(|url| !url.is_empty()));
    let connection = Connection::new(server.as_deref().unwrap_or("http://127.0.0.1:7070"))?;
    let answer = connection.get(&format!("/v1/jobs/j-{}/explain", args.job.0)).await?;
    answer.success()
}

/// From file to file, as long as one goes on where the other ended; the last server that knew such a job is meant.
fn from_journals(args: &ExplainArgs) -> Result<Value> {
    let path = args.journal.as_ref().context("expected a journal")?;
    let (mut found, mut before): (Option<Value>, Option<(Checkpoint, JobHistories)>) = (None, None);
    for path in journals(path)? {
        let (header, mut reader) = open(&path)?;
        let goes_on =
            before.take().filter(|(end, _)| header.checkpoint.as_ref() == Some(end)).map(|(_, histories)| histories);
        let mut histories = goes_on.unwrap_or_else(|| JobHistories::resume(&header, usize::MAX));
        let replayed = replay(&header, &mut reader, |seen| match seen {
            ReplayEvent::Step { at, event, actions, .. } => histories.handle(at, event, actions),
            ReplayEvent::Policy(policy) => histories.policy_changed(&policy.name),
        });
        let replayed = replayed.with_context(|| path.display().to_string())?;
        if let Some(difference) = replayed.difference {
            bail!("expected a journal of this version's scheduler, {} differs:\n{difference}", path.display());
        }
        let naming = Naming::new("j-", histories.models());
        found = histories.history(args.job).map(|history| job_explanation(history, &naming)).or(found);
        before = replayed.compared.then_some((replayed.end, histories));
    }
    found.with_context(|| format!("there is no job j-{} in {}", args.job.0, path.display()))
}

fn job(text: &str) -> Result<JobId, String> {
    let number = text.strip_prefix("j-").unwrap_or(text).parse().ok();
    number.map(JobId).ok_or_else(|| "expected a job such as j-17".into())
}
