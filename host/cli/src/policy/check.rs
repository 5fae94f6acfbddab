//! `mosel policy check`: the conformance suite, as a table and a verdict.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use comfy_table::ContentArrangement;
use mosel_conformance::{Options, Outcome, Report, Spread, Verdict};
use mosel_eval::policy_file;
use serde_json::{Value, json};

/// Tells whether a policy is fit to schedule.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// A component's file, or the name of a shipped policy
    #[arg(value_name = "FILE|NAME")]
    policy: String,
    /// Its settings: JSON, or @FILE
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// What the random queues are drawn with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Random queues
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    queues: u32,
    /// Seconds the checks may take
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Columns of text that a table may take where nobody says how wide the terminal is.
const WIDTH: u16 = 120;

pub(super) fn run(args: &CheckArgs) -> Result<()> {
    ensure!((1.0..=3600.0).contains(&args.seconds), "--seconds is {}, expected 1 to 3600", args.seconds);
    let (name, bytes) = policy_file::component(&args.policy)?;
    let settings = serde_json::to_string(&policy_file::settings(args.settings.as_deref())?)?;
    let time = Duration::from_secs_f64(args.seconds);
    let options = Options { seed: args.seed, queues: args.queues as usize, time, ..Options::default() };
    let report = mosel_conformance::check(&bytes, &settings, &options)?;
    if args.json {
        println!("{}", as_json(&name, args.seed, &report));
    } else {
        print(&name, args.seed, &report);
    }
    ensure!(report.verdict != Verdict::Unfit, "{name} is unfit");
    Ok(())
}

fn print(name: &str, seed: u64, report: &Report) {
    let mut table = crate::table::ruled();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(["", "check", "what is asked of a policy, and what was seen"]);
    for finding in &report.findings {
        let said = format!("{}\n{}", finding.check.meaning(), finding.words);
        table.add_row([finding.outcome.to_string(), finding.check.to_string(), said]);
    }
    println!("{table}");
    println!("{}", verdict(name, seed, report));
}

/// The one line that counts.
fn verdict(name: &str, seed: u64, report: &Report) -> String {
    let counted = |outcome| report.findings.iter().filter(|finding| finding.outcome == outcome).count();
    let (failed, warned) = (counted(Outcome::Fail), counted(Outcome::Warn));
    let hash = report.hash.as_deref().map_or(String::new(), |hash| format!(", sha256 {}", &hash[..12]));
    format!(
        "{name} is {}: {} of {} checks failed, {warned} with a warning (seed {seed}, {} questions{hash})",
        report.verdict.to_string().to_uppercase(),
        failed,
        report.findings.len(),
        report.figures.questions,
    )
}

fn as_json(name: &str, seed: u64, report: &Report) -> Value {
    let findings = report.findings.iter().map(|finding| {
        json!({
            "check": finding.check.name(),
            "outcome": finding.outcome.to_string(),
            "words": finding.words,
            "meaning": finding.check.meaning(),
        })
    });
    let description = report.policy.as_ref().map(|policy| {
        json!({
            "name": policy.name, "version": policy.version, "summary": policy.summary,
            "stateful": policy.stateful, "feedback": policy.feedback, "eager": policy.eager,
        })
    });
    let figures = &report.figures;
    json!({
        "policy": name,
        "description": description,
        "hash": report.hash,
        "verdict": match report.verdict {
            Verdict::Fit => "fit",
            Verdict::FitWithWarnings => "fit-with-warnings",
            Verdict::Unfit => "unfit",
        },
        "seed": seed,
        "findings": findings.collect::<Vec<Value>>(),
        "figures": {
            "questions": figures.questions,
            "savable": figures.savable,
            "left": figures.left,
            "value_to_fallback": figures.value_to_fallback,
            "decide_us": spread(figures.decide_us),
            "decide_fuel": spread(figures.decide_fuel),
            "long_us": spread(figures.long_us),
            "long_fuel": spread(figures.long_fuel),
            "limit_us": figures.limits.0.as_secs_f64() * 1e6,
            "limit_fuel": figures.limits.1,
        },
    })
}

fn spread(spread: Spread) -> Value {
    json!({ "p50": spread.p50, "p99": spread.p99, "max": spread.max })
}
