//! What a figure of bars is made of.

use crate::Numbers;

/// Panels of bars, each with its own vertical axis, which starts at 0. The same name has the same color in all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// What the figure is, for screen readers; not drawn.
    pub title: String,
    /// What there is to see, for screen readers; not drawn.
    pub description: String,
    /// Panels side by side; 0 is taken as 1. More bars than have room make the figure wider.
    pub columns: usize,
    /// Row by row.
    pub panels: Vec<Panel>,
}

/// One quantity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// Stands above it.
    pub title: String,
    /// The vertical axis: what is shown, with its unit.
    pub label: String,
    /// How values are written, on the axis and above the bars.
    pub numbers: Numbers,
    /// From left to right.
    pub groups: Vec<Group>,
}

/// Bars that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Stands below their names; may be empty.
    pub name: String,
    /// From left to right.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// Stands below it.
    pub name: String,
    /// How high it is; written above it. If it is not finite there is no bar but a dash.
    pub value: f64,
    /// From where to where the value may as well be: a bar with ends. One that is not finite is not drawn.
    pub interval: Option<(f64, f64)>,
}
