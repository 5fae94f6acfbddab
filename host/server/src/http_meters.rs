//! What is counted of HTTP: connections, requests, errors, bytes. Labels are few: states, reasons, classes, error codes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::error_code::ErrorCode;

/// The counters of the wire. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpMeters {
    connections: Family<InState, Gauge>,
    accepted: Counter,
    closed: Family<Because, Counter>,
    accept_failures: Counter,
    requests: Family<OfClass, Counter>,
    errors: Family<WithCode, Counter>,
    full: Arc<AtomicBool>,
    /// Bytes that came, heads included.
    pub(crate) received_bytes: Counter,
    /// Bytes that were sent, heads included.
    pub(crate) sent_bytes: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Because {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClass {
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WithCode {
    code: &'static str,
}

impl HttpMeters {
    /// Makes them part of what is shown.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let HttpMeters { connections, accepted, closed, accept_failures, requests, errors, .. } = self;
        registry.register("http_connections", "Connections, by what they do", connections.clone());
        registry.register("http_connections_accepted", "Connections that were accepted", accepted.clone());
        let words = "Connections that the server ended or refused before their client did, by reason";
        registry.register("http_connections_closed", words, closed.clone());
        let words = "Times that a connection could not be accepted, for lack of file descriptors for the most part";
        registry.register("http_accept_failures", words, accept_failures.clone());
        registry.register("http_requests", "Requests that were answered, by class of status", requests.clone());
        registry.register("http_errors", "Requests that were answered with an error, by its code", errors.clone());
        registry.register("http_received_bytes", "Bytes that clients sent", self.received_bytes.clone());
        registry.register("http_sent_bytes", "Bytes that were sent to clients", self.sent_bytes.clone());
    }

    /// Shows every family once.
    pub(crate) fn show_all(&self) {
        self.in_state("STATE", 0);
        self.closed("REASON");
        self.answered(200);
        self.failed(ErrorCode::Internal);
    }

    /// A connection came.
    pub(crate) fn accepted(&self) {
        self.accepted.inc();
    }

    /// None could be taken.
    pub(crate) fn accept_failed(&self) {
        self.accept_failures.inc();
    }

    /// So many connections are in this state.
    pub(crate) fn in_state(&self, state: &'static str, count: usize) {
        self.connections.get_or_create(&InState { state }).set(count as i64);
    }

    /// The server ended or refused a connection.
    pub(crate) fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&Because { reason }).inc();
    }

    /// Whether a newcomer would find no place, as of the last look.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// A newcomer would find no place: all connections are in use.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// A request was answered with this status.
    pub(crate) fn answered(&self, status: u16) {
        let class = match status {
            ..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        };
        self.requests.get_or_create(&OfClass { class }).inc();
    }

    /// The answer says this.
    pub(crate) fn failed(&self, code: ErrorCode) {
        self.errors.get_or_create(&WithCode { code: code.word() }).inc();
    }
}
