//! The titles of panels that stand side by side: all end at the same height.

use crate::canvas::{Canvas, Label};
use crate::frame;
use crate::text::TITLE;

/// The titles of a row of panels, broken into lines.
#[derive(Debug)]
pub(crate) struct Titles(Vec<Vec<String>>);

/// Lines that a title is broken into at most.
pub(crate) const LINES: usize = 3;

impl Titles {
    /// Titles of panels that have this width.
    pub(crate) fn of<'a>(titles: impl IntoIterator<Item = &'a String>, width: f64) -> Titles {
        Titles(titles.into_iter().map(|title| TITLE.wrap(title, width, LINES)).collect())
    }

    /// What the longest of them takes, in pixels.
    pub(crate) fn height(&self) -> f64 {
        self.0.iter().map(Vec::len).max().unwrap_or(0) as f64 * TITLE.line()
    }

    /// Draws the title of one panel so that its last line ends here.
    pub(crate) fn draw(&self, canvas: &mut Canvas, column: usize, left: f64, end: f64) {
        let lines = &self.0[column];
        let top = end - lines.len() as f64 * TITLE.line();
        frame::paragraph(canvas, lines, Label { face: TITLE, ..Label::at(left, 0.0) }, top);
    }
}
