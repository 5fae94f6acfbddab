//! A journal of a simulation, written as it runs.

use std::io::Write;

use mosel_core::{Action, Event, Scheduler, Time};

use crate::chain::Chain;
use crate::{Header, PolicyRecord, step_line};

/// Writes every step; begin it with [`Recorder::begin`] before the first.
#[derive(Debug)]
pub struct Recorder<W> {
    sink: W,
    chain: Chain,
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
        let mut line = header.to_line();
        let chain = Chain::begin(None, &mut line);
        sink.write_all(line.as_bytes())?;
        Ok(Recorder { sink, chain })
    }

    /// Writes a step.
    pub fn record(&mut self, at: Time, event: &Event, actions: &[Action]) -> std::io::Result<()> {
        let mut line = step_line(at, event, actions);
        self.chain.add(&mut line);
        self.sink.write_all(line.as_bytes())
    }

    /// Writes what is buffered, and gives the sink back.
    pub fn finish(mut self) -> std::io::Result<W> {
        self.sink.flush()?;
        Ok(self.sink)
    }
}
