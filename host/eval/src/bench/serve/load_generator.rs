//! Offers every job at its time, whatever became of the ones before, and collects what comes back.
//!
//! A thread of its own keeps the time: it sleeps until a job is due (to some 50 microseconds, where the runtime's timer
//! knows milliseconds only) and hands the rest of it to the runtime.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use super::client::Client;
use super::load_results::{JobAnswer, LoadResults};
use super::offered_jobs::OfferedJobs;
use super::progress::Progress;
use super::server::Server;

/// Time for the first connections before the first job is due.
const HEAD_START: Duration = Duration::from_millis(50);
/// Silence that is borne once all jobs were sent, beside the time that a few of the longest jobs take.
const LEAST_PATIENCE: Duration = Duration::from_secs(60);
const MOST_JOBS_OF_SILENCE: u32 = 5;

/// Offers all jobs and enters what becomes of each. Ends early if the server has ended, with an error, or
/// if it has said nothing for long; then those without an answer are left so.
pub(super) async fn offer(server: &mut Server, results: &mut LoadResults, progress: &mut Progress) -> Result<()> {
    let offers = results.offers().clone();
    let start = Instant::now() + HEAD_START;
    let (answers, mut heard) = unbounded_channel();
    let sending =
        Sending { offers: offers.clone(), client: Client::new(server.connection.clone()).into(), start, answers };
    let (on, off) = channel();
    let handle = Handle::current();
    let clock = move || keep_time(&sending, &off, &handle);
    let clock = std::thread::Builder::new().name("generator".into()).spawn(clock).context("starting the generator")?;
    let collected = collect(server, results, progress, &mut heard, start).await;
    // which is what the thread stops at
    drop(on);
    let _ = clock.join();
    collected
}

/// What the thread that keeps the time works with.
struct Sending {
    offers: Arc<OfferedJobs>,
    client: Arc<Client>,
    start: Instant,
    answers: UnboundedSender<JobAnswer>,
}

/// Starts each job's task when it is due, until all are or nobody wants any more.
fn keep_time(sending: &Sending, off: &Receiver<()>, handle: &Handle) {
    for (index, offer) in sending.offers.iter().enumerate() {
        let due = sending.start + offer.at;
        if off.recv_timeout(due.saturating_duration_since(Instant::now())) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        handle.spawn(sending.send(index));
    }
}

impl Sending {
    /// Sends one job and hands on what is heard of it.
    fn send(&self, index: usize) -> impl Future<Output = ()> + Send + use<> {
        let (offers, client, start, answers) =
            (self.offers.clone(), self.client.clone(), self.start, self.answers.clone());
        async move {
            let body = offers.body(index);
            let sent = start.elapsed();
            let answer = client.see_through(body).await;
            // nobody listens any more when the run has ended early
            let _ = answers.send(JobAnswer { index, sent, read: start.elapsed(), answer });
        }
    }
}

async fn collect(
    server: &mut Server,
    results: &mut LoadResults,
    progress: &mut Progress,
    heard: &mut UnboundedReceiver<JobAnswer>,
    start: Instant,
) -> Result<()> {
    let offers = results.offers().clone();
    let patience = LEAST_PATIENCE + results.longest_job() * MOST_JOBS_OF_SILENCE;
    let mut last = start + offers.last_due();
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !results.is_complete() {
        tokio::select! {
            answer = heard.recv() => {
                let Some(answer) = answer else { break };
                results.enter(answer);
                last = last.max(Instant::now());
            }
            _ = ticks.tick() => {
                server.check(results)?;
                progress.show(server, results, start).await;
                if last.elapsed() > patience {
                    break;
                }
            }
        }
    }
    server.check(results)
}
