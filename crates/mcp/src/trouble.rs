//! What goes wrong with a server that is reached by HTTP, in words for people and models. Pure.

use hyper::StatusCode;
use quire_net::Error;
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::StreamableHttpError;

use crate::answer::{line, protocol_error};

/// A request that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Trouble {
    pub(crate) kind: Kind,
    pub(crate) why: String,
}

/// What a request that came to nothing means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It was not served, and no other request to this server would be.
    Settled,
    /// The server refused it.
    Refused,
    /// It may have been served.
    Uncertain,
    /// The server knows the session no more, and did not begin another.
    Gone,
}

impl Trouble {
    pub(crate) fn settled(why: impl Into<String>) -> Self {
        let (kind, why) = (Kind::Settled, why.into());
        Self { kind, why }
    }

    pub(crate) fn uncertain(why: impl Into<String>) -> Self {
        let (kind, why) = (Kind::Uncertain, why.into());
        Self { kind, why }
    }

    /// What a failure on the way means. `origin` is told in place of the whole URL, in which secrets may stand.
    pub(crate) fn lost(error: &Error, origin: &str) -> Self {
        let url = origin.to_owned();
        let (kind, error) = match error.clone() {
            Error::BadUrl { .. } => (Kind::Settled, Error::BadUrl { url }),
            Error::Untrusted { reason, .. } => (Kind::Settled, Error::Untrusted { url, reason }),
            Error::Unreachable { reason, .. } => {
                (Kind::Settled, Error::Unreachable { url, reason })
            }
            Error::Broken { reason, .. } => (Kind::Uncertain, Error::Broken { url, reason }),
            cut @ Error::CutShort { .. } => (Kind::Uncertain, cut),
        };
        let why = line(&error.to_string());
        Self { kind, why }
    }

    /// What an answer means that is none of the protocol. `said` is the beginning of its body.
    pub(crate) fn status(status: StatusCode, said: &str) -> Self {
        let said = line(said.trim());
        let said = match said.as_str() {
            "" => String::new(),
            said => format!(": {said}"),
        };
        let number = status.as_u16();
        let name = status.canonical_reason().unwrap_or_default();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::settled(format!(
                "it refuses access (HTTP {number}): the token that it wants is missing, wrong or expired, or may \
                 not do this. Set the variable that `key_env` of its description names, or what `headers` there \
                 say; nothing here signs in by itself (OAuth){said}"
            )),
            _ => Self {
                kind: if status.is_server_error() {
                    Kind::Uncertain
                } else {
                    Kind::Refused
                },
                why: format!(
                    "it answers with HTTP {}{said}",
                    format!("{number} {name}").trim()
                ),
            },
        }
    }

    /// What a redirect means that is not followed.
    pub(crate) fn redirect(status: StatusCode, to: &str) -> Self {
        Self::settled(format!(
            "it answers with a redirect (HTTP {}) to {}, which is not followed: if that is where it is, \
             say so in its `url`",
            status.as_u16(),
            line(to)
        ))
    }

    /// What the library's transport says.
    pub(crate) fn of(error: &DynamicTransportError) -> Self {
        let Some(error) = error.error.downcast_ref::<StreamableHttpError<Self>>() else {
            return Self::uncertain(line(&error.to_string()));
        };
        let gone = |why: String| Self {
            kind: Kind::Gone,
            why: format!("it knows the session no more, {why}"),
        };
        match error {
            StreamableHttpError::Client(trouble) => trouble.clone(),
            StreamableHttpError::SessionExpired => gone("nor the one after it".to_owned()),
            StreamableHttpError::ReinitializationFailed(error) => {
                gone(format!("and refuses another: {}", protocol_error(error)))
            }
            StreamableHttpError::SessionRecoveryTimeout => {
                Self::uncertain("it knows the session no more, and began no other in time")
            }
            StreamableHttpError::TransportChannelClosed => {
                Self::uncertain("the connection was closed")
            }
            other => Self::uncertain(line(&other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_on_the_way_is_told_without_the_url() {
        let url = || "https://a.example/mcp?key=secret".to_owned();
        let reason = || "it broke".to_owned();
        for (error, kind, why) in [
            (
                Error::Unreachable {
                    url: url(),
                    reason: reason(),
                },
                Kind::Settled,
                "cannot connect to https://a.example: it broke",
            ),
            (
                Error::Untrusted {
                    url: url(),
                    reason: reason(),
                },
                Kind::Settled,
                "cannot connect to https://a.example: it broke",
            ),
            (
                Error::Broken {
                    url: url(),
                    reason: reason(),
                },
                Kind::Uncertain,
                "the connection to https://a.example broke: it broke",
            ),
            (
                Error::CutShort { reason: reason() },
                Kind::Uncertain,
                "the connection broke in the middle of the answer: it broke",
            ),
        ] {
            let trouble = Trouble::lost(&error, "https://a.example");
            assert_eq!((trouble.kind, trouble.why.as_str()), (kind, why));
        }
    }

    #[test]
    fn an_answer_is_told_with_the_beginning_of_its_body() {
        for (status, said, kind, why) in [
            (
                404,
                " no\nsuch page ",
                Kind::Refused,
                "it answers with HTTP 404 Not Found: no such page",
            ),
            (
                500,
                "",
                Kind::Uncertain,
                "it answers with HTTP 500 Internal Server Error",
            ),
            (599, "", Kind::Uncertain, "it answers with HTTP 599"),
        ] {
            let trouble = Trouble::status(StatusCode::from_u16(status).unwrap(), said);
            assert_eq!((trouble.kind, trouble.why.as_str()), (kind, why));
        }
        let long = Trouble::status(StatusCode::BAD_REQUEST, &"x".repeat(9000));
        assert!(long.why.len() < 400, "{}", long.why.len());
        let denied = Trouble::status(StatusCode::UNAUTHORIZED, "invalid_token");
        assert_eq!(denied.kind, Kind::Settled);
        assert!(denied.why.contains("`key_env`") && denied.why.ends_with(": invalid_token"));
    }
}
