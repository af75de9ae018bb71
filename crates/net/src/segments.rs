//! A request body that is sent segment by segment, without a copy.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::{io, vec};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A request body of segments whose sum is known.
#[derive(Debug)]
pub struct Segments {
    rest: vec::IntoIter<Bytes>,
    left: u64,
}

impl From<Vec<Bytes>> for Segments {
    fn from(segments: Vec<Bytes>) -> Self {
        let left = segments.iter().map(|segment| segment.len() as u64).sum();
        Self {
            rest: segments.into_iter(),
            left,
        }
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = self.rest.find(|segment| !segment.is_empty());
        self.left -= next.as_ref().map_or(0, |segment| segment.len() as u64);
        Poll::Ready(next.map(|segment| Ok(Frame::data(segment))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
