//! The devices that a server uses: a list in its configuration, one lane each.

use serde::{Deserialize, Serialize};

use crate::DeviceChoice;

/// 1 to 64 devices, each once: `["cpu", "cuda:0"]`. `["auto"]` unless something else is asked for.
///
/// `["cpu:0", "cpu:1"]` are two lanes of the same CPU, each with a thread of its own. `auto` stands alone, because it
/// may turn out to be any of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<DeviceChoice>", into = "Vec<DeviceChoice>")]
pub struct Devices(Vec<DeviceChoice>);

/// Why a list of devices is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DevicesError {
    /// None, or too many.
    #[error("expected 1 to {MOST} devices, got {0}")]
    Count(usize),
    /// Twice the same.
    #[error("expected each device once, {first} and {again} are the same")]
    Twice {
        /// The first of them.
        first: DeviceChoice,
        /// The second.
        again: DeviceChoice,
    },
    /// `auto` with others.
    #[error("expected auto alone, got it with {0} other devices")]
    AutoWithOthers(usize),
}

/// Devices in a list.
const MOST: usize = 64;

impl Devices {
    /// A list of these devices, in their order.
    pub fn new(devices: Vec<DeviceChoice>) -> Result<Devices, DevicesError> {
        if devices.is_empty() || devices.len() > MOST {
            return Err(DevicesError::Count(devices.len()));
        }
        if devices.len() > 1 && devices.contains(&DeviceChoice::Auto) {
            return Err(DevicesError::AutoWithOthers(devices.len() - 1));
        }
        for (place, &again) in devices.iter().enumerate() {
            if let Some(&first) = devices[..place].iter().find(|first| first.lane() == again.lane()) {
                return Err(DevicesError::Twice { first, again });
            }
        }
        Ok(Devices(devices))
    }

    /// The devices, in their order; at least one.
    pub fn as_slice(&self) -> &[DeviceChoice] {
        &self.0
    }
}

impl Default for Devices {
    fn default() -> Devices {
        Devices(vec![DeviceChoice::Auto])
    }
}

impl TryFrom<Vec<DeviceChoice>> for Devices {
    type Error = DevicesError;

    fn try_from(devices: Vec<DeviceChoice>) -> Result<Devices, DevicesError> {
        Devices::new(devices)
    }
}

impl From<Devices> for Vec<DeviceChoice> {
    fn from(devices: Devices) -> Vec<DeviceChoice> {
        devices.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        serde_json::from_str::<Devices>(text).unwrap_err().to_string()
    }

    #[test]
    fn a_list_keeps_its_order_and_reads_as_it_is_written() {
        let text = r#"["cuda:0","cpu","cpu:1"]"#;
        let devices: Devices = serde_json::from_str(text).unwrap();
        assert_eq!(devices.as_slice(), [DeviceChoice::Cuda(0), DeviceChoice::Cpu, DeviceChoice::CpuLane(1)]);
        assert_eq!(serde_json::to_string(&devices).unwrap(), text);
        assert_eq!(serde_json::from_str::<Devices>(r#"["auto"]"#).unwrap(), Devices::default());
    }

    #[test]
    fn a_device_is_there_once_however_it_is_written() {
        assert_eq!(refusal(r#"["cpu","cuda:0","cpu:0"]"#), "expected each device once, cpu and cpu:0 are the same");
        assert_eq!(refusal(r#"["cuda","cuda:0"]"#), "expected each device once, cuda:0 and cuda:0 are the same");
        assert_eq!(refusal(r#"["auto","cpu"]"#), "expected auto alone, got it with 1 other devices");
    }

    #[test]
    fn a_list_may_be_as_long_as_the_limit_and_no_longer() {
        let lanes = |count| (0..count).map(DeviceChoice::CpuLane).collect();
        assert_eq!(Devices::new(lanes(64)).unwrap().as_slice().len(), 64);
        assert_eq!(Devices::new(lanes(65)), Err(DevicesError::Count(65)));
        assert_eq!(refusal("[]"), "expected 1 to 64 devices, got 0");
    }
}
