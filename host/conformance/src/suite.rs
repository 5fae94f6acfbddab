//! The checks in their order, and what they share.

use std::time::Instant;

use mosel_core::{Catalog, Forecast, Plan, PlanError, PlanId, PolicyError, Proposal, Snapshot};
use mosel_sandbox::{ConfigureError, LoadedPolicy, MeteredReply, RunningPolicy};

use crate::report::{Figures, Finding, Outcome, Report, Verdict};
use crate::{Check, Options, answers, claims, settings, upkeep};

/// A policy under examination.
pub(crate) struct Suite<'a> {
    pub(crate) loaded: &'a LoadedPolicy,
    pub(crate) settings: &'a str,
    pub(crate) options: &'a Options,
    pub(crate) figures: Figures,
    findings: Vec<Finding>,
    began: Instant,
    asked: u64,
}

/// What came of a question.
pub(crate) struct Asked {
    pub(crate) reply: MeteredReply,
    pub(crate) came: Came,
}

/// What came of a question.
pub(crate) enum Came {
    /// An answer that the server would adopt, and the queue after it.
    Good(Proposal, Forecast),
    /// No answer.
    None(PolicyError),
    /// An answer that makes no sense for this snapshot.
    Illegal(PlanError),
    /// An answer that makes a job late.
    Harmful(PlanError),
}

pub(crate) fn run(loaded: &LoadedPolicy, settings: &str, options: &Options) -> Report {
    let decide = options.limits.decide;
    let figures = Figures { limits: (decide.time, decide.fuel), ..Figures::default() };
    let began = Instant::now();
    let mut suite = Suite { loaded, settings, options, figures, findings: Vec::new(), began, asked: 0 };
    suite.say(Check::Loads, Outcome::Pass, "it is a policy for this contract");
    settings::description(&mut suite);
    if settings::given(&mut suite) {
        settings::others(&mut suite);
        answers::simple(&mut suite);
        answers::random(&mut suite);
        answers::long(&mut suite);
        answers::endurance(&mut suite);
        upkeep::catalog(&mut suite);
        upkeep::feedback(&mut suite);
        upkeep::state(&mut suite);
        claims::claims(&mut suite);
        answers::budget(&mut suite);
    }
    Report {
        policy: Some(loaded.description().clone()),
        hash: Some(loaded.hash().into()),
        verdict: Verdict::of(&suite.findings),
        findings: suite.findings,
        figures: suite.figures,
    }
}

impl Suite<'_> {
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
    pub(crate) fn ask(&mut self, policy: &mut RunningPolicy, catalog: &Catalog, snapshot: &mut Snapshot) -> Asked {
        self.asked += 1;
        snapshot.plan = PlanId(self.asked);
        snapshot.budget = self.options.limits.decide.time;
        self.ask_again(policy, catalog, snapshot)
    }

    /// Asks the very same.
    pub(crate) fn ask_again(&mut self, policy: &mut RunningPolicy, catalog: &Catalog, snapshot: &Snapshot) -> Asked {
        self.figures.questions += 1;
        let reply = policy.decide(snapshot);
        let came = match &reply.answer {
            Err(error) => Came::None(error.clone()),
            Ok(proposal) => judge(snapshot, catalog, proposal),
        };
        Asked { reply, came }
    }
}

fn judge(snapshot: &Snapshot, catalog: &Catalog, proposal: &Proposal) -> Came {
    let plan = match Plan::check(snapshot, catalog, proposal) {
        Ok(plan) => plan,
        Err(error) => return Came::Illegal(error),
    };
    match Forecast::under(snapshot, catalog, &plan) {
        Ok(forecast) => Came::Good(proposal.clone(), forecast),
        Err(error) => Came::Harmful(error),
    }
}

impl Came {
    /// How bad it is, and why, whatever the check is about.
    pub(crate) fn verdict(&self) -> (Outcome, String) {
        match self {
            Came::Good(..) => (Outcome::Pass, String::new()),
            // To give up is its right: the server squeezes.
            Came::None(error @ PolicyError::Declined(_)) => (Outcome::Warn, error.to_string()),
            Came::None(error) => (Outcome::Fail, error.to_string()),
            Came::Illegal(error) | Came::Harmful(error) => (Outcome::Fail, error.to_string()),
        }
    }
}
