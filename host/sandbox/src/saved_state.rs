//! What a policy leaves to its successor.

use mosel_core::PolicyError;

use crate::Description;

/// The largest state.
const MOST_BYTES: usize = 1 << 20;

/// State of a policy, and whose it is: a successor decides by that whether it can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedState {
    /// [`Description::name`] of the policy that saved it.
    pub name: String,
    /// [`Description::version`] of the policy that saved it.
    pub version: String,
    /// At most 1 MiB, in a form of the policy's own.
    pub state: Vec<u8>,
}

impl SavedState {
    pub(crate) fn new(description: &Description, state: Vec<u8>) -> Result<SavedState, PolicyError> {
        let saved = SavedState { name: description.name.clone(), version: description.version.clone(), state };
        saved.check().map_err(PolicyError::Malformed)?;
        Ok(saved)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let bytes = self.state.len();
        if bytes > MOST_BYTES {
            return Err(format!("its state has {bytes} bytes, expected at most {MOST_BYTES}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(bytes: usize) -> SavedState {
        SavedState { name: "n".into(), version: "1".into(), state: vec![0; bytes] }
    }

    #[test]
    fn state_kept() {
        assert_eq!(saved(1 << 20).check(), Ok(()));
    }

    #[test]
    fn state_broken() {
        let words = "its state has 1048577 bytes, expected at most 1048576";
        assert_eq!(saved((1 << 20) + 1).check(), Err(words.into()));
    }
}
