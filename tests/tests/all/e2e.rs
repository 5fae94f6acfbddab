//! The whole server over real sockets, with models whose times and moods the tests choose. Signals and the command
//! line are tested where the program is: `host/cli/tests`.

mod admin;
mod bounds;
mod connections;
mod faults;
mod fixture;
mod hostile_clients;
mod http_errors;
mod journal;
mod models;
mod owners;
mod policies;
mod policy_store;
mod rollback;
mod serving;
mod shadow;
mod stopping;
