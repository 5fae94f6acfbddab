//! Connections: accepted, limited, watched, ended.
//!
//! Where to start reading: `accept` (from a listener to connections), `serve` (one connection and its requests), then
//! `registry` (who gives way, who takes too long) and `state` (what one connection does). `stream`, `request_body` and
//! `answer_body` stand between hyper and the routes and tell the state; `last_words` is how to end without losing an answer.

mod accept;
mod answer_body;
mod last_words;
mod registry;
mod request_body;
mod serve;
mod state;
mod stream;

pub(super) use accept::{Listener, accept};
pub(super) use registry::Connections;
