//! Where a model is asked to run, and where it really runs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a model is asked to run; as text `auto`, `cpu`, `cpu:N`, `cuda` or `cuda:N`, with N from 0 to 63.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CPU, as a lane of this number: every lane computes with a thread of its own. Lane 0 is [`DeviceChoice::Cpu`].
    CpuLane(usize),
    /// This GPU, or an error.
    Cuda(usize),
}

/// Where a model really runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceFacts {
    /// What profiles are of: `cpu`, the same for every lane of it, `cuda:0`; `timed` and `null` for models that only
    /// pretend.
    pub name: String,
    /// The lane's name: `cpu`, `cpu:1`, `cuda:0`. Empty for models that only pretend.
    pub lane: String,
    /// The processor's name, as the system tells it.
    pub processor: String,
    /// Threads that one batch is computed with.
    pub threads: u32,
    /// Versions of the libraries that compute.
    pub libraries: BTreeMap<String, String>,
    /// What a person should know: why it is not the GPU, for example.
    pub note: Option<String>,
}

/// A text that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a device auto, cpu, cpu:N, cuda or cuda:N with N from 0 to {LARGEST}, got {0:?}")]
pub struct UnknownDevice(String);

/// The largest number of a GPU or of a lane of the CPU.
const LARGEST: usize = 63;

impl DeviceChoice {
    /// The kind of device, whose profiles serve every one of it: `cpu`, `cuda`; `auto` before it is known.
    pub fn kind(&self) -> &'static str {
        self.lane().map_or("auto", |(kind, _)| kind)
    }

    /// The kind of device and its number or lane, however they are written; `None` before it is known.
    pub(crate) fn lane(self) -> Option<(&'static str, usize)> {
        match self {
            DeviceChoice::Auto => None,
            DeviceChoice::Cpu => Some(("cpu", 0)),
            DeviceChoice::CpuLane(lane) => Some(("cpu", lane)),
            DeviceChoice::Cuda(index) => Some(("cuda", index)),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<DeviceChoice, UnknownDevice> {
        let unknown = || UnknownDevice(text.chars().take(100).collect());
        let number = |digits: &str| digits.parse().ok().filter(|&number| number <= LARGEST).ok_or_else(unknown);
        match text.split_once(':') {
            None if text == "auto" => Ok(DeviceChoice::Auto),
            None if text == "cpu" => Ok(DeviceChoice::Cpu),
            None if text == "cuda" => Ok(DeviceChoice::Cuda(0)),
            Some(("cpu", lane)) => number(lane).map(DeviceChoice::CpuLane),
            Some(("cuda", index)) => number(index).map(DeviceChoice::Cuda),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::CpuLane(lane) => write!(f, "cpu:{lane}"),
            DeviceChoice::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = UnknownDevice;

    fn try_from(text: String) -> Result<DeviceChoice, UnknownDevice> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> String {
        choice.to_string()
    }
}

impl DeviceFacts {
    /// The GPU's number; `None` on the CPU.
    pub fn gpu(&self) -> Option<usize> {
        self.name.strip_prefix("cuda:")?.parse().ok()
    }

    /// A model that computes nothing.
    pub(crate) fn fake(name: &str) -> DeviceFacts {
        DeviceFacts { name: name.into(), ..DeviceFacts::default() }
    }
}

/// The processor's name, as Linux tells it; `unknown` elsewhere.
pub fn processor_name() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let name = model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_read_as_they_are_written() {
        for text in ["auto", "cpu", "cpu:0", "cpu:63", "cuda:0", "cuda:63"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        let listed: Vec<DeviceChoice> = serde_json::from_str(r#"["cpu:1","cuda:2"]"#).unwrap();
        assert_eq!(listed, [DeviceChoice::CpuLane(1), DeviceChoice::Cuda(2)]);
        assert_eq!(serde_json::to_string(&listed).unwrap(), r#"["cpu:1","cuda:2"]"#);
    }

    #[test]
    fn what_names_no_device_is_refused() {
        let refused = |text: &str| text.parse::<DeviceChoice>().unwrap_err().to_string();
        let expected = "expected a device auto, cpu, cpu:N, cuda or cuda:N with N from 0 to 63";
        assert_eq!(refused("gpu"), format!(r#"{expected}, got "gpu""#));
        for text in ["", "CPU", "auto:0", "cpu:", "cpu:64", "cuda:64", "cuda:-1", "cuda:1:2", "cpu 1"] {
            assert!(refused(text).starts_with(expected), "{text}");
        }
        let unread = serde_json::from_str::<DeviceChoice>(r#""tpu""#).unwrap_err().to_string();
        assert!(unread.contains(r#"got "tpu""#), "{unread}");
    }
}
