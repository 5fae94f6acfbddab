//! What a Gantt chart is made of.

use crate::Axis;

/// Plans one above the other along the same time. The same kind has the same color in all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gantt {
    /// What the figure is, for screen readers; not drawn.
    pub title: String,
    /// What there is to see, for screen readers; not drawn.
    pub description: String,
    /// Time.
    pub x: Axis,
    /// From above to below.
    pub plans: Vec<Plan>,
}

/// One way to do it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Stands above it.
    pub title: String,
    /// What is to be said of it, below its title.
    pub verdict: String,
    /// Whether that is good: its color. `None` if it is neither.
    pub good: Option<bool>,
    /// Lanes, or jobs, from above to below.
    pub rows: Vec<Row>,
    /// Upright lines through all rows.
    pub deadlines: Vec<Deadline>,
}

/// What runs one after the other; what runs at the same time is drawn one below the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Stands at its left.
    pub name: String,
    /// In any order.
    pub bars: Vec<Bar>,
    /// A thick line through this row alone. Whatever of its bars is behind it is marked as late.
    pub deadline: Option<f64>,
    /// Stands at its right, on two lines at most.
    pub note: String,
}

/// Something that runs. One whose start or end is not finite is not drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// When it starts.
    pub start: f64,
    /// When it ends.
    pub end: f64,
    /// Stands in the bar or behind it, if there is room; shown in full to whoever points at it.
    pub text: String,
    /// What sort it is: its color, named in the legend unless it is empty.
    pub kind: String,
}

/// A time with a text above it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deadline {
    /// When it is.
    pub at: f64,
    /// What it is.
    pub text: String,
}

impl Gantt {
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.plans.iter().flat_map(|plan| &plan.rows)
    }

    pub(super) fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.rows().flat_map(|row| &row.bars)
    }
}

impl Row {
    /// Whether some bar ends behind the row's own deadline.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.bars.iter().any(|bar| bar.start.max(bar.end) > deadline))
    }
}
