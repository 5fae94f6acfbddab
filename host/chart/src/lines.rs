//! Lines: small multiples, in rows of panels, of how several things grow with one.

mod chart;
mod ends;
mod extent;
mod figure;
mod panel;
mod plot;

pub use chart::{Lines, Panel, Point, Position, Reference, Row, Series, Sharing, Spread};
