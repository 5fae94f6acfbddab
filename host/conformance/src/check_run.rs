//! One run of the checks over a policy: what the checks share, and what they found.

use std::time::Instant;

use mosel_core::{Catalog, DecisionId, Snapshot};
use mosel_sandbox::{ConfigureError, LoadedPolicy, RunningPolicy};

use crate::judgment::JudgedReply;
use crate::report::{Figures, Finding, Outcome, Report, Verdict};
use crate::{Check, Options};

/// A policy that is being checked.
pub(crate) struct CheckRun<'a> {
    pub(crate) loaded: &'a LoadedPolicy,
    pub(crate) settings: &'a str,
    pub(crate) options: &'a Options,
    pub(crate) figures: Figures,
    findings: Vec<Finding>,
    began: Instant,
    asked: u64,
}

impl CheckRun<'_> {
    pub(crate) fn new<'a>(loaded: &'a LoadedPolicy, settings: &'a str, options: &'a Options) -> CheckRun<'a> {
        let decide = options.limits.decide;
        let figures = Figures { limits: (decide.time, decide.fuel), ..Figures::default() };
        CheckRun { loaded, settings, options, figures, findings: Vec::new(), began: Instant::now(), asked: 0 }
    }

    pub(crate) fn report(self) -> Report {
        Report {
            policy: Some(self.loaded.description().clone()),
            hash: Some(self.loaded.hash().into()),
            verdict: Verdict::of(&self.findings),
            findings: self.findings,
            figures: self.figures,
        }
    }

    pub(crate) fn say(&mut self, check: Check, outcome: Outcome, words: impl Into<String>) {
        self.find(Finding { check, outcome, words: words.into() });
    }

    pub(crate) fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// There is no time for more.
    pub(crate) fn out_of_time(&self) -> bool {
        self.began.elapsed() > self.options.time
    }

    pub(crate) fn start(&self, catalog: &Catalog) -> Result<RunningPolicy, ConfigureError> {
        RunningPolicy::start(self.loaded.clone(), self.settings, catalog, self.options.seed)
    }

    /// Asks under a new number; what may be thought is what the limits allow.
    pub(crate) fn ask(
        &mut self,
        policy: &mut RunningPolicy,
        catalog: &Catalog,
        snapshot: &mut Snapshot,
    ) -> JudgedReply {
        self.asked += 1;
        snapshot.decision = DecisionId(self.asked);
        snapshot.budget = self.options.limits.decide.time;
        self.ask_again(policy, catalog, snapshot)
    }

    /// Asks the very same.
    pub(crate) fn ask_again(
        &mut self,
        policy: &mut RunningPolicy,
        catalog: &Catalog,
        snapshot: &Snapshot,
    ) -> JudgedReply {
        self.figures.questions += 1;
        JudgedReply::new(snapshot, catalog, policy.decide(snapshot))
    }
}
