//! Rows a second that a server of one's own serves, in a closed loop: jobs enough are always under way, and each that is
//! done is followed by another.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

use mosel_client::connection::Connection;
use mosel_client::inputs::Pool;
use mosel_client::spawned::Spawned;

/// A server, and the jobs it is driven with.
pub(super) struct Loop {
    /// The process.
    pub(super) server: Spawned,
    connection: Connection,
    pool: Pool,
    fields: Map<String, Value>,
    requests: u32,
    under_way: u32,
}

/// What a while of driving gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    /// Requests answered a second.
    pub(super) rows: f64,
    /// Processor time a request, of everything that answered it.
    pub(super) cpu: Duration,
}

/// A deadline that nothing misses: what is measured is how fast, not how soon.
const PATIENCE_MS: u64 = 600_000;

impl Loop {
    /// Starts `mosel serve` with these arguments, under the policy that never drops anything, and waits until it is ready.
    pub(super) async fn start(model: &str, pool: Pool, arguments: &[&str], jobs: (u32, u32)) -> Result<Loop> {
        let always = ["serve", "--listen", "127.0.0.1:0", "--policy", "highest-accuracy"];
        let arguments: Vec<String> = always.iter().chain(arguments).map(ToString::to_string).collect();
        let server = Spawned::start_muted(&arguments, &[("RUST_LOG", "error".into())])?;
        let connection = Connection::new(&server.url)?;
        connection.ready().await?;
        let fields = json!({ "model": model, "deadline_ms": PATIENCE_MS, "min_accuracy": 0.0 });
        let fields = fields.as_object().context("an object")?.clone();
        let (requests, under_way) = jobs;
        Ok(Loop { server, connection, pool, fields, requests, under_way })
    }

    /// The steps that its jobs are served in, as the server tells: label of the mode, batch size, batches.
    pub(super) async fn steps(&self, model: &str) -> Result<Vec<Value>> {
        let path = format!("/v1/models/{model}/strategies?requests={}", self.requests);
        let answer = self.connection.get(&path).await?;
        let best =
            answer.body["strategies"].as_array().and_then(|all| all.last()).context("expected strategies, got none")?;
        Ok(best["steps"].as_array().context("expected steps, got none")?.clone())
    }

    /// Drives it for so long.
    pub(super) async fn drive(&mut self, length: Duration) -> Result<Rate> {
        let (cpu, begin) = (self.server.cpu_time()?, Instant::now());
        let end = begin + length;
        let loops: Vec<_> =
            (0..self.under_way).map(|number| tokio::spawn(self.one_after_another(number, end))).collect();
        let mut rows = 0;
        for each in loops {
            rows += each.await.context("a client task")??;
        }
        let (seconds, cpu) = (begin.elapsed().as_secs_f64(), self.server.cpu_time()?.saturating_sub(cpu));
        ensure!(rows > 0, "not one request was answered");
        Ok(Rate { rows: f64::from(rows) / seconds, cpu: cpu / rows })
    }

    /// Jobs, each after the one before, until it is time; how many requests were answered.
    fn one_after_another(&self, number: u32, end: Instant) -> impl Future<Output = Result<u32>> + Send + use<> {
        let (connection, pool, fields, requests) =
            (self.connection.clone(), self.pool.clone(), self.fields.clone(), self.requests);
        let mut random = StdRng::seed_from_u64(u64::from(number));
        async move {
            let mut rows = 0;
            while Instant::now() < end {
                let job = pool.job(&fields, &pool.choose(requests, &mut random));
                let answer = connection.submit(job, true).await?;
                match answer.body["state"].as_str() {
                    Some("served") => rows += requests,
                    _ => bail!("expected a served job, got status {}: {}", answer.status, answer.body),
                }
            }
            Ok(rows)
        }
    }
}

/// The middle value; there is at least one.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
