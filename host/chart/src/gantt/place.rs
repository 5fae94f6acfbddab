//! The measures that all plans have in common.

use crate::palette::Names;
use crate::span::Span;

/// Pixels: round the figure, between a plot and what stands beside it.
pub(super) const EDGE: f64 = 10.0;
pub(super) const BESIDE: f64 = 10.0;
/// Names are cut at so many pixels.
pub(super) const NAME: f64 = 170.0;

/// What all plans have in common.
pub(super) struct Place<'a> {
    /// Where plots begin and end.
    pub(super) left: f64,
    pub(super) right: f64,
    /// How wide notes are.
    pub(super) note: f64,
    pub(super) span: Span,
    pub(super) kinds: Names<'a>,
}
