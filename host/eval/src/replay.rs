//! `mosel replay`: a journal through the core once more; or the same traffic under another policy, other deadlines or
//! another device.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use mosel_core::OnLate;
use mosel_journal::{Header, Link, Reader, ReplayResult, VERSION, file_follows, replay};
use mosel_sim::Tally;
use serde_json::json;

use crate::policy_under_test::PolicyCompiler;
use crate::summary::{Column, comparison, row};
use crate::what_if::{RecordedRun, WhatIf};

/// Replays journals.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A journal, or a folder of journals
    #[arg(value_name = "JOURNAL")]
    journal: PathBuf,
    /// What if this policy had been in place: a shipped policy, an example, or a component's file
    #[arg(long, value_name = "NAME|FILE")]
    policy: Option<String>,
    /// Settings of that policy: JSON, or @FILE
    #[arg(long, value_name = "JSON", requires = "policy")]
    settings: Option<String>,
    /// What if every job had been given so many times as long
    #[arg(long, value_name = "FACTOR")]
    deadline_scale: Option<f64>,
    /// What if the devices had been so many times as fast
    #[arg(long, value_name = "FACTOR")]
    device_speed: Option<f64>,
    /// What if there had been so many lanes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    lanes: Option<u32>,
    /// What if late jobs had been dropped, or run, whatever they asked for
    #[arg(long, value_name = "run|drop", value_parser = on_late)]
    on_late: Option<OnLate>,
    /// JSON instead of words and tables
    #[arg(long)]
    json: bool,
}

/// The replay differs from what is written.
const DIFFERENT: i32 = 1;

/// `mosel replay`.
pub fn run(args: &ReplayArgs) -> Result<()> {
    for (name, factor) in [("--deadline-scale", args.deadline_scale), ("--device-speed", args.device_speed)] {
        ensure!(
            factor.is_none_or(|factor| (0.01..=100.0).contains(&factor)),
            "{name} is {factor:?}, expected 0.01 to 100"
        );
    }
    if args.what_if() { compare(args) } else { verify(args) }
}

impl ReplayArgs {
    fn what_if(&self) -> bool {
        let numbers = self.deadline_scale.or(self.device_speed).is_some();
        self.policy.is_some() || numbers || self.lanes.is_some() || self.on_late.is_some()
    }
}

/// Every journal through the core; the process ends with 1 if one differs, or if something was removed or changed.
fn verify(args: &ReplayArgs) -> Result<()> {
    let (mut different, mut before): (bool, Option<FileEnd>) = (false, None);
    for path in journals(&args.journal)? {
        let (header, mut reader) = open(&path)?;
        let replayed = replay(&header, &mut reader, |_| {});
        reader.follow_chain();
        let chain = chain_findings(&reader, before.as_ref());
        let error = replayed.as_ref().err().map(ToString::to_string);
        if let (Err(error), []) = (replayed.as_ref(), &chain[..]) {
            bail!("{}: {error}", path.display());
        }
        different |= !chain.is_empty() || replayed.as_ref().is_ok_and(|replayed| replayed.difference.is_some());
        if args.json {
            println!("{}", as_json(&path, replayed.as_ref().ok(), error, &chain));
        } else {
            let words = replayed
                .map_or_else(|error| format!("{}: {error}", path.display()), |it| in_words(&path, &header, &it));
            println!("{words}");
            chain.iter().for_each(|found| println!("{}: {found}", path.display()));
        }
        before = Some(FileEnd { name: file_name(&path), last: reader.last_link().cloned() });
    }
    if different {
        std::process::exit(DIFFERENT);
    }
    Ok(())
}

/// The end of a file, as far as it has a place in the chain through all of them.
struct FileEnd {
    name: String,
    last: Option<Link>,
}

/// Where the chain through a journal is broken, in words.
fn chain_findings(reader: &Reader<BufReader<File>>, before: Option<&FileEnd>) -> Vec<String> {
    let follows = before.and_then(|FileEnd { name, last }| file_follows((name, last.as_ref()?), reader.after()).err());
    let (breaks, more) = reader.breaks();
    let mut found: Vec<String> = follows.iter().chain(breaks).map(ToString::to_string).collect();
    if more > 0 {
        found.push(format!("{more} more places are not as they were written"));
    }
    found
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn in_words(path: &Path, header: &Header, replayed: &ReplayResult) -> String {
    let ReplayResult { steps, span, torn, difference, .. } = replayed;
    let torn = if *torn { "; the last line is torn off, as by a process that was killed" } else { "" };
    let span = span.map_or(Duration::ZERO, |(first, last)| last.since(first));
    let name = path.display();
    match difference {
        None if !replayed.compared => format!(
            "{name}: {steps} steps over {:.3} s, decided by the rules of version {} of the journal, written by mosel {}: read \
             whole, and not compared, since this program decides by those of version {VERSION}{torn}",
            span.as_secs_f64(),
            header.version,
            header.server,
        ),
        None => format!(
            "{name}: {steps} steps over {:.3} s, policy {} at the start: no difference{torn}",
            span.as_secs_f64(),
            header.policy.name
        ),
        Some(difference) => format!("{name}: the first difference after {steps} steps\n{difference}"),
    }
}

fn as_json(path: &Path, replayed: Option<&ReplayResult>, error: Option<String>, chain: &[String]) -> serde_json::Value {
    let difference = replayed.and_then(|replayed| replayed.difference.as_ref()).map(|difference| {
        json!({
            "line": difference.line, "at_us": difference.at.micros(), "action": difference.action,
            "written": difference.written, "got": difference.got,
        })
    });
    let mut row = json!({
        "journal": path, "steps": replayed.map(|replayed| replayed.steps),
        "torn": replayed.map(|replayed| replayed.torn), "compared": replayed.map(|replayed| replayed.compared),
        "difference": difference, "chain": chain,
    });
    if let Some(error) = error {
        row["error"] = error.into();
    }
    row
}

/// What happened, what the simulator makes of the same, and what would have happened otherwise.
fn compare(args: &ReplayArgs) -> Result<()> {
    let [path] = &journals(&args.journal)?[..] else {
        bail!("expected one journal to compare with, {} has several: name one of them", args.journal.display());
    };
    let (header, mut reader) = open(path)?;
    let recorded_run = RecordedRun::read(header, &mut reader).with_context(|| path.display().to_string())?;
    ensure!(recorded_run.happened.arrived > 0, "no job came while {} was written", path.display());
    let compiler = PolicyCompiler::new()?;
    let as_it_was = recorded_run.policy(&compiler);
    if let Err(error) = &as_it_was {
        eprintln!("mosel: what happened is not simulated beside: {error:#}");
    }
    let again = as_it_was.as_ref().ok().map(|policy| recorded_run.run(policy, &WhatIf::default())).transpose()?;
    let policy = match &args.policy {
        None => as_it_was?,
        Some(policy) => {
            let settings = serde_json::to_string(&crate::policy_file::settings(args.settings.as_deref())?)?;
            compiler.policy(policy, &settings, recorded_run.header.config.policy_budget)?
        }
    };
    let WhatIf { deadline_scale, device_speed, .. } = WhatIf::default();
    let what_if = WhatIf {
        deadline_scale: args.deadline_scale.unwrap_or(deadline_scale),
        device_speed: args.device_speed.unwrap_or(device_speed),
        lanes: args.lanes,
        on_late: args.on_late,
    };
    let otherwise = recorded_run.run(&policy, &what_if)?;
    let recorded = recorded_run.header.policy.name.clone();
    let column = |label, tally| column(&recorded_run, label, tally);
    let mut columns = vec![column(format!("as it happened: {recorded}"), &recorded_run.happened)];
    columns.extend(again.as_ref().map(|again| column(format!("simulated: {recorded}"), again)));
    columns.push(column(what_if.describe(&policy.label), &otherwise));
    if args.json {
        eprintln!("{}", recorded_run.describe(&what_if));
        columns.iter().for_each(|column| println!("{}", row(column)));
        return Ok(());
    }
    println!("{}", recorded_run.describe(&what_if));
    println!("{}", comparison(&columns));
    Ok(())
}

fn column<'a>(recorded_run: &'a RecordedRun, label: String, tally: &'a Tally) -> Column<'a> {
    Column {
        label,
        tally,
        window: recorded_run.window,
        from: recorded_run.first,
        profile: recorded_run.header.models[0].profile(),
    }
}

/// A journal, and what it begins with.
pub fn open(path: &Path) -> Result<(Header, Reader<BufReader<File>>)> {
    let file = File::open(path).with_context(|| format!("opening the journal {}", path.display()))?;
    Reader::new(BufReader::new(file)).with_context(|| path.display().to_string())
}

/// The file, or the journals of the folder in the order they were written.
pub fn journals(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("reading the folder {}", path.display()))?;
    let mut journals = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            journals.push(path);
        }
    }
    journals.sort();
    ensure!(!journals.is_empty(), "expected journals (*.jsonl) in {}, there are none", path.display());
    Ok(journals)
}

fn on_late(word: &str) -> Result<OnLate, String> {
    match word {
        "run" => Ok(OnLate::Run),
        "drop" => Ok(OnLate::Drop),
        _ => Err("expected run or drop".into()),
    }
}
