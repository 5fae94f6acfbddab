//! Device threads: one a lane, the only place where its models exist and run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use mosel_core::{Batch, Event};
use mosel_models::{Model, ModelError, Request};

use crate::driver::Driver;
use crate::jobs::{Answer, Entry, Wakes};

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

/// Starts the device thread of a lane, which takes its batches from `work`; returns once its models are there, in the
/// order of their ids. The thread ends when nobody can send to it any more.
pub fn start(lane: usize, builds: Vec<Build>, work: Receiver<Work>, driver: Arc<Driver>) -> anyhow::Result<()> {
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
    built.recv().map_err(|_| anyhow!("the thread of device {lane} died while it built its models"))?
}

struct Device {
    models: Vec<Box<dyn Model>>,
    builds: Vec<Build>,
    driver: Arc<Driver>,
}

/// Clients of finished jobs may wait so long for the end of a batch that comes after, to be woken together: less than
/// waking them one by one would take.
const WORTH_WAITING: Duration = Duration::from_micros(50);
/// So many are woken at once at most.
const MOST_WAITING: usize = 16;

impl Device {
    fn run(mut self, work: &Receiver<Work>) {
        let mut wakes = Wakes::default();
        while let Some(Work { batch, entry }) = next(work, &mut wakes) {
            if batch.expected > WORTH_WAITING {
                drop(std::mem::take(&mut wakes));
            }
            let event = match self.serve(&batch, &entry) {
                Ok(measured) => Event::BatchDone(batch.id, measured),
                Err(reason) => {
                    tracing::warn!(job = %batch.job, batch = batch.id.0, %reason, "a batch failed");
                    entry.progress().failure = Some(reason);
                    Event::BatchFailed(batch.id)
                }
            };
            wakes.extend(self.driver.take(event));
            if wakes.len() >= MOST_WAITING {
                drop(std::mem::take(&mut wakes));
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
        let answered =
            catch_unwind(AssertUnwindSafe(|| model.forward(&chosen, batch.mode.modalities, batch.mode.precision)));
        let measured = begin.elapsed();
        let outputs = match answered {
            Ok(outputs) => outputs.map_err(|error: ModelError| error.to_string())?,
            Err(panic) => return Err(self.rebuild(batch, &*panic)),
        };
        if outputs.len() != chosen.len() {
            return Err(format!("the model gave {} answers to {} requests", outputs.len(), chosen.len()));
        }
        let mode = batch.mode;
        entry.answer(first, outputs.into_iter().map(|output| Answer { mode, output }));
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

/// The next batch; before the thread goes to sleep, everybody is woken.
fn next(work: &Receiver<Work>, wakes: &mut Wakes) -> Option<Work> {
    if let Ok(next) = work.try_recv() {
        return Some(next);
    }
    drop(std::mem::take(wakes));
    work.recv().ok()
}

fn build_all(builds: &[Build]) -> anyhow::Result<Vec<Box<dyn Model>>> {
    builds.iter().map(|build| build()).collect()
}
