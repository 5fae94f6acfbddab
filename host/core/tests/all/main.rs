//! Tests of the core as a driver sees it.

mod cases;
mod fleet;
mod forecast;
mod random;
mod steps;
