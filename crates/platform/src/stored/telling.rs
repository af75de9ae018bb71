//! A streamed answer, event by event, on its way through this server.

use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::Deserialize;

/// Most bytes of one event.
const MOST: usize = 256 << 20;

/// Reads the events of a body. It may be left in the middle and gone on with.
pub(crate) struct Telling {
    body: Body,
    buffer: BytesMut,
    /// Bytes of the buffer in which no event ends.
    looked_at: usize,
}

/// An event.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Its type.
    pub(crate) name: String,
    /// Its JSON.
    pub(crate) data: Bytes,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

impl Telling {
    /// At the start of a body.
    pub(crate) fn new(body: Body) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            looked_at: 0,
        }
    }

    /// The next event; none at the end. Comments and `[DONE]` are none.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            while let Some(frame) = self.frame() {
                if let Some(told) = told(&frame) {
                    return Some(told);
                }
            }
            if self.buffer.len() > MOST {
                return None;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                // The relay puts an error into the stream itself.
                Some(Err(_)) | None => return None,
            }
        }
    }

    fn frame(&mut self) -> Option<Bytes> {
        let from = self.looked_at.saturating_sub(3);
        let Some((at, length)) = blank_line(&self.buffer[from..]) else {
            self.looked_at = self.buffer.len();
            return None;
        };
        let frame = self.buffer.split_to(from + at).freeze();
        self.buffer.advance(length);
        self.looked_at = 0;
        Some(frame)
    }
}

/// Where a blank line stands, and how long it is.
fn blank_line(bytes: &[u8]) -> Option<(usize, usize)> {
    memchr::memchr_iter(b'\n', bytes).find_map(|at| match bytes.get(at + 1..) {
        Some([b'\n', ..]) => Some((at, 2)),
        Some([b'\r', b'\n', ..]) => Some((at, 3)),
        _more => None,
    })
}

fn told(frame: &Bytes) -> Option<Told> {
    let mut name = None;
    let mut data = None;
    for line in frame.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(rest) = line.strip_prefix(b"data:") {
            data = Some(rest.strip_prefix(b" ").unwrap_or(rest));
        } else if let Some(rest) = line.strip_prefix(b"event:") {
            name = std::str::from_utf8(rest).ok().map(str::trim);
        }
    }
    let data = frame.slice_ref(data?);
    let name = match name {
        Some(name) if !name.is_empty() => name.to_owned(),
        Some(_) | None => serde_json::from_slice::<Kind>(&data).ok()?.kind,
    };
    data.starts_with(b"{").then_some(Told { name, data })
}

/// An event as server-sent events have it.
pub(crate) fn frame(name: &str, data: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(name.len() + data.len() + 16);
    for part in [b"event: ", name.as_bytes(), b"\ndata: ", data, b"\n\n"] {
        frame.extend_from_slice(part);
    }
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_come_in_any_chunking() {
        let text = "event: a\ndata: {\"n\":1}\n\n: alive\n\ndata: {\"type\":\"b\"}\r\n\r\ndata: [DONE]\n\n";
        for size in 1..text.len() {
            let chunks: Vec<_> = text
                .as_bytes()
                .chunks(size)
                .map(|chunk| {
                    Ok::<_, std::convert::Infallible>(hyper::body::Frame::data(
                        Bytes::copy_from_slice(chunk),
                    ))
                })
                .collect();
            let body = Body::new(http_body_util::StreamBody::new(futures_util::stream::iter(
                chunks,
            )));
            let mut telling = Telling::new(body);
            let mut names = Vec::new();
            while let Some(told) = telling.next().await {
                names.push(told.name);
            }
            assert_eq!(names, ["a", "b"], "{size}");
        }
    }
}
