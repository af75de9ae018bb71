//! Bytes to requests and back.

use quire_dialect::Dialect;
use serde_json::Value;

use super::plan::Plan;
use super::read::{Fields, Path};
use super::{Encoded, Request, Target, chat, messages, responses};
use crate::refusal::{Reason, Refusal};

/// Reads a client's request.
///
/// Fields, blocks, items and tools that are not known stay with what they stand on; what has the wrong shape is
/// refused in the vendor's words.
pub fn decode_request(dialect: Dialect, body: &[u8]) -> Result<Request, Refusal> {
    let value: Value = serde_json::from_slice(body).map_err(|error| not_json(dialect, &error))?;
    let fields = Fields::new(value, Path::root(dialect))?;
    match dialect {
        Dialect::Messages => messages::decode(fields),
        Dialect::Responses => responses::decode(fields),
        Dialect::Chat => chat::decode(fields),
    }
}

fn not_json(dialect: Dialect, error: &serde_json::Error) -> Refusal {
    let message = match dialect {
        Dialect::Messages => format!("The request body is not valid JSON: {error}"),
        Dialect::Responses | Dialect::Chat => format!(
            "We could not parse the JSON body of your request: {error}. The API expects a JSON payload."
        ),
    };
    Refusal::new(Reason::Invalid, message)
}

/// Writes a request for an upstream.
///
/// In the API that it came in, the JSON value is the one that came, but for what the target does not understand.
/// In another one everything is said that both have words for; the rest is refused where the request would mean
/// something else without it, and listed in [`Encoded::dropped`] where it would not.
pub fn encode_request(request: &Request, target: &Target<'_>) -> Result<Encoded, Refusal> {
    let plan = Plan::new(request, target)?;
    let groups = plan.groups()?;
    let mut body = Vec::new();
    match target.dialect {
        Dialect::Messages => messages::encode(&plan, &groups, &mut body),
        Dialect::Responses => responses::encode(&plan, &groups, &mut body),
        Dialect::Chat => chat::encode(&plan, &groups, &mut body),
    }
    let betas = if target.dialect == Dialect::Messages && !plan.same {
        messages::betas(&plan, &groups)
    } else {
        Vec::new()
    };
    Ok(Encoded {
        body,
        betas,
        dropped: plan.losses.into_dropped(),
        names: plan.names,
    })
}
