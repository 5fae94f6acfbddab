//! Device threads: one a lane, the only place where its models exist and run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use mosel_core::{Batch, Event};
use mosel_models::{Model, ModelError, Request};

use crate::driver::{DriverHandle, Message};
use crate::jobs::{Answer, Entry};

/// Builds one model inside the thread that will own it.
pub type Build = Arc<dyn Fn() -> anyhow::Result<Box<dyn Model>> + Send + Sync>;

/// A batch, and the job whose inputs it takes.
#[derive(Debug)]
pub struct Work {
    /// What to run.
    pub batch: Batch,
    /// Where its inputs are and its outputs go.
    pub entry: Arc<Entry>,
}

/// Starts the device thread of a lane; returns once its models are there, in the order of their ids.
///
/// The hand-off holds one batch: the core gives a lane the next one when the last is done.
pub fn start(lane: u32, builds: Vec<Build>, driver: DriverHandle) -> anyhow::Result<SyncSender<Work>> {
    let (batches, work) = sync_channel(1);
    let (ready, built) = sync_channel(1);
    let run = move || match build_all(&builds) {
        Ok(models) => {
            let _ = ready.send(Ok(()));
            Device { models, builds, driver }.run(&work);
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    };
    std::thread::Builder::new().name(format!("device-{lane}")).spawn(run).context("starting a device thread")?;
    built.recv().map_err(|_| anyhow!("the thread of device {lane} died while it built its models"))??;
    Ok(batches)
}

struct Device {
    models: Vec<Box<dyn Model>>,
    builds: Vec<Build>,
    driver: DriverHandle,
}

impl Device {
    fn run(mut self, work: &Receiver<Work>) {
        while let Ok(Work { batch, entry }) = work.recv() {
            let event = match self.serve(&batch, &entry) {
                Ok(measured) => Event::BatchDone(batch.id, measured),
                Err(reason) => {
                    tracing::warn!(job = %batch.job, batch = batch.id.0, %reason, "a batch failed");
                    entry.progress().failure = Some(reason);
                    Event::BatchFailed(batch.id)
                }
            };
            // the driver is gone when the server stops: then nobody wants the rest either
            if self.driver.send(Message::Event(event)).is_err() {
                return;
            }
        }
    }

    /// Runs the batch and stores its answers; says how long the model took, or why it did not answer.
    fn serve(&mut self, batch: &Batch, entry: &Entry) -> Result<Duration, String> {
        let requests = entry.start().ok_or("the job has ended meanwhile")?;
        let first = batch.first as usize;
        let chosen: Vec<&Request> = requests[first..first + batch.requests as usize].iter().collect();
        let model = &mut self.models[batch.model.0 as usize];
        let begin = Instant::now();
        let answered = catch_unwind(AssertUnwindSafe(|| model.forward(&chosen, batch.modalities)));
        let measured = begin.elapsed();
        let outputs = match answered {
            Ok(outputs) => outputs.map_err(|error: ModelError| error.to_string())?,
            Err(panic) => return Err(self.rebuild(batch, &*panic)),
        };
        if outputs.len() != chosen.len() {
            return Err(format!("the model gave {} answers to {} requests", outputs.len(), chosen.len()));
        }
        let modalities = batch.modalities;
        entry.answer(first, outputs.into_iter().map(|output| Answer { modalities, output }));
        Ok(measured)
    }

    /// A model that panicked may be half changed: a fresh one takes its place.
    fn rebuild(&mut self, batch: &Batch, panic: &(dyn std::any::Any + Send)) -> String {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let index = batch.model.0 as usize;
        match catch_unwind(AssertUnwindSafe(|| (self.builds[index])())) {
            Ok(Ok(model)) => self.models[index] = model,
            _ => tracing::error!(model = index, "the model could not be built again after it panicked"),
        }
        format!("the model panicked: {}", words.unwrap_or("without a message"))
    }
}

fn build_all(builds: &[Build]) -> anyhow::Result<Vec<Box<dyn Model>>> {
    builds.iter().map(|build| build()).collect()
}
