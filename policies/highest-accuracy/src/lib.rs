//! Never changes anything: every job runs on the strategy it has, which for all that arrive is their most accurate one.
//!
//! What a server without modality selection does, and the smallest policy there is.

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

    const DAY: &str = "
        modalities video audio
        measure audio 1 40ms 137/200
        measure video+audio 1 90ms 157/200
        at 0ms submit 1 deadline 200ms
        at 0ms submit 2 deadline 140ms
    ";

    #[test]
    fn a_violator_stays_one() {
        let answer = test::ask::<HighestAccuracy>("{}", &test::scenario(DAY));
        assert_eq!(answer.moved(), []);
        assert_eq!(answer.violators(), [2]);
    }

    #[test]
    fn every_job_of_a_day_runs_on_everything() {
        let log = test::run::<HighestAccuracy>("{}", DAY);
        assert!(log.contains("90ms Served 1: 1 video+audio"), "{log}");
        assert!(log.contains("180ms Served late 2: 1 video+audio"), "{log}");
    }

    #[test]
    fn it_takes_no_settings() {
        let refused = test::decide::<HighestAccuracy>(r#"{"seed": 1}"#, &Queue::new().snapshot());
        assert!(matches!(refused, Err(PolicyError::BadConfig(_))));
    }
}
