//! How a request is run, on the wire: `3`, or `"3@bf16"` where the precision is not the full one.

use mosel_core::{ModalitySet, Mode, Precision};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A mode; its modalities as bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ModeLine(pub(super) Mode);

impl Serialize for ModeLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Mode { modalities, precision } = self.0;
        match precision {
            Precision::Fp32 => serializer.serialize_u32(modalities.bits()),
            reduced => serializer.serialize_str(&format!("{}@{reduced}", modalities.bits())),
        }
    }
}

impl<'de> Deserialize<'de> for ModeLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ModeLine, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a set of modalities as 3 or \"3@bf16\"")]
        enum Written {
            Full(u32),
            Reduced(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Full(bits) => return Ok(ModeLine(Mode::full(ModalitySet::from_bits(bits)))),
            Written::Reduced(text) => text,
        };
        let parsed = text.split_once('@').and_then(|(bits, precision)| {
            Some(Mode { modalities: ModalitySet::from_bits(bits.parse().ok()?), precision: precision.parse().ok()? })
        });
        let expected = || format!("expected a set of modalities as 3 or \"3@bf16\", got {text:?}");
        parsed.map(ModeLine).ok_or_else(|| de::Error::custom(expected()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_precision_reads_back_and_the_full_one_is_a_number() {
        for precision in Precision::ALL {
            let mode = ModeLine(Mode { modalities: ModalitySet::from_bits(3), precision });
            let text = serde_json::to_string(&mode).unwrap();
            assert_eq!(serde_json::from_str::<ModeLine>(&text).unwrap(), mode);
        }
        assert_eq!(serde_json::to_string(&ModeLine(Mode::full(ModalitySet::from_bits(3)))).unwrap(), "3");
        let refusal = |text: &str| serde_json::from_str::<ModeLine>(text).unwrap_err().to_string();
        assert!(refusal(r#""3@int8""#).starts_with(r#"expected a set of modalities as 3 or "3@bf16", got "3@int8""#));
        assert!(refusal("true").starts_with("expected a set of modalities"));
    }
}
