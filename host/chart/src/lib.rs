//! Draws the few kinds of chart that an evaluation report needs, and puts them into one self-contained page.
//!
//! [`Lines`], [`Bars`], [`Distributions`] and [`Gantt`] are plain structs with a method `svg`; [`Report`] is a page of
//! them. The same input gives the same bytes. Start reading at `lines.rs`; `examples/gallery.rs` draws every kind.
//!
//! The SVG is written here and not by `plotters`, which was tried first (0.3, its SVG backend without fonts): it rounds
//! every coordinate to a whole pixel, so that lines a pixel apart become stairs that cross, which is just what a
//! comparison of policies must show; and it has no dashes, no halo behind text, no title and description for screen
//! readers. Labels that keep clear of each other would have been ours in any case.
//!
//! How wide a text will be is estimated, from the widths of a wide typeface: the reader's own is unknown.

mod axis;
pub mod bars;
mod canvas;
pub mod distributions;
mod frame;
pub mod gantt;
mod legend;
pub mod lines;
mod numbers;
mod palette;
mod place;
pub mod report;
mod span;
mod strip;
#[cfg(test)]
mod tests;
mod text;

pub use axis::{Axis, Scale};
pub use bars::Bars;
pub use distributions::Distributions;
pub use gantt::Gantt;
pub use lines::Lines;
pub use numbers::Numbers;
pub use report::Report;

/// How wide every figure is, in pixels at its natural size, unless what it shows needs more.
pub(crate) const WIDTH: f64 = 1060.0;
