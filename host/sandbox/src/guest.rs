//! The one place where guest code is entered: a live component, and metered calls into it.

use std::time::Duration;

use mosel_core::{DecisionId, PolicyError, Time};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::bindings::{Exports, Scheduler, SchedulerPre, types};
use crate::host::Host;
use crate::log::{LogLine, words};
use crate::meter::Meter;
use crate::runtime::Runtime;
use crate::stream::Stream;
use crate::{Budget, Description, LoadError};

/// How much text and data a guest may hand over at once, apart from what each job of a snapshot allows it.
const HANDED_OVER: usize = 1 << 20;

/// A live component. After a call that failed with anything but the guest's own words it must not be used again.
pub(crate) struct Guest {
    runtime: Runtime,
    store: Store<Host>,
    scheduler: Scheduler,
}

/// The terms of a call.
pub(crate) struct Terms {
    pub(crate) budget: Budget,
    pub(crate) now: Time,
    pub(crate) stream: Stream,
    /// How much the guest may hand over, in bytes.
    pub(crate) answer_bytes: usize,
}

/// What a call gave and what it took.
pub(crate) struct Call<T> {
    pub(crate) answer: Result<T, PolicyError>,
    /// `None` where fuel is not counted.
    pub(crate) fuel_used: Option<u64>,
    pub(crate) wall: Duration,
}

/// The reason of an interruption: the budget is used up.
#[derive(Debug, thiserror::Error)]
#[error("out of time")]
struct OutOfTime;

impl Terms {
    /// For getting ready.
    pub(crate) fn load(runtime: &Runtime) -> Terms {
        Terms::new(runtime.limits().load, Time::START)
    }

    /// For calls between decisions.
    pub(crate) fn housekeeping(runtime: &Runtime, now: Time) -> Terms {
        Terms::new(runtime.limits().housekeeping, now)
    }

    /// The same for saving: a state may be as large as everything else that is handed over, and one that is a little
    /// larger is refused in our words, not in wasmtime's.
    pub(crate) fn save(runtime: &Runtime) -> Terms {
        Terms { answer_bytes: 2 * HANDED_OVER, ..Terms::housekeeping(runtime, Time::START) }
    }

    fn new(budget: Budget, now: Time) -> Terms {
        Terms { budget, now, stream: Stream::new(0, DecisionId(0)), answer_bytes: HANDED_OVER }
    }

    /// For the decision of a snapshot.
    pub(crate) fn decide(runtime: &Runtime, snapshot: &mosel_core::Snapshot, seed: u64) -> Terms {
        let Budget { fuel, time } = runtime.limits().decide;
        Terms {
            budget: Budget { fuel, time: time.min(snapshot.budget) },
            now: snapshot.now,
            stream: Stream::new(seed, snapshot.decision),
            answer_bytes: HANDED_OVER.saturating_add(snapshot.jobs.len().saturating_mul(64)),
        }
    }
}

impl Guest {
    /// Instantiates the component: its start functions run, if it has some, on the terms of loading.
    pub(crate) fn new(runtime: &Runtime, code: &SchedulerPre<Host>) -> Result<Guest, PolicyError> {
        let terms = Terms::load(runtime);
        let mut store = new_store(runtime, terms.budget);
        begin(runtime, &mut store, &terms);
        let _ticking = runtime.tick();
        match code.instantiate(&mut store) {
            Ok(scheduler) => Ok(Guest { runtime: runtime.clone(), store, scheduler }),
            Err(error) => Err(explain(&error, &terms, store.data())),
        }
    }

    /// One call into the component.
    pub(crate) fn call<T>(
        &mut self,
        terms: &Terms,
        call: impl FnOnce(&Exports, &mut Store<Host>) -> wasmtime::Result<Result<T, types::PolicyError>>,
    ) -> Call<T> {
        begin(&self.runtime, &mut self.store, terms);
        let _ticking = self.runtime.tick();
        let result = call(self.scheduler.mosel_policy_policy(), &mut self.store);
        // An error says that fuel is not counted.
        let fuel_left = self.store.get_fuel().ok();
        let host = self.store.data();
        let answer = match result {
            Ok(answer) => answer.map_err(|error| PolicyError::Declined(error.into())),
            Err(error) => Err(explain(&error, terms, host)),
        };
        let fuel_used = fuel_left.map(|left| terms.budget.fuel.saturating_sub(left));
        Call { answer, fuel_used, wall: host.meter.wall() }
    }

    /// What the policy says of itself.
    pub(crate) fn describe(&mut self) -> Result<Description, LoadError> {
        let terms = Terms::load(&self.runtime);
        let call = self.call(&terms, |exports, store| exports.call_describe(store).map(Ok));
        Description::try_from(call.answer.map_err(LoadError::Describe)?)
    }

    /// What it logged since the last time this was asked, and how many messages more there were.
    pub(crate) fn take_log(&mut self) -> (Vec<LogLine>, u64) {
        self.store.data_mut().take_log()
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

fn new_store(runtime: &Runtime, budget: Budget) -> Store<Host> {
    let meter = Meter::start(budget, runtime.limits().metering);
    let host = Host::new(meter, runtime.limits().memory_bytes);
    let mut store = Store::new(runtime.wasmtime(), host);
    store.limiter(|host| &mut host.memory);
    if !runtime.limits().metering.time() {
        return store;
    }
    store.epoch_deadline_callback(|store| {
        if store.data().meter.remaining(None) > Duration::ZERO {
            Ok(UpdateDeadline::Continue(1))
        } else {
            Err(OutOfTime.into())
        }
    });
    store
}

fn begin(runtime: &Runtime, store: &mut Store<Host>, terms: &Terms) {
    let metering = runtime.limits().metering;
    store.data_mut().begin(Meter::start(terms.budget, metering), terms.now, terms.stream);
    if metering.fuel() {
        store.set_fuel(terms.budget.fuel).expect("the engine counts fuel");
    }
    if metering.time() {
        store.set_epoch_deadline(1);
    }
    store.set_hostcall_fuel(terms.answer_bytes);
}

/// Which limit was broken, or what else went wrong.
fn explain(error: &wasmtime::Error, terms: &Terms, host: &Host) -> PolicyError {
    if error.is::<OutOfTime>() {
        return PolicyError::TimedOut(host.meter.budget());
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        return PolicyError::OutOfFuel(terms.budget.fuel);
    }
    if let Some(most) = host.memory.refused() {
        return PolicyError::OutOfMemory(most);
    }
    match (trap, host.last_words()) {
        (None, _) => PolicyError::Malformed(words(&error.root_cause().to_string())),
        (Some(_), Some(said)) => PolicyError::Trapped(words(said)),
        (Some(trap), None) => PolicyError::Trapped(trap.to_string()),
    }
}
