//! The devices of a server: one a lane, and which of them are of one kind.

use mosel_core::{DeviceKind, LaneId};
use std::time::Duration;

use anyhow::Context;
use mosel_models::{DeviceChoice, Devices};

use crate::config::Config;

/// Which device each lane has. Lanes of one kind share their profiles.
#[derive(Clone, Debug)]
pub struct LaneDevices {
    /// By lane.
    pub by_lane: Vec<DeviceChoice>,
    /// Names of the kinds (`cpu`, `cuda`), in the order that lanes first have them.
    pub kinds: Vec<String>,
}

impl LaneDevices {
    /// The devices that the configuration names; without names, as many lanes as it says, all on `auto`.
    pub fn of(config: &Config) -> anyhow::Result<LaneDevices> {
        let named: Vec<DeviceChoice> =
            config.devices.iter().map(|name| name.parse()).collect::<Result<_, _>>().context("devices")?;
        let devices = match named.as_slice() {
            [] | [DeviceChoice::Auto] => lanes_of(auto(config), config.queue.lanes.into()),
            _ => Devices::new(named).context("devices")?.as_slice().to_vec(),
        };
        let mut kinds: Vec<String> = Vec::new();
        for device in &devices {
            if !kinds.iter().any(|kind| kind == device.kind()) {
                kinds.push(device.kind().into());
            }
        }
        Ok(LaneDevices { by_lane: devices, kinds })
    }

    /// How many lanes.
    pub(crate) fn lanes(&self) -> u32 {
        self.by_lane.len() as u32
    }

    /// The kind of a lane's device, as the core numbers them.
    pub(crate) fn kind(&self, lane: LaneId) -> DeviceKind {
        let name = self.by_lane[lane.index()].kind();
        self.kinds.iter().position(|kind| kind == name).map_or(DeviceKind(0), DeviceKind::at)
    }

    /// What the core is told.
    pub(crate) fn core_config(&self, config: &Config) -> mosel_core::Config {
        mosel_core::Config {
            lanes: self.lanes(),
            kinds: (0..self.lanes()).map(|lane| self.kind(LaneId(lane))).collect(),
            max_jobs: config.queue.max_jobs,
            policy_budget: Duration::from_millis(config.policy.budget_ms),
            margin: config.queue.margin,
            fairness: config.fairness.to_core(),
            overdue: config.watch.overdue(),
            slow: config.watch.slow_factor,
            probe_interval: Duration::from_millis(config.watch.probe_interval_ms),
        }
    }
}

/// So many lanes on one device.
fn lanes_of(device: DeviceChoice, lanes: u64) -> Vec<DeviceChoice> {
    match device {
        DeviceChoice::Cpu if lanes > 1 => (0..lanes as usize).map(DeviceChoice::CpuLane).collect(),
        device => vec![device; lanes as usize],
    }
}

/// A GPU where there is one and the models were measured on one; else the CPU.
fn auto(config: &Config) -> DeviceChoice {
    // several lanes would share one GPU, and no profile says how long that takes
    if config.queue.lanes > 1 || !mosel_models::backend::gpu_is_there() {
        return DeviceChoice::Cpu;
    }
    let installed = mosel_models::installed::InstalledModels::standard();
    let measured = |name: &String| installed.find(name).is_ok_and(|known| known.profile_path_on("cuda").exists());
    if config.models.zoo.iter().all(measured) {
        return DeviceChoice::Cuda(0);
    }
    tracing::warn!(
        "there is a GPU, but not every model was measured on it (`mosel profile NAME --device cuda`): on the CPU"
    );
    DeviceChoice::Cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(devices: &[&str]) -> anyhow::Result<LaneDevices> {
        let config = Config { devices: devices.iter().map(ToString::to_string).collect(), ..Config::default() };
        LaneDevices::of(&config)
    }

    #[test]
    fn lanes_of_one_kind_share_a_number() {
        let devices = devices(&["cpu:0", "cuda:1", "cpu:1", "cuda:0"]).unwrap();
        assert_eq!(devices.kinds, ["cpu", "cuda"]);
        let core = devices.core_config(&Config::default());
        assert_eq!((core.lanes, core.kinds), (4, [0, 1, 0, 1].map(DeviceKind).to_vec()));
    }

    #[test]
    fn an_unknown_device_is_named() {
        assert!(format!("{:#}", devices(&["gpu"]).unwrap_err()).contains("got \"gpu\""));
        assert!(format!("{:#}", devices(&["cpu", "cpu:0"]).unwrap_err()).contains("are the same"));
    }
}
