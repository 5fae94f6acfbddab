//! The record of what happened on a server: every event and what was done about it, a line each.
