//! A request as it goes out, and what a failure on the way means to whoever asked a model.

use bytes::Bytes;
use hyper::{HeaderMap, Method, Request};
use quire_net::{Error, Segments};
use quire_protocol::{ModelError, ModelErrorKind};

use crate::failure::model_error;

/// A request to a URL.
pub(crate) fn request(
    method: Method,
    url: &str,
    headers: HeaderMap,
    body: Vec<Bytes>,
) -> Result<Request<Segments>, Error> {
    let mut request = Request::new(Segments::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = quire_net::address(url)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Whether time can cure it.
pub(crate) fn may_pass(error: &Error) -> bool {
    match error {
        Error::BadUrl { .. } | Error::Untrusted { .. } => false,
        Error::Unreachable { .. } | Error::Broken { .. } | Error::CutShort { .. } => true,
    }
}

/// A failure on the way, and what a person can do about it.
pub(crate) fn lost(error: &Error) -> ModelError {
    let (kind, hint) = match error {
        Error::BadUrl { .. } => (
            ModelErrorKind::BadRequest,
            "Write the base URL like https://host/path or http://127.0.0.1:8080/v1.",
        ),
        Error::Untrusted { .. } => (
            ModelErrorKind::Network,
            "The server's certificate is not trusted here. Set SSL_CERT_FILE to your organisation's \
             certificates, or install the package ca-certificates.",
        ),
        Error::Unreachable { .. } => (
            ModelErrorKind::Network,
            "Check the base URL, the network and HTTPS_PROXY; a local server must be running.",
        ),
        Error::Broken { .. } => (
            ModelErrorKind::Network,
            "Try again; if it stays so, check the network and the server's log.",
        ),
        Error::CutShort { .. } => (
            ModelErrorKind::Network,
            "Try again; if it stays so, check the network.",
        ),
    };
    model_error(kind, error.to_string(), hint)
}
