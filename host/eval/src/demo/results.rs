//! What one policy made of the demo's jobs, as the client sees it, and the table of all.

use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use mosel_core::{Accuracy, Mode};
use serde_json::Value;

use super::args::POLICIES;
use super::load::{DemoJob, DemoLoad};
use mosel_client::connection::Answer;
use mosel_client::inputs;

/// What one policy made of the load.
pub(super) struct DemoResults {
    jobs: usize,
    late: usize,
    refused: usize,
    failed: usize,
    floors_broken: usize,
    served_requests: usize,
    good_requests: usize,
    /// Milliseconds from arrival to finish of the served jobs, ascending.
    completion_ms: Vec<f64>,
    /// Sum of the profiled accuracies of the served requests.
    profiled: f64,
    /// Sums of the ends of their intervals.
    bounds: (f64, f64),
    measured: Accuracy,
    /// Requests by mode.
    mix: Vec<(Mode, u32)>,
    seconds: f64,
}

impl DemoResults {
    /// Counts the answers to all jobs.
    pub(super) fn new(load: &DemoLoad, answers: &[Answer]) -> Result<DemoResults> {
        let mut results = DemoResults {
            jobs: answers.len(),
            late: 0,
            refused: 0,
            failed: 0,
            floors_broken: 0,
            served_requests: 0,
            good_requests: 0,
            completion_ms: Vec::new(),
            profiled: 0.0,
            bounds: (0.0, 0.0),
            measured: Accuracy { correct: 0, samples: 0 },
            mix: Vec::new(),
            seconds: load.jobs.last().map_or(0.0, |job| job.at.as_secs_f64()),
        };
        for (job, answer) in load.jobs.iter().zip(answers) {
            results.count(load, job, answer)?;
        }
        results.completion_ms.sort_by(f64::total_cmp);
        Ok(results)
    }

    fn count(&mut self, load: &DemoLoad, job: &DemoJob, answer: &Answer) -> Result<()> {
        let code = answer.body["error"]["code"].as_str();
        match (answer.status.as_u16(), code, answer.body["state"].as_str()) {
            (503, Some(_), _) | (429, Some(_), _) => self.refused += 1,
            (200, _, Some("served")) => self.count_served(load, job, &answer.body)?,
            (200, _, Some(_)) => self.failed += 1,
            (status, ..) => anyhow::bail!("expected a job or a refusal, got status {status}: {}", answer.body),
        }
        Ok(())
    }

    fn count_served(&mut self, load: &DemoLoad, job: &DemoJob, body: &Value) -> Result<()> {
        let outputs = body["outputs"].as_array().context("a served job has outputs")?;
        ensure!(outputs.len() == job.chosen.len(), "expected {} outputs, got {}", job.chosen.len(), outputs.len());
        let mut accuracy = 0.0;
        for (output, &chosen) in outputs.iter().zip(&job.chosen) {
            let mode = inputs::mode(output, &load.fitting.profile.modalities)?;
            let profiled = load.fitting.profile.accuracy(mode).context("the server used a mode the profile lacks")?;
            accuracy += profiled.mean();
            self.bounds.0 += profiled.interval().0;
            self.bounds.1 += profiled.interval().1;
            self.measured.samples += 1;
            let label = load.pool.label(chosen).map(|label| label as u64);
            self.measured.correct += u32::from(label.is_some() && output["class"].as_u64() == label);
            match self.mix.iter_mut().find(|(known, _)| *known == mode) {
                Some((_, count)) => *count += 1,
                None => self.mix.push((mode, 1)),
            }
        }
        let finished = body["timings"]["finished_ms"].as_f64().context("a served job has a finish")?;
        let in_time = finished <= load.deadline.as_secs_f64() * 1e3;
        let floor_kept = accuracy / outputs.len() as f64 >= job.floor - 1e-6;
        self.profiled += accuracy;
        self.completion_ms.push(finished);
        self.served_requests += outputs.len();
        self.late += usize::from(!in_time);
        self.floors_broken += usize::from(!floor_kept);
        self.good_requests += if in_time && floor_kept { outputs.len() } else { 0 };
        Ok(())
    }

    fn violation_ratio(&self) -> f64 {
        (self.late + self.refused + self.failed) as f64 / self.jobs as f64
    }

    fn profiled_accuracy(&self) -> f64 {
        self.profiled / self.served_requests.max(1) as f64
    }

    fn bounds(&self) -> (f64, f64) {
        let served = self.served_requests.max(1) as f64;
        (self.bounds.0 / served, self.bounds.1 / served)
    }

    fn mean_completion_ms(&self) -> f64 {
        self.completion_ms.iter().sum::<f64>() / self.completion_ms.len().max(1) as f64
    }

    fn completion_ms_at(&self, share: f64) -> f64 {
        let index = (self.completion_ms.len() as f64 * share).ceil() as usize;
        self.completion_ms.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
    }

    fn mix(&self, names: &[String]) -> String {
        let share = |&(mode, count): &(Mode, u32)| {
            format!("{} {:.0} %", mode.label(names), 100.0 * f64::from(count) / self.served_requests.max(1) as f64)
        };
        self.mix.iter().map(share).collect::<Vec<_>>().join(", ")
    }
}

type Row = (&'static str, fn(&DemoResults, &DemoLoad) -> String);

const ROWS: [Row; 11] = [
    ("jobs that arrived", |r, _| r.jobs.to_string()),
    ("late / refused / failed", |r, _| format!("{} / {} / {}", r.late, r.refused, r.failed)),
    ("violation ratio", |r, _| format!("{:.1} %", 100.0 * r.violation_ratio())),
    ("floors broken", |r, _| r.floors_broken.to_string()),
    ("throughput, requests/s", |r, _| format!("{:.0}", r.served_requests as f64 / r.seconds)),
    ("goodput, requests/s", |r, _| format!("{:.0}", r.good_requests as f64 / r.seconds)),
    ("completion, mean / p99", |r, _| format!("{:.0} / {:.0} ms", r.mean_completion_ms(), r.completion_ms_at(0.99))),
    ("accuracy, profiled", |r, _| format!("{:.3}", r.profiled_accuracy())),
    ("  its 95 % bounds", |r, _| format!("{:.3} to {:.3}", r.bounds().0, r.bounds().1)),
    ("accuracy, measured", |r, _| format!("{:.3}", r.measured.mean())),
    ("requests by modalities", |r, load| r.mix(&load.fitting.profile.modalities)),
];

/// Beside each other, one policy a column.
pub(super) fn table(results: &[DemoResults], load: &DemoLoad) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([""].into_iter().chain(POLICIES));
    for (name, cell) in ROWS {
        table.add_row(std::iter::once(name.to_owned()).chain(results.iter().map(|results| cell(results, load))));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// For scripts.
pub(super) fn last_line(results: &[DemoResults]) -> String {
    let [baseline, greedy, exact] = results else { unreachable!("three policies are compared") };
    format!(
        "demo: baseline_violations={:.4} greedy_violations={:.4} exact_violations={:.4} floors_broken={} \
         accuracy_baseline={:.4} accuracy_greedy={:.4} accuracy_exact={:.4}",
        baseline.violation_ratio(),
        greedy.violation_ratio(),
        exact.violation_ratio(),
        results.iter().map(|results| results.floors_broken).sum::<usize>(),
        baseline.measured.mean(),
        greedy.measured.mean(),
        exact.measured.mean(),
    )
}
