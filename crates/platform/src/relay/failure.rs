//! What an upstream's failure means: whose doing it is, whether another place may do better, and what the client
//! is told.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;
use quire_dialect::Dialect;
use quire_translate::{Meter, Reason, Refusal, error_body, read_error};

use super::whole::Cut;
use super::{Ask, whole};
use crate::charge::{Charge, Outcome};
use crate::clock::now_ms;
use crate::metrics::{Fault, Metrics};
use crate::reply::Denial;
use crate::routing::Node;
use crate::upstream::returned;

/// Most bytes of an upstream's error that are looked at.
const MOST: usize = 1 << 20;

/// A try that failed.
pub(super) struct Failure {
    whose: Whose,
    fault: Fault,
    refusal: Refusal,
    /// What the upstream said, for a client of the same API.
    said: Option<Said>,
}

struct Said {
    dialect: Dialect,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Whose doing a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// The client's: no other place would take the request.
    Client,
    /// The upstream's: it is broken.
    Upstream,
    /// Nobody's: it is busy, or full.
    Busy,
    /// Ours: our key or our account there is not as it should be.
    Ours,
    /// Ours too, and for this request alone: our account there may not use a model or a feature.
    Account,
}

impl Failure {
    /// What a request is recorded with that never reached an upstream.
    pub(super) const STATUS: u16 = 502;
    /// What one is recorded with whose upstream did not begin to answer in time.
    pub(super) const SILENT: u16 = 504;

    /// Whether the client got something wrong.
    pub(super) fn is_clients(&self) -> bool {
        self.whose == Whose::Client
    }

    /// Takes note of it.
    pub(super) fn note(&self, node: &Node, metrics: &Metrics) {
        note(self.whose, self.fault, node, metrics);
    }

    /// An upstream that has no room.
    pub(super) fn full(name: &str) -> Self {
        let message = format!("{name} has as many requests as it may have: try again in a moment.");
        Self {
            whose: Whose::Busy,
            fault: Fault::Busy,
            refusal: Refusal::new(Reason::Overloaded, message),
            said: None,
        }
    }

    /// An upstream that was not reached, or broke off before it answered.
    pub(super) fn unreached(name: &str, error: &quire_net::Error) -> Self {
        let how = match error {
            quire_net::Error::BadUrl { .. } => "its address is none",
            quire_net::Error::Untrusted { .. } => "its certificate is not trusted",
            quire_net::Error::Unreachable { .. } => "no connection came about",
            quire_net::Error::Broken { .. } | quire_net::Error::CutShort { .. } => {
                "the connection broke"
            }
        };
        let message = format!(
            "The upstream `{name}` did not answer: {how}. Try again; the server's log says more."
        );
        Self {
            whose: Whose::Upstream,
            fault: Fault::Unreached,
            refusal: Refusal::new(Reason::Upstream, message),
            said: None,
        }
    }

    /// An upstream that kept silent.
    pub(super) fn silent(name: &str, limit: Duration) -> Self {
        let message = format!(
            "The upstream `{name}` did not begin to answer within {} s. Try again.",
            limit.as_secs()
        );
        Self {
            whose: Whose::Upstream,
            fault: Fault::Silent,
            refusal: Refusal::new(Reason::Timeout, message),
            said: None,
        }
    }

    /// An upstream's own error. What it costs is nothing.
    pub(super) async fn read(node: &Node, response: Response<Incoming>, charge: Charge) -> Self {
        let (head, body) = response.into_parts();
        // A page that says it is well is not.
        let (status, fault) = if head.status.is_success() {
            (StatusCode::BAD_GATEWAY, Fault::Broken)
        } else {
            (head.status, Fault::Error)
        };
        charge.waive(status.as_u16());
        let idle = Duration::from_secs(node.config.idle_s);
        // Half an error says enough.
        let body = whole::collect(body, MOST, idle).await.unwrap_or_default();
        let dialect = node.config.dialect;
        let kind = head
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        let refusal = read_error(dialect, status.as_u16(), kind, &body);
        let whose = whose(status, refusal.reason);
        if matches!(whose, Whose::Ours | Whose::Account) {
            let message = format!(
                "The upstream `{}` does not take this server's own key or account. Its operator must mend that.",
                node.name
            );
            return Self {
                whose,
                fault,
                refusal: Refusal::new(Reason::Upstream, message),
                said: None,
            };
        }
        let is_api = kind.is_some_and(|kind| kind.contains("json")) && body.first() == Some(&b'{');
        let said = is_api.then(|| Said {
            dialect,
            status,
            headers: returned(&head.headers),
            body,
        });
        Self {
            whose,
            fault,
            refusal,
            said,
        }
    }

    /// What happened, in the common words.
    pub(super) fn into_refusal(self) -> Refusal {
        self.refusal
    }

    /// What the client is told: the upstream's own words where it speaks that API.
    pub(super) fn into_answer(self, ask: &Ask) -> Result<Response<Body>, Denial> {
        let Some(said) = self.said else {
            return Err(self.refusal.into());
        };
        let mut response = if said.dialect == ask.api {
            let mut response = Response::new(Body::from(said.body));
            *response.status_mut() = said.status;
            response
        } else {
            Denial::from(self.refusal).answer(ask.api, &ask.request_id)
        };
        for (name, value) in said.headers {
            if let Some(name) = name
                && (said.dialect == ask.api || name != "content-type")
            {
                response.headers_mut().insert(name, value);
            }
        }
        Ok(response)
    }
}

/// Takes note of an error in which an answer ended that had begun well: the upstream has failed where that is its own
/// doing. Gives what the request is recorded with.
pub(super) fn ended_in(error: &Refusal, node: &Node, charge: &Charge) -> u16 {
    let (status, fault) = match error.reason {
        Reason::Upstream => (Failure::STATUS, Fault::Error),
        Reason::Broken => (Failure::STATUS, Fault::Broken),
        _ => (error_body(charge.api(), error, "").0, Fault::Error),
    };
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    note(whose(code, error.reason), fault, node, charge.metrics());
    status
}

/// Takes note of an answer that broke off. Gives what the client is told.
pub(super) fn broke_off(cut: &Cut, node: &Node, charge: &Charge) -> Refusal {
    let fault = match cut {
        Cut::Silent => Fault::Silent,
        Cut::TooLarge | Cut::Broken(_) => Fault::Broken,
    };
    note(Whose::Upstream, fault, node, charge.metrics());
    let upstream = &node.name;
    match cut {
        Cut::TooLarge => Refusal::new(
            Reason::Broken,
            format!(
                "The answer of the upstream `{upstream}` is larger than this server passes on."
            ),
        ),
        Cut::Silent => Refusal::new(
            Reason::Timeout,
            format!(
                "The upstream `{upstream}` fell silent in the middle of its answer. Try again."
            ),
        ),
        Cut::Broken(_) => Refusal::new(
            Reason::Broken,
            format!("The upstream `{upstream}` broke off in the middle of its answer. Try again."),
        ),
    }
}

/// Charges for a whole body that is an error, or no answer: what it reports. An error that reports nothing costs
/// nothing, as one that is told by its status; what else it was, the upstream may charge for.
pub(super) fn charge_for(charge: Charge, meter: &Meter, error: &Refusal, status: u16) {
    let reports = meter.tally().counted || meter.estimate() > 0;
    if reports || error.reason == Reason::Broken {
        charge.settle(&Outcome {
            status,
            tally: meter.tally(),
            model: meter.model(),
            estimate: meter.estimate(),
        });
    } else {
        charge.waive(status);
    }
}

fn note(whose: Whose, fault: Fault, node: &Node, metrics: &Metrics) {
    let fault = match whose {
        Whose::Client => return node.succeeded(),
        Whose::Upstream => fault,
        Whose::Busy => Fault::Busy,
        Whose::Ours | Whose::Account => Fault::Refused,
    };
    if matches!(whose, Whose::Upstream | Whose::Ours) {
        node.failed(now_ms());
    }
    metrics.upstream_failed(&node.name, fault);
}

fn whose(status: StatusCode, reason: Reason) -> Whose {
    match (status.as_u16(), reason) {
        (403, _) => Whose::Account,
        (401 | 402, _) | (_, Reason::Unauthenticated | Reason::OutOfMoney) => Whose::Ours,
        (429 | 503 | 529, _) | (_, Reason::RateLimited | Reason::Overloaded) => Whose::Busy,
        (408 | 500.., _) => Whose::Upstream,
        _ => Whose::Client,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_doing_it_is() {
        for (status, reason, expected) in [
            (400, Reason::Invalid, Whose::Client),
            (404, Reason::NotFound, Whose::Client),
            (413, Reason::TooLarge, Whose::Client),
            (401, Reason::Unauthenticated, Whose::Ours),
            (402, Reason::OutOfMoney, Whose::Ours),
            (429, Reason::OutOfMoney, Whose::Ours),
            (403, Reason::Forbidden, Whose::Account),
            (429, Reason::RateLimited, Whose::Busy),
            (529, Reason::Overloaded, Whose::Busy),
            (503, Reason::Overloaded, Whose::Busy),
            (500, Reason::Upstream, Whose::Upstream),
            (502, Reason::Upstream, Whose::Upstream),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(whose(status, reason), expected, "{status} {reason:?}");
        }
    }
}
