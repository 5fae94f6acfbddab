//! The bytes of a connection: counted on their way, and given back when HTTP is done with them.
//!
//! hyper answers what it cannot read by itself, with a status and nothing else. Such an answer is replaced by one with the
//! error's code and words, as every other error has them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::last_words::last_words;
use super::state::ConnectionState;
use crate::error_code::ErrorCode;
use crate::http::api_error::ApiError;
use crate::http_meters::HttpMeters;

/// A stream that tells its connection's state what happens on it.
pub(super) struct WatchedStream {
    stream: Option<TcpStream>,
    state: Arc<ConnectionState>,
    meters: HttpMeters,
    /// What is sent in place of what hyper wrote: the bytes, how many were sent, how many they stand for.
    instead: Option<(Vec<u8>, usize, usize)>,
}

impl WatchedStream {
    pub(super) fn new(stream: TcpStream, state: Arc<ConnectionState>, meters: HttpMeters) -> WatchedStream {
        WatchedStream { stream: Some(stream), state, meters, instead: None }
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("it is there until this is dropped"))
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.state.sent();
                self.meters.sent_bytes.inc_by(*bytes as u64);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.state.blocked(),
        }
    }

    /// Sends what stands for bytes that hyper wrote, whole, and says that those were sent.
    fn send_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some((bytes, mut sent, stands_for)) = self.instead.take() else { return Poll::Ready(Ok(0)) };
        while sent < bytes.len() {
            let written = self.stream().poll_write(cx, &bytes[sent..]);
            self.wrote(&written);
            match written {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => sent += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.instead = Some((bytes, sent, stands_for));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(stands_for))
    }
}

impl Drop for WatchedStream {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.state.give_back(stream);
        }
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.stream().poll_read(cx, buffer))?;
        let came = buffer.filled().len() - before;
        if came > 0 {
            if !self.state.was_used() && buffer.filled()[before..].starts_with(b"PRI ") {
                self.state.begins_as_http2();
            }
            self.state.received();
            self.meters.received_bytes.inc_by(came as u64);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none()
            && let Some((from, error)) = own_answer(bytes)
        {
            self.replace(bytes[..from].to_vec(), bytes.len(), &error);
        }
        if self.instead.is_some() {
            return self.send_instead(cx);
        }
        let written = self.stream().poll_write(cx, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_none()
            && let Some((last, before)) = slices.split_last()
            && let Some((from, error)) = own_answer(last)
        {
            let mut first: Vec<u8> = before.iter().flat_map(|slice| slice.iter().copied()).collect();
            let length = first.len() + last.len();
            first.extend_from_slice(&last[..from]);
            self.replace(first, length, &error);
        }
        if self.instead.is_some() {
            return self.send_instead(cx);
        }
        let written = self.stream().poll_write_vectored(cx, slices);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

impl WatchedStream {
    fn replace(&mut self, mut first: Vec<u8>, stands_for: usize, error: &ApiError) {
        self.state.answered_itself();
        self.meters.answered(error.code.status().as_u16());
        self.meters.failed(error.code);
        first.extend_from_slice(&last_words(error));
        self.instead = Some((first, 0, stands_for));
    }
}

/// Where hyper's own answer begins, if these bytes end with one, and what it should say. No answer of a route is an error
/// without a body.
fn own_answer(bytes: &[u8]) -> Option<(usize, ApiError)> {
    const LONGEST: usize = 512;
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let end = &bytes[bytes.len().saturating_sub(LONGEST)..];
    let from = end.windows(START.len()).rposition(|window| window == START)?;
    let text = std::str::from_utf8(&end[from..]).ok()?;
    let (code, message) = match text.get(START.len()..START.len() + 3)? {
        "400" => (ErrorCode::BadRequest, "expected a request of HTTP/1.1 or HTTP/2, got something that cannot be read"),
        "414" => (ErrorCode::UriTooLong, "expected a path and query of at most 65,534 bytes, got more"),
        "431" => {
            (ErrorCode::HeadersTooLarge, "expected a head of at most http.max_header_bytes and 100 headers, got more")
        }
        _ => return None,
    };
    let is_empty = text.to_ascii_lowercase().contains("\r\ncontent-length: 0\r\n");
    is_empty.then(|| (bytes.len() - end.len() + from, ApiError::new(code, message)))
}

const START: &[u8] = b"HTTP/1.1 ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_without_a_body_are_hypers_own() {
        let own = |text: &str| own_answer(text.as_bytes()).map(|(from, error)| (from, error.code));
        let head = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(own(head), Some((0, ErrorCode::BadRequest)));
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";
        assert_eq!(own(&format!("{before}{head}")), Some((before.len(), ErrorCode::BadRequest)));
        assert_eq!(own(&head.replace("400", "431")), Some((0, ErrorCode::HeadersTooLarge)));
        assert_eq!(own(&head.replace("400", "414")), Some((0, ErrorCode::UriTooLong)));
        assert_eq!(own(before), None);
        assert_eq!(own("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(own("HTTP/1.1 400 Bad Request\r\ncontent-length: 51\r\n\r\n"), None, "to HEAD");
        assert_eq!(own("\r\n\r\n"), None);
    }
}
