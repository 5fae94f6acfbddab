//! Where a model is asked to run, and where it really runs.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Where a model is asked to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// This GPU, or an error.
    Cuda(usize),
}

/// Where a model really runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceFacts {
    /// `cpu`, `cuda:0`; `timed` and `null` for models that only pretend.
    pub name: String,
    /// The processor's name, as the system tells it.
    pub processor: String,
    /// Threads that one batch is computed with.
    pub threads: u32,
    /// Versions of the libraries that compute.
    pub libraries: BTreeMap<String, String>,
    /// What a person should know: why it is not the GPU, for example.
    pub note: Option<String>,
}

/// A device that is not `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a device auto, cpu, cuda or cuda:N, {0:?} came")]
pub struct UnknownDevice(String);

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<DeviceChoice, UnknownDevice> {
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda(0)),
            _ => {
                let index = text.strip_prefix("cuda:").and_then(|index| index.parse().ok());
                index.map(DeviceChoice::Cuda).ok_or_else(|| UnknownDevice(text.into()))
            }
        }
    }
}

impl DeviceChoice {
    /// The kind of device, whose profiles serve every one of it: `cpu`, `cuda`; `auto` before it is known.
    pub fn kind(&self) -> &'static str {
        match self {
            DeviceChoice::Auto => "auto",
            DeviceChoice::Cpu => "cpu",
            DeviceChoice::Cuda(_) => "cuda",
        }
    }
}

impl DeviceFacts {
    /// A model that computes nothing.
    pub(crate) fn pretended(name: &str) -> DeviceFacts {
        DeviceFacts { name: name.into(), ..DeviceFacts::default() }
    }
}

/// The processor's name, as Linux tells it; `unknown` elsewhere.
#[cfg(feature = "torch")]
pub(crate) fn processor_name() -> String {
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
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        let refused = "gpu".parse::<DeviceChoice>().unwrap_err().to_string();
        assert_eq!(refused, r#"expected a device auto, cpu, cuda or cuda:N, "gpu" came"#);
    }
}
