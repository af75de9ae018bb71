//! One request to a server that is reached by HTTP, and its answer.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode};
use quire_net::Segments;
use tokio::time::timeout;

use crate::address::Redirect;
use crate::remote::Shared;
use crate::trouble::Trouble;

/// Redirects on one server that are followed.
const MOST_REDIRECTS: usize = 3;
/// Bytes of an error that are read, and how long they are waited for.
const BEGINNING: (usize, Duration) = (64 << 10, Duration::from_secs(5));

pub(crate) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream";

impl Shared {
    /// The headers of a request: those of the description, and over them those of the protocol.
    pub(crate) fn headers(
        &self,
        method: &Method,
        protocol: HashMap<HeaderName, HeaderValue>,
        session: Option<&str>,
        last_event: Option<&str>,
    ) -> HeaderMap {
        let mut headers = self.target.headers.clone();
        let agent = concat!("quire/", env!("CARGO_PKG_VERSION"));
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(agent));
        headers.extend(protocol);
        match *method {
            Method::POST => {
                let both = HeaderValue::from_static("application/json, text/event-stream");
                headers.insert(ACCEPT, both);
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            }
            Method::GET => {
                headers.insert(ACCEPT, HeaderValue::from_static(EVENTS));
            }
            _ => {}
        }
        for (name, value) in [(SESSION, session), (LAST_EVENT, last_event)] {
            // A server's own word, which came in a header or in an event; one that fits none is left out.
            match value.and_then(|value| HeaderValue::from_str(value).ok()) {
                Some(value) => headers.insert(name, value),
                None => headers.remove(name),
            };
        }
        headers
    }

    /// Sends a request, also to where the server says that it is on the same host; returns with the answer's head.
    pub(crate) async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Trouble> {
        let mut uri = self.target.uri.clone();
        for followed in 0.. {
            let mut request = Request::new(Segments::from(vec![body.clone()]));
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers.clone();
            let sent = self.net.send(request).await;
            let response = sent.map_err(|error| self.lost(&error))?;
            let status = response.status();
            let location = response.headers().get(LOCATION);
            let location = location.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
            let (true, Some(location)) = (status.is_redirection(), location) else {
                return Ok(response);
            };
            // Only these keep the method and the body.
            let keeps = matches!(status.as_u16(), 307 | 308);
            match self.target.redirected(&uri, &location) {
                Redirect::Here(next) if keeps && followed < MOST_REDIRECTS => uri = next,
                Redirect::Here(next) => {
                    return Err(Trouble::redirect(status, next.path()));
                }
                Redirect::Elsewhere(told) => {
                    return Err(Trouble::redirect(status, &self.target.hide(&told)));
                }
            }
        }
        unreachable!("it returns at the latest when enough redirects were followed")
    }

    /// What a failure on the way means.
    pub(crate) fn lost(&self, error: &quire_net::Error) -> Trouble {
        let mut trouble = Trouble::lost(error, &self.target.origin());
        trouble.why = self.target.hide(&trouble.why);
        trouble
    }

    /// What an answer of this status means; `body` is its beginning.
    pub(crate) fn refused(&self, status: StatusCode, body: &[u8]) -> Trouble {
        let said = String::from_utf8_lossy(&body[..body.len().min(4096)]);
        Trouble::status(status, &self.target.hide(&said))
    }
}

/// A body that could not be read.
pub(crate) enum Unread {
    TooLarge,
    Lost(quire_net::Error),
}

/// All of a body.
pub(crate) async fn whole(response: Response<Incoming>, most: usize) -> Result<Vec<u8>, Unread> {
    let length = response.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(Unread::TooLarge);
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = piece(&mut body).await {
        let piece = piece.map_err(Unread::Lost)?;
        if piece.len() > most - bytes.len() {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The beginning of a body, as much as comes soon.
pub(crate) async fn beginning(response: Response<Incoming>) -> Vec<u8> {
    let (most, patience) = BEGINNING;
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    let reading = async {
        while bytes.len() < most
            && let Some(Ok(piece)) = piece(&mut body).await
        {
            bytes.extend_from_slice(&piece[..piece.len().min(most - bytes.len())]);
        }
    };
    // What has come by then is told.
    let _ = timeout(patience, reading).await;
    bytes
}

async fn piece(body: &mut Incoming) -> Option<Result<Bytes, quire_net::Error>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Err(error) => return Some(Err(error.into())),
            Ok(frame) => {
                if let Ok(piece) = frame.into_data() {
                    return Some(Ok(piece));
                }
            }
        }
    }
}

/// Whether a body is of this type.
pub(crate) fn is(headers: &HeaderMap, expected: &str) -> bool {
    let told = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let told = told.and_then(|it| it.split(|byte| *byte == b';').next());
    told.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(expected.as_bytes()))
}
