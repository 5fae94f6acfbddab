//! Numbers that JSON has no word for: what is not finite is written as text, so that it reads back as it was.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A float, finite or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Word(String),
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0)
        } else {
            serializer.serialize_str(&self.0.to_string())
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Number(number)),
            Written::Word(word) => {
                let number = word.parse().ok().filter(|number: &f64| !number.is_finite());
                let expected =
                    || serde::de::Error::custom(format!("expected a number, NaN, inf or -inf, got {word:?}"));
                number.map(Number).ok_or_else(expected)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_reads_back() {
        for number in [0.1 + 0.2, 5e-324, 1e300, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let text = serde_json::to_string(&Number(number)).unwrap();
            let read: Number = serde_json::from_str(&text).unwrap();
            assert_eq!(read.0.to_bits(), number.to_bits(), "{text}");
        }
        assert!(serde_json::from_str::<Number>("\"twelve\"").is_err());
        assert!(serde_json::from_str::<Number>("\"12\"").is_err());
    }
}
