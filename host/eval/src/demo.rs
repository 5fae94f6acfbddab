//! `mosel demo`: the main job on real input. One open-loop burst of held-out examples that is too much for
//! all modalities, served with the same arrivals by each of three policies: `highest-accuracy`, which never drops
//! anything, the paper's `greedy`, and `exact`.
//!
//! What is compared is counted here, on the client's side: a violation is a job that was late (by the
//! server's own clock), dropped, refused or failed.

mod args;
mod load;
mod page;
mod results;

use anyhow::{Result, ensure};
use mosel_models::files;

use args::POLICIES;
use load::DemoLoad;
use results::DemoResults;

pub use args::DemoArgs;

/// `mosel demo`.
pub fn run(args: &DemoArgs) -> Result<()> {
    ensure!((0.1..=100.0).contains(&args.load), "--load is {}, expected 0.1 to 100", args.load);
    ensure!((1.0..=600.0).contains(&args.seconds), "--seconds is {}, expected 1 to 600", args.seconds);
    ensure!((1.0..=1000.0).contains(&args.slack), "--slack is {}, expected 1 to 1000", args.slack);
    let load = DemoLoad::draw(args)?;
    println!("{}", load.describe(args));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (mut all, mut last) = (Vec::new(), Vec::new());
    for policy in POLICIES {
        let answers = runtime.block_on(load.serve(policy, args))?;
        all.push(DemoResults::new(&load, &answers)?);
        last = answers;
    }
    println!("{}", results::table(&all, &load));
    println!("{}", results::last_line(&all));
    if let Some(path) = &args.page {
        let page = load.page(args, &last)?;
        files::write_whole(path, page.as_bytes())?;
        println!("page: {}", path.display());
    }
    Ok(())
}
