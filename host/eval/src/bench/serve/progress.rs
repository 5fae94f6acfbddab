//! How a run is going, once a second, for whoever sits before a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mosel_sim::Tally;

use super::load_results::LoadResults;
use super::server::Server;
use super::server_metrics::ServerMetrics;
use crate::summary::percentile;

/// A line that is written over again and again; nothing without a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
}

/// A server that is busy need not answer for the sake of a line.
const SOON: Duration = Duration::from_millis(200);

impl Progress {
    /// Of a run of so many jobs.
    pub(super) fn new(label: &str, jobs: usize, quiet: bool) -> Progress {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(jobs as u64) };
        let style = ProgressStyle::with_template("{prefix}: {pos}/{len} answered, {wide_msg}");
        bar.set_style(style.expect("the template is sound"));
        bar.set_prefix(label.to_owned());
        Progress { bar }
    }

    /// Writes the line anew.
    pub(super) async fn show(&mut self, server: &Server, results: &LoadResults, start: Instant) {
        if self.bar.is_hidden() {
            return;
        }
        let tally = results.so_far(start.elapsed());
        let metrics = tokio::time::timeout(SOON, ServerMetrics::read(&server.connection)).await;
        let waiting = metrics.ok().and_then(Result::ok).map(|metrics| metrics.waiting);
        self.bar.set_message(words(&tally, waiting));
        self.bar.set_position(results.heard() as u64);
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn words(tally: &Tally, waiting: Option<u64>) -> String {
    let p99 = percentile(&tally.completions(), 0.99) * 1e3;
    let accuracy = tally.accuracy().map_or("-".into(), |accuracy| format!("{accuracy:.4}"));
    let waiting = waiting.map_or("?".into(), |waiting| waiting.to_string());
    let violations = tally.violations();
    format!(
        "{} offered, {violations} violations, p99 {p99:.0} ms, accuracy {accuracy}, {waiting} waiting",
        tally.arrived
    )
}
