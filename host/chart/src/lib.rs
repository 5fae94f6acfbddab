//! Draws the few kinds of chart that an evaluation report needs, and puts them into one self-contained page.
//!
//! [`Lines`], [`Bars`], [`Distributions`] and [`Gantt`] are plain structs with a method `svg`; [`Report`] is a page of
//! them. The same input gives the same bytes. Start reading at `lines.rs`; `examples/gallery.rs` draws every kind.
//!
//! The SVG is written here and not by `plotters`. That crate's SVG backend (0.3) rounds every coordinate to a whole pixel,
//! so that lines a pixel apart become stairs that cross, and telling such lines apart is what a comparison of policies
//! is for. Nor has it dashes, or a title and a description for screen readers. Keeping labels clear of each other
//! would be ours in any case.
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
mod titles;

pub use axis::{Axis, Scale};
pub use bars::Bars;
pub use distributions::Distributions;
pub use gantt::Gantt;
pub use lines::Lines;
pub use numbers::Numbers;
pub use report::Report;
pub use text::escape;

/// How wide every figure is, in pixels at its natural size, unless what it shows needs more.
pub(crate) const WIDTH: f64 = 1060.0;
