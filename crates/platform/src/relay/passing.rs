//! An answer that is passed on as it is, byte for byte, and metered as it goes by.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use hyper::body::{Frame, Incoming};
use quire_dialect::Dialect;
use quire_translate::{Meter, Refusal, stream_error};

use super::failure::{broke_off, charge_for, ended_in};
use super::silence::Silence;
use super::{Ask, Begun, whole};
use crate::charge::{Charge, Outcome, left};
use crate::reply::Denial;
use crate::routing::{Candidate, Place};
use crate::upstream::returned;

/// Most bytes of an answer that comes whole. Images are in some.
pub(super) const MOST: usize = 256 << 20;

/// Marks a whole body that goes to the client as it came though it is an error, or no answer: what it means.
#[derive(Clone)]
pub(crate) struct NoAnswer(pub(crate) Refusal);

/// A stream on its way.
pub(super) fn stream(ask: &Ask, begun: Begun) -> Response<Body> {
    let (head, upstream) = begun.response.into_parts();
    let idle = Duration::from_secs(begun.candidate.node.config.idle_s);
    let passing = Passing {
        upstream,
        api: ask.api,
        request_id: ask.request_id.clone(),
        meter: Meter::new(ask.api),
        charge: Some(begun.charge),
        status: head.status.as_u16(),
        candidate: begun.candidate,
        _place: begun.place,
        silence: Silence::new(idle),
        over: false,
    };
    let mut response = Response::new(Body::new(passing));
    *response.headers_mut() = returned(&head.headers);
    *response.status_mut() = head.status;
    response.headers_mut().insert(
        "cache-control",
        axum::http::HeaderValue::from_static("no-cache"),
    );
    response
}

/// An answer that comes whole.
pub(super) async fn whole(ask: &Ask, mut begun: Begun) -> Result<Response<Body>, Denial> {
    let (head, upstream) = begun.response.into_parts();
    let node = &begun.candidate.node;
    let body = match whole::collect(upstream, MOST, Duration::from_secs(node.config.idle_s)).await {
        Ok(body) => body,
        Err(cut) => {
            let refusal = broke_off(&cut, node, &begun.charge);
            // The upstream may charge for it, and nobody knows how much.
            begun.charge.broke_off(cut.status());
            return Err(refusal.into());
        }
    };
    let meter = Meter::whole(ask.api, &body);
    begun.charge.heard(&body);
    let mut response = Response::new(Body::from(body));
    *response.headers_mut() = returned(&head.headers);
    *response.status_mut() = head.status;
    if let Some(error) = meter.failure() {
        let status = ended_in(error, node, &begun.charge);
        charge_for(begun.charge, &meter, error, status);
        response.extensions_mut().insert(NoAnswer(error.clone()));
    } else {
        node.succeeded();
        settle(begun.charge, &meter, head.status.as_u16());
    }
    Ok(response)
}

fn settle(charge: Charge, meter: &Meter, status: u16) {
    charge.settle(&Outcome {
        status,
        tally: meter.tally(),
        model: meter.model(),
        estimate: meter.estimate(),
    });
}

/// A stream on its way. Dropped in the middle, the upstream is cancelled and what went out is charged.
struct Passing {
    upstream: Incoming,
    api: Dialect,
    request_id: String,
    meter: Meter,
    charge: Option<Charge>,
    status: u16,
    candidate: Candidate,
    _place: Place,
    silence: Silence,
    over: bool,
}

impl Passing {
    /// Ends it, with an error in the stream if the answer is not all there.
    fn end(&mut self, cut: Option<whole::Cut>) -> Option<Bytes> {
        self.over = true;
        // A connection that broke ended nothing; one that closed in order may have left out the mark of the end.
        let was_whole = self.meter.has_ended();
        self.meter.finish();
        let is_whole = was_whole || (cut.is_none() && self.meter.has_ended());
        let cut = cut.unwrap_or(whole::Cut::Broken(String::new()));
        let charge = self.charge.take()?;
        if is_whole {
            let status = self.outcome(&charge);
            settle(charge, &self.meter, status);
            return None;
        }
        let refusal = broke_off(&cut, &self.candidate.node, &charge);
        settle(charge, &self.meter, cut.status());
        let mut out = Vec::new();
        stream_error(
            self.api,
            &refusal,
            &self.request_id,
            self.meter.next_sequence(),
            &mut out,
        );
        (!out.is_empty()).then(|| out.into())
    }

    /// What became of an answer that came to its end: all of it is there, or it ended in an error.
    fn outcome(&self, charge: &Charge) -> u16 {
        let node = &self.candidate.node;
        if let Some(error) = self.meter.failure() {
            return ended_in(error, node, charge);
        }
        node.succeeded();
        self.status
    }
}

impl Drop for Passing {
    /// A reader that has its last event need not wait for the end of the stream, and one that goes in the middle
    /// leaves what the upstream reported by then.
    fn drop(&mut self) {
        if let Some(charge) = self.charge.take() {
            let status = if self.meter.has_ended() {
                self.outcome(&charge)
            } else {
                left()
            };
            settle(charge, &self.meter, status);
        }
    }
}

impl hyper::body::Body for Passing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        let cut = loop {
            match Pin::new(&mut this.upstream).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    this.silence.broken();
                    this.meter.push(&data);
                    if let Some(charge) = &mut this.charge {
                        charge.heard(&data);
                        charge.progress(this.meter.estimate());
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Poll::Ready(Some(Err(error))) => break Some(whole::Cut::Broken(error.to_string())),
                Poll::Ready(None) => break None,
                Poll::Pending if this.silence.is_long(context) => break Some(whole::Cut::Silent),
                Poll::Pending => return Poll::Pending,
            }
        };
        Poll::Ready(this.end(cut).map(|bytes| Ok(Frame::data(bytes))))
    }
}
