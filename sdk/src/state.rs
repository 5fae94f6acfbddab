//! State that a policy hands to its successor, as JSON.
//!
//! What is in it is between the policies alone: the server keeps the bytes and shows the successor who saved them. JSON
//! is readable and lets a successor add fields; a policy that needs other bytes returns them from
//! [`Policy::save`](crate::Policy::save) itself.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Level, PolicyError, log};

/// The most bytes of state that a server takes, 1 MiB.
pub const MOST_BYTES: usize = 1 << 20;

/// A value as bytes for [`Policy::save`](crate::Policy::save).
///
/// If that is not possible (a map with keys that are no strings, more than [`MOST_BYTES`]) the reason is logged and the
/// state is empty, so that the successor starts afresh: no state is worth a policy that fails while it is replaced.
/// A float that is no number becomes `null`, which [`from_json`] refuses for a float.
pub fn to_json<T: Serialize>(state: &T) -> Vec<u8> {
    match serde_json::to_vec(state) {
        Ok(bytes) if bytes.len() <= MOST_BYTES => bytes,
        Ok(bytes) => without(&format!("it has {} bytes, at most {MOST_BYTES} are kept", bytes.len())),
        Err(error) => without(&error.to_string()),
    }
}

fn without(reason: &str) -> Vec<u8> {
    log(Level::Error, &format!("the state is not saved: {reason}"));
    Vec::new()
}

/// The value that [`to_json`] saved, for [`Policy::restore`](crate::Policy::restore). What is not such a value is
/// refused, with the field that is wrong.
pub fn from_json<T: DeserializeOwned>(state: &[u8]) -> Result<T, PolicyError> {
    if state.len() > MOST_BYTES {
        let reason = format!("the state has {} bytes, expected at most {MOST_BYTES}", state.len());
        return Err(PolicyError::Unsupported(reason));
    }
    crate::json::read(state).map_err(|error| PolicyError::Unsupported(format!("the state cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::test::host;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Learnt {
        delays: BTreeMap<String, f64>,
        outcomes: u64,
    }

    fn learned() -> Learnt {
        Learnt { delays: [("0".to_owned(), 1.25)].into(), outcomes: 7 }
    }

    #[test]
    fn what_is_saved_is_restored() {
        assert_eq!(from_json(&to_json(&learned())), Ok(learned()));
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        let refused = from_json::<Learnt>(br#"{"delays": {"0": "slow"}, "outcomes": 7}"#).unwrap_err();
        let PolicyError::Unsupported(reason) = refused else { panic!("{refused:?}") };
        assert!(reason.starts_with("the state cannot be read: delays.0: invalid type: string \"slow\""), "{reason}");
    }

    #[test]
    fn a_mebibyte_is_kept_and_no_more() {
        // Two quotes are part of the JSON.
        let fits = "x".repeat(MOST_BYTES - 2);
        assert_eq!(from_json(&to_json(&fits)), Ok(fits));
        host::begin(0, 0, 0, 0);
        assert_eq!(to_json(&"x".repeat(MOST_BYTES - 1)), b"");
        let reason = "the state is not saved: it has 1048577 bytes, at most 1048576 are kept";
        assert_eq!(host::logged(), [(Level::Error, reason.to_owned())]);
        assert!(from_json::<String>(&vec![b' '; MOST_BYTES + 1]).is_err());
    }

    #[test]
    fn a_value_that_is_no_json_saves_nothing() {
        host::begin(0, 0, 0, 0);
        assert_eq!(to_json(&BTreeMap::from([((1, 2), 3)])), b"");
        assert_eq!(host::logged()[0].1, "the state is not saved: key must be a string");
    }

    proptest! {
        #[test]
        fn garbage_is_refused(state in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(from_json::<Learnt>(&state).is_err());
        }

        #[test]
        fn a_state_that_was_cut_short_is_refused(length in 0..30usize) {
            let state = to_json(&learned());
            let cut = &state[..length.min(state.len() - 1)];
            prop_assert!(from_json::<Learnt>(cut).is_err());
        }
    }
}
