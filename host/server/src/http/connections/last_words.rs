//! What is said on a connection that no HTTP is spoken on any more, and how it is left so that the client can read it.
//!
//! A socket that is closed while something unread lies in it resets the connection, and the answer is lost with it. So
//! what still comes is read and thrown away for a while.

use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::http::api_error::ApiError;

/// An error as bytes of HTTP/1.1, after which the connection is closed.
pub(super) fn last_words(error: &ApiError) -> Vec<u8> {
    let status = error.code.status();
    let body = error.json().to_string();
    let mut words = format!("HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or("Error"));
    if let Some(seconds) = error.retry_after_s() {
        words += &format!("retry-after: {seconds}\r\n");
    }
    words +=
        &format!("content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    words.into_bytes()
}

/// Says this, if there is room for it at once.
pub(super) fn say(stream: &TcpStream, error: &ApiError) {
    // who has not read what came before does not read this either
    let _ = stream.try_write(&last_words(error));
}

/// Says that nothing more is said, and reads what still comes, until the client closes or it has been enough.
pub(super) async fn linger(mut stream: TcpStream) {
    let _ = std::future::poll_fn(|cx| std::pin::Pin::new(&mut stream).poll_shutdown(cx)).await;
    let rest = async {
        let (mut buffer, mut left) = (vec![0; 64 << 10], MOST_BYTES);
        while left > 0 {
            if stream.readable().await.is_err() {
                return;
            }
            match stream.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(came) => left = left.saturating_sub(came),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    let _ = tokio::time::timeout(LONGEST, rest).await;
}

const LONGEST: Duration = Duration::from_secs(2);
const MOST_BYTES: usize = 256 << 20;
