//! A journal of a simulation, written as it runs.

use std::io::Write;

use mosel_core::{Action, Event, Scheduler, Time};

use crate::{Header, PolicyRecord, step_line};

/// Writes every step; begin it with [`Recorder::begin`] before the first.
#[derive(Debug)]
pub struct Recorder<W> {
    sink: W,
}

impl<W: Write> Recorder<W> {
    /// Writes the header of a journal that begins with this scheduler.
    pub fn begin(
        mut sink: W,
        scheduler: &Scheduler,
        policy: PolicyRecord,
        server: &str,
    ) -> std::io::Result<Recorder<W>> {
        let header = Header::of(scheduler, policy, server);
        sink.write_all(header.to_line().as_bytes())?;
        Ok(Recorder { sink })
    }

    /// Writes a step.
    pub fn record(&mut self, at: Time, event: &Event, actions: &[Action]) -> std::io::Result<()> {
        self.sink.write_all(step_line(at, event, actions).as_bytes())
    }

    /// Writes what is buffered, and gives the sink back.
    pub fn finish(mut self) -> std::io::Result<W> {
        self.sink.flush()?;
        Ok(self.sink)
    }
}
