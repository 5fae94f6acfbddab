//! What is offered: the jobs of a workload with inputs, ready to be sent.

use std::collections::BTreeMap;
use std::time::Duration;

use mosel_core::{Job, OnLate, Tenant, Time};
use mosel_sim::{Arrival, Workload};
use serde_json::{Map, Value, json};

use mosel_client::connection::Submission;
use mosel_client::inputs::Pool;

/// Every job of a run, in the order in which they are due.
pub(super) struct OfferedJobs {
    model: String,
    jobs: Vec<OfferedJob>,
    tenants: BTreeMap<Tenant, String>,
    inputs: Pool,
}

/// One job.
pub(super) struct OfferedJob {
    /// When it is due, after the start.
    pub(super) at: Duration,
    /// The job as the simulator would be given it.
    pub(super) job: Job,
    /// Its requests, as indices into the inputs.
    chosen: Vec<u32>,
}

impl OfferedJobs {
    /// These arrivals, each with inputs of its own choice; the seed says which.
    pub(super) fn new(model: &str, arrivals: &[Arrival], workload: &Workload, inputs: Pool, seed: u64) -> OfferedJobs {
        let mut random = mosel_sim::stream(seed, "inputs");
        let offer = |&Arrival { at, job }: &Arrival| OfferedJob {
            at: at.since(Time::START),
            job,
            chosen: inputs.choose(job.requests, &mut random),
        };
        let jobs = arrivals.iter().map(offer).collect();
        let names = workload.jobs.tenants.iter().map(|(name, _)| (Tenant::named(name), name.clone()));
        OfferedJobs { model: model.into(), jobs, tenants: names.collect(), inputs }
    }

    /// How many jobs.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OfferedJob> {
        self.jobs.iter()
    }

    /// When the last is due.
    pub(super) fn last_due(&self) -> Duration {
        self.jobs.last().map_or(Duration::ZERO, |offer| offer.at)
    }

    /// The right answer to each request of a job, where they are known.
    pub(super) fn labels(&self, index: usize) -> impl Iterator<Item = Option<usize>> {
        self.jobs[index].chosen.iter().map(|&request| self.inputs.label(request))
    }

    /// What is sent for this job. Putting it together copies bytes and encodes nothing but a few numbers.
    pub(super) fn body(&self, index: usize) -> Submission {
        let OfferedJob { at, job, .. } = &self.jobs[index];
        self.written(index, job.deadline.since(Time::START + *at), job.min_accuracy)
    }

    /// The same with so much time, and no floor.
    pub(super) fn patient_body(&self, index: usize, deadline: Duration) -> Submission {
        self.written(index, deadline, 0.0)
    }

    fn written(&self, index: usize, deadline: Duration, min_accuracy: f64) -> Submission {
        let OfferedJob { job, chosen, .. } = &self.jobs[index];
        let mut fields: Map<String, Value> = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.into(), value);
        put("model", json!(self.model));
        put("deadline_ms", json!(deadline.as_micros() as f64 / 1e3));
        put("min_accuracy", json!(min_accuracy));
        put("priority", json!(job.weight));
        put("on_late", json!(if job.on_late == OnLate::Drop { "drop" } else { "run" }));
        if let Some(tenant) = self.tenants.get(&job.tenant) {
            put("tenant", json!(tenant));
        }
        self.inputs.job(&fields, chosen)
    }
}

#[cfg(test)]
mod tests {
    use mosel_core::{JobId, ModelId};
    use mosel_models::{InputKind, Modality};

    use super::*;

    fn offers(on_late: OnLate) -> OfferedJobs {
        let mut workload = Workload::default();
        workload.jobs.tenants = vec![("alice".into(), 1.0)];
        let at = Time::from_micros(1_500_250);
        let job = Job {
            id: JobId(1),
            model: ModelId(0),
            requests: 2,
            deadline: at + Duration::from_micros(70_125),
            min_accuracy: 0.123456789,
            weight: 2.5,
            tenant: Tenant::named("alice"),
            on_late,
        };
        let inputs = Pool::smallest(&[Modality::new("text", InputKind::Text { max_bytes: 9 })]).unwrap();
        OfferedJobs::new("toy", &[Arrival { at, job }], &workload, inputs, 1)
    }

    fn written(job: &Submission) -> Value {
        serde_json::from_slice(&job.body).unwrap()
    }

    #[test]
    fn a_body_says_what_the_workload_says_with_the_deadline_after_the_arrival() {
        let expected = json!({
            "model": "toy", "deadline_ms": 70.125, "min_accuracy": 0.123456789, "priority": 2.5, "on_late": "drop",
            "tenant": "alice", "requests": [{ "text": "x" }, { "text": "x" }],
        });
        assert_eq!(written(&offers(OnLate::Drop).body(0)), expected);
        assert_eq!(written(&offers(OnLate::Run).body(0))["on_late"], "run");
    }

    #[test]
    fn a_patient_body_has_its_time_and_no_floor() {
        let body = written(&offers(OnLate::Run).patient_body(0, Duration::from_secs(60)));
        assert_eq!((&body["deadline_ms"], &body["min_accuracy"]), (&json!(60_000.0), &json!(0.0)));
    }

    #[test]
    fn nobodys_jobs_name_no_tenant() {
        let mut offers = offers(OnLate::Run);
        offers.jobs[0].job.tenant = Tenant::default();
        assert_eq!(written(&offers.body(0))["tenant"], Value::Null);
    }
}
