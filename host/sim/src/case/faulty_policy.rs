//! A faulty policy: one with modes, from sensible to malicious, by a seeded stream.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use mosel_core::{
    Catalog, Decision, DecisionError, Forecast, JobId, JobRow, Plan, PolicyError, Snapshot, StrategyTable, scale,
};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::{PolicyDriver, PolicyReply, stream};

/// How a policy behaves when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultMode {
    /// Helps whom the fallback would help, and tries a few legal moves beside; within its budget.
    Sensible,
    /// Answers at once that nothing should change.
    Unmoved,
    /// Answers after twice its budget.
    Silent,
    /// Answers sensibly, about when its budget ends.
    Slow,
    /// Fails in one of the ways in which policies fail.
    Traps,
    /// Answers in the right shape, and says what cannot be done.
    Lies,
    /// Answers anything.
    Garbage,
}

/// A policy that is in one of these modes whenever it is asked: which one, and what it answers, depends on the queue that
/// it is shown and on nothing before, so that a case without one of its jobs is otherwise the same.
#[derive(Debug)]
pub struct FaultyPolicy {
    modes: Vec<(FaultMode, u32)>,
    eager: bool,
    catalog: Catalog,
    seed: u64,
    /// Of the question that is being answered.
    random: ChaCha8Rng,
    /// How often it was in which mode.
    counts: BTreeMap<FaultMode, u64>,
    /// What it answers before it has modes.
    script: VecDeque<PolicyReply>,
    /// What it answers in place of having modes.
    always: Option<PolicyReply>,
    /// What it answered so far.
    given: Vec<PolicyReply>,
}

impl FaultMode {
    /// Every mode there is.
    pub const ALL: [FaultMode; 7] = [
        FaultMode::Sensible,
        FaultMode::Unmoved,
        FaultMode::Silent,
        FaultMode::Slow,
        FaultMode::Traps,
        FaultMode::Lies,
        FaultMode::Garbage,
    ];

    /// Nothing that it answers is ever adopted, whatever the budget.
    pub fn never_helps(self) -> bool {
        matches!(self, Self::Silent | Self::Traps)
    }
}

impl FaultyPolicy {
    /// A policy with these modes, each as often as its weight says; unmoved if there is none of a positive weight.
    pub fn new(modes: &[(FaultMode, u32)], eager: bool, catalog: Catalog, seed: u64) -> FaultyPolicy {
        // the purpose is part of what a seed means, whatever the policy is called today
        let (modes, random) = (modes.to_vec(), stream(seed, "whims"));
        let (counts, script, given) = (BTreeMap::new(), VecDeque::new(), Vec::new());
        FaultyPolicy { modes, eager, catalog, seed, random, counts, script, always: None, given }
    }

    /// The same policy, which answers these first, then always this if it is given.
    pub fn with_script(
        self,
        script: impl IntoIterator<Item = PolicyReply>,
        always: Option<PolicyReply>,
    ) -> FaultyPolicy {
        FaultyPolicy { script: script.into_iter().collect(), always, ..self }
    }

    /// How often it was in which mode.
    pub fn counts(&self) -> &BTreeMap<FaultMode, u64> {
        &self.counts
    }

    /// All that it answered.
    pub(super) fn into_given(self) -> Vec<PolicyReply> {
        self.given
    }

    fn think(&mut self, snapshot: &Snapshot) -> PolicyReply {
        self.random = stream(self.seed ^ fingerprint(snapshot), "whims");
        let (mode, budget) = (self.mode(), snapshot.budget);
        *self.counts.entry(mode).or_insert(0) += 1;
        match mode {
            FaultMode::Sensible => {
                PolicyReply { took: self.share_of(budget, -0.5, 0.9), answer: Ok(self.sensible(snapshot)) }
            }
            FaultMode::Unmoved => PolicyReply { took: Duration::ZERO, answer: Ok(Decision::default()) },
            FaultMode::Silent => {
                PolicyReply { took: budget * 2 + Duration::from_micros(1), answer: Ok(Decision::default()) }
            }
            FaultMode::Slow => {
                PolicyReply { took: self.share_of(budget, 0.5, 1.5), answer: Ok(self.sensible(snapshot)) }
            }
            FaultMode::Traps => {
                PolicyReply { took: self.share_of(budget, -1.0, 1.0), answer: Err(self.failure(budget)) }
            }
            FaultMode::Lies => PolicyReply { took: self.share_of(budget, -1.0, 1.0), answer: Ok(self.lie(snapshot)) },
            FaultMode::Garbage => {
                PolicyReply { took: self.share_of(budget, -1.0, 1.0), answer: Ok(self.garbage(snapshot)) }
            }
        }
    }

    fn mode(&mut self) -> FaultMode {
        let total = self.modes.iter().map(|(_, weight)| u64::from(*weight)).sum::<u64>().max(1);
        let mut at = self.random.random_range(0..total);
        for &(mode, weight) in &self.modes {
            match at.checked_sub(weight.into()) {
                Some(rest) => at = rest,
                None => return mode,
            }
        }
        FaultMode::Unmoved
    }

    /// What the fallback would do, and up to three moves that make nobody late.
    fn sensible(&mut self, snapshot: &Snapshot) -> Decision {
        let mut decision = Decision::default();
        if self.random.random_bool(0.8) {
            let fallback = Forecast::with_fallback(snapshot, &self.catalog);
            let moved = fallback.jobs.iter().zip(&snapshot.jobs).filter(|(after, before)| after != before);
            decision.assignments = moved.map(|(row, _)| (row.id, row.current)).collect();
        }
        for _ in 0..self.random.random_range(0..=3) {
            let mut other = decision.clone();
            self.change(snapshot, &mut other);
            if self.promises_kept(snapshot, &other).is_ok() {
                decision = other;
            }
        }
        decision
    }

    /// Moves a job to a legal strategy, or orders the jobs by their deadlines.
    fn change(&mut self, snapshot: &Snapshot, decision: &mut Decision) {
        let row = snapshot.jobs[self.random.random_range(0..snapshot.jobs.len())];
        if self.random.random_bool(0.3) {
            let mut rows = snapshot.jobs.clone();
            rows.sort_by_key(|row| row.deadline);
            decision.order = rows.iter().map(|row| row.id).collect();
            return;
        }
        let table = self.table(&row);
        let legal = table.fastest_legal(row.min_accuracy).unwrap_or(row.current)..=table.most_accurate();
        let choice = self.random.random_range(legal);
        decision.assignments.retain(|(job, _)| *job != row.id);
        decision.assignments.push((row.id, choice));
    }

    fn promises_kept(&self, snapshot: &Snapshot, decision: &Decision) -> Result<(), DecisionError> {
        let plan = Plan::check(snapshot, &self.catalog, decision)?;
        Forecast::under(snapshot, &self.catalog, &plan).map(|_| ())
    }

    /// One of the ways to be wrong in good order.
    fn lie(&mut self, snapshot: &Snapshot) -> Decision {
        let mut decision = self.sensible(snapshot);
        let row = snapshot.jobs[self.random.random_range(0..snapshot.jobs.len())];
        let table = self.table(&row).clone();
        decision.assignments.retain(|(job, _)| *job != row.id);
        match self.random.random_range(0..7) {
            0 => decision.assignments.push((JobId(row.id.0 + 1000), 0)),
            1 => decision.assignments.push((row.id, table.strategies.len() as u32)),
            2 => decision.assignments.push((row.id, 0)),
            3 => (decision.objective, decision.bound) = (Some(2.0), Some(1.0)),
            4 => decision.assignments.extend([(row.id, row.current), (row.id, row.current)]),
            5 => decision.order = snapshot.jobs[1..].iter().map(|row| row.id).collect(),
            _ => {
                let best = |row: &JobRow| (row.id, self.table(row).most_accurate());
                decision.assignments = snapshot.jobs.iter().map(best).collect();
                decision.order = snapshot.jobs.iter().rev().map(|row| row.id).collect();
            }
        }
        decision
    }

    fn garbage(&mut self, snapshot: &Snapshot) -> Decision {
        let jobs: Vec<JobId> = snapshot.jobs.iter().map(|row| row.id).collect();
        let random = &mut self.random;
        let mut job = |stranger: f64| match random.random_bool(stranger) {
            true => JobId(random.random_range(0..40)),
            false => jobs[random.random_range(0..jobs.len())],
        };
        let stranger = if job(0.5) == jobs[0] { 0.3 } else { 0.0 };
        let named: Vec<JobId> = (0..2 * jobs.len()).map(|_| job(stranger)).collect();
        let size = self.random.random_range(0..=named.len());
        let order = named[size..].to_vec();
        let assignments = named[..size].iter().map(|&job| (job, self.random.random_range(0..20))).collect();
        let odd = [None, None, None, None, Some(f64::NAN), Some(f64::INFINITY), Some(0.0), Some(-1e300)];
        let mut claim = || odd[self.random.random_range(0..odd.len())];
        Decision { assignments, order, objective: claim(), bound: claim(), ..Decision::default() }
    }

    fn failure(&mut self, budget: Duration) -> PolicyError {
        match self.random.random_range(0..7) {
            0 => PolicyError::Declined("not today".into()),
            1 => PolicyError::TimedOut(budget),
            2 => PolicyError::OutOfFuel(1000),
            3 => PolicyError::OutOfMemory(1 << 20),
            4 => PolicyError::Malformed("no answer".into()),
            5 => PolicyError::Unavailable("it is being started".into()),
            _ => PolicyError::Trapped("unreachable".into()),
        }
    }

    fn share_of(&mut self, budget: Duration, least: f64, most: f64) -> Duration {
        let share = self.random.random_range(least..=most);
        if share <= 0.0 { Duration::ZERO } else { Duration::from_micros(scale(budget, share).as_micros() as u64) }
    }

    fn table(&self, row: &JobRow) -> &StrategyTable {
        self.catalog.table(row.table).expect("a snapshot's rows name tables of the catalog")
    }
}

impl PolicyDriver for FaultyPolicy {
    fn decide(&mut self, snapshot: &Snapshot) -> PolicyReply {
        let written = self.script.pop_front().or_else(|| self.always.clone());
        let reply = written.unwrap_or_else(|| self.think(snapshot));
        self.given.push(reply.clone());
        reply
    }

    fn eager(&self) -> bool {
        self.eager
    }
}

/// A number for the queue that is shown, whatever the time.
fn fingerprint(snapshot: &Snapshot) -> u64 {
    let numbers = |row: &JobRow| [row.id.0, row.requests.into(), row.current.into()];
    // FNV-1a, a number at a time
    let mix = |hash: u64, number: u64| (hash ^ number).wrapping_mul(0x0100_0000_01b3);
    snapshot.jobs.iter().flat_map(numbers).fold(0xcbf2_9ce4_8422_2325, mix)
}

impl fmt::Display for FaultMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sensible => "sensible",
            Self::Unmoved => "unmoved",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Traps => "traps",
            Self::Lies => "lies",
            Self::Garbage => "garbage",
        })
    }
}

impl std::str::FromStr for FaultMode {
    type Err = String;

    fn from_str(word: &str) -> Result<FaultMode, String> {
        let named = FaultMode::ALL.into_iter().find(|mode| mode.to_string() == word);
        named.ok_or_else(|| {
            let modes: Vec<String> = FaultMode::ALL.iter().map(ToString::to_string).collect();
            format!("expected one of {}, got {word:?}", modes.join(", "))
        })
    }
}
