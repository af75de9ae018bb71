//! Responses that are kept: shown, cancelled, deleted, and what they were asked with.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use quire_depot::{ResponseId, ResponseStatus, StoredResponse};
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal};
use serde_json::{Value, json};

use super::items::Item;
use super::{context, follow, listed, no_such, workspace};
use crate::answered::{answered, json};
use crate::app::App;
use crate::keyring::Caller;
use crate::path::Path;
use crate::query::Query;
use crate::reply::Denial;

/// `GET /v1/responses/{id}`.
pub(super) async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    answered(&app, Dialect::Responses, &headers, async |caller: Arc<Caller>, _| {
            let query = Query::read(&uri)?;
            let found = one(&app, &caller, &id).await?;
            if query.flag("stream")? {
                if !found.background {
                    let message = "Only a response in the background can be streamed later: leave `stream` out.";
                    return Err(Refusal::new(Reason::Invalid, message).about("stream").into());
                }
                let after = query.number("starting_after")?;
                let workspace = workspace(&caller).clone();
                return Ok(follow::follow(&app, workspace, found.id, after));
            }
            let mut response = current(&app, &caller, &found).await?;
            if !query.all("include").contains(&"reasoning.encrypted_content") {
                without_ciphers(&mut response);
            }
            Ok(json(&response))
        })
    .await
}

/// `DELETE /v1/responses/{id}`.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| {
            let found = one(&app, &caller, &id).await?;
            app.depot()
                .responses()
                .delete(workspace(&caller), &found.id)
                .await?;
            app.desk().changed(&found.id);
            Ok(json(
                &json!({"id": id, "object": "response", "deleted": true}),
            ))
        },
    )
    .await
}

/// `POST /v1/responses/{id}/cancel`.
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| {
            let found = one(&app, &caller, &id).await?;
            if !found.background {
                let message = "Cannot cancel a synchronous response: end its connection instead.";
                return Err(Refusal::new(Reason::Invalid, message).into());
            }
            let mut response = current(&app, &caller, &found).await?;
            response["status"] = ResponseStatus::Cancelled.as_str().into();
            let cancelled = app
                .depot()
                .responses()
                .cancel(workspace(&caller), &found.id, &response.to_string())
                .await?;
            app.desk().changed(&found.id);
            Ok(json(&parsed(&cancelled)?))
        },
    )
    .await
}

/// `GET /v1/responses/{id}/input_items`: everything that was given to the model, earlier turns too.
pub(super) async fn input_items(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| {
            let query = Query::read(&uri)?;
            let limit = usize::try_from(query.limit(20, 100)?).unwrap_or(20);
            let key = ResponseId::from(id.as_str());
            let responses = app.depot().responses();
            let chain = responses
                .chain(workspace(&caller), &key, context::CHAIN)
                .await?;
            if chain.last().is_none_or(|last| last.id != key) {
                return Err(no_such("Response", &id).into());
            }
            let mut items = context::whole(&chain)?;
            if query.newest_first()? {
                items.reverse();
            }
            let after = query.one("after");
            let from = match after {
                None => 0,
                Some(after) => {
                    let at = items.iter().position(|item| item.id == after);
                    at.map(|at| at + 1)
                        .ok_or_else(|| no_such("Item", after).about("after"))?
                }
            };
            let page = items.iter().skip(from);
            let more = page.clone().count() > limit;
            let shown: Vec<Value> = page.take(limit).map(Item::shown).collect();
            Ok(json(&listed(&shown, more)))
        },
    )
    .await
}

async fn one(app: &App, caller: &Caller, id: &str) -> Result<StoredResponse, Denial> {
    let key = ResponseId::from(id);
    let found = app.depot().responses().get(workspace(caller), &key).await?;
    found.ok_or_else(|| no_such("Response", id).into())
}

fn parsed(found: &StoredResponse) -> Result<Value, Denial> {
    serde_json::from_str(&found.response).map_err(|_| {
        let message = format!("What is kept of the response '{}' is damaged.", found.id);
        Refusal::new(Reason::Internal, message).into()
    })
}

/// A response as it is now: one that is worked on has the items that are complete by now.
async fn current(app: &App, caller: &Caller, found: &StoredResponse) -> Result<Value, Denial> {
    let mut response = parsed(found)?;
    if !found.status.is_open() {
        return Ok(response);
    }
    response["status"] = found.status.as_str().into();
    let responses = app.depot().responses();
    let mut after = None;
    let mut output = Vec::new();
    loop {
        let events = responses
            .events(workspace(caller), &found.id, after, 1_000)
            .await?;
        let Some((last, _)) = events.last() else {
            break;
        };
        after = Some(*last);
        let done = |(_, event): &&(u64, String)| event.contains("\"response.output_item.done\"");
        for (_, event) in events.iter().filter(done) {
            let mut event: Value = serde_json::from_str(event).unwrap_or_default();
            output.push(event["item"].take());
        }
    }
    response["output"] = output.into();
    Ok(response)
}

/// Ciphers are shown to those who ask for them.
fn without_ciphers(response: &mut Value) {
    let items = response["output"].as_array_mut().into_iter().flatten();
    for item in items.filter(|item| item["type"] == "reasoning") {
        if let Some(object) = item.as_object_mut() {
            object.remove("encrypted_content");
        }
    }
}
