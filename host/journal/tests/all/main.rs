//! The journal, over scheduler runs in virtual time: what is written is read back and replays, histories are right, and
//! nothing that they are handed makes them panic.

mod damaged_journals;
mod folder;
mod histories;
mod history_invariants;
mod impossible_steps;
mod old_journals;
mod replay;
