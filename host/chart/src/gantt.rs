//! Gantt: what runs when, under several plans one above the other, and whether deadlines are met.

mod chart;
mod figure;
mod place;
mod plan;
mod row;

pub use chart::{Bar, Deadline, Gantt, Plan, Row};
