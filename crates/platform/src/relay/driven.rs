//! A stream that is made as it is read, and says that it lives while there is nothing to say.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame as BodyFrame;
use quire_dialect::Dialect;
use quire_translate::{KEEP_ALIVE, sign_of_life};
use tokio::sync::mpsc;

use super::silence::Silence;

/// What makes an answer.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An answer that is made as it is read: whoever takes its pieces does the work. Dropped, the work ends where it is.
pub(super) struct Driven {
    work: Option<Work>,
    taken: mpsc::Receiver<Bytes>,
    silence: Silence,
    /// What is sent while there is nothing to send: no event before the first one.
    sign: &'static [u8],
    next_sign: &'static [u8],
}

impl Driven {
    /// The pieces of some work, for a client of an API, that is not silent for longer than `alive`.
    pub(super) fn new(
        work: Work,
        taken: mpsc::Receiver<Bytes>,
        api: Dialect,
        alive: Duration,
    ) -> Self {
        Self {
            work: Some(work),
            taken,
            silence: Silence::new(alive),
            sign: KEEP_ALIVE,
            next_sign: sign_of_life(api),
        }
    }

    fn piece(&mut self) -> Option<Bytes> {
        let piece = self.taken.try_recv().ok()?;
        self.sign = self.next_sign;
        Some(piece)
    }
}

impl hyper::body::Body for Driven {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let mut piece = this.piece();
        if piece.is_none()
            && let Some(work) = &mut this.work
        {
            if work.as_mut().poll(context).is_ready() {
                this.work = None;
            }
            piece = this.piece();
        }
        if piece.is_none() && this.work.is_some() {
            // Its pieces are whole events: between two of them there is room for another.
            if !this.silence.is_long(context) {
                return Poll::Pending;
            }
            piece = Some(Bytes::from_static(this.sign));
        }
        this.silence.broken();
        Poll::Ready(piece.map(|piece| Ok(BodyFrame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stream_that_has_nothing_to_say_gives_signs_of_life() {
        for (api, sign) in [
            (
                Dialect::Messages,
                "event: ping\ndata: {\"type\":\"ping\"}\n\n",
            ),
            (Dialect::Responses, ": keep-alive\n\n"),
            (Dialect::Chat, ": keep-alive\n\n"),
        ] {
            let (pieces, taken) = mpsc::channel(1);
            let (go_on, told) = tokio::sync::oneshot::channel::<()>();
            let work = async move {
                let _ = told.await;
                let _ = pieces.send(Bytes::from_static(b"said")).await;
                std::future::pending::<()>().await;
            };
            let mut body = Driven::new(Box::pin(work), taken, api, Duration::from_millis(1));
            let next = async |body: &mut Driven| {
                let frame = body.frame().await.unwrap().unwrap();
                String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
            };
            // No event comes before the one that begins the answer.
            assert_eq!(next(&mut body).await, ": keep-alive\n\n");
            assert_eq!(next(&mut body).await, ": keep-alive\n\n");
            go_on.send(()).unwrap();
            let mut said = next(&mut body).await;
            while said == ": keep-alive\n\n" {
                said = next(&mut body).await;
            }
            assert_eq!(said, "said");
            assert_eq!(next(&mut body).await, sign);
        }
    }
}
