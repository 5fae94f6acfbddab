//! Never changes anything: every job runs on the strategy it arrived with, its most accurate one.
//!
//! What a server without modality selection does, and the template to copy for a policy of your own.

use mosel_sdk::{Catalog, Decision, Description, NoSettings, Policy, PolicyError, Snapshot};

/// The policy.
#[derive(Debug)]
pub struct HighestAccuracy;

impl Policy for HighestAccuracy {
    type Settings = NoSettings;

    fn describe() -> Description {
        Description::new("highest-accuracy", env!("CARGO_PKG_VERSION"), "Never changes anything")
    }

    fn configure(_: NoSettings, _: &Catalog) -> Result<HighestAccuracy, PolicyError> {
        Ok(HighestAccuracy)
    }

    fn decide(&mut self, _: &Snapshot) -> Result<Decision, PolicyError> {
        Ok(Decision::keep())
    }
}

mosel_sdk::export_policy!(HighestAccuracy);

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_sdk::test::{self, Queue};

    #[test]
    fn a_violator_stays_one() {
        let mut queue = Queue::new();
        let menu = queue.menu(&[(40, 0.7), (90, 0.8)]);
        queue.job(menu, 60, 0.5);
        let snapshot = queue.snapshot();
        let decision = test::decide::<HighestAccuracy>("{}", &snapshot).unwrap();
        let after = test::adopt(&snapshot, &decision).unwrap();
        assert_eq!(after.chosen(), snapshot.chosen());
        assert_eq!(after.violators(), [0]);
    }

    #[test]
    fn it_takes_no_settings() {
        let refused = test::decide::<HighestAccuracy>(r#"{"seed": 1}"#, &Queue::new().snapshot());
        assert!(matches!(refused, Err(PolicyError::BadConfig(_))));
    }
}
