//! A policy at work: settings read, catalog kept up to date. The component and the native tests both drive this.

use std::sync::Arc;

use crate::bindings::mosel::policy::types as wire;
use crate::{Catalog, Decision, Outcome, Policy, PolicyError, Snapshot};

/// A configured policy and its catalog.
#[derive(Debug)]
pub struct Running<P> {
    policy: P,
    catalog: Arc<Catalog>,
}

impl<P: Policy> Running<P> {
    /// Reads the settings (JSON; nothing at all means the defaults) and configures the policy.
    pub fn configure(config: &str, sent: wire::Catalog) -> Result<Running<P>, PolicyError> {
        let mut catalog = Catalog::default();
        catalog.merge(sent);
        let policy = P::configure(settings::<P>(config)?, &catalog)?;
        Ok(Running { policy, catalog: Arc::new(catalog) })
    }

    /// Takes in new entries of the catalog.
    pub fn update_catalog(&mut self, sent: wire::Catalog) -> Result<(), PolicyError> {
        Arc::make_mut(&mut self.catalog).merge(sent);
        self.policy.update_catalog(&self.catalog)
    }

    /// Asks the policy.
    pub fn decide(&mut self, queue: wire::Snapshot) -> Result<Decision, PolicyError> {
        let snapshot = Snapshot::new(queue, Arc::clone(&self.catalog))?;
        self.policy.decide(&snapshot)
    }

    /// Tells the policy what became of jobs.
    pub fn observe(&mut self, outcomes: &[Outcome]) {
        self.policy.observe(outcomes);
    }

    /// The policy's state for a successor.
    pub fn save(&self) -> Vec<u8> {
        self.policy.save()
    }

    /// Hands the policy a predecessor's state.
    pub fn restore(&mut self, name: &str, version: &str, state: &[u8]) -> Result<(), PolicyError> {
        self.policy.restore(name, version, state)
    }
}

fn settings<P: Policy>(config: &str) -> Result<P::Settings, PolicyError> {
    if config.trim().is_empty() {
        return Ok(P::Settings::default());
    }
    crate::json::read(config.as_bytes()).map_err(PolicyError::BadConfig)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Description, NoSettings};

    #[derive(Debug)]
    struct Idle;

    impl Policy for Idle {
        type Settings = NoSettings;

        fn describe() -> Description {
            Description::new("idle", "1.0.0", "Does nothing")
        }

        fn configure(_: NoSettings, _: &Catalog) -> Result<Idle, PolicyError> {
            Ok(Idle)
        }

        fn decide(&mut self, _: &Snapshot) -> Result<Decision, PolicyError> {
            Ok(Decision::keep())
        }
    }

    fn configure(config: &str) -> Result<Running<Idle>, PolicyError> {
        Running::configure(config, wire::Catalog { revision: 1, models: vec![], tables: vec![] })
    }

    #[test]
    fn no_settings_are_the_defaults() {
        assert!(configure("").is_ok());
        assert!(configure("{}").is_ok());
    }

    #[test]
    fn settings_nobody_knows_are_refused_by_name() {
        let Err(PolicyError::BadConfig(reason)) = configure(r#"{"speed": 3}"#) else { panic!("accepted") };
        assert!(reason.contains("speed"), "{reason}");
    }

    #[test]
    fn a_policy_without_state_refuses_to_restore() {
        let mut running = configure("{}").unwrap();
        assert_eq!(running.save(), b"");
        assert!(matches!(running.restore("other", "2.0.0", b"x"), Err(PolicyError::Unsupported(_))));
    }
}
