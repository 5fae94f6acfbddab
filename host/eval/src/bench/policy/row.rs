//! The rows of `mosel bench policy`: made of samples, printed as a table or as JSON.

use comfy_table::{CellAlignment, Table, presets};
use mosel_conformance::Spread;
use mosel_sandbox::MeteredReply;
use serde_json::{Value, json};

use super::args::PolicyBenchArgs;
use super::queue_case::{BOUND, PlanQuality, QueueCase, Size};

/// What was measured of a policy on queues of one size.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) wasm_us: Vec<f64>,
    pub(super) native_us: Vec<f64>,
    pub(super) fuel: Vec<f64>,
    gaps: Vec<f64>,
    /// Gaps are to a bound that the policy proved itself.
    own_bound: bool,
    late: usize,
    feasible: usize,
    answers: usize,
}

/// A policy on an engine, on queues of one size.
pub(super) struct Row {
    policy: String,
    engine: &'static str,
    jobs: u32,
    strategies: u32,
    time: Spread,
    /// Native only beside Wasm.
    ratio: Option<f64>,
    gap_mean: Option<f64>,
    gap_max: Option<f64>,
    gap_to: Option<&'static str>,
    late: usize,
    feasible: f64,
    fuel_median: Option<f64>,
}

impl Samples {
    /// What the answer is worth; the same at every repetition.
    pub(super) fn judge(&mut self, case: &QueueCase, reply: MeteredReply) {
        let silence = Default::default();
        let decision = reply.answer.as_ref().unwrap_or(&silence);
        let PlanQuality { feasible, late, gap, own } = PlanQuality::of(case, decision);
        self.answers += 1;
        self.feasible += usize::from(feasible && reply.answer.is_ok());
        self.late += late;
        self.gaps.extend(gap);
        self.own_bound |= own;
    }

    pub(super) fn rows(self, policy: &str, size: Size) -> Vec<Row> {
        let (wasm, native) = (Spread::of(self.wasm_us), Spread::of(self.native_us));
        let ratio = (native.p50 > 0.0).then(|| wasm.p50 / native.p50);
        let bound = if self.own_bound { "its own bound" } else { BOUND };
        let row = |engine, time, fuel_median| Row {
            policy: policy.into(),
            engine,
            jobs: size.jobs,
            strategies: size.strategies,
            time,
            ratio,
            gap_mean: mean(&self.gaps),
            gap_max: self.gaps.iter().copied().reduce(f64::max),
            gap_to: (!self.gaps.is_empty()).then_some(bound),
            late: self.late,
            feasible: self.feasible as f64 / self.answers.max(1) as f64,
            fuel_median,
        };
        let fuel = (!self.fuel.is_empty()).then(|| Spread::of(self.fuel.clone()).p50);
        let mut rows = vec![row("wasm", wasm, fuel)];
        rows.extend(ratio.map(|_| row("native", native, None)));
        rows
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

pub(super) fn print(args: &PolicyBenchArgs, rows: &[Row]) {
    if args.json {
        rows.iter().for_each(|row| println!("{}", row.as_json(args)));
        return;
    }
    println!(
        "{} random queues of each size, seed {}, {} tables, metering {}; {} decisions a queue after one that does not \
         count.\nwasm: the whole call; native: the same code without a sandbox and without conversions.",
        args.instances,
        args.seed,
        args.tables,
        args.metering(),
        args.repeats,
    );
    println!("{}", table(rows));
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    let heads = [
        "policy",
        "engine",
        "jobs",
        "strategies",
        "median us",
        "p99 us",
        "wasm/native",
        "mean gap",
        "max gap",
        "gap to",
        "late",
        "feasible",
        "fuel",
    ];
    table.set_header(heads);
    table.add_rows(rows.iter().map(Row::cells));
    for column in [2, 3, 4, 5, 6, 7, 8, 10, 11, 12] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

impl Row {
    fn cells(&self) -> [String; 13] {
        let gap = |gap: Option<f64>| gap.map_or(String::new(), |gap| format!("{:.4} %", 100.0 * gap));
        [
            self.policy.clone(),
            self.engine.into(),
            self.jobs.to_string(),
            self.strategies.to_string(),
            format!("{:.1}", self.time.p50),
            format!("{:.1}", self.time.p99),
            self.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            gap(self.gap_mean),
            gap(self.gap_max),
            self.gap_to.unwrap_or_default().into(),
            self.late.to_string(),
            format!("{:.3}", self.feasible),
            self.fuel_median.map_or(String::new(), |fuel| format!("{fuel:.0}")),
        ]
    }

    fn as_json(&self, args: &PolicyBenchArgs) -> Value {
        json!({
            "policy": self.policy,
            "engine": self.engine,
            "jobs": self.jobs,
            "strategies": self.strategies,
            "seed": args.seed,
            "median_us": self.time.p50,
            "p99_us": self.time.p99,
            "gap_mean": self.gap_mean,
            "gap_max": self.gap_max,
            "gap_to": self.gap_to,
            "late": self.late,
            "feasible": self.feasible,
            "fuel_median": self.fuel_median,
            "wasm_to_native": self.ratio,
            "metering": args.metering(),
            "instances": args.instances,
            "repeats": args.repeats,
        })
    }
}
