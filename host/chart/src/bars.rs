//! Bars: groups of them in panels, with the value above each and its name below.

mod chart;
mod figure;
mod layout;
mod panel;

pub use chart::{Bar, Bars, Group, Panel};
