//! The arguments of `mosel bench policy`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use mosel_sandbox::{Budget, Limits, Metering};

/// Measures policies on random queues.
#[derive(Debug, Args)]
pub struct PolicyBenchArgs {
    /// A component's file, or the name of a shipped policy; may be given more than once. Without it: all that are shipped
    #[arg(long = "policy", value_name = "FILE|NAME")]
    pub(super) policies: Vec<String>,
    /// Settings of every policy measured: JSON, or @FILE
    #[arg(long, value_name = "JSON")]
    pub(super) settings: Option<String>,
    /// Jobs in a queue; may be given more than once
    #[arg(long, default_values_t = [10, 100, 1000], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) jobs: Vec<u32>,
    /// Strategies a table; may be given more than once
    #[arg(long, default_values_t = [12], value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) strategies: Vec<u32>,
    /// Tables of a queue
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(super) tables: u32,
    /// Random queues of each size
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) instances: u32,
    /// How often each queue is asked, after one that does not count
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) repeats: u32,
    /// What the queues are drawn with
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Which of a policy's limits are enforced
    #[arg(long, value_enum, default_value_t = MeteringArg::FuelAndTime)]
    pub(super) metering: MeteringArg,
    /// What it costs to load a policy, to start it and to cross its border, instead
    #[arg(long)]
    pub(super) loads: bool,
    /// A line of JSON for each row instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MeteringArg {
    /// Both, as the server does
    #[value(name = "fuel+time")]
    FuelAndTime,
    /// Fuel alone
    Fuel,
    /// Time alone
    Time,
}

/// Long enough that nobody is cut off for a slow machine.
pub(super) const BUDGET: Duration = Duration::from_secs(10);

/// What policies are limited to while they are measured.
pub(super) fn limits(meters: MeteringArg) -> Limits {
    let metering = match meters {
        MeteringArg::FuelAndTime => Metering::FuelAndTime,
        MeteringArg::Fuel => Metering::Fuel,
        MeteringArg::Time => Metering::Time,
    };
    let decide = Budget { fuel: u64::MAX / 2, time: BUDGET };
    Limits { metering, decide, ..Limits::default() }
}

impl PolicyBenchArgs {
    /// As it is printed.
    pub(super) fn metering(&self) -> String {
        self.metering.to_possible_value().map_or_else(String::new, |value| value.get_name().into())
    }
}
