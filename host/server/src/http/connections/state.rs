//! What one connection does: whether it is in use, and since when it is not. Told by its stream and its requests, looked at
//! by whoever needs its place.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::network::network_of;

/// Whose connections are counted together: one address, or one network of the kind that a household is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PeerKey(IpAddr);

impl PeerKey {
    pub(super) fn of(address: IpAddr) -> PeerKey {
        PeerKey(network_of(address))
    }
}

/// What a connection does, and since when, in milliseconds after its own begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// All was said; only what the client still sends of a refused body is read, and thrown away.
    Discarding { since: u64 },
    /// It was used, and is not.
    Idle { since: u64 },
    /// The head of a request is missing, or parts of it.
    Head { since: u64 },
    /// There is an answer that nobody reads.
    Unread { since: u64 },
    /// A body comes, so many bytes until now.
    Body { since: u64, bytes: u64 },
    /// A request runs or waits.
    Busy,
}

/// Why the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum CloseReason {
    /// Somebody else needs its place.
    Evicted = 1,
    SlowHead,
    Idle,
    Unread,
    Stopping,
}

/// What one connection does.
#[derive(Debug)]
pub(super) struct ConnectionState {
    pub(super) peer: PeerKey,
    /// There was no place for it: it may ask for health only.
    pub(super) is_over: bool,
    begin: Instant,
    requests: AtomicU32,
    receiving: AtomicU32,
    answering: AtomicU32,
    discarding: AtomicU32,
    was_used: AtomicBool,
    is_http2: AtomicBool,
    has_partial_head: AtomicBool,
    quiet_since: AtomicU64,
    body_since: AtomicU64,
    body_bytes: AtomicU64,
    sent_at: AtomicU64,
    is_blocked: AtomicBool,
    answered_itself: AtomicBool,
    closing: AtomicU8,
    close: Notify,
    returned: Mutex<Option<TcpStream>>,
}

/// So long must an answer lie unread, or a body be slow, before its connection may be taken for somebody else.
const SLOW_MS: u64 = 1000;
/// A body that comes faster is not slow.
const SLOW_BYTES_PER_S: u64 = 64 << 10;

impl ConnectionState {
    pub(super) fn new(peer: PeerKey, is_over: bool) -> ConnectionState {
        ConnectionState {
            peer,
            is_over,
            begin: Instant::now(),
            requests: AtomicU32::new(0),
            receiving: AtomicU32::new(0),
            answering: AtomicU32::new(0),
            discarding: AtomicU32::new(0),
            was_used: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            has_partial_head: AtomicBool::new(false),
            quiet_since: AtomicU64::new(0),
            body_since: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            sent_at: AtomicU64::new(0),
            is_blocked: AtomicBool::new(false),
            answered_itself: AtomicBool::new(false),
            closing: AtomicU8::new(0),
            close: Notify::new(),
            returned: Mutex::new(None),
        }
    }

    /// Milliseconds after its begin.
    pub(super) fn now(&self) -> u64 {
        self.begin.elapsed().as_millis() as u64
    }

    /// Bytes came, which are a head where no request is under way.
    pub(super) fn received(&self) {
        let idle = self.requests.load(Relaxed) == 0 && self.discarding.load(Relaxed) == 0;
        if idle && !self.has_partial_head.swap(true, Relaxed) && self.was_used.load(Relaxed) {
            self.quiet_since.store(self.now(), Relaxed);
        }
    }

    /// It begins as HTTP/2 does.
    pub(super) fn begins_as_http2(&self) {
        self.is_http2.store(true, Relaxed);
    }

    /// It was used before.
    pub(super) fn was_used(&self) -> bool {
        self.was_used.load(Relaxed)
    }

    /// Bytes were sent.
    pub(super) fn sent(&self) {
        self.sent_at.store(self.now(), Relaxed);
        self.is_blocked.store(false, Relaxed);
    }

    /// The client has room for more of an answer.
    pub(super) fn sent_frame(&self) {
        self.sent_at.store(self.now(), Relaxed);
    }

    /// Bytes could not be sent, since the client does not read.
    pub(super) fn blocked(&self) {
        if !self.is_blocked.swap(true, Relaxed) {
            self.sent_at.store(self.now(), Relaxed);
        }
    }

    /// A request begins.
    pub(super) fn begin_request(&self, is_http2: bool) {
        self.requests.fetch_add(1, Relaxed);
        self.was_used.store(true, Relaxed);
        self.has_partial_head.store(false, Relaxed);
        if is_http2 {
            self.is_http2.store(true, Relaxed);
        }
    }

    /// A request is over, its answer handed to the system or given up.
    pub(super) fn end_request(&self) {
        if self.requests.fetch_sub(1, Relaxed) == 1 {
            self.quiet_since.store(self.now(), Relaxed);
        }
    }

    /// A body begins.
    pub(super) fn begin_body(&self) {
        if self.receiving.fetch_add(1, Relaxed) == 0 {
            self.body_since.store(self.now(), Relaxed);
            self.body_bytes.store(0, Relaxed);
        }
    }

    /// Some of it came.
    pub(super) fn received_body(&self, bytes: usize) {
        self.body_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// It is there, or not wanted.
    pub(super) fn end_body(&self) {
        self.receiving.fetch_sub(1, Relaxed);
    }

    /// An answer is to be sent.
    pub(super) fn begin_answer(&self) {
        self.answering.fetch_add(1, Relaxed);
        self.sent_at.store(self.now(), Relaxed);
    }

    /// It was.
    pub(super) fn end_answer(&self) {
        self.answering.fetch_sub(1, Relaxed);
    }

    /// What is left of a body is thrown away from here on.
    pub(super) fn begin_discarding(&self) {
        self.discarding.fetch_add(1, Relaxed);
    }

    /// All of it is.
    pub(super) fn end_discarding(&self) {
        self.discarding.fetch_sub(1, Relaxed);
        self.quiet_since.store(self.now(), Relaxed);
    }

    /// Not a request but the parser was answered.
    pub(super) fn answered_itself(&self) {
        self.answered_itself.store(true, Relaxed);
    }

    pub(super) fn has_answered_itself(&self) -> bool {
        self.answered_itself.load(Relaxed)
    }

    /// What it does.
    pub(super) fn activity(&self) -> Activity {
        let (requests, since) = (self.requests.load(Relaxed), self.quiet_since.load(Relaxed));
        let sent_at = self.sent_at.load(Relaxed);
        if self.is_blocked.load(Relaxed) || requests > 0 && self.answering.load(Relaxed) == requests {
            return Activity::Unread { since: sent_at };
        }
        if requests > 0 {
            if self.receiving.load(Relaxed) < requests {
                return Activity::Busy;
            }
            return Activity::Body { since: self.body_since.load(Relaxed), bytes: self.body_bytes.load(Relaxed) };
        }
        if self.discarding.load(Relaxed) > 0 {
            return Activity::Discarding { since };
        }
        let is_used = self.was_used.load(Relaxed);
        if is_used && (self.is_http2.load(Relaxed) || !self.has_partial_head.load(Relaxed)) {
            Activity::Idle { since }
        } else {
            Activity::Head { since }
        }
    }

    /// It speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Relaxed)
    }

    /// A request is under way.
    pub(super) fn is_in_use(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// A part of a head came, and no more.
    pub(super) fn is_in_head(&self) -> bool {
        let head = matches!(self.activity(), Activity::Head { .. });
        head && self.has_partial_head.load(Relaxed) && !self.is_http2.load(Relaxed)
    }

    /// How readily it gives its place to somebody else, the smallest first; `None` if it does not.
    pub(super) fn rank(&self) -> Option<(u8, u64)> {
        let now = self.now();
        // what matters is how long ago, and that is on the clock of each connection
        let age = |since: u64| u64::MAX - now.saturating_sub(since);
        match self.activity() {
            Activity::Discarding { since } => Some((0, age(since))),
            Activity::Idle { since } => Some((1, age(since))),
            Activity::Head { since } => Some((2, age(since))),
            Activity::Unread { since } => (now >= since + SLOW_MS).then(|| (3, age(since))),
            Activity::Body { since, bytes } => {
                let took = now.saturating_sub(since);
                let rate = bytes * 1000 / took.max(1);
                (took >= SLOW_MS && rate < SLOW_BYTES_PER_S).then_some((4, rate))
            }
            Activity::Busy => None,
        }
    }

    /// The reason for which it has to end now.
    pub(super) fn overdue(&self, timeouts: &Timeouts) -> Option<CloseReason> {
        let now = self.now();
        let over = |since: u64, timeout: Duration| u128::from(now.saturating_sub(since)) >= timeout.as_millis();
        match self.activity() {
            Activity::Idle { since } if over(since, timeouts.keep_alive) => Some(CloseReason::Idle),
            Activity::Head { since } if over(since, timeouts.head) => Some(CloseReason::SlowHead),
            Activity::Unread { since } if over(since, timeouts.write) => Some(CloseReason::Unread),
            _ => None,
        }
    }

    /// Tells it to end; the first reason stands.
    pub(super) fn close(&self, reason: CloseReason) -> bool {
        let first = self.closing.compare_exchange(0, reason as u8, Relaxed, Relaxed).is_ok();
        if first {
            self.close.notify_one();
        }
        first
    }

    /// Why it was told to end, if it was.
    pub(super) fn reason(&self) -> Option<CloseReason> {
        CloseReason::from_number(self.closing.load(Relaxed))
    }

    /// Resolves when it is told to end.
    pub(super) async fn told(&self) -> CloseReason {
        loop {
            if let Some(reason) = self.reason() {
                return reason;
            }
            self.close.notified().await;
        }
    }

    /// Gives the stream back, once nothing else is going to be said by HTTP.
    pub(super) fn give_back(&self, stream: TcpStream) {
        *self.returned.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(stream);
    }

    /// The stream that was given back.
    pub(super) fn take_stream(&self) -> Option<TcpStream> {
        self.returned.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

/// How long a client may take, and leave a connection alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeouts {
    pub(super) head: Duration,
    pub(super) keep_alive: Duration,
    pub(super) write: Duration,
}

impl CloseReason {
    /// Its label in the metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            CloseReason::Evicted => "evicted",
            CloseReason::SlowHead => "slow_head",
            CloseReason::Idle => "idle",
            CloseReason::Unread => "unread",
            CloseReason::Stopping => "stopping",
        }
    }

    fn from_number(number: u8) -> Option<CloseReason> {
        use CloseReason::{Evicted, Idle, SlowHead, Stopping, Unread};
        [Evicted, SlowHead, Idle, Unread, Stopping].into_iter().find(|reason| *reason as u8 == number)
    }
}

impl Activity {
    /// Every label of the metrics.
    pub(super) const WORDS: [&'static str; 6] = ["discarding", "idle", "head", "unread", "body", "busy"];

    /// Its label in the metrics, by its place in [`Activity::WORDS`].
    pub(super) fn index(self) -> usize {
        match self {
            Activity::Discarding { .. } => 0,
            Activity::Idle { .. } => 1,
            Activity::Head { .. } => 2,
            Activity::Unread { .. } => 3,
            Activity::Body { .. } => 4,
            Activity::Busy => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> ConnectionState {
        ConnectionState::new(PeerKey::of([127, 0, 0, 1].into()), false)
    }

    #[test]
    fn what_a_connection_does_follows_its_requests() {
        let connection = connection();
        let is = |wanted: fn(Activity) -> bool| assert!(wanted(connection.activity()), "{:?}", connection.activity());
        is(|activity| matches!(activity, Activity::Head { .. }));
        connection.received();
        is(|activity| matches!(activity, Activity::Head { .. }));
        connection.begin_request(false);
        connection.begin_body();
        is(|activity| matches!(activity, Activity::Body { bytes: 0, .. }));
        connection.received_body(3);
        is(|activity| matches!(activity, Activity::Body { bytes: 3, .. }));
        connection.end_body();
        is(|activity| activity == Activity::Busy);
        assert_eq!(connection.rank(), None, "who is in use keeps its place");
        connection.begin_answer();
        is(|activity| matches!(activity, Activity::Unread { .. }));
        assert_eq!(connection.rank(), None, "an answer may take a moment");
        connection.end_answer();
        connection.end_request();
        is(|activity| matches!(activity, Activity::Idle { .. }));
        connection.received();
        is(|activity| matches!(activity, Activity::Head { .. }));
    }

    #[test]
    fn idle_gives_way_before_a_slow_head_and_bytes_of_http_2_are_no_head() {
        let (idle, head, http2) = (connection(), connection(), connection());
        for (connection, is_http2) in [(&idle, false), (&http2, true)] {
            connection.begin_request(is_http2);
            connection.end_request();
        }
        http2.received();
        assert!(matches!(http2.activity(), Activity::Idle { .. }));
        assert!(idle.rank() < head.rank());
    }

    #[test]
    fn peers_are_addresses_and_networks_of_sixty_four_bits() {
        let key = |text: &str| PeerKey::of(text.parse().unwrap());
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:3::"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    }

    #[test]
    fn the_first_reason_stands() {
        let connection = connection();
        assert!(connection.close(CloseReason::Unread) && !connection.close(CloseReason::Evicted));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it needs nothing");
        assert_eq!(runtime.block_on(connection.told()), CloseReason::Unread);
    }
}
