//! One job, from when it is sent to when it has ended.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::offered_jobs::OfferedJobs;
use mosel_client::connection::{Answer, Connection, Submission};

/// Submits jobs and stays with each to its end.
///
/// As long as there are connections to spare, a job's end is waited for on the connection it was sent on. Beyond that it
/// is sent without waiting and looked up when it should have ended, as is one that outlasts the server's longest wait:
/// however many jobs the server has accepted, none has to wait for their ends before it is sent. If the server does not
/// even say that it has accepted them, jobs queue here, which their completion times show.
pub(super) struct Client {
    connection: Connection,
    /// Jobs whose ends are waited for.
    waiting: Semaphore,
    /// Jobs that are sent without waiting.
    sending: Semaphore,
    /// Jobs that are looked up.
    looking: Semaphore,
}

// Connections, which together are fewer than a server takes as it is shipped, and than most systems let a process have.
const MOST_WAITING: usize = 512;
const MOST_SENDING: usize = 256;
const MOST_LOOKING: usize = 64;
/// A job that is looked up is looked up again after at least and at most so long.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];
/// Jobs that a server is warmed up with.
const WARM_UPS: usize = 3;
/// Time that these get beside their own.
const PATIENCE: Duration = Duration::from_secs(60);

impl Client {
    /// For the server at the other end.
    pub(super) fn new(connection: Connection) -> Client {
        let [waiting, sending, looking] = [MOST_WAITING, MOST_SENDING, MOST_LOOKING].map(Semaphore::new);
        Client { connection, waiting, sending, looking }
    }

    /// Submits a job; answers once it has ended or was turned away.
    pub(super) async fn see_through(&self, job: Submission) -> Result<Answer> {
        let sent = Instant::now();
        let mut answer = self.submit(job).await?;
        while !has_ended(&answer) {
            let id = answer.body["id"].as_str().context("expected a job with an id")?;
            let path = format!("/v1/jobs/{id}");
            tokio::time::sleep(look_again(&answer.body, sent.elapsed())).await;
            let _permit = self.looking.acquire().await?;
            answer = self.connection.get(&path).await?;
        }
        Ok(answer)
    }

    async fn submit(&self, job: Submission) -> Result<Answer> {
        if let Ok(_permit) = self.waiting.try_acquire() {
            return self.connection.submit(job, true).await;
        }
        let _permit = self.sending.acquire().await?;
        self.connection.submit(job, false).await
    }
}

/// A few jobs with time to spare, so that the first that counts meets a warm model. None takes longer than `longest`.
pub(super) async fn warm_up(connection: &Connection, offers: &OfferedJobs, longest: Duration) -> Result<()> {
    for index in 0..offers.len().min(WARM_UPS) {
        let job = offers.patient_body(index, PATIENCE + longest * 2);
        connection.submit(job, true).await?.success().context("warming up")?;
    }
    Ok(())
}

/// Errors have no state, and need no second look.
fn has_ended(answer: &Answer) -> bool {
    !matches!(answer.body["state"].as_str(), Some("queued" | "running"))
}

/// When the server expects a job to have ended that was sent so long ago.
fn look_again(job: &Value, since_sent: Duration) -> Duration {
    let predicted = job["predicted_finish_ms"].as_f64().filter(|millis| (0.0..=1e9).contains(millis));
    let predicted = Duration::from_secs_f64(predicted.unwrap_or(0.0) / 1e3);
    let [least, most] = LOOK_AGAIN;
    predicted.saturating_sub(since_sent).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_neither_waits_nor_runs_has_ended() {
        let ended = |body: Value| has_ended(&Answer { status: StatusCode::OK, body });
        assert!(!ended(json!({ "state": "queued" })) && !ended(json!({ "state": "running" })));
        assert!(ended(json!({ "state": "served" })) && ended(json!({ "state": "dropped" })));
        assert!(ended(json!({ "error": { "code": "overloaded" } })) && ended(Value::Null));
    }

    #[test]
    fn a_job_is_looked_up_when_it_should_have_ended_within_bounds() {
        let millis = |predicted: Value, sent| {
            look_again(&json!({ "predicted_finish_ms": predicted }), Duration::from_millis(sent)).as_millis()
        };
        assert_eq!(millis(json!(1500.0), 200), 1300);
        assert_eq!([millis(json!(100), 200), millis(Value::Null, 0), millis(json!(-5), 0)], [250; 3]);
        assert_eq!(millis(json!(1e8), 0), 5000);
    }
}
