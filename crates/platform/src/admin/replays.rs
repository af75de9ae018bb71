//! Requests that were kept, to be looked at and made again.

use std::time::Instant;

use quire_depot::KeptHead;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Answer, Call, wire};
use crate::clock::now_ms;
use crate::relay::{self, Ask};
use crate::replay::Replay;
use crate::reply::{Denial, rfc3339_ms};

pub(super) async fn list(call: Call) -> Result<Answer, Denial> {
    call.query.only(&["limit"])?;
    let limit = call.query.limit(20, 1_000)?;
    let kept = call.app.replay_log().await?.newest(limit).await?;
    let data: Vec<Value> = kept.iter().map(|head| written(head).into()).collect();
    Ok(Answer::Json(json!({"data": data})))
}

pub(super) async fn get(call: Call) -> Result<Answer, Denial> {
    call.query.only(&[])?;
    let replay = call.kept().await?;
    let mut written = written(&replay.head);
    let headers: Map<String, Value> = replay
        .headers
        .keys()
        .map(|name| {
            let all = replay.headers.get_all(name).iter();
            let texts: Vec<_> = all
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            (name.to_string(), texts.join(", ").into())
        })
        .collect();
    written.insert("headers".to_owned(), headers.into());
    // What is no JSON was never admitted.
    let body: &RawValue = serde_json::from_slice(&replay.body).unwrap_or(RawValue::NULL);
    let body = serde_json::to_value(body).unwrap_or_default();
    written.insert("body".to_owned(), body);
    Ok(Answer::Json(written.into()))
}

/// Makes a request again, with the key it was made with, as what its client gets now.
pub(super) async fn replay(call: Call) -> Result<Answer, Denial> {
    let replay = call.kept().await?;
    let caller = call.app.keyring().caller_by_id(&replay.key, now_ms())?;
    let ask = Ask {
        api: replay.api,
        caller,
        request_id: call.request_id.clone(),
        headers: replay.headers,
        body: replay.body,
        started: Instant::now(),
        batch: false,
        path: replay.path,
    };
    Box::pin(relay::relay(&call.app, ask))
        .await
        .map(Answer::Whole)
}

fn written(head: &KeptHead) -> Map<String, Value> {
    wire::fields(json!({
        "type": "replay",
        "id": head.id.as_str(),
        "created_at": rfc3339_ms(head.created_at),
        "api": head.api,
        "model": head.model,
        "api_key_id": head.key.as_str(),
        "workspace_id": head.workspace.as_str(),
        "body_bytes": head.body_bytes,
    }))
}

impl Call {
    async fn kept(&self) -> Result<Replay, Denial> {
        let id = self.part("request_id");
        let found = self.app.replay_log().await?.get(&id.into()).await?;
        let found = found.ok_or_else(|| wire::missing("kept request", id))?;
        Ok(Replay::read(found)?)
    }
}
