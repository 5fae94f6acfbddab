//! The paper's evaluation: `mosel bench figures` and `mosel bench headline`, from measured profiles of real models.
//!
//! Where to start reading: `experiment.rs` (which models and policies meet which jobs), `sweep.rs` (runs, and their
//! outcomes), then one file a figure of the paper; `all.rs` draws them all. Everything is simulated, and says so;
//! `figure_5_live.rs` repeats points that are asked for on a live server.

mod all;
mod experiment;
mod figure_1;
mod figure_2;
mod figure_5;
mod figure_5_live;
mod figure_6;
mod figure_7;
mod figure_8;
mod headline;
mod report;
mod sensitivity;
mod sweep;

pub use all::{FiguresArgs, run as draw_all};
pub use figure_1::svg as figure_1;
pub use headline::{HeadlineArgs, run as headline};
