//! Conversations: lists of items that responses go on from, and add to.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use axum::routing::{get, post};
use bytes::Bytes;
use quire_depot::{Conversation, ConversationId, Error, Order, Page, Put, StoredItem};
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal};
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::{items, keep, listed, no_such, workspace};
use crate::answered::{answered, json};
use crate::app::{App, take_in};
use crate::clock::{new_id, now_ms};
use crate::keyring::Caller;
use crate::path::Path;
use crate::query::Query;
use crate::reply::Denial;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/conversations", post(create))
        .route(
            "/v1/conversations/{id}",
            get(retrieve).post(update).delete(delete),
        )
        .route("/v1/conversations/{id}/items", get(list).post(add))
        .route(
            "/v1/conversations/{id}/items/{item}",
            get(item).delete(delete_item),
        )
}

async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response<Body> {
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| {
            let body = take_in(&app, &headers, body).await?;
            let body = if body.is_empty() {
                Bytes::from_static(b"{}")
            } else {
                body
            };
            let fields = Fields::read(&body)?;
            let conversation = Conversation {
                id: new_id("conv_").into(),
                created_at: now_ms(),
                metadata: metadata(&fields)?.unwrap_or_else(|| "{}".to_owned()),
            };
            let items = given(&fields, conversation.id.as_str())?;
            let conversations = app.depot().conversations();
            conversations
                .add(workspace(&caller), &conversation, &items)
                .await?;
            Ok(json(&shown(&conversation)))
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
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| Ok(json(&shown(&one(&app, &caller, &id).await?))),
    )
    .await
}

async fn update(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| {
            let body = take_in(&app, &headers, body).await?;
            let mut found = one(&app, &caller, &id).await?;
            found.metadata = metadata(&Fields::read(&body)?)?.unwrap_or_else(|| "{}".to_owned());
            let conversations = app.depot().conversations();
            conversations
                .set_metadata(workspace(&caller), &found.id, &found.metadata)
                .await?;
            Ok(json(&shown(&found)))
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
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| {
            let found = one(&app, &caller, &id).await?;
            app.depot()
                .conversations()
                .delete(workspace(&caller), &found.id)
                .await?;
            Ok(json(
                &json!({"id": id, "object": "conversation.deleted", "deleted": true}),
            ))
        },
    )
    .await
}

async fn list(
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
            let found = one(&app, &caller, &id).await?;
            let page = Page {
                after: query.one("after").map(str::to_owned),
                before: None,
                limit: query.limit(20, 100)?,
                order: if query.newest_first()? {
                    Order::NewestFirst
                } else {
                    Order::OldestFirst
                },
            };
            let conversations = app.depot().conversations();
            let page = conversations
                .items(workspace(&caller), &found.id, &page)
                .await?;
            let items: Vec<Value> = page.items.iter().map(value).collect();
            Ok(json(&listed(&items, page.more)))
        },
    )
    .await
}

async fn add(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| {
            let body = take_in(&app, &headers, body).await?;
            let found = one(&app, &caller, &id).await?;
            let fields = Fields::read(&body)?;
            if fields.raw("items").is_none() {
                return Err(Refusal::new(Reason::Invalid, "items: Field required")
                    .about("items")
                    .into());
            }
            // Of its own each time, so that the same words can be added twice.
            let items = given(&fields, &new_id("add_"))?;
            let conversations = app.depot().conversations();
            conversations
                .put(workspace(&caller), &found.id, &Put::Last, &items)
                .await?;
            let items: Vec<Value> = items.iter().map(value).collect();
            Ok(json(&listed(&items, false)))
        },
    )
    .await
}

async fn item(
    State(app): State<Arc<App>>,
    Path((id, item)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| {
            let found = one(&app, &caller, &id).await?;
            let conversations = app.depot().conversations();
            let found = conversations
                .item(workspace(&caller), &found.id, &item)
                .await?;
            let found = found.ok_or_else(|| no_such("Item", &item))?;
            Ok(json(&value(&found)))
        },
    )
    .await
}

async fn delete_item(
    State(app): State<Arc<App>>,
    Path((id, item)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    answered(
        &app,
        Dialect::Responses,
        &headers,
        async |caller: Arc<Caller>, _| {
            let found = one(&app, &caller, &id).await?;
            let conversations = app.depot().conversations();
            let gone = conversations
                .delete_item(workspace(&caller), &found.id, &item)
                .await;
            match gone {
                Ok(()) => Ok(json(&shown(&found))),
                Err(Error::Missing { .. }) => Err(no_such("Item", &item).into()),
                Err(error) => Err(error.into()),
            }
        },
    )
    .await
}

async fn one(app: &App, caller: &Caller, id: &str) -> Result<Conversation, Denial> {
    let key = ConversationId::from(id);
    let found = app
        .depot()
        .conversations()
        .get(workspace(caller), &key)
        .await?;
    found.ok_or_else(|| no_such("Conversation", id).into())
}

fn shown(conversation: &Conversation) -> Value {
    let metadata: Value = serde_json::from_str(&conversation.metadata).unwrap_or(Value::Null);
    json!({"id": conversation.id.as_str(), "object": "conversation",
        "created_at": conversation.created_at / 1_000, "metadata": metadata})
}

fn value(item: &StoredItem) -> Value {
    serde_json::from_str(&item.item).unwrap_or(Value::Null)
}

fn metadata(fields: &Fields<'_>) -> Result<Option<String>, Refusal> {
    let metadata = fields.get::<Map<String, Value>>("metadata")?;
    Ok(metadata.map(|metadata| Value::Object(metadata).to_string()))
}

/// The items of a body, each with an id.
fn given(fields: &Fields<'_>, owner: &str) -> Result<Vec<StoredItem>, Refusal> {
    let items = items::input(fields.raw("items"), owner)?;
    if let Some(reference) = items.iter().find(|item| item.kind == "item_reference") {
        let message = format!(
            "items: '{}' is a reference: send the item itself.",
            reference.id
        );
        return Err(Refusal::new(Reason::Invalid, message).about("items"));
    }
    Ok(keep::stored(&items, |_| false))
}
