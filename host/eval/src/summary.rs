//! What became of the jobs of a run, as tables and JSON: the same words in every command.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use mosel_core::{Profile, Time};
use mosel_sim::Tally;
use serde_json::{Value, json};

/// One run in a comparison.
pub(crate) struct Column<'a> {
    /// What it is.
    pub(crate) label: String,
    /// What became of its jobs.
    pub(crate) tally: &'a Tally,
    /// When the first job could come.
    pub(crate) from: Time,
    /// How long jobs arrived.
    pub(crate) window: Duration,
    /// Names the modalities.
    pub(crate) profile: &'a Profile,
}

/// Runs side by side, one a column.
pub(crate) fn comparison(columns: &[Column<'_>]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(std::iter::once(String::new()).chain(columns.iter().map(|column| column.label.clone())));
    let mut line = |name: &str, cell: &dyn Fn(&Column<'_>) -> String| {
        table.add_row(std::iter::once(name.to_owned()).chain(columns.iter().map(cell)));
    };
    line("jobs", &|column| column.tally.arrived.to_string());
    line("violations", &|column| percent(column.tally.violation_ratio()));
    line("  late", &|column| column.tally.late().to_string());
    line("  refused", &|column| column.tally.refused.to_string());
    line("  dropped, failed", &|column| (column.tally.dropped + column.tally.failed).to_string());
    line("floors broken", &|column| column.tally.floors_broken.to_string());
    line("throughput, requests/s", &|column| format!("{:.1}", column.tally.throughput(column.from, column.window)));
    line("goodput, requests/s", &|column| format!("{:.1}", column.tally.goodput(column.from, column.window)));
    line("accuracy", &|column| column.tally.accuracy().map_or("-".into(), |accuracy| format!("{accuracy:.4}")));
    line("completion mean", &|column| millis(column.tally.mean_completion()));
    line("completion p50, p99", &|column| {
        let completions = column.tally.completions();
        format!("{}, {}", millis(percentile(&completions, 0.5)), millis(percentile(&completions, 0.99)))
    });
    line("served on", &mix);
    line("policy asked, adopted", &|column| format!("{}, {}", column.tally.asked, column.tally.adopted));
    line("fallbacks of the server", &|column| column.tally.fallbacks.to_string());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The same as one JSON object.
pub(crate) fn row(column: &Column<'_>) -> Value {
    let Column { label, tally, window, from, .. } = column;
    let completions = tally.completions();
    json!({
        "policy": label, "jobs": tally.arrived, "violations": tally.violation_ratio(), "late": tally.late(),
        "refused": tally.refused, "dropped": tally.dropped, "failed": tally.failed, "cancelled": tally.cancelled,
        "floors_broken": tally.floors_broken, "throughput_rps": tally.throughput(*from, *window),
        "goodput_rps": tally.goodput(*from, *window), "good_share": tally.good_share(), "accuracy": tally.accuracy(),
        "completion_mean_ms": tally.mean_completion() * 1e3, "completion_p50_ms": percentile(&completions, 0.5) * 1e3,
        "completion_p99_ms": percentile(&completions, 0.99) * 1e3, "plans_asked": tally.asked,
        "plans_adopted": tally.adopted, "plans_refused": tally.plans_refused, "fallbacks": tally.fallbacks,
    })
}

/// The value that this share of ascending values does not exceed; 0 without values.
pub(crate) fn percentile(ascending: &[f64], share: f64) -> f64 {
    let index = (ascending.len() as f64 * share).ceil() as usize;
    ascending.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
}

fn mix(column: &Column<'_>) -> String {
    let whole: u64 = column.tally.mix.values().sum();
    let share = |(mode, count): (&mosel_core::Mode, &u64)| {
        format!("{} {}", mode.label(&column.profile.modalities), percent(*count as f64 / whole.max(1) as f64))
    };
    column.tally.mix.iter().map(share).collect::<Vec<_>>().join("\n")
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn millis(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}
