//! Numbers for a monitoring system, as `GET /metrics` gives them: Prometheus text.
//!
//! The number of series is bounded: labels are lanes, kinds of failure, and at most [`MOST_POLICIES`] names of policies
//! and [`MOST_TENANTS`] of tenants.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mosel_core::{End, LaneId, Outcome, Refusal};
use mosel_models::{Output, Unanswered};
use mosel_sandbox::MeteredReply;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::http_meters::HttpMeters;
use crate::output_queue::LINES_LOST;

/// Names of policies that get series of their own; the rest is `other`.
pub(crate) const MOST_POLICIES: usize = 128;
/// Names of tenants that get series of their own; the rest is `other`.
const MOST_TENANTS: usize = 64;

/// Every counter of a server.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// What is counted of HTTP.
    pub(crate) http: HttpMeters,
    registry: Registry,
    policy_names: BoundedLabel,
    tenants: BoundedLabel,
    policy: PolicyFamilies,
    shadow: ShadowMeters,
    jobs: JobMeters,
    requests: RequestMeters,
    generation: Gauge,
    swaps: Counter,
    rollbacks: Family<Rollback, Counter>,
    journal_failures: Counter,
    journal_gaps: Counter,
    journal_lines_lost: Counter,
    models_lost: Family<OfLane, Counter>,
    models_unavailable: Family<OfLane, Gauge>,
    restarts: Family<OfThread, Counter>,
    work: WorkMeters,
    stuck: Family<OfThread, Gauge>,
    lanes_lost: Family<OfLane, Counter>,
    lanes_suspect: Family<OfLane, Gauge>,
    corrections: Family<OfLane, Gauge<f64, AtomicU64>>,
}

/// A family of numbers, as its reference has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricFamily {
    /// What its samples are called; a histogram's end in `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What its samples are told apart by; buckets aside.
    pub labels: Vec<String>,
    /// What it counts, in a sentence.
    pub help: String,
}

/// The counters of one policy that is in place.
#[derive(Clone, Debug)]
pub(crate) struct PolicyMeters {
    name: String,
    calls: Counter,
    fallbacks: Counter,
    adopted: Counter,
    seconds: Histogram,
    fuel: Histogram,
    gap: Histogram,
    refused: Family<Refused, Counter>,
}

/// The counters of whatever is in the shadow.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShadowMeters {
    /// Snapshots that both policies answered.
    pub(crate) compared: Counter,
    /// Answers that would leave some job on another strategy, or in another order.
    pub(crate) differed: Counter,
    /// Snapshots that the shadow was too slow for.
    pub(crate) dropped: Counter,
    failures: Family<Reason, Counter>,
}

/// The counters of the threads that read bodies.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkMeters {
    /// Bodies that wait to be read.
    pub(crate) waiting: Gauge,
    /// Threads that read one.
    pub(crate) busy: Gauge,
    /// Time that was spent on it.
    pub(crate) seconds: Counter<f64, AtomicU64>,
    /// Bodies for which there was no place to wait.
    pub(crate) refused: Counter,
}

/// A label whose values come from outside: the first so many get series of their own.
#[derive(Debug)]
struct BoundedLabel {
    most: usize,
    seen: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct PolicyFamilies {
    calls: Family<Named, Counter>,
    refused: Family<Refused, Counter>,
    fallbacks: Counter,
    adopted: Counter,
    seconds: Histogram,
    fuel: Histogram,
    gap: Histogram,
}

#[derive(Debug, Default)]
struct JobMeters {
    accepted: Counter,
    finished: Family<Ended, Counter>,
    refused: Family<Reason, Counter>,
    waiting: Family<OfLane, Gauge>,
}

#[derive(Debug, Default)]
struct RequestMeters {
    answered: Counter,
    unanswered: Family<Reason, Counter>,
    lost: Family<HowEnded, Counter>,
    preparation: Counter<f64, AtomicU64>,
    of_tenants: Family<OfTenant, Counter<f64, AtomicU64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTenant {
    tenant: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    policy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    policy: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rollback {
    automatic: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    end: &'static str,
    in_time: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HowEnded {
    end: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLane {
    lane: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfThread {
    thread: String,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut metrics = Metrics {
            http: HttpMeters::default(),
            registry: Registry::with_prefix("mosel"),
            policy_names: BoundedLabel::new(MOST_POLICIES),
            tenants: BoundedLabel::new(MOST_TENANTS),
            policy: PolicyFamilies {
                calls: Family::default(),
                refused: Family::default(),
                fallbacks: Counter::default(),
                adopted: Counter::default(),
                seconds: Histogram::new(exponential_buckets(10e-6, 2.0, 16)),
                fuel: Histogram::new(exponential_buckets(10_000.0, 4.0, 10)),
                gap: Histogram::new([0.0].into_iter().chain(exponential_buckets(1e-5, 10.0, 6))),
            },
            shadow: ShadowMeters::default(),
            jobs: JobMeters::default(),
            requests: RequestMeters::default(),
            generation: Gauge::default(),
            swaps: Counter::default(),
            rollbacks: Family::default(),
            journal_failures: Counter::default(),
            journal_gaps: Counter::default(),
            journal_lines_lost: Counter::default(),
            models_lost: Family::default(),
            models_unavailable: Family::default(),
            restarts: Family::default(),
            work: WorkMeters::default(),
            stuck: Family::default(),
            lanes_lost: Family::default(),
            lanes_suspect: Family::default(),
            corrections: Family::default(),
        };
        metrics.register_policies();
        metrics.register_changes();
        metrics.register_shadow();
        metrics.register_jobs();
        metrics.register_requests();
        metrics.register_journal();
        metrics.register_devices();
        metrics.register_work();
        metrics.http.register(&mut metrics.registry);
        metrics
    }
}

impl Metrics {
    /// What every family is, as a server in which everything has happened once shows it.
    pub(crate) fn families() -> Vec<MetricFamily> {
        let metrics = Metrics::default();
        metrics.of_policy("NAME").refused("REASON");
        metrics.of_shadow().failed("REASON");
        metrics.model_lost(LaneId(0));
        metrics.model_available(LaneId(0), false);
        metrics.waiting(LaneId(0), 0);
        metrics.correction(LaneId(0), 1.0);
        metrics.thread_restarted("THREAD");
        metrics.http.show_all();
        metrics.thread_stuck("THREAD", false);
        metrics.lane_lost(LaneId(0));
        metrics.lane_suspect(LaneId(0), false);
        drop(metrics.jobs.finished.get_or_create(&Ended { end: "END", in_time: word(true) }));
        drop(metrics.requests.lost.get_or_create(&HowEnded { end: "END" }));
        drop(metrics.requests.unanswered.get_or_create(&Reason { reason: "REASON" }));
        drop(metrics.jobs.refused.get_or_create(&Reason { reason: "REASON" }));
        metrics.charged(Some("TENANT"), Duration::ZERO);
        families_of(&metrics.text())
    }

    /// All numbers as Prometheus (OpenMetrics) text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("a string takes everything");
        text
    }

    /// The counters of a policy that is put in place.
    pub(crate) fn of_policy(&self, name: &str) -> PolicyMeters {
        let name = self.policy_names.value(name);
        let calls = self.policy.calls.get_or_create(&Named { policy: name.clone() }).clone();
        let PolicyFamilies { refused, fallbacks, adopted, seconds, fuel, gap, .. } = &self.policy;
        let (fallbacks, adopted, refused) = (fallbacks.clone(), adopted.clone(), refused.clone());
        let (seconds, fuel, gap) = (seconds.clone(), fuel.clone(), gap.clone());
        PolicyMeters { name, calls, fallbacks, adopted, seconds, fuel, gap, refused }
    }

    /// The counters of the shadow.
    pub(crate) fn of_shadow(&self) -> ShadowMeters {
        self.shadow.clone()
    }

    /// The counters of the threads that read bodies.
    pub(crate) fn of_work(&self) -> WorkMeters {
        self.work.clone()
    }

    /// A policy was put in place.
    pub(crate) fn installed(&self, generation: u64) {
        self.swaps.inc();
        self.starts_with(generation);
    }

    /// This generation is in place from the start.
    pub(crate) fn starts_with(&self, generation: u64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }

    /// The policy before came back.
    pub(crate) fn rolled_back(&self, automatic: bool) {
        self.rollbacks.get_or_create(&Rollback { automatic: word(automatic) }).inc();
    }

    /// A model failed on this lane, and is built again.
    pub(crate) fn model_lost(&self, lane: LaneId) {
        self.models_lost.get_or_create(&OfLane { lane: lane.0 }).inc();
    }

    /// A model that was lost and could not be built again is there again on this lane, or is let go; or it is lost.
    pub(crate) fn model_available(&self, lane: LaneId, available: bool) {
        self.models_unavailable.get_or_create(&OfLane { lane: lane.0 }).inc_by(if available { -1 } else { 1 });
    }

    /// A thread panicked, and was started again.
    pub(crate) fn thread_restarted(&self, thread: &str) {
        self.restarts.get_or_create(&OfThread { thread: thread.into() }).inc();
    }

    /// A thread is not heard of in time, or is heard of again.
    pub(crate) fn thread_stuck(&self, thread: &str, stuck: bool) {
        self.stuck.get_or_create(&OfThread { thread: thread.into() }).set(stuck.into());
    }

    /// A batch never ended on this lane, and its device thread was given up.
    pub(crate) fn lane_lost(&self, lane: LaneId) {
        self.lanes_lost.get_or_create(&OfLane { lane: lane.0 }).inc();
    }

    /// Nothing new is promised on this lane, or is again.
    pub(crate) fn lane_suspect(&self, lane: LaneId, suspect: bool) {
        self.lanes_suspect.get_or_create(&OfLane { lane: lane.0 }).set(suspect.into());
    }

    /// The journal could not be written.
    pub(crate) fn journal_failed(&self) {
        self.journal_failures.inc();
    }

    /// Something happened that the journal had no room for.
    pub(crate) fn journal_missed(&self) {
        self.journal_gaps.inc();
    }

    /// So many lines are not in the journal.
    pub(crate) fn journal_lines_lost(&self, lines: u64) {
        self.journal_lines_lost.inc_by(lines);
    }

    /// The scheduler took a job.
    pub(crate) fn accepted(&self) {
        self.jobs.accepted.inc();
    }

    /// A job was not taken.
    pub(crate) fn rejected(&self, refusal: &Refusal) {
        self.jobs.refused.get_or_create(&Reason { reason: reason(refusal) }).inc();
    }

    /// A job has ended.
    pub(crate) fn ended(&self, outcome: &Outcome) {
        let in_time = outcome.end == End::Served && outcome.finish <= outcome.deadline;
        self.jobs.finished.get_or_create(&Ended { end: end(outcome.end), in_time: word(in_time) }).inc();
        if !matches!(outcome.end, End::Served | End::Partial) {
            let never = outcome.requests.saturating_sub(outcome.answered);
            self.requests.lost.get_or_create(&HowEnded { end: end(outcome.end) }).inc_by(never.into());
        }
    }

    /// A batch of this tenant, `None` for nobody, kept its device for so long.
    pub(crate) fn charged(&self, tenant: Option<&str>, time: Duration) {
        let tenant = self.tenants.value(tenant.unwrap_or(""));
        self.requests.of_tenants.get_or_create(&OfTenant { tenant }).inc_by(time.as_secs_f64());
    }

    /// A batch has run with these answers, and so much time went into its inputs.
    pub(crate) fn answered(&self, answers: &[Result<Output, Unanswered>], prepare: Duration) {
        let RequestMeters { answered, unanswered, preparation, .. } = &self.requests;
        answered.inc_by(answers.iter().filter(|answer| answer.is_ok()).count() as u64);
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            unanswered.get_or_create(&Reason { reason: error.code() }).inc();
        }
        preparation.inc_by(prepare.as_secs_f64());
    }

    /// The device of this lane takes so many times as long as its profile says.
    pub(crate) fn correction(&self, lane: LaneId, correction: f64) {
        self.corrections.get_or_create(&OfLane { lane: lane.0 }).set(correction);
    }

    /// So many jobs wait on this lane.
    pub(crate) fn waiting(&self, lane: LaneId, jobs: usize) {
        self.jobs.waiting.get_or_create(&OfLane { lane: lane.0 }).set(jobs as i64);
    }

    fn register_policies(&mut self) {
        let Metrics { registry, policy, .. } = self;
        let PolicyFamilies { calls, refused, fallbacks, adopted, seconds, fuel, gap } = policy;
        registry.register("policy_calls", "Questions that a policy was asked", calls.clone());
        registry.register("policy_refused", "Answers of a policy that were not used, by reason", refused.clone());
        registry.register("policy_fallbacks", "Times the built-in fallback stepped in", fallbacks.clone());
        registry.register("policy_adopted", "Answers that were adopted", adopted.clone());
        registry.register_with_unit("policy_decision", "Time of one decision", Unit::Seconds, seconds.clone());
        registry.register("policy_fuel", "Fuel of one decision", fuel.clone());
        registry.register("policy_gap", "Share that an answer may lie below the bound it proved", gap.clone());
    }

    fn register_changes(&mut self) {
        let Metrics { registry, generation, swaps, rollbacks, .. } = self;
        registry.register("policy_generation", "Which installation of a policy is in place", generation.clone());
        registry.register("policy_swaps", "Policies put in place, rollbacks included", swaps.clone());
        registry.register("policy_rollbacks", "Returns to the policy before", rollbacks.clone());
        for automatic in [false, true] {
            drop(rollbacks.get_or_create(&Rollback { automatic: word(automatic) }));
        }
    }

    fn register_shadow(&mut self) {
        let Metrics { registry, shadow, .. } = self;
        let ShadowMeters { compared, differed, dropped, failures } = shadow;
        registry.register("shadow_compared", "Snapshots that the policy and its shadow answered", compared.clone());
        registry.register("shadow_differed", "Of these, answers that differ", differed.clone());
        registry.register("shadow_dropped", "Snapshots that the shadow was too slow for", dropped.clone());
        registry.register("shadow_failures", "Snapshots that the shadow gave no legal answer to", failures.clone());
    }

    fn register_jobs(&mut self) {
        let Metrics { registry, jobs, .. } = self;
        let JobMeters { accepted, finished, refused, waiting } = jobs;
        registry.register("jobs_accepted", "Jobs that were accepted", accepted.clone());
        registry.register("jobs_finished", "Jobs that have ended, by how", finished.clone());
        registry.register("jobs_refused", "Jobs that were not accepted, by reason", refused.clone());
        registry.register("jobs_waiting", "Jobs with requests that no batch was started for", waiting.clone());
    }

    fn register_requests(&mut self) {
        let Metrics { registry, requests, .. } = self;
        let RequestMeters { answered, unanswered, lost, preparation, of_tenants } = requests;
        registry.register("requests_answered", "Requests that a model has answered", answered.clone());
        let words = "Requests that a model was run on and has no answer to, by reason";
        registry.register("requests_unanswered", words, unanswered.clone());
        let words = "Requests without an answer of jobs that were dropped, cancelled or failed, by how the job ended";
        registry.register("requests_lost", words, lost.clone());
        let words = "Time that device threads spent on decoding and scaling inputs";
        registry.register_with_unit("preparation", words, Unit::Seconds, preparation.clone());
        let words =
            "Time that devices and the reading of inputs took, by tenant: empty for none, other beyond the first 64";
        registry.register_with_unit("tenant_device", words, Unit::Seconds, of_tenants.clone());
    }

    fn register_devices(&mut self) {
        let words = "Times that a model panicked or its backend failed, and it was thrown away to be built again";
        self.registry.register("models_lost", words, self.models_lost.clone());
        let words = "Models that could not be built again, and for which the lane takes no jobs until they are";
        self.registry.register("models_unavailable", words, self.models_unavailable.clone());
        let words = "Times that a thread panicked and was started again, by thread";
        self.registry.register("thread_restarts", words, self.restarts.clone());
        let words = "1 while a thread gives no sign of life for longer than it may, by thread";
        self.registry.register("thread_stuck", words, self.stuck.clone());
        let words = "Times that a batch did not end on a lane, and its device thread was given up";
        self.registry.register("lanes_lost", words, self.lanes_lost.clone());
        let words = "1 while nothing new is promised on a lane: a batch is overdue there, or the lane is lost";
        self.registry.register("lanes_suspect", words, self.lanes_suspect.clone());
        let words = "Measured time over profiled time of a lane's device, as learned";
        self.registry.register("lane_correction", words, self.corrections.clone());
    }

    fn register_work(&mut self) {
        let Metrics { registry, work, .. } = self;
        let WorkMeters { waiting, busy, seconds, refused } = work;
        registry.register("work_waiting", "Bodies that wait to be read, decompressed, parsed", waiting.clone());
        registry.register("work_busy", "Threads that read one", busy.clone());
        registry.register_with_unit("work", "Time that was spent on reading bodies", Unit::Seconds, seconds.clone());
        registry.register("work_refused", "Bodies for which there was no place to wait", refused.clone());
    }

    fn register_journal(&mut self) {
        let Metrics { registry, journal_failures, journal_gaps, journal_lines_lost, .. } = self;
        registry.register("journal_failures", "Times the journal could not be written", journal_failures.clone());
        registry.register(
            "journal_gaps",
            "Times that something was not written down, for lack of room or since a thread panicked",
            journal_gaps.clone(),
        );
        let words = "Steps that are not in the journal, for lack of room or since it could not be written";
        registry.register("journal_lines_lost", words, journal_lines_lost.clone());
        let words = "Lines of the log and of standard output that nobody took, or that could not be written";
        registry.register("log_lines_lost", words, LINES_LOST.clone());
    }
}

impl BoundedLabel {
    fn new(most: usize) -> BoundedLabel {
        BoundedLabel { most, seen: Mutex::default() }
    }

    /// This value, or `other`.
    fn value(&self, value: &str) -> String {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < self.most {
            seen.insert(value.to_owned());
        }
        if seen.contains(value) { value.to_owned() } else { "other".into() }
    }
}

impl PolicyMeters {
    /// It was asked.
    pub(crate) fn asked(&self, reply: &MeteredReply) {
        self.calls.inc();
        self.seconds.observe(reply.wall.as_secs_f64());
        if let Some(used) = reply.fuel_used {
            self.fuel.observe(used as f64);
        }
    }

    /// Its answer comes with a gap to its bound.
    pub(crate) fn claimed(&self, gap: f64) {
        self.gap.observe(gap);
    }

    /// Its answer was adopted.
    pub(crate) fn adopted(&self) {
        self.adopted.inc();
    }

    /// Its answer was not used.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Refused { policy: self.name.clone(), reason }).inc();
    }

    /// The built-in fallback stepped in.
    pub(crate) fn fell_back(&self) {
        self.fallbacks.inc();
    }
}

impl ShadowMeters {
    /// It gave no legal answer.
    pub(crate) fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&Reason { reason }).inc();
    }
}

/// Reads families back from a text that shows each of them.
fn families_of(text: &str) -> Vec<MetricFamily> {
    let mut families: Vec<MetricFamily> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) {
            let (name, help) = (name.to_owned(), help.to_owned());
            families.push(MetricFamily { name, kind: String::new(), labels: Vec::new(), help });
            continue;
        }
        let Some(family) = families.last_mut() else { continue };
        if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            family.kind = kind.into();
            if kind == "counter" {
                family.name.push_str("_total");
            }
        } else if !line.starts_with('#') && family.labels.is_empty() {
            family.labels = labels_of(line);
        }
    }
    families
}

/// What the sample of this line is told apart by.
fn labels_of(line: &str) -> Vec<String> {
    let labels = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
    let names = labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
    names.filter(|name| name != "le").collect()
}

fn word(claim: bool) -> &'static str {
    if claim { "true" } else { "false" }
}

fn end(end: End) -> &'static str {
    match end {
        End::Served => "served",
        End::Partial => "partial",
        End::Dropped => "dropped",
        End::Cancelled => "cancelled",
        End::Failed => "failed",
    }
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownModel(_) => "unknown_model",
        Refusal::ModelLost(_) => "model_lost",
        Refusal::DeviceSuspect(_) => "device_suspect",
        Refusal::TooManyRequests { .. } => "job_too_large",
        Refusal::InvalidJob(_) => "out_of_range",
        Refusal::Duplicate(_) => "duplicate_job",
        Refusal::FloorUnreachable { .. } => "floor_unreachable",
        Refusal::DeadlineUnreachable { never: true, .. } => "deadline_impossible",
        Refusal::DeadlineUnreachable { .. } => "overloaded",
        Refusal::OverShare { .. } => "over_share",
        Refusal::QueueFull { .. } => "queue_full",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_beyond_the_most_share_a_series() {
        let metrics = Metrics::default();
        for number in 0..MOST_TENANTS + 10 {
            metrics.charged(Some(&format!("t{number}")), Duration::from_millis(500));
        }
        metrics.charged(Some("t3"), Duration::from_millis(500));
        let text = metrics.text();
        let series = text.lines().filter(|line| line.starts_with("mosel_tenant_device_seconds_total{")).count();
        assert_eq!(series, MOST_TENANTS + 1);
        assert!(text.contains("mosel_tenant_device_seconds_total{tenant=\"t3\"} 1.0"), "{text}");
        assert!(text.contains("mosel_tenant_device_seconds_total{tenant=\"other\"} 5.0"), "{text}");
    }

    #[test]
    fn policies_beyond_the_most_share_a_series() {
        let metrics = Metrics::default();
        for number in 0..MOST_POLICIES + 10 {
            metrics.of_policy(&format!("p{number}")).refused("trapped");
        }
        metrics.of_policy("p3").refused("trapped");
        let text = metrics.text();
        let series = text.lines().filter(|line| line.starts_with("mosel_policy_refused_total{")).count();
        assert_eq!(series, MOST_POLICIES + 1);
        assert!(text.contains("mosel_policy_refused_total{policy=\"p3\",reason=\"trapped\"} 2"), "{text}");
        assert!(text.contains("mosel_policy_refused_total{policy=\"other\",reason=\"trapped\"} 10"), "{text}");
    }

    #[test]
    fn every_family_has_a_type_and_a_sentence() {
        let families = Metrics::families();
        assert_eq!(families.len(), 46, "what is new is shown once in `families`");
        for family in &families {
            assert!(family.name.starts_with("mosel_") && family.help.ends_with('.'), "{family:?}");
            assert!(["counter", "gauge", "histogram"].contains(&family.kind.as_str()), "{family:?}");
        }
        let find = |name: &str| families.iter().find(|family| family.name == name).expect(name);
        assert_eq!(find("mosel_policy_refused_total").labels, ["policy", "reason"]);
        assert_eq!(find("mosel_jobs_finished_total").labels, ["end", "in_time"]);
        assert_eq!(find("mosel_policy_decision_seconds").labels, [""; 0]);
    }

    #[test]
    fn both_kinds_of_rollback_are_there_from_the_start() {
        let text = Metrics::default().text();
        assert!(text.contains("mosel_policy_rollbacks_total{automatic=\"true\"} 0"), "{text}");
        assert!(text.contains("mosel_policy_rollbacks_total{automatic=\"false\"} 0"), "{text}");
    }
}
