//! `mosel explain`: one job's history, from a server or from a journal.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use mosel_core::{Checkpoint, JobId};
use mosel_journal::{JobHistories, Naming, ReplayEvent, replay};
use serde_json::Value;

use mosel_client::connection::{Connection, escaped};
use mosel_eval::connect::connection;
use mosel_eval::replay::{journals, open};
use mosel_server::job_explanation;

/// Explains what was decided about a job.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The job's id; in a journal that has no ids, such as a simulation's, its number, such as j-17. Default: the server's
    /// last job, which takes a token that sees all
    #[arg(value_name = "JOB")]
    job: Option<String>,
    /// The server that has it. Default: what MOSEL_SERVER says, else http://127.0.0.1:7070
    #[arg(long, alias = "url", value_name = "URL", conflicts_with = "journal")]
    server: Option<String>,
    /// File with a token for the server; see MOSEL_TOKEN
    #[arg(long, value_name = "FILE", env = "MOSEL_TOKEN_FILE")]
    token_file: Option<PathBuf>,
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
    let server = server.as_deref().unwrap_or("http://127.0.0.1:7070");
    let connection = connection(server, args.token_file.as_deref())?;
    let job = match &args.job {
        Some(job) => job.clone(),
        None => last_job(&connection).await?,
    };
    let answer = connection.get(&format!("/v1/jobs/{}/explain", escaped(&job))).await?;
    answer.success()
}

/// The list is in the order in which jobs came, page by page.
async fn last_job(connection: &Connection) -> Result<String> {
    let (mut last, mut after) = (None, String::new());
    loop {
        let page = connection.get(&format!("/v1/jobs?limit=1000{after}")).await?.success()?;
        let id = page["jobs"].as_array().and_then(|jobs| jobs.last()?["id"].as_str()).map(str::to_owned);
        last = id.or(last);
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", escaped(next)),
            None => return last.context("expected a job on the server, there is none"),
        }
    }
}

/// From file to file, as long as one goes on where the other ended; the last server that knew such a job is meant.
fn from_journals(args: &ExplainArgs) -> Result<Value> {
    let mut names: BTreeMap<JobId, String> = BTreeMap::new();
    let path = args.journal.as_ref().context("expected a journal")?;
    let wanted = args.job.as_ref().context("expected the job that is to be explained from a journal")?;
    let (mut found, mut before): (Option<Value>, Option<(Checkpoint, JobHistories)>) = (None, None);
    for path in journals(path)? {
        let (header, mut reader) = open(&path)?;
        let goes_on =
            before.take().filter(|(end, _)| header.checkpoint.as_ref() == Some(end)).map(|(_, histories)| histories);
        if goes_on.is_none() {
            // another server begins, with numbers of its own
            names.clear();
        }
        let mut histories = goes_on.unwrap_or_else(|| JobHistories::resume(&header, usize::MAX));
        let replayed = replay(&header, &mut reader, |seen| match seen {
            ReplayEvent::Step { at, event, actions, .. } => histories.handle(at, event, actions),
            ReplayEvent::Policy(policy) => histories.policy_changed(&policy.name),
            ReplayEvent::Named(job, id) => drop(names.insert(job, id.to_owned())),
        });
        let replayed = replayed.with_context(|| path.display().to_string())?;
        if let Some(difference) = replayed.difference {
            bail!("expected a journal of this version's scheduler, {} differs:\n{difference}", path.display());
        }
        let asked = names.iter().find(|(_, id)| *id == wanted).map(|(job, _)| *job).or_else(|| number(wanted));
        let called = names.clone();
        let name = move |job: JobId| called.get(&job).cloned().unwrap_or_else(|| format!("j-{job}"));
        let naming = Naming::new("j-", histories.models()).with_names(name);
        let history = asked.and_then(|job| histories.history(job));
        found = history.map(|history| job_explanation(history, &naming)).or(found);
        before = replayed.compared.then_some((replayed.end, histories));
    }
    found.with_context(|| format!("there is no job {} in {}", wanted, path.display()))
}

/// The job of an old journal or a simulation, which has no name but its number.
fn number(text: &str) -> Option<JobId> {
    text.strip_prefix("j-").unwrap_or(text).parse().ok().map(JobId)
}
