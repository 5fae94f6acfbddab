//! The numbers that a network computes with.

use std::fmt;
use std::str::FromStr;

/// The kind of floating-point number that a batch is computed with.
///
/// Weights are stored in full precision; a reduced one trades accuracy for time and memory. How much of either differs by
/// device, so each is a dimension of the profile, like a selection of modalities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// 32 bits (IEEE 754 binary32).
    #[default]
    Fp32,
    /// 16 bits with the range of 32 (bfloat16).
    Bf16,
    /// 16 bits (IEEE 754 binary16).
    Fp16,
}

/// A word that is no precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPrecision(String);

impl Precision {
    /// Every precision, the most precise first.
    pub const ALL: [Precision; 3] = [Precision::Fp32, Precision::Bf16, Precision::Fp16];

    /// As files and clients write it.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Bf16 => "bf16",
            Precision::Fp16 => "fp16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Precision, UnknownPrecision> {
        Precision::ALL.into_iter().find(|precision| precision.name() == name).ok_or(UnknownPrecision(name.into()))
    }
}

impl fmt::Display for UnknownPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected a precision fp32, bf16 or fp16, got {:?}", self.0)
    }
}

impl std::error::Error for UnknownPrecision {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_read_as_they_are_written() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        let refused = "int8".parse::<Precision>().unwrap_err().to_string();
        assert_eq!(refused, r#"expected a precision fp32, bf16 or fp16, got "int8""#);
    }
}
