//! Starts a device thread in the place of one that hangs: a batch that never ends cannot be stopped, only given up.
//!
//! A thread that was given up keeps what it has, a core and its models at worst, until its batch ends after all. So there may
//! only be so many of them at a time (`watch.lane_restarts`). While there are more, and while its models cannot be built, the
//! lane stays lost: the others serve on, and without any other the server stops.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context;
use mosel_core::{Event, LaneCondition, LaneId, ModelId};

use crate::device::{self, DeviceParts};
use crate::driver::Driver;
use crate::event_sink::EventSink;
use crate::metrics::Metrics;
use crate::model_loader::ModelLoader;
use crate::pulse::Silence;
use crate::supervisor::Supervisor;

/// What lanes are started again with.
pub(crate) struct LaneRestart {
    /// Knows the models and their devices.
    pub(crate) loader: Arc<ModelLoader>,
    /// Where it is said that a lane is there again.
    pub(crate) driver: Arc<Driver>,
    /// Where it is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Who has to know when nothing serves any more.
    pub(crate) supervisor: Arc<Supervisor>,
    /// The threads that have the lanes now; each holds one of these as long as it lives.
    pub(crate) threads: Mutex<Vec<Weak<()>>>,
    /// Threads that were given up.
    pub(crate) given_up: Mutex<Vec<Weak<()>>>,
    /// So many of them may live.
    pub(crate) most: usize,
}

/// How often it is looked whether a thread that was given up has ended.
const LOOK: Duration = Duration::from_millis(500);
/// Building models is tried again after so long, then after twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Building the models of a lane may take so long before it is said that it takes long.
const LONGEST_BUILD: Duration = Duration::from_secs(300);

/// Starts the thread that is told of lost lanes. It ends with the driver.
pub(crate) fn start(lost: Receiver<LaneId>, restart: LaneRestart) -> anyhow::Result<()> {
    let supervisor = restart.supervisor.clone();
    let restart = Arc::new(restart);
    let begin = move || {
        while let Ok(lane) = lost.recv() {
            restart.begin(lane);
        }
    };
    supervisor.spawn("lanes", begin).context("starting the thread that starts lanes again")
}

impl LaneRestart {
    /// Starts another thread for this lane, on a thread of its own: others may be lost meanwhile.
    fn begin(self: &Arc<Self>, lane: LaneId) {
        let hangs = std::mem::take(&mut locked(&self.threads)[lane.index()]);
        let alive = {
            let mut given_up = locked(&self.given_up);
            given_up.push(hangs);
            given_up.retain(|thread| thread.strong_count() > 0);
            given_up.len()
        };
        if alive > self.most {
            self.give_up(lane, alive);
        }
        let name = format!("restart-{lane}");
        let (restart, pulse) = (self.clone(), self.supervisor.pulse(&name, Silence::Said));
        let run = move || {
            restart.wait_for_room();
            pulse.within(LONGEST_BUILD, "builds the models of a lane anew");
            restart.until_it_runs(lane);
            pulse.idle();
        };
        if let Err(error) = self.supervisor.spawn(&name, run) {
            tracing::error!(lane = lane.0, %error, "the lane stays lost");
        }
    }

    /// Nobody starts this lane again for now. If no other one serves, the server stops.
    fn give_up(&self, lane: LaneId, alive: usize) {
        let why = format!("lane {lane} hangs, and is not started again: {alive} device threads hang already");
        tracing::error!(lane = lane.0, "{why}");
        let lost = |scheduler: &mosel_core::Scheduler| {
            (0..scheduler.config().lanes).all(|lane| scheduler.condition(LaneId(lane)) == LaneCondition::Lost)
        };
        if self.driver.query(|scheduler, _| lost(scheduler)) {
            self.supervisor.fail(&why);
        }
    }

    fn wait_for_room(&self) {
        loop {
            let mut given_up = locked(&self.given_up);
            given_up.retain(|thread| thread.strong_count() > 0);
            if given_up.len() <= self.most || self.supervisor.is_stopping() {
                return;
            }
            drop(given_up);
            std::thread::sleep(LOOK);
        }
    }

    fn until_it_runs(&self, lane: LaneId) {
        let mut pause = FIRST_PAUSE;
        while !self.supervisor.is_stopping() {
            match self.start(lane) {
                Ok((wanted, there)) => return self.welcome(lane, &wanted, &there),
                Err(error) => tracing::error!(lane = lane.0, "the lane stays lost: {error:#}"),
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Starts its thread; the models that it was to have, and those that it has.
    fn start(&self, lane: LaneId) -> anyhow::Result<(Vec<ModelId>, Vec<ModelId>)> {
        let (device, (work, state), builds) = self.loader.take_over(lane);
        let wanted = builds.iter().map(|(id, ..)| *id).collect();
        let alive = Arc::new(());
        locked(&self.threads)[lane.index()] = Arc::downgrade(&alive);
        let (metrics, supervisor) = (self.metrics.clone(), self.supervisor.clone());
        let sink: Arc<dyn EventSink> = self.driver.clone();
        let parts = DeviceParts { lane, device, builds, work, state, sink, metrics, supervisor, alive };
        Ok((wanted, device::start_again(parts)?))
    }

    /// The lane is there again: what it can run is told before it is given anything. What was loaded meanwhile is not among
    /// those that it was to have: it comes by the usual way.
    fn welcome(&self, lane: LaneId, wanted: &[ModelId], there: &[ModelId]) {
        let lost = self.driver.query(|scheduler, _| scheduler.lost().clone());
        for &id in wanted {
            let event = match (there.contains(&id), lost.contains(&(lane, id))) {
                (true, true) => Event::ModelRestored(lane, id),
                (false, false) => Event::ModelLost(lane, id),
                _ => continue,
            };
            self.metrics.model_available(lane, there.contains(&id));
            drop(self.driver.handle(event));
        }
        tracing::warn!(lane = lane.0, "the lane is there again");
        self.metrics.lane_suspect(lane, false);
        drop(self.driver.handle(Event::LaneRestored(lane)));
    }
}

/// Lists of threads, which are whole whatever happened.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
