//! `mosel profile`: measures models on this machine and writes what was found.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use comfy_table::{Table, presets};
use mosel_core::Precision;
use mosel_models::installed::{InstalledModel, InstalledModels};
use mosel_models::profiler::Settings;
use mosel_models::zoo;
use mosel_models::{DeviceChoice, ProfileFile};

use mosel_eval::{figures, profiling};

/// Measures every selection of a model's modalities in every precision at every batch size, on held-out inputs.
#[derive(Debug, clap::Args)]
pub(crate) struct ProfileArgs {
    /// Which, of the zoo or added; without any, all of the zoo
    models: Vec<String>,
    /// Write the profile here instead of into the zoo (one model only)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Draw latency, memory and accuracy by selection (Figure 1) as SVG (one model only)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Precisions to measure: fp32, bf16, fp16
    #[arg(long, value_delimiter = ',', default_value = "fp32,bf16")]
    precision: Vec<Precision>,
    /// Batch sizes
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16,32")]
    batch_sizes: Vec<u32>,
    /// Seconds a point is measured for, unless it needs longer for 30 runs
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
}

/// `mosel profile`.
pub(crate) fn run(args: &ProfileArgs) -> Result<()> {
    let installed = InstalledModels::standard();
    let models: Vec<InstalledModel> = match args.models.as_slice() {
        [] => zoo::ALL.iter().map(|&task| InstalledModel::Zoo(task)).collect(),
        named => named.iter().map(|name| installed.find(name)).collect::<Result<_>>()?,
    };
    let one = models.len() == 1;
    ensure!(
        one || args.out.is_none() && args.plot.is_none(),
        "--out and --plot take one model, {} are named",
        models.len()
    );
    ensure!((0.01..=600.0).contains(&args.seconds), "--seconds is {}, expected 0.01 to 600", args.seconds);
    ensure!(args.batch_sizes.iter().all(|size| (1..=1024).contains(size)), "batch sizes are 1 to 1024");
    models.iter().try_for_each(|model| profile(model, args).with_context(|| format!("profiling {}", model.name())))
}

fn profile(model: &InstalledModel, args: &ProfileArgs) -> Result<()> {
    let settings = Settings {
        precisions: args.precision.clone(),
        batch_sizes: args.batch_sizes.clone(),
        time_per_point: Duration::from_secs_f64(args.seconds),
        ..Settings::default()
    };
    let file = profiling::measure(model, args.device, &settings)?;
    // a profile of one GPU serves all of its kind
    let kind = file.device.name.split(':').next().unwrap_or_default().to_owned();
    let path = args.out.clone().unwrap_or_else(|| model.profile_path_on(&kind));
    file.write(&path)?;
    println!(
        "{} on {} ({}), {} thread(s), {}; {}",
        model.name(),
        file.device.name,
        file.device.processor,
        file.device.threads,
        file.date,
        file.data.cut
    );
    println!("{}", table(&file));
    println!("memory: {}", file.memory.method);
    println!("profile {} in {}", file.id(), path.display());
    if let Some(plot) = &args.plot {
        std::fs::write(plot, figures::figure_1([&file])).with_context(|| format!("writing {}", plot.display()))?;
        println!("figure in {}", plot.display());
    }
    Ok(())
}

fn table(file: &ProfileFile) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let header = [
        "modalities",
        "precision",
        "batch",
        "median ms",
        "p95 ms",
        "p99 ms",
        "ms/request",
        "peak MB",
        "accuracy (95 %)",
        "samples",
    ];
    table.set_header(header);
    for selection in &file.selections {
        for batch in &selection.batches {
            let millis = |micros: u64| format!("{:.2}", micros as f64 / 1e3);
            let latency = &batch.latency_us;
            table.add_row([
                selection.modalities.join("+"),
                selection.precision.clone(),
                batch.size.to_string(),
                millis(latency.median),
                millis(latency.p95),
                millis(latency.p99),
                millis(latency.median / u64::from(batch.size)),
                format!("{:.1}", batch.memory_bytes as f64 / 1e6),
                format!(
                    "{:.3} ({:.3} to {:.3})",
                    selection.accuracy.mean, selection.accuracy.low, selection.accuracy.high
                ),
                selection.accuracy.samples.to_string(),
            ]);
        }
    }
    table
}
