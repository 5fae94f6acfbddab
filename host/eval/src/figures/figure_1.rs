//! Figure 1: latency, peak memory and accuracy of every modality selection.

use mosel_chart::Numbers;
use mosel_chart::bars::{Bar, Bars, Group, Panel};
use mosel_chart::report::{Figure, Section, Table};
use mosel_models::ProfileFile;
use mosel_models::profile_file::{BatchRecord, SelectionRecord};

use super::experiment::StudiedModel;

/// The batch size that is shown, where it was measured; else the nearest.
const SIZE: u32 = 8;

pub(super) fn section(models: &[StudiedModel]) -> (String, Section) {
    let svg = svg(models.iter().map(|model| &model.file));
    let caption = format!(
        "Figure 1. Every modality selection, in batches of {SIZE} (or the nearest size measured). Measured, not simulated. \
         Bars with ends: 95 % Wilson intervals."
    );
    let section = Section {
        heading: "Figure 1: what modalities cost and what they are worth".into(),
        paragraphs: models.iter().map(origin).collect(),
        figures: vec![Figure { svg: svg.clone(), caption }],
        tables: vec![table(models)],
        ..Section::default()
    };
    (svg, section)
}

/// The drawing: a group of bars for every profile, in a panel for each of latency, memory and accuracy.
pub fn svg<'a>(profiles: impl IntoIterator<Item = &'a ProfileFile>) -> String {
    let profiles: Vec<&ProfileFile> = profiles.into_iter().collect();
    let millis = |batch: &BatchRecord| batch.latency_us.mean as f64 / 1e3 / f64::from(batch.size);
    let mebibytes = |batch: &BatchRecord| batch.memory_bytes as f64 / f64::from(1 << 20);
    let panels = vec![
        panel("Latency", "ms a request", Numbers::Plain, &profiles, |selection| (millis(shown(selection)), None)),
        panel("Peak memory of a batch", "MiB", Numbers::Plain, &profiles, |selection| {
            (mebibytes(shown(selection)), None)
        }),
        panel(
            "Accuracy",
            "share of right answers",
            Numbers::Percent,
            &profiles,
            |SelectionRecord { accuracy, .. }| (accuracy.mean, Some((accuracy.low, accuracy.high))),
        ),
    ];
    Bars {
        title: "Figure 1".into(),
        description: "Latency, memory and accuracy of every modality selection of every model".into(),
        columns: 3,
        panels,
    }
    .svg()
}

fn panel(
    title: &str,
    label: &str,
    numbers: Numbers,
    profiles: &[&ProfileFile],
    value: impl Fn(&SelectionRecord) -> (f64, Option<(f64, f64)>),
) -> Panel {
    let bar = |selection: &SelectionRecord| {
        let (value, interval) = value(selection);
        Bar { name: selection.label(), value, interval }
    };
    let group = |profile: &&ProfileFile| Group {
        name: profile.model.clone(),
        bars: profile.selections.iter().map(bar).collect(),
    };
    Panel { title: title.into(), label: label.into(), numbers, groups: profiles.iter().map(group).collect() }
}

fn shown(selection: &SelectionRecord) -> &BatchRecord {
    let nearest = selection.batches.iter().min_by_key(|batch| batch.size.abs_diff(SIZE));
    nearest.expect("a profile that was read has batches")
}

fn origin(model: &StudiedModel) -> String {
    let file = &model.file;
    format!(
        "{}: measured on {} ({}, {} threads) on {}; accuracy on {} held-out samples; profile {}.",
        model.name,
        file.device.name,
        file.device.processor,
        file.device.threads,
        file.date,
        file.data.samples,
        file.id()
    )
}

fn table(models: &[StudiedModel]) -> Table {
    let header = [
        "model",
        "selection",
        "batch size",
        "latency mean, ms",
        "p99, ms",
        "peak memory, MiB",
        "accuracy",
        "95 % interval",
    ];
    let mut rows = Vec::new();
    for model in models {
        for selection in &model.file.selections {
            for batch in &selection.batches {
                let accuracy = &selection.accuracy;
                rows.push(vec![
                    model.name.clone(),
                    selection.modalities.join("+"),
                    batch.size.to_string(),
                    format!("{:.2}", batch.latency_us.mean as f64 / 1e3),
                    format!("{:.2}", batch.latency_us.p99 as f64 / 1e3),
                    format!("{:.1}", batch.memory_bytes as f64 / f64::from(1 << 20)),
                    format!("{:.4}", accuracy.mean),
                    format!("{:.3} to {:.3}", accuracy.low, accuracy.high),
                ]);
            }
        }
    }
    Table { caption: "The measurements".into(), header: header.map(String::from).to_vec(), rows }
}
