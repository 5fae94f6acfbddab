//! The body of an answer: a request is under way until it was sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body as AnyBody;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::state::ConnectionState;

/// A request that is under way until this is dropped.
pub(super) struct UnderWay {
    state: Arc<ConnectionState>,
    is_answered: bool,
}

/// An answer, and the request that it ends.
pub(super) struct AnswerBody {
    body: AnyBody,
    under_way: UnderWay,
}

impl UnderWay {
    pub(super) fn new(state: &Arc<ConnectionState>, is_http2: bool) -> UnderWay {
        state.begin_request(is_http2);
        UnderWay { state: state.clone(), is_answered: false }
    }

    /// With this answer.
    pub(super) fn answer(mut self, body: AnyBody) -> AnswerBody {
        self.state.begin_answer();
        self.is_answered = true;
        AnswerBody { body, under_way: self }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.is_answered {
            self.state.end_answer();
        }
        self.state.end_request();
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            // it is asked for when the client has taken what came before
            self.under_way.state.sent_frame();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
