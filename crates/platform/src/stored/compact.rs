//! A summary in place of a context: by the upstream where it can, by the route's model where it cannot. The
//! platform's own summary travels in a sealed `compaction` item and is opened again before a request goes upstream.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal, Seal};
use serde_json::{Value, json};

use super::context::user_message;
use super::items::Item;
use super::{Context, Wish, whole};
use crate::answered::{answered, json};
use crate::app::{App, take_in};
use crate::clock::{new_id, now_ms};
use crate::keyring::Caller;
use crate::relay::{self, Ask};
use crate::reply::Denial;

/// How seals of this server begin; bodies with none need not be looked through.
pub(super) const MARK: &[u8] = b"qs1.";

/// The vendor's path for it.
pub(crate) const COMPACT_PATH: &str = "/responses/compact";

/// What the model is told that writes the summary.
const TASK: &str = "You are given a conversation between a user and an assistant, with the assistant's calls of tools and \
    their results. Write a summary from which the assistant can go on without seeing the conversation: the user's \
    goals and every instruction that still holds, word for word where the words matter; decisions and why; what was \
    done, with names of files, identifiers and numbers; what is open, and what comes next. Write the summary only.";

/// What stands before a summary.
const PREFACE: &str = "A summary of the conversation so far, in place of it:";

/// `POST /v1/responses/compact`.
pub(super) async fn compact(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, request_id| {
            let body = take_in(&app, &headers, body).await?;
            let wish = Wish::read(&body, new_id("resp_"))?;
            let context = Context::resolve(&app, &caller.workspace.id, &wish, None).await?;
            if context.before.is_empty() && context.own.is_empty() {
                let message =
                    "There is nothing to compact: send `input` or `previous_response_id`.";
                return Err(Refusal::new(Reason::Invalid, message).about("input").into());
            }
            let ask = Ask {
                api: Dialect::Responses,
                caller,
                request_id,
                headers: headers.clone(),
                body: wish.input_alone(&app, &context).into(),
                started: std::time::Instant::now(),
                batch: false,
                path: Some(COMPACT_PATH),
            };
            if relay::same_api(&app, &ask)? {
                return relay::relay(&app, ask).await;
            }
            summarise(&app, &wish, &context, ask).await
        },
    )
    .await
}

/// A summary by the route's model.
async fn summarise(
    app: &Arc<App>,
    wish: &Wish<'_>,
    context: &Context,
    ask: Ask,
) -> Result<Response<Body>, Denial> {
    let ask = Ask {
        body: task(app, wish, context, &ask.caller)?,
        headers: HeaderMap::new(),
        path: None,
        ..ask
    };
    let answered = relay::relay(app, ask).await?;
    if !answered.status().is_success() {
        return Ok(answered);
    }
    let (head, body) = answered.into_parts();
    let answered: Value = serde_json::from_slice(&whole(body).await?).unwrap_or_default();
    let summary = words(&answered);
    if summary.trim().is_empty() {
        let message = "The model wrote no summary. Try again, or compact with another model.";
        return Err(Refusal::new(Reason::Upstream, message).into());
    }
    let seal = Seal {
        from: Dialect::Responses,
        text: user_message(&format!("{PREFACE}\n\n{summary}")),
    };
    let item = json!({"type": "compaction", "id": new_id("cmp_"),
        "encrypted_content": app.sealer().seal(&seal)});
    let compaction = json!({"id": wish.id, "object": "response.compaction",
        "created_at": now_ms() / 1_000, "output": [item], "usage": answered["usage"]});
    let mut response = json(&compaction);
    let kept = head
        .headers
        .into_iter()
        .filter_map(|(name, value)| Some((name?, value)));
    for (name, value) in kept.filter(|(name, _)| name.as_str().starts_with("quire-")) {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// What is asked of the model.
fn task(app: &App, wish: &Wish<'_>, context: &Context, caller: &Caller) -> Result<Bytes, Refusal> {
    let live = app.live();
    let routes = live.config.model(&wish.model).map(|model| &model.routes);
    let other = routes.into_iter().flatten().find_map(|route| {
        let compaction = route.add.compaction.as_ref()?;
        compaction.model.clone()
    });
    let model = other
        .filter(|model| caller.may_use(model))
        .unwrap_or_else(|| wish.model.clone());
    let mut told = String::new();
    for item in context.before.iter().chain(&context.own) {
        transcribe(&opened(app, item), &mut told);
    }
    let more: Option<String> = wish.fields.get("instructions")?;
    let more = more.map_or(String::new(), |more| {
        format!("\n\nThe assistant's own instructions, which it will be given again: {more}")
    });
    let body = json!({"model": model, "store": false, "stream": false,
        "instructions": format!("{TASK}{more}"), "input": [{"role": "user", "content": told}]});
    Ok(body.to_string().into())
}

/// An item in words.
fn transcribe(item: &Item, told: &mut String) {
    let Ok(value) = serde_json::from_str::<Value>(&item.raw) else {
        return;
    };
    let who = match item.kind.as_str() {
        "message" => value["role"].as_str().unwrap_or("user").to_owned(),
        "reasoning" => return,
        kind if kind.ends_with("_output") => "result of a tool".to_owned(),
        kind if kind.ends_with("_call") => {
            format!("assistant calls {}", value["name"].as_str().unwrap_or(kind))
        }
        kind => kind.to_owned(),
    };
    let _ = writeln!(told, "[{who}]");
    for name in [
        "content",
        "arguments",
        "input",
        "output",
        "action",
        "operation",
    ] {
        match &value[name] {
            Value::Null => {}
            Value::String(text) => told.push_str(text),
            Value::Array(parts) => parts.iter().for_each(|part| {
                let words = ["text", "refusal"].map(|name| part[name].as_str());
                let words = words.into_iter().flatten().next();
                told.push_str(words.unwrap_or("(something that is not text)"));
            }),
            other => told.push_str(&other.to_string()),
        }
    }
    told.push_str("\n\n");
}

/// The words of an answer.
fn words(answered: &Value) -> String {
    let items = answered["output"].as_array().into_iter().flatten();
    let parts = items
        .filter_map(|item| item["content"].as_array())
        .flatten();
    parts
        .filter(|part| part["type"] == "output_text")
        .filter_map(|part| part["text"].as_str())
        .collect()
}

/// Whether an item is a compaction of this server's making, as far as can be seen from outside.
pub(super) fn is_ours(item: &Item) -> bool {
    item.kind == "compaction" && memchr::memmem::find(item.raw.as_bytes(), MARK).is_some()
}

/// What a compaction of this server's stands for; any other item as it is.
pub(super) fn opened(app: &App, item: &Item) -> Item {
    let open = || {
        let value: Value = serde_json::from_str(&item.raw).ok()?;
        let seal = app.sealer().open(value["encrypted_content"].as_str()?)?;
        let is_message =
            seal.from == Dialect::Responses && seal.text.starts_with(r#"{"type":"message""#);
        is_message.then(|| Item {
            id: item.id.clone(),
            kind: "message".to_owned(),
            raw: seal.text.into(),
        })
    };
    let opened = is_ours(item).then(open).flatten();
    opened.unwrap_or_else(|| item.clone())
}
