//! `mosel bench http`: what a request costs the server, beside bare hyper, in one run.
//!
//! Both servers run as processes of their own and are driven in turn, a round each, so that a machine whose
//! speed drifts slows both. The measure is processor time of the server process a request.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use mosel_client::connection::Connection;
use mosel_client::spawned::Spawned;

/// What `mosel bench http` takes.
#[derive(Clone, Debug, Args)]
pub struct HttpArgs {
    /// Keep-alive connections, each with one request under way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Rounds a server
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds a round
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl Default for HttpArgs {
    fn default() -> HttpArgs {
        HttpArgs { connections: 64, rounds: 3, seconds: 3.0, json: false }
    }
}

/// `mosel bench http`.
pub fn run(args: &HttpArgs) -> Result<()> {
    ensure!((0.1..=600.0).contains(&args.seconds), "--seconds is {}, expected 0.1 to 600", args.seconds);
    mosel_client::runtime()?.block_on(http(args))
}

/// A server under measurement, and what it is asked.
struct Side {
    server: Spawned,
    request: Call,
    /// A row a round: requests a second, processor microseconds a request.
    rounds: Vec<(f64, f64)>,
}

#[derive(Clone)]
struct Call {
    method: &'static str,
    path: &'static str,
    body: &'static str,
}

async fn http(args: &HttpArgs) -> Result<()> {
    let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
    let job = r#"{"model":"null","deadline_ms":60000,"requests":[{"text":"x"}]}"#;
    let mut mosel = Side {
        server: Spawned::start(&words("serve --null --listen 127.0.0.1:0"))?,
        request: Call { method: "POST", path: "/v1/jobs", body: job },
        rounds: Vec::new(),
    };
    let mut hyper = Side {
        server: Spawned::start(&words("bench hyper"))?,
        request: Call { method: "GET", path: "/", body: "" },
        rounds: Vec::new(),
    };
    Connection::new(&mosel.server.url)?.ready().await?;
    for side in [&mut mosel, &mut hyper] {
        side.round(args.connections, Duration::from_millis(300)).await?;
        side.rounds.clear();
    }
    for _ in 0..args.rounds {
        for side in [&mut mosel, &mut hyper] {
            side.round(args.connections, Duration::from_secs_f64(args.seconds)).await?;
        }
    }
    report(args, &mosel, &hyper);
    Ok(())
}

fn report(args: &HttpArgs, mosel: &Side, hyper: &Side) {
    let ((mosel_rps, mosel_cpu), (hyper_rps, hyper_cpu)) = (mosel.median(), hyper.median());
    if args.json {
        let row = json!({
            "mosel_cpu_us": mosel_cpu, "hyper_cpu_us": hyper_cpu, "cpu_ratio": mosel_cpu / hyper_cpu,
            "mosel_rps": mosel_rps, "hyper_rps": hyper_rps, "connections": args.connections, "rounds": args.rounds,
        });
        println!("{row}");
        return;
    }
    println!(
        "{} keep-alive connections, {} rounds of {} s each, in turn; medians",
        args.connections, args.rounds, args.seconds
    );
    println!("                                requests/s   server CPU us/request");
    println!("mosel, null model, one request  {mosel_rps:>10.0}   {mosel_cpu:>21.1}");
    println!("bare hyper                      {hyper_rps:>10.0}   {hyper_cpu:>21.1}");
    println!("ratio                           {:>10.2}   {:>21.2}", mosel_rps / hyper_rps, mosel_cpu / hyper_cpu);
}

impl Side {
    async fn round(&mut self, connections: u16, length: Duration) -> Result<()> {
        let address = self.server.url.strip_prefix("http://").context("expected an http address")?.to_owned();
        let before = self.server.cpu_time()?;
        let start = Instant::now();
        let tasks: Vec<_> = (0..connections)
            .map(|_| tokio::spawn(drive(address.clone(), self.request.clone(), start + length)))
            .collect();
        let mut requests = 0;
        for task in tasks {
            requests += task.await.context("a client task")??;
        }
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), self.server.cpu_time()?.saturating_sub(before));
        ensure!(requests > 0, "not one request was answered");
        self.rounds.push((requests as f64 / seconds, cpu.as_secs_f64() * 1e6 / requests as f64));
        Ok(())
    }

    /// Medians of requests a second and of processor microseconds a request.
    fn median(&self) -> (f64, f64) {
        let middle = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        (
            middle(self.rounds.iter().map(|round| round.0).collect()),
            middle(self.rounds.iter().map(|round| round.1).collect()),
        )
    }
}

/// Sends one request after another over one connection until `end`; how many were answered with success.
async fn drive(address: String, call: Call, end: Instant) -> Result<u64> {
    let stream = TcpStream::connect(&address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut answered = 0;
    while Instant::now() < end {
        let request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header("host", &address)
            .header("content-type", "application/json")
            .header("prefer", "wait")
            .body(Full::new(Bytes::from_static(call.body.as_bytes())))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == 200, "expected status 200, got {status}: {}", String::from_utf8_lossy(&body));
        answered += 1;
    }
    Ok(answered)
}

/// The least an HTTP server can do with hyper.
pub async fn bare_hyper() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let answer =
                |_| async { Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from("ok")))) };
            let service = hyper::service::service_fn(answer);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
