//! The paper's evaluation: `mosel bench figures` and `mosel bench headline`, from measured profiles of real models.
//!
//! Where to start reading: `setting.rs` (who meets which jobs), `sweep.rs` (runs, and what came of them), then one file
//! a figure. Everything is simulated, and says so; `live.rs`
//! repeats points that are asked for on a live server.

mod accuracy;
mod estimates;
mod figures;
mod headline;
mod live;
mod load;
mod modalities;
mod page;
mod precision;
mod sensitivity;
mod setting;
mod sweep;
mod worked;

pub(super) use figures::FiguresArgs;
pub(super) use headline::HeadlineArgs;

pub(super) fn figures(args: &FiguresArgs) -> anyhow::Result<()> {
    figures::run(args)
}

pub(super) fn headline(args: &HeadlineArgs) -> anyhow::Result<()> {
    headline::run(args)
}
