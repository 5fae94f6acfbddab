//! The body of a request: held to a rate while it comes, and not lost when a route does not want it.
//!
//! Most clients send their whole body before they look for an answer. So what a route leaves unread is read and thrown
//! away, within bounds, while the answer is sent; else such a client sees a broken connection in place of the error.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use super::state::ConnectionState;
use crate::config::Http;
use crate::http::body::SlowBodyError;

/// A body that comes.
pub(super) struct RequestBody {
    coming: Option<Coming>,
}

struct Coming {
    incoming: Incoming,
    state: Arc<ConnectionState>,
    unread: Unread,
    rate: Rate,
}

/// Where a body goes that nobody reads to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<Mutex<Option<Incoming>>>);

/// How fast a body has to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeastRate {
    grace: Duration,
    bytes_per_s: u64,
}

struct Rate {
    least: LeastRate,
    begin: Instant,
    bytes: u64,
    /// Runs out when the body is too slow.
    patience: Option<Pin<Box<Sleep>>>,
}

impl LeastRate {
    pub(super) fn of(http: &Http) -> LeastRate {
        let grace = Duration::from_millis(http.body_timeout_ms / 6);
        LeastRate { grace, bytes_per_s: http.min_body_bytes_per_s }
    }

    /// How long so many bytes may take; `None` for ever.
    fn patience(self, bytes: u64) -> Option<Duration> {
        if self.bytes_per_s == 0 {
            return None;
        }
        let seconds = bytes as f64 / self.bytes_per_s as f64;
        // longer than this there is another time-out
        Some(self.grace + Duration::from_secs_f64(seconds.min(86_400.0)))
    }
}

impl RequestBody {
    /// Of a request on this connection; what is not read of it goes there.
    pub(super) fn new(
        incoming: Incoming,
        state: &Arc<ConnectionState>,
        least: LeastRate,
        unread: &Unread,
    ) -> RequestBody {
        if incoming.is_end_stream() {
            return RequestBody { coming: None };
        }
        state.begin_body();
        let rate = Rate { least, begin: Instant::now(), bytes: 0, patience: None };
        RequestBody { coming: Some(Coming { incoming, state: state.clone(), unread: unread.clone(), rate }) }
    }

    fn end(&mut self) -> Option<(Incoming, Unread)> {
        let Coming { incoming, state, unread, .. } = self.coming.take()?;
        state.end_body();
        Some((incoming, unread))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(coming) = &mut self.coming else { return Poll::Ready(None) };
        match Pin::new(&mut coming.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                coming.rate.bytes += bytes as u64;
                coming.state.received_body(bytes);
                if coming.incoming.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.end();
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending if coming.rate.is_too_slow(cx) => {
                let Rate { least, .. } = coming.rate;
                Poll::Ready(Some(Err(SlowBodyError { bytes_per_s: least.bytes_per_s }.into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.coming.as_ref().is_none_or(|coming| coming.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.coming.as_ref().map_or(SizeHint::with_exact(0), |coming| coming.incoming.size_hint())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some((incoming, unread)) = self.end() {
            *unread.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(incoming);
        }
    }
}

impl Rate {
    /// Nothing has come for too long, for what came before.
    fn is_too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(patience) = self.least.patience(self.bytes) else { return false };
        let end = self.begin + patience;
        let sleep = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= end {
                return true;
            }
            sleep.as_mut().reset(end);
        }
        false
    }
}

impl Unread {
    /// What nobody has read.
    pub(super) fn take(&self) -> Option<Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Reads what is left of a body and throws it away; gives up where it is too much or takes too long.
pub(super) async fn discard(mut rest: Incoming, state: Arc<ConnectionState>, http: &Http) {
    state.begin_discarding();
    let most = (4 * http.max_body_bytes).max(LEAST_DISCARDED_BYTES);
    let all = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = rest.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            if bytes > most {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(http.body_timeout_ms), all).await;
    state.end_discarding();
}

const LEAST_DISCARDED_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_take_its_grace_and_then_its_rate() {
        let least = LeastRate { grace: Duration::from_secs(5), bytes_per_s: 1000 };
        assert_eq!(least.patience(0), Some(Duration::from_secs(5)));
        assert_eq!(least.patience(2500), Some(Duration::from_millis(7500)));
        assert_eq!(least.patience(u64::MAX), Some(Duration::from_secs(86_405)));
        assert_eq!(LeastRate { bytes_per_s: 0, ..least }.patience(0), None);
    }
}
