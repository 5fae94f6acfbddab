//! Figure 1 as SVG: latency, peak memory and accuracy of every selection of a model's modalities.

use std::fmt::Write as _;

use mosel_models::ProfileFile;
use mosel_models::profile_file::SelectionRecord;

/// One panel: a title and, for every selection, its length in 0..=1 and how its value is written.
struct Panel {
    title: String,
    bars: Vec<(f64, String)>,
}

/// Told apart by people with any colour vision (Okabe and Ito 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999"];
/// Pixels: a panel's width, what its labels take, a bar with the gap below it.
const PANEL: usize = 360;
const LABELS: usize = 150;
const BAR: usize = 30;

/// The figure; latency and memory at the batch size nearest 8.
pub fn svg(file: &ProfileFile) -> String {
    let panels = panels(file);
    let (width, height) = (panels.len() * PANEL, 90 + file.selections.len() * BAR);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (place, panel) in panels.iter().enumerate() {
        draw(&mut svg, place * PANEL, panel, &file.selections);
    }
    let device = escape(&format!("{} on {} ({}), {}", file.model, file.device.name, file.device.processor, file.date));
    writeln!(svg, "<text x=\"10\" y=\"{}\" fill=\"#555\">{device}</text>\n</svg>", height - 12)
        .expect("writing to a string");
    svg
}

fn panels(file: &ProfileFile) -> [Panel; 3] {
    let sizes = file.selections.iter().flat_map(|selection| &selection.batches).map(|batch| batch.size);
    let size = sizes.min_by_key(|size| size.abs_diff(8)).unwrap_or(1);
    let at_size = |selection: &SelectionRecord| selection.batches.iter().find(|batch| batch.size == size).cloned();
    let latency =
        |selection: &SelectionRecord| at_size(selection).map_or(0.0, |batch| batch.latency_us.median as f64 / 1e3);
    let memory = |selection: &SelectionRecord| at_size(selection).map_or(0.0, |batch| batch.memory_bytes as f64 / 1e6);
    let accuracy =
        |selection: &SelectionRecord| f64::from(selection.accuracy.correct) / f64::from(selection.accuracy.samples);
    let panel = |title: String, value: &dyn Fn(&SelectionRecord) -> f64, unit: &dyn Fn(f64) -> String| {
        let largest = file.selections.iter().map(value).fold(f64::MIN_POSITIVE, f64::max);
        let bar = |selection: &SelectionRecord| (value(selection) / largest, unit(value(selection)));
        Panel { title, bars: file.selections.iter().map(bar).collect() }
    };
    [
        panel(format!("Median time of a batch of {size}"), &latency, &|ms| format!("{ms:.1} ms")),
        panel(format!("Peak memory of a batch of {size}"), &memory, &|mb| format!("{mb:.1} MB")),
        panel("Accuracy, held out".into(), &accuracy, &|share| format!("{share:.3}")),
    ]
}

fn draw(svg: &mut String, left: usize, panel: &Panel, selections: &[SelectionRecord]) {
    let mut line = |text: String| writeln!(svg, "{text}").expect("writing to a string");
    line(format!("<text x=\"{}\" y=\"28\" font-weight=\"bold\">{}</text>", left + 10, escape(&panel.title)));
    for (row, ((share, value), selection)) in panel.bars.iter().zip(selections).enumerate() {
        let (top, start) = (44 + row * BAR, left + LABELS);
        let length = share * (PANEL - LABELS - 80) as f64;
        let name = escape(&selection.label());
        line(format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>", start - 8, top + 15));
        let colour = COLOURS[row % COLOURS.len()];
        line(format!("<rect x=\"{start}\" y=\"{top}\" width=\"{length:.1}\" height=\"20\" fill=\"{colour}\"/>"));
        line(format!("<text x=\"{:.1}\" y=\"{}\">{value}</text>", start as f64 + length + 6.0, top + 15));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
