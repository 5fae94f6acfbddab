//! What a guest may use up.

use std::time::Duration;

/// The bounds on every policy of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories of an instance together.
    pub memory_bytes: usize,
    /// The wasm stack of a call.
    pub stack_bytes: usize,
    /// The size of a component.
    pub component_bytes: usize,
    /// For one decision. The time is the smaller of this and the snapshot's budget.
    pub decide: Budget,
    /// For getting a policy ready, apart from decisions: instantiate, describe, configure.
    pub load: Budget,
    /// For what happens between decisions, on the thread that asks for them: observe, save, restore, update the
    /// catalog.
    pub housekeeping: Budget,
    /// Which of a budget's two bounds hold.
    pub metering: Metering,
}

/// What one call may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Wasm instructions, roughly: a microsecond burns some 5,000 to 20,000. The deterministic bound: the same call
    /// always uses the same fuel.
    pub fuel: u64,
    /// Processor time of the calling thread; of the clock four times as much, so that a policy is not cut off for the
    /// load that others put on the machine.
    pub time: Duration,
}

/// Fuel that a policy uses in a microsecond, where time is counted in fuel. Measured: `mosel bench policy` prints fuel
/// and time of the shipped policies side by side.
const FUEL_PER_MICRO: u64 = 5_000;

/// How long a call that used so much fuel takes, where time is counted in fuel; rounded up to a microsecond.
pub fn fuel_time(fuel: u64) -> Duration {
    Duration::from_micros(fuel.div_ceil(FUEL_PER_MICRO))
}

/// Which bounds hold. Each is code in every loop of a policy and costs it time, so that one alone is faster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metering {
    /// Both.
    #[default]
    FuelAndTime,
    /// The deterministic one alone, for simulation and replay: neither what a policy sees of time nor when it is cut off
    /// depends on the machine. Its clock goes by the fuel it uses: [`fuel_time`].
    Fuel,
    /// The clock alone. Nobody knows then how much fuel a call used.
    Time,
    /// Neither, to measure what the others cost: never for a policy that is not trusted, whose endless loop would be
    /// endless.
    Neither,
}

impl Metering {
    /// Fuel is counted.
    pub fn fuel(self) -> bool {
        matches!(self, Metering::FuelAndTime | Metering::Fuel)
    }

    /// Calls are interrupted when their time is up.
    pub fn time(self) -> bool {
        matches!(self, Metering::FuelAndTime | Metering::Time)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: 64 << 20,
            stack_bytes: 512 << 10,
            component_bytes: 32 << 20,
            decide: Budget { fuel: 400_000_000, time: Duration::from_millis(100) },
            load: Budget { fuel: 2_000_000_000, time: Duration::from_secs(1) },
            housekeeping: Budget { fuel: 100_000_000, time: Duration::from_millis(20) },
            metering: Metering::default(),
        }
    }
}
