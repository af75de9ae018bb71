//! How many tokens a prompt has: by the upstream where it can count, by an estimate where it cannot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Response};
use axum::routing::post;
use bytes::Bytes;
use quire_dialect::{ApiVersion, Dialect};
use quire_translate::{Reason, Refusal, check_version, decode_request};
use serde_json::{Value, json};

use crate::answered::answered;
use crate::app::{App, take_in};
use crate::caller;
use crate::clock::{new_id, now_ms};
use crate::files;
use crate::keyring::Caller;
use crate::peek::Peek;
use crate::relay::{self, Ask, whole};
use crate::reply::{self, Denial};
use crate::routing::Candidate;
use crate::stored::{Context, Wish};
use crate::upstream::{passed, returned};

/// Most bytes of an upstream's count.
const MOST: usize = 1 << 20;
/// How long an upstream may count.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a picture or a file is estimated at.
const TOKENS_OF_A_FILE: u64 = 1_600;
/// What each object of a prompt (a message, a block, a tool) costs beside its words.
const TOKENS_OF_AN_OBJECT: u64 = 3;

/// The paths that count.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/messages/count_tokens", post(messages))
        .route("/v1/responses/input_tokens", post(responses))
}

async fn messages(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response<Body> {
    answer(&app, Dialect::Messages, headers, body).await
}

async fn responses(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response<Body> {
    answer(&app, Dialect::Responses, headers, body).await
}

async fn answer(app: &Arc<App>, api: Dialect, headers: HeaderMap, body: Body) -> Response<Body> {
    answered(
        app,
        api,
        &headers,
        async |caller: Arc<Caller>, request_id| {
            let ask = Ask {
                api,
                caller,
                request_id,
                body: take_in(app, &headers, body).await?,
                headers: headers.clone(),
                started: Instant::now(),
                batch: false,
                path: Some(match api {
                    Dialect::Messages => "/v1/messages/count_tokens",
                    Dialect::Responses | Dialect::Chat => "/responses/input_tokens",
                }),
            };
            if api == Dialect::Messages {
                caller::versioned(&headers)?;
            }
            count(app, ask).await
        },
    )
    .await
}

async fn count(app: &Arc<App>, mut ask: Ask) -> Result<Response<Body>, Denial> {
    if ask.api == Dialect::Responses {
        let body = ask.body.clone();
        let wish = Wish::read(&body, new_id("resp_"))?;
        let workspace = &ask.caller.workspace.id;
        let context = Context::resolve(app, workspace, &wish, None).await?;
        ask.body = wish.input_alone(app, &context).into();
    }
    let files = app.depot().files();
    ask.body = files::inline(&files, &ask.caller.workspace.id, ask.body).await?;
    let peek = Peek::into(&ask.body)?;
    let version = caller::version(&ask.headers);
    peek.check_version(ask.api, version)?;
    app.admits(&ask.caller, &peek.model)?;
    // Where nobody can count now, an estimate is better than nothing.
    for candidate in relay::same_api_places(app, &ask, &peek).unwrap_or_default() {
        if let Some(counted) = counted(&ask, &peek, &candidate).await {
            return Ok(counted);
        }
    }
    // An upstream of the API would have looked for itself.
    if ask.api == Dialect::Messages
        && version != ApiVersion::V20230601
        && let Ok(request) = decode_request(ask.api, &ask.body)
    {
        check_version(&request, version)?;
    }
    estimated(ask.api, &ask.body)
}

/// An upstream's count, or what it says is wrong with the request; none where it does not count.
async fn counted(ask: &Ask, peek: &Peek, candidate: &Candidate) -> Option<Response<Body>> {
    let node = &candidate.node;
    let _place = node.enter(now_ms())?;
    let body: Bytes = peek.renamed(&ask.body, &candidate.model).into();
    let path = ask.path?;
    let sending = node
        .line
        .send(Method::POST, path, passed(&ask.headers), body);
    let answered = tokio::time::timeout(PATIENCE, sending).await.ok()?.ok()?;
    let (head, body) = answered.into_parts();
    if !head.status.is_success() && head.status.as_u16() != 400 && head.status.as_u16() != 413 {
        return None;
    }
    node.succeeded();
    let body = whole::collect(body, MOST, PATIENCE).await.ok()?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = returned(&head.headers);
    reply::served_by(response.headers_mut(), &node.name, &candidate.model, &[]);
    Some(response)
}

/// Our own count, which says that it is an estimate.
fn estimated(api: Dialect, body: &[u8]) -> Result<Response<Body>, Denial> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(Reason::Invalid, error.to_string()))?;
    let said = [
        "system",
        "messages",
        "tools",
        "instructions",
        "input",
        "text",
        "output_config",
    ];
    let tokens = said
        .iter()
        .map(|name| estimate(&body[*name]))
        .sum::<u64>()
        .max(1);
    let counted = match api {
        Dialect::Messages => json!({ "input_tokens": tokens }),
        Dialect::Responses | Dialect::Chat => {
            json!({"object": "response.input_tokens", "input_tokens": tokens})
        }
    };
    let mut response = Response::new(Body::from(counted.to_string()));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("quire-estimated", HeaderValue::from_static("true"));
    Ok(response)
}

/// About how many tokens a part of a prompt has: a quarter of the bytes of its words.
fn estimate(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) if text.starts_with("data:") => TOKENS_OF_A_FILE,
        Value::String(text) => (text.len() as u64).div_ceil(4),
        Value::Array(values) => values.iter().map(estimate).sum(),
        Value::Object(fields) => {
            let is_text = fields.get("type").is_some_and(|kind| kind == "text");
            let field = |(name, value): (&String, &Value)| match name.as_str() {
                "type" | "cache_control" => 0,
                "data" | "file_data" if !is_text => TOKENS_OF_A_FILE,
                _words => estimate(value),
            };
            TOKENS_OF_AN_OBJECT + fields.iter().map(field).sum::<u64>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_and_pictures_count_as_one() {
        let words = json!([{"role": "user", "content": "w".repeat(4_000) + " and more"}]);
        let tokens = estimate(&words);
        assert!((1_000..1_020).contains(&tokens), "{tokens}");
        let picture =
            json!([{"type": "image", "source": {"type": "base64", "data": "A".repeat(1_000_000)}}]);
        let tokens = estimate(&picture);
        assert!((1_600..1_620).contains(&tokens), "{tokens}");
    }
}
