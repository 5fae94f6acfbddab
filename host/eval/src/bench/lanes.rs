//! `mosel bench lanes`: what a second lane on the CPU gives, beside one: a thread each.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use mosel_models::assets::Assets;
use mosel_models::zoo::Task;
use serde_json::json;

use super::rows::{Loop, Rate, median};
use mosel_client::inputs::Pool;

/// What `mosel bench lanes` takes.
#[derive(Clone, Debug, Args)]
pub struct LanesArgs {
    /// Which model
    #[arg(default_value = "emoji")]
    model: Task,
    /// Only take the time that the model's profile says (no computing: what the server itself allows)
    #[arg(long)]
    timed: bool,
    /// Requests a job
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256))]
    requests: u32,
    /// Turns of each
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds a turn
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// One line of JSON instead of words
    #[arg(long)]
    json: bool,
}

/// `mosel bench lanes`.
pub fn run(args: &LanesArgs) -> Result<()> {
    ensure!((0.1..=600.0).contains(&args.seconds), "--seconds is {}, expected 0.1 to 600", args.seconds);
    mosel_client::runtime()?.block_on(measure(args))
}

async fn measure(args: &LanesArgs) -> Result<()> {
    let mut one = start(args, "cpu:0", 3).await?;
    let mut two = start(args, "cpu:0,cpu:1", 6).await?;
    let length = Duration::from_secs_f64(args.seconds);
    for server in [&mut one, &mut two] {
        server.drive(length / 4).await?;
    }
    let mut rounds: Vec<(Rate, Rate)> = Vec::new();
    for _ in 0..args.rounds {
        rounds.push((one.drive(length).await?, two.drive(length).await?));
    }
    let middle = |of: fn(&(Rate, Rate)) -> f64| median(rounds.iter().map(of).collect());
    let (one, two, ratio) = (middle(|r| r.0.rows), middle(|r| r.1.rows), middle(|(one, two)| two.rows / one.rows));
    let backend = if args.timed { "timed" } else { "libtorch" };
    if args.json {
        let row = json!({
            "model": args.model.name(), "backend": backend, "ratio": ratio, "one_lane_rows": one, "two_lanes_rows": two,
        });
        println!("{row}");
        return Ok(());
    }
    let name = args.model.name();
    println!(
        "{name} ({backend}): one lane {one:.1} rows/s, two {two:.1} rows/s, ratio {ratio:.2} (medians of {} rounds)",
        args.rounds
    );
    Ok(())
}

async fn start(args: &LanesArgs, devices: &str, jobs: u32) -> Result<Loop> {
    let pool = Pool::held_out(args.model, &Assets::standard())?;
    let profile: PathBuf = args.model.profile_path();
    let profile = profile.to_str().context("the profile's path is not UTF-8")?;
    let model = if args.timed { ["--timed", profile] } else { ["--model", args.model.name()] };
    let arguments = [&model[..], &["--devices", devices, "--precisions", "fp32"]].concat();
    Loop::start(args.model.name(), pool, &arguments, (args.requests, jobs)).await
}
