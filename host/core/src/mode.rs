//! How a request is run: on which modalities, with which numbers.

use std::fmt;

use crate::{ModalitySet, Precision};

/// A selection of modalities together with the precision it is computed in: what is profiled, planned and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode {
    /// What the request is run on.
    pub modalities: ModalitySet,
    /// What it is computed with.
    pub precision: Precision,
}

impl Mode {
    /// These modalities in full precision.
    pub const fn full(modalities: ModalitySet) -> Mode {
        Mode { modalities, precision: Precision::Fp32 }
    }

    /// With the modalities' names: `image+text`, or `image+text@bf16` where the precision is not the full one.
    pub fn label<S: AsRef<str>>(self, names: &[S]) -> String {
        self.with_precision(&self.modalities.label(names))
    }

    /// Reads a label back; else the word that is no modality or no precision.
    pub fn parse<'t, S: AsRef<str>>(label: &'t str, names: &[S]) -> Result<Mode, &'t str> {
        let (modalities, precision) = match label.split_once('@') {
            Some((modalities, precision)) => (modalities, precision.parse().map_err(|_| precision)?),
            None => (label, Precision::Fp32),
        };
        Ok(Mode { modalities: ModalitySet::parse(modalities, names)?, precision })
    }

    fn with_precision(self, modalities: &str) -> String {
        match self.precision {
            Precision::Fp32 => modalities.into(),
            reduced => format!("{modalities}@{reduced}"),
        }
    }
}

impl fmt::Display for Mode {
    /// Without names: the bits, as `{0,2}` or `{0,2}@bf16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_precision(&self.modalities.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_read_back() {
        let names = ["video", "audio"];
        for modalities in ModalitySet::selections(2) {
            for precision in Precision::ALL {
                let mode = Mode { modalities, precision };
                assert_eq!(Mode::parse(&mode.label(&names), &names), Ok(mode));
            }
        }
        let both = Mode { modalities: ModalitySet::all(2), precision: Precision::Bf16 };
        assert_eq!((both.label(&names), both.to_string()), ("video+audio@bf16".into(), "{0,1}@bf16".into()));
        assert_eq!(Mode::full(ModalitySet::all(2)).label(&names), "video+audio");
        assert_eq!(Mode::parse("video@int8", &names), Err("int8"));
        assert_eq!(Mode::parse("smell@bf16", &names), Err("smell"));
    }
}
