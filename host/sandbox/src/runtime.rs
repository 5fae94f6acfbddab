//! What every guest runs on: wasmtime with the limits, and the thread that interrupts calls.

use std::sync::Arc;

use wasmtime::Config;
use wasmtime::error::Context;

use crate::Limits;
use crate::ticker::{Ticker, Ticking};

/// A wasmtime engine and the limits that hold on it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    limits: Limits,
    /// Where calls are interrupted.
    ticker: Option<Ticker>,
}

impl Runtime {
    pub(crate) fn new(limits: Limits) -> anyhow::Result<Runtime> {
        let wasmtime = wasmtime::Engine::new(&config(&limits)).context("setting up the WebAssembly engine")?;
        let ticker = limits.metering.time().then(|| Ticker::start(wasmtime.weak())).transpose();
        let ticker = ticker.context("starting the thread that interrupts policies")?.map(|(ticker, _)| ticker);
        Ok(Runtime { inner: Arc::new(Inner { wasmtime, limits, ticker }) })
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Interruptions come until the answer is dropped, where there are any.
    pub(crate) fn tick(&self) -> Option<Ticking> {
        self.inner.ticker.as_ref().map(Ticker::tick)
    }
}

fn config(limits: &Limits) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.consume_fuel(limits.metering.fuel());
    config.epoch_interruption(limits.metering.time());
    config.max_wasm_stack(limits.stack_bytes);
    // Answers must not depend on the processor.
    config.wasm_relaxed_simd(false);
    // A trap is told by its name and by what the policy logged last. Where in the code it was nobody is told: to know it
    // would cost bytes of compiled code, and time at every load and at every trap.
    config.wasm_backtrace_max_frames(None);
    config.generate_address_map(false);
    config.native_unwind_info(false);
    config
}
