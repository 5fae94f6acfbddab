//! A job as a client reads it.

use std::time::Duration;

use mosel_core::{End, JobId, Scheduler, Step, Time};
use serde::Serialize;

use super::submission::Wish;
use crate::certificate::Certificate;
use crate::jobs::{Answer, JobRecord, JobRequest, Phase, Progress};
use crate::served::ServedModel;

/// Everything about one job.
#[derive(Debug, Serialize)]
pub(crate) struct JobView<'a> {
    id: String,
    state: &'static str,
    model: &'a str,
    requests: u32,
    /// Requests that have an answer, once the job has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<u32>,
    /// Those that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    unanswered: Option<u32>,
    deadline_ms: f64,
    min_accuracy: f64,
    priority: f64,
    on_late: Wish,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted_finish_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    timings: Timings,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<Option<AnswerView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Certificate>,
}

/// When what happened, in milliseconds after the job's arrival.
#[derive(Debug, Serialize)]
struct Timings {
    /// After the server's start.
    arrival_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_ms: Option<f64>,
    /// Spent on decoding and scaling its inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    prepare_ms: Option<f64>,
}

/// One request's answer.
#[derive(Debug, Serialize)]
struct AnswerView {
    modalities: String,
    precision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<AnswerError>,
}

#[derive(Debug, Serialize)]
struct AnswerError {
    code: &'static str,
    message: String,
}

/// How a job that has not ended will be served, if nothing changes.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PlanView {
    /// Index in the table for `requests_left` requests.
    strategy: Option<u32>,
    requests_left: u32,
    accuracy_left: Option<f64>,
    steps: Vec<StepView>,
    #[serde(skip)]
    predicted_finish: Option<Time>,
}

/// A few batches of one selection.
#[derive(Debug, Serialize)]
pub(crate) struct StepView {
    pub(crate) modalities: String,
    pub(crate) precision: &'static str,
    pub(crate) batch_size: u32,
    pub(crate) batches: u32,
    pub(crate) requests: u32,
}

impl<'a> JobView<'a> {
    /// The job as it is at this moment.
    pub(crate) fn new(record: &'a JobRecord, model: &'a ServedModel, plan: Option<PlanView>) -> JobView<'a> {
        let progress = record.progress();
        let JobRequest { requests, deadline, min_accuracy, weight, on_late, .. } = record.request;
        let completion = progress.completion();
        let answered = completion.map(|completion| completion.outcome.answered);
        let outputs = if completion.is_some() { &progress.outputs[..] } else { &[] };
        JobView {
            id: record.wire_id.to_string(),
            state: state(&progress),
            model: &model.spec.name,
            requests,
            answered,
            unanswered: answered.map(|answered| requests.saturating_sub(answered)),
            deadline_ms: millis(deadline),
            min_accuracy,
            priority: weight,
            on_late: on_late.into(),
            tenant: record.request.tenant.as_deref(),
            predicted_finish_ms: predicted(&progress, plan.as_ref()),
            plan,
            reason: completion.and_then(|completion| completion.reason.clone()),
            timings: Timings::new(&progress),
            outputs: outputs
                .iter()
                .map(|answer| answer.as_ref().map(|answer| AnswerView::new(answer, model)))
                .collect(),
            certificate: completion.map(|completion| Certificate::new(completion, model)),
        }
    }

    /// It says how the job ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.certificate.is_some()
    }
}

impl Timings {
    fn new(progress: &Progress) -> Timings {
        let (arrival, outcome) = (progress.arrival, progress.completion().map(|completion| &completion.outcome));
        let after = |time: Time| millis(time.since(arrival));
        Timings {
            arrival_ms: after_start(arrival),
            started_ms: outcome.and_then(|outcome| outcome.started).map(after),
            finished_ms: outcome.map(|outcome| after(outcome.finish)),
            device_ms: outcome.map(|outcome| millis(outcome.device_time)),
            prepare_ms: outcome.map(|_| millis(progress.prepare)),
        }
    }
}

impl AnswerView {
    fn new(answer: &Answer, model: &ServedModel) -> AnswerView {
        let modalities = model.label(answer.mode.modalities);
        let precision = answer.mode.precision.name();
        match &answer.output {
            Ok(output) => AnswerView {
                modalities,
                precision,
                label: Some(output.name.clone()),
                class: Some(output.label),
                probability: Some(output.probability),
                error: None,
            },
            Err(error) => {
                let error = AnswerError { code: error.code(), message: error.to_string() };
                AnswerView { modalities, precision, label: None, class: None, probability: None, error: Some(error) }
            }
        }
    }
}

impl PlanView {
    /// Looks the job up in the scheduler; `None` if it is not there any more. It was put on this lane, and is there unless
    /// that was lost. Its table is the one of the device that it waits for: kinds of devices have tables of their own.
    pub(crate) fn query(scheduler: &Scheduler, now: Time, job: JobId, model: &ServedModel) -> Option<PlanView> {
        let (lane, predicted_finish, row) = scheduler.find(job, now)?;
        let Some(row) = row else {
            // its last batch is running
            return Some(PlanView { predicted_finish: Some(predicted_finish), ..PlanView::default() });
        };
        let table = scheduler.model_on(lane, model.id)?.table(row.requests)?;
        let strategy = table.strategy(row.current);
        Some(PlanView {
            strategy: Some(row.current),
            requests_left: row.requests,
            accuracy_left: Some(strategy.accuracy),
            steps: strategy.steps.iter().map(|step| StepView::new(step, model)).collect(),
            predicted_finish: Some(predicted_finish),
        })
    }
}

impl StepView {
    pub(crate) fn new(step: &Step, model: &ServedModel) -> StepView {
        let Step { batch_size, batches, requests, .. } = *step;
        let (modalities, precision) = (model.label(step.mode.modalities), step.mode.precision.name());
        StepView { modalities, precision, batch_size, batches, requests }
    }
}

/// The states a job is in as far as clients see.
pub(crate) const STATES: [&str; 7] = ["queued", "running", "served", "partial", "dropped", "cancelled", "failed"];

pub(crate) fn state(progress: &Progress) -> &'static str {
    match &progress.phase {
        Phase::Offered | Phase::Queued(_) | Phase::Refused(_) => "queued",
        Phase::Running(_) => "running",
        Phase::Ended(completion) => match completion.outcome.end {
            End::Served => "served",
            End::Partial => "partial",
            End::Dropped => "dropped",
            End::Cancelled => "cancelled",
            End::Failed => "failed",
        },
    }
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

fn after_start(time: Time) -> f64 {
    millis(time.since(Time::START))
}

/// When a job that has not ended will be finished, as last known, after its arrival.
fn predicted(progress: &Progress, plan: Option<&PlanView>) -> Option<f64> {
    let (Phase::Queued(accepted) | Phase::Running(accepted)) = &progress.phase else { return None };
    let finish = plan.and_then(|plan| plan.predicted_finish).unwrap_or(accepted.predicted_finish);
    Some(millis(finish.since(progress.arrival)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::ModelSource;
    use mosel_core::{
        Accuracy, Config, DeviceKind, Event, Job, Latency, Measurement, ModalitySet, Mode, ModelId, OnLate, Profile,
        Tenant,
    };
    use mosel_models::{InputKind, Modality, Spec};

    /// As slow as this on one, or on two modalities.
    fn profile(selections: &[(u32, u64)]) -> Profile {
        let measurement = |&(bits, ms): &(u32, u64)| Measurement {
            mode: Mode::full(ModalitySet::from_bits(bits)),
            batch_size: 1,
            latency: Latency::exactly(Duration::from_millis(ms)),
            accuracy: Accuracy { correct: bits.count_ones(), samples: 3 },
            memory_bytes: 0,
        };
        let modalities = ["one".into(), "two".into()].into();
        let measurements = selections.iter().map(measurement).collect();
        Profile { id: "p".into(), model: "two".into(), modalities, measurements }
    }

    /// The first kind is slow, and has one strategy; the second has more, and takes the jobs.
    #[test]
    fn a_plan_is_told_by_the_table_of_the_jobs_own_device() {
        let text = |name| Modality::new(name, InputKind::Text { max_bytes: 9 });
        let modalities = vec![text("one"), text("two")];
        let spec =
            Spec { name: "two".into(), modalities, labels: vec!["a".into()].into(), weights_sha256: String::new() };
        let mut source = ModelSource::timed(spec, profile(&[(1, 1000)]), 1.0);
        source.profiles.push(profile(&[(1, 10), (3, 20)]));
        let model = source.serve(ModelId(0), 4).expect("it is sound");
        let config = Config { lanes: 2, kinds: vec![DeviceKind(0), DeviceKind(1)], ..Config::default() };
        let mut scheduler = Scheduler::new(config, model.variants.clone());
        let deadline = Time::START + Duration::from_secs(60);
        for id in 1..=2 {
            let (min_accuracy, weight, tenant, on_late) = (0.0, 1.0, Tenant::default(), OnLate::Run);
            let job =
                Job { id: JobId(id), model: model.id, requests: 4, deadline, min_accuracy, weight, tenant, on_late };
            scheduler.step(Time::START, Event::Submit(job));
        }
        // the second one waits behind the first, on its most accurate strategy
        let plan = PlanView::query(&scheduler, Time::START, JobId(2), &model).expect("it waits");
        assert_eq!((plan.requests_left, plan.steps.len()), (4, 1));
        assert_eq!((plan.steps[0].modalities.as_str(), plan.accuracy_left), ("one+two", Some(2.0 / 3.0)));
    }
}
