//! What a run has shown: the simulator's figures, and what only a client sees.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use mosel_core::Accuracy;
use mosel_sim::{Tally, Workload};
use serde_json::{Value, json};

use super::args::ServeArgs;
use super::load_results::{ClientView, LoadResults};
use super::server_metrics::ServerMetrics;
use super::target_model::TargetModel;
use crate::summary::{self, Column, comparison, percentile};

/// How far behind its schedule sending may be, at p99, before it is warned of.
const MOST_LAG_MS: f64 = 5.0;

/// One run.
pub(super) struct Run {
    /// The policy's name.
    pub(super) label: String,
    target: Arc<TargetModel>,
    /// Offered, of what the lanes serve on all modalities.
    load: f64,
    /// How long jobs were due.
    window: Duration,
    tally: Tally,
    seen: ClientView,
}

impl Run {
    /// Closes the count; no job may be missing from it.
    pub(super) fn new(
        label: String,
        target: Arc<TargetModel>,
        (load, window): (f64, Duration),
        results: &LoadResults,
        metrics: &ServerMetrics,
    ) -> Result<Run> {
        let mut tally = results.tally();
        metrics.enter(&mut tally);
        let ended = tally.served.len() + tally.refused + tally.dropped + tally.cancelled + tally.failed;
        let offered = results.offers().len();
        ensure!(ended == offered, "{offered} jobs were offered, but {ended} are accounted for");
        Ok(Run { label, target, load, window, tally, seen: results.seen() })
    }

    /// What makes the figures doubtful.
    pub(super) fn warnings(&self) -> Vec<String> {
        let ClientView { lags, unanswered, failure, silence, fault, .. } = &self.seen;
        let mut warnings = Vec::new();
        let lag = percentile(lags, 0.99) * 1e3;
        if lag > MOST_LAG_MS {
            warnings.push(format!(
                "jobs were sent up to {lag:.1} ms after they were due (p99), expected {MOST_LAG_MS} ms at most: this \
                 machine has no time for the client, and latencies hold its own delay"
            ));
        }
        if *unanswered > 0 {
            let silence = silence.as_deref().unwrap_or("the server was silent for too long");
            warnings.push(format!("there is no answer to {unanswered} jobs ({silence}); they count as failed"));
        }
        warnings.extend(failure.as_ref().map(|words| format!("jobs failed; the first: {words}")));
        warnings.extend(fault.as_ref().map(|words| format!("requests of served jobs failed; the first: {words}")));
        warnings
    }

    fn column(&self) -> Column<'_> {
        let Run { label, target, window, tally, .. } = self;
        Column {
            label: label.clone(),
            tally,
            from: mosel_core::Time::START,
            window: *window,
            profile: target.profile(),
        }
    }
}

/// Runs side by side, with what they were about above and what the client saw below.
pub(super) fn table(args: &ServeArgs, workload: &Workload, runs: &[Run]) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let profile = first.target.profile();
    let lanes = if args.lanes == 1 { "1 lane".into() } else { format!("{} lanes", args.lanes) };
    let mut text = format!(
        "Live: {} on {lanes}, profile {}, seed {}. {}\nLoad {:.2} of the all-modalities capacity.\n{}",
        profile.model,
        profile.id,
        args.seed,
        workload.describe(),
        first.load,
        comparison(&runs.iter().map(Run::column).collect::<Vec<_>>())
    );
    for run in runs {
        text += &format!("\n{}: {}", run.label, run.seen.words());
    }
    text
}

/// One run as JSON: every field of `mosel simulate --json`, and more.
pub(super) fn row(args: &ServeArgs, run: &Run) -> Value {
    let ClientView { lags, answers, measured, refusals, unanswered, .. } = &run.seen;
    let mut row = summary::row(&run.column());
    let mut put = |name: &str, value: Value| row[name] = value;
    put("model", json!(run.target.profile().model));
    put("seed", json!(args.seed));
    put("load", json!(run.load));
    put("live", json!(true));
    put("lanes", json!(args.lanes));
    put("profile", json!(run.target.profile().id));
    put("served", json!(run.tally.served.len()));
    put("no_answer", json!(unanswered));
    put("refusals", json!(refusals));
    put("measured_accuracy", json!(measured.map(Accuracy::mean)));
    put("measured_samples", json!(measured.map(|measured| measured.samples)));
    put("lag_p99_ms", json!(percentile(lags, 0.99) * 1e3));
    put("lag_max_ms", json!(percentile(lags, 1.0) * 1e3));
    put("answer_p50_ms", json!(percentile(answers, 0.5) * 1e3));
    put("answer_p99_ms", json!(percentile(answers, 0.99) * 1e3));
    row
}

impl ClientView {
    fn words(&self) -> String {
        let millis = |values: &[f64], share| percentile(values, share) * 1e3;
        let mut words = format!(
            "sent {:.2} ms after it was due (p99; {:.2} ms at most), answer read after {:.1} ms (p50) and {:.1} ms (p99)",
            millis(&self.lags, 0.99),
            millis(&self.lags, 1.0),
            millis(&self.answers, 0.5),
            millis(&self.answers, 0.99)
        );
        if let Some(measured) = self.measured {
            let (low, high) = measured.interval();
            let Accuracy { samples, .. } = measured;
            words += &format!("; {:.4} of {samples} answers right ({low:.3} to {high:.3})", measured.mean());
        }
        if !self.refusals.is_empty() {
            let refusals = self.refusals.iter().map(|(code, count)| format!("{code} {count}"));
            words += &format!("; refused: {}", refusals.collect::<Vec<_>>().join(", "));
        }
        words
    }
}
