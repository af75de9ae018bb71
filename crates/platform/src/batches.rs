//! Message batches: many requests handed in at once, worked on at half the price by whichever server has time.

mod work;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, Response, Uri};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use quire_depot::{
    Batch, BatchId, BatchState, ItemResult, ItemState, NewBatch, NewItem, Order, Page, WorkspaceId,
};
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answered::{answered, json as answer_json};
use crate::app::App;
use crate::caller;
use crate::clock::{new_id, now_ms};
use crate::keyring::Caller;
use crate::path::Path;
use crate::peek;
use crate::query::Query;
use crate::reply::{Denial, rfc3339};

pub(crate) use work::Items;

/// The API that these batches came by.
const API: &str = "messages";
/// How long a batch may take.
const DAY_MS: i64 = 86_400_000;
/// Requests of one batch.
const MOST_ITEMS: usize = 100_000;
/// Requests that are written at once.
const AT_ONCE: usize = 2_000;
/// Results that are read at once.
const RESULTS: u32 = 200;

/// The paths of batches.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/messages/batches", get(list).post(create))
        .route("/v1/messages/batches/{id}", get(retrieve).delete(delete))
        .route("/v1/messages/batches/{id}/cancel", post(cancel))
        .route("/v1/messages/batches/{id}/results", get(results))
}

#[derive(Deserialize)]
struct Handed<'a> {
    #[serde(borrow)]
    requests: Vec<HandedItem<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct HandedItem<'a> {
    custom_id: String,
    #[serde(borrow)]
    params: &'a RawValue,
}

async fn create(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let headers = head.headers;
    answered(
        &app,
        Dialect::Messages,
        &headers,
        async |caller: Arc<Caller>, _| {
            let most = app.live().config.bounds.batch_bytes;
            let body = crate::app::take_in_most(&app, &headers, body, most).await?;
            caller::versioned(&headers)?;
            let batch = hand_in(&app, &caller, &headers, &body).await?;
            app.bench().wake();
            Ok(answer_json(&shown(&headers, &batch)))
        },
    )
    .await
}

async fn hand_in(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Batch, Denial> {
    let handed: Handed<'_> = peek::object(body)?;
    check(&handed)?;
    let now = now_ms();
    let id = BatchId::from(new_id("msgbatch_"));
    let workspace = &caller.workspace.id;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let details = json!({"version": text("anthropic-version"), "beta": text("anthropic-beta")});
    let batches = app.depot().batches();
    batches
        .begin(
            workspace,
            &NewBatch {
                id: id.clone(),
                key: caller.key.id.clone(),
                api: API.to_owned(),
                details: details.to_string(),
                created_at: now,
                expires_at: now + DAY_MS,
            },
        )
        .await?;
    for some in handed.requests.chunks(AT_ONCE) {
        let items: Vec<NewItem> = some
            .iter()
            .map(|item| NewItem {
                custom_id: item.custom_id.clone(),
                params: item.params.get().to_owned(),
            })
            .collect();
        batches
            .add(workspace, &id, &items)
            .await
            .map_err(|error| match error {
                quire_depot::Error::Refused(why) => {
                    Refusal::new(Reason::Invalid, why).about("requests").into()
                }
                other => Denial::from(other),
            })?;
    }
    Ok(batches.start(workspace, &id).await?)
}

fn check(handed: &Handed<'_>) -> Result<(), Refusal> {
    let wrong = |at: usize, field: &str, what: &str| {
        let place = format!("requests.{at}.{field}");
        Refusal::new(Reason::Invalid, format!("{place}: {what}")).about(place)
    };
    if handed.requests.is_empty() || handed.requests.len() > MOST_ITEMS {
        let message = format!("requests: a batch has between 1 and {MOST_ITEMS} requests");
        return Err(Refusal::new(Reason::Invalid, message).about("requests"));
    }
    for (at, item) in handed.requests.iter().enumerate() {
        let is_id = (1..=64).contains(&item.custom_id.len())
            && item
                .custom_id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_id {
            return Err(wrong(
                at,
                "custom_id",
                "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'",
            ));
        }
        if !item.params.get().starts_with('{') {
            return Err(wrong(at, "params", "Input should be an object"));
        }
    }
    Ok(())
}

async fn list(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    answered(
        &app,
        Dialect::Messages,
        &headers,
        async |caller: Arc<Caller>, _| {
            let query = Query::read(&uri)?;
            let page = Page {
                after: query.one("after_id").map(str::to_owned),
                before: query.one("before_id").map(str::to_owned),
                limit: query.limit(20, 1_000)?,
                order: Order::NewestFirst,
            };
            let listed = app
                .depot()
                .batches()
                .list(&caller.workspace.id, API, &page)
                .await?;
            let id = |batch: Option<&Batch>| batch.map(|batch| batch.head.id.as_str().to_owned());
            Ok(answer_json(&json!({
                "data": listed.items.iter().map(|batch| shown(&headers, batch)).collect::<Vec<_>>(),
                "has_more": listed.more,
                "first_id": id(listed.items.first()),
                "last_id": id(listed.items.last()),
            })))
        },
    )
    .await
}

async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Messages,
        &headers,
        async |caller: Arc<Caller>, _| {
            let batch = one(&app, &caller.workspace.id, &id).await?;
            Ok(answer_json(&shown(&headers, &batch)))
        },
    )
    .await
}

async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Messages,
        &headers,
        async |caller: Arc<Caller>, _| {
            let workspace = &caller.workspace.id;
            one(&app, workspace, &id).await?;
            let batch = app
                .depot()
                .batches()
                .cancel(workspace, &BatchId::from(id.as_str()), now_ms())
                .await?;
            Ok(answer_json(&shown(&headers, &batch)))
        },
    )
    .await
}

async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Messages,
        &headers,
        async |caller: Arc<Caller>, _| {
            let workspace = &caller.workspace.id;
            one(&app, workspace, &id).await?;
            app.depot()
                .batches()
                .delete(workspace, &BatchId::from(id.as_str()))
                .await?;
            Ok(answer_json(
                &json!({"id": id, "type": "message_batch_deleted"}),
            ))
        },
    )
    .await
}

async fn results(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Messages,
        &headers,
        async |caller: Arc<Caller>, _| {
            let workspace = caller.workspace.id.clone();
            let batch = one(&app, &workspace, &id).await?;
            if batch.state != BatchState::Ended {
                let message = format!(
                    "Batch {id} has no results yet: wait until its processing_status is `ended`."
                );
                return Err(Refusal::new(Reason::NotFound, message).into());
            }
            if batch.archived_at.is_some() {
                let message = format!("The results of batch {id} are no longer kept.");
                return Err(Refusal::new(Reason::NotFound, message).into());
            }
            let app = Arc::clone(&app);
            let lines = stream::unfold(
                (app, workspace, batch.head.id, None),
                |(app, workspace, id, behind)| async move {
                    let read = app
                        .depot()
                        .batches()
                        .results(&workspace, &id, behind, RESULTS)
                        .await;
                    match read {
                        Ok(some) => {
                            let last = some.last()?.position;
                            let text: String = some.iter().map(line).collect();
                            Some((Ok(Bytes::from(text)), (app, workspace, id, Some(last))))
                        }
                        Err(error) => Some((Err(error), (app, workspace, id, Some(u64::MAX >> 1)))),
                    }
                },
            );
            let mut response = Response::new(Body::from_stream(lines));
            let kind = HeaderValue::from_static("application/x-jsonl");
            response.headers_mut().insert("content-type", kind);
            Ok(response)
        },
    )
    .await
}

async fn one(app: &App, workspace: &WorkspaceId, id: &str) -> Result<Batch, Denial> {
    let found = app
        .depot()
        .batches()
        .get(workspace, &BatchId::from(id))
        .await?;
    found.ok_or_else(|| {
        Refusal::new(Reason::NotFound, format!("Message batch not found: {id}")).into()
    })
}

fn line(item: &ItemResult) -> String {
    let parsed = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or("null");
        serde_json::from_str::<Value>(text).unwrap_or(Value::Null)
    };
    let result = match item.state {
        ItemState::Succeeded => json!({"type": "succeeded", "message": parsed(&item.result)}),
        ItemState::Errored => json!({"type": "errored", "error": parsed(&item.result)}),
        ItemState::Cancelled => json!({"type": "canceled"}),
        ItemState::Expired | ItemState::Processing => json!({"type": "expired"}),
    };
    format!(
        "{}\n",
        json!({"custom_id": item.custom_id, "result": result})
    )
}

fn shown(headers: &HeaderMap, batch: &Batch) -> Value {
    let id = batch.head.id.as_str();
    let counts = &batch.counts;
    let host = headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    // The SDKs take a path for one of the address that they were given.
    let results = match (batch.state, batch.archived_at, host) {
        (BatchState::Ended, None, "") => Some(format!("/v1/messages/batches/{id}/results")),
        (BatchState::Ended, None, host) => {
            let scheme = headers
                .get("x-forwarded-proto")
                .and_then(|scheme| scheme.to_str().ok())
                .unwrap_or("http");
            Some(format!(
                "{scheme}://{host}/v1/messages/batches/{id}/results"
            ))
        }
        _ => None,
    };
    json!({
        "id": id,
        "type": "message_batch",
        "processing_status": match batch.state {
            BatchState::InProgress => "in_progress",
            BatchState::Cancelling => "canceling",
            BatchState::Ended => "ended",
        },
        "request_counts": {
            "processing": counts.processing,
            "succeeded": counts.succeeded,
            "errored": counts.errored,
            "canceled": counts.cancelled,
            "expired": counts.expired,
        },
        "created_at": rfc3339(batch.head.created_at),
        "expires_at": rfc3339(batch.head.expires_at),
        "ended_at": batch.ended_at.map(rfc3339),
        "cancel_initiated_at": batch.cancelled_at.map(rfc3339),
        "archived_at": batch.archived_at.map(rfc3339),
        "results_url": results,
    })
}
