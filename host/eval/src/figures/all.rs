//! `mosel bench figures`: Figures 1, 2, 5, 6, 7 and 8, the headline and its sensitivity, as SVG and one page.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use super::experiment::{StudiedModel, Traffic, finalists, policies};
use super::headline::Terms;
use super::{figure_1, figure_2, figure_5, figure_5_live, figure_6, figure_7, figure_8, headline, report, sensitivity};
use crate::arguments;
use crate::policy_under_test::PolicyCompiler;

/// What `mosel bench figures` takes.
#[derive(Debug, Args)]
pub struct FiguresArgs {
    /// Models of the zoo, or profiles' files; without any, the whole zoo
    #[arg(long = "model", value_name = "NAME|PROFILE.json")]
    models: Vec<String>,
    /// Where the figures go
    #[arg(long, value_name = "DIR", default_value = "docs/figures")]
    out: PathBuf,
    /// The jobs (sizes, deadlines, floors), as TOML; its arrivals are not used
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// A recorded trace (arrivals a second, one a line) to offer beside our own traffic; may be given more than once
    #[arg(long = "trace", value_name = "FILE")]
    traces: Vec<PathBuf>,
    /// A profile measured at reduced precision, for Figure 7, instead of what the model's own has; without either it is made
    /// up, and marked
    #[arg(long, value_name = "MODEL=PROFILE.json", value_parser = reduced)]
    reduced: Vec<(String, PathBuf)>,
    /// Jobs in a run at the load 1
    #[arg(long, default_value_t = 3000.0)]
    jobs: f64,
    /// Runs at every point, each with a seed of its own
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// A load to repeat on a live server here, with real inputs; may be given more than once
    #[arg(long = "live", value_name = "LOAD")]
    live: Vec<f64>,
    /// Seconds of every live run
    #[arg(long, default_value_t = 30.0)]
    live_seconds: f64,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

/// The loads that are offered, as multiples of the all-modalities capacity.
const LOADS: [f64; 9] = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0];

/// Draws every figure, and the page of all of them.
pub fn run(args: &FiguresArgs) -> Result<()> {
    ensure!((10.0..=1e6).contains(&args.jobs), "--jobs is {}, expected 10 to 1000000", args.jobs);
    ensure!((1.0..=600.0).contains(&args.live_seconds), "--live-seconds is {}, expected 1 to 600", args.live_seconds);
    let odd = args.live.iter().find(|load| !(0.01..=100.0).contains(*load));
    ensure!(odd.is_none(), "--live is {odd:?}, expected loads from 0.01 to 100");
    let base = arguments::workload(args.workload.as_deref(), None, None)?;
    let models = StudiedModel::all(&args.models)?;
    let compiler = PolicyCompiler::new()?;
    let all = policies(&compiler)?;
    let finalists = finalists(&compiler)?;
    for (name, path) in &args.reduced {
        let file = mosel_models::ProfileFile::read(path)?;
        let fits = models.iter().any(|model| model.name == *name && file.modalities == model.file.modalities);
        ensure!(
            fits,
            "--reduced {name}={}: expected a profile of a model that takes part, with its modalities",
            path.display()
        );
    }
    let seeds: Vec<u64> = (1..=args.seeds).collect();
    let folder = Folder::new(&args.out)?;
    let mut pages = vec![report::definitions()];
    let mut floors_broken = 0;
    let mut numbers: Vec<Value> = Vec::new();

    let (svg, section) = figure_1::section(&models);
    folder.write("figure-1.svg", &svg)?;
    pages.push(section);
    let (svg, section) = figure_2::section(&compiler)?;
    folder.write("figure-2.svg", &svg)?;
    pages.push(section);

    let plan = figure_5::Plan {
        models: &models,
        policies: &all,
        loads: &LOADS,
        base: &base,
        jobs: args.jobs,
        seeds: &seeds,
        quiet: args.quiet,
    };
    let mut calm = None;
    for traffic in Traffic::all(&args.traces)? {
        let sweep = plan.run(&traffic)?;
        let (svg, section) = sweep.section(&plan);
        folder.write(&format!("figure-5-{}.svg", traffic.name), &svg)?;
        pages.push(section);
        numbers.extend(sweep.json(&plan));
        floors_broken += sweep.floors_broken();
        calm.get_or_insert(sweep);
    }
    let calm = calm.context("expected calm traffic")?;
    if !args.live.is_empty() {
        let terms = figure_5_live::Terms {
            loads: &args.live,
            base: &base,
            seconds: args.live_seconds,
            finalists: &finalists,
            quiet: args.quiet,
        };
        let live = figure_5_live::run(&models, &terms)?;
        let (svg, section) = live.section();
        folder.write("figure-5-live.svg", &svg)?;
        pages.push(section);
        numbers.extend(live.json());
        floors_broken += live.floors_broken();
    }
    let (svg, section) = figure_6::section(&plan, &calm);
    folder.write("figure-6.svg", &svg)?;
    pages.push(section);

    let terms = figure_7::Terms {
        finalists: &finalists,
        loads: &LOADS,
        base: &base,
        jobs: args.jobs,
        seeds: &seeds,
        quiet: args.quiet,
        reduced: &args.reduced,
    };
    let precision = figure_7::run(&models, &terms)?;
    let (svg, section) = precision.section();
    folder.write("figure-7.svg", &svg)?;
    pages.push(section);
    numbers.extend(precision.json());
    floors_broken += precision.floors_broken();

    let estimates = figure_8::run(&models, &finalists[1], &base, args.jobs, &seeds, args.quiet)?;
    let (svg, section) = estimates.section();
    folder.write("figure-8.svg", &svg)?;
    pages.push(section);
    numbers.extend(estimates.json());
    floors_broken += estimates.floors_broken();

    let terms = Terms { base: &base, jobs: args.jobs, seeds: &seeds, quiet: args.quiet };
    let rows: Vec<headline::Headline> =
        models.iter().map(|model| terms.headline(model, &finalists)).collect::<Result<_>>()?;
    pages.insert(0, report::headline(&models, &rows));
    floors_broken += rows.iter().map(headline::Headline::floors_broken).sum::<usize>();
    numbers.extend(rows.iter().map(headline::Headline::json));
    let sensitivity = sensitivity::run(&models, &finalists, &base, args.jobs)?;
    let (drawn, section) = sensitivity.section();
    for (name, svg) in &drawn {
        folder.write(&format!("sensitivity-{name}.svg"), svg)?;
    }
    pages.push(section);
    numbers.extend(sensitivity.json());

    let report = report::report(&command(), &machine(), &today(), &base, pages);
    folder.write("report.html", &report.html())?;
    let lines: String = numbers.iter().map(|row| format!("{row}\n")).collect();
    folder.write("figures.jsonl", &lines)?;
    println!("{}", headline::last_line(&rows));
    println!("floors broken in all runs: {floors_broken}");
    ensure!(floors_broken == 0, "{floors_broken} floors were broken: see {}", args.out.display());
    println!("figures and report.html are in {}", args.out.display());
    Ok(())
}

/// Where the figures go.
struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn new(path: &Path) -> Result<Folder<'_>> {
        std::fs::create_dir_all(path).with_context(|| format!("making the folder {}", path.display()))?;
        Ok(Folder(path))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.0.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }
}

/// As it was typed, without where the program is.
fn command() -> String {
    std::iter::once("mosel".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ")
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH)
}

fn today() -> String {
    jiff::Timestamp::now().to_string().split('T').next().unwrap_or_default().to_owned()
}

fn reduced(text: &str) -> Result<(String, PathBuf), String> {
    let (model, file) = text.split_once('=').ok_or("expected MODEL=PROFILE.json")?;
    Ok((model.into(), file.into()))
}
