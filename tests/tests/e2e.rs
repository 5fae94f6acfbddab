//! The whole server over real sockets, with models whose times and moods the tests choose. Signals and the command
//! line are tested where the program is: `host/server/tests/e2e.rs`.

#[path = "e2e/admin.rs"]
mod admin;
#[path = "e2e/bounds.rs"]
mod bounds;
#[path = "e2e/client.rs"]
mod client;
#[path = "e2e/faults.rs"]
mod faults;
#[path = "e2e/fixture.rs"]
mod fixture;
#[path = "e2e/journal.rs"]
mod journal;
#[path = "e2e/models.rs"]
mod models;
#[path = "e2e/policies.rs"]
mod policies;
#[path = "e2e/rollback.rs"]
mod rollback;
#[path = "e2e/rude.rs"]
mod rude;
#[path = "e2e/serving.rs"]
mod serving;
#[path = "e2e/shadow.rs"]
mod shadow;
#[path = "e2e/shelf.rs"]
mod shelf;
#[path = "e2e/stopping.rs"]
mod stopping;
