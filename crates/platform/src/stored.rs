//! Responses that have a state: those that go on from an earlier one or belong to a conversation, those that are
//! kept, and those that are worked on in the background. This server owns all of it: a request goes upstream
//! as one that stands for itself, and what comes back is kept here, whatever API the upstream speaks.

pub(crate) mod background;
mod calls;
mod compact;
mod context;
mod conversations;
mod fields;
mod follow;
mod items;
mod keep;
mod retrieve;
mod shell;
mod telling;
mod work;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use quire_depot::WorkspaceId;
use quire_translate::{KEEP_ALIVE, Reason, Refusal};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::app::App;
use crate::clock::new_id;
use crate::cores;
use crate::keyring::Caller;
use crate::peek::Peek;
use crate::relay::{self, Ask, NoAnswer, whole};
use crate::reply::Denial;

pub(crate) use background::Desk;
pub(crate) use compact::COMPACT_PATH;
pub(crate) use context::{Context, Memory, Wish};
pub(crate) use fields::Fields;
pub(crate) use keep::{Keeper, Keeping};
pub(crate) use shell::unanswered;
pub(crate) use telling::{Telling, Told};

/// How many events wait for a slow reader before the upstream is read no further.
const WAITING: usize = 16;
/// Most bytes of an answer that comes whole.
const MOST: usize = 256 << 20;
/// Days for which a response is kept, as at the vendor's.
const KEPT_DAYS: i64 = 30;

/// The paths of what is kept.
pub(crate) fn routes() -> Router<Arc<App>> {
    let one = get(retrieve::retrieve).delete(retrieve::delete);
    Router::new()
        .route("/v1/responses/{id}", one)
        .route("/v1/responses/{id}/cancel", post(retrieve::cancel))
        .route("/v1/responses/{id}/input_items", get(retrieve::input_items))
        .route("/v1/responses/compact", post(compact::compact))
        .merge(conversations::routes())
}

/// Serves a request of Responses.
pub(crate) async fn serve(app: &Arc<App>, ask: Ask) -> Result<Response<Body>, Denial> {
    let peek = Peek::into(&ask.body)?;
    let passes = peek.store == Some(false) && !peek.stateful;
    if passes && !has_own_words(&ask.body) {
        return relay::relay_seen(app, ask, peek).await;
    }
    if peek.stateful {
        // What it goes on from may be long.
        let app = Arc::clone(app);
        return cores::aside(async move { serve_kept(&app, ask, passes).await }).await;
    }
    serve_kept(app, ask, passes).await
}

/// Serves a request that goes on from what is kept, or whose answer is kept.
async fn serve_kept(app: &Arc<App>, ask: Ask, passes: bool) -> Result<Response<Body>, Denial> {
    let body = ask.body.clone();
    let wish = Wish::read(&body, new_id("resp_"))?;
    let context = Context::resolve(app, &ask.caller.workspace.id, &wish, None).await?;
    context.check_results(&wish)?;
    if passes {
        let body = if context.changed {
            wish.standing_alone(app, &context).into()
        } else {
            ask.body
        };
        return relay::relay(app, Ask { body, ..ask }).await;
    }
    if wish.background {
        return background::begin(app, ask, &wish, &context).await;
    }
    let keeper = Keeper::new(app, &ask.caller, &wish, &context, Keeping::of(wish.store));
    let asked = Ask {
        body: wish.standing_alone(app, &context).into(),
        ..ask
    };
    let answer = relay::relay(app, asked).await?;
    let alive = app.live().config.bounds.keep_alive();
    pass_on(answer, keeper, alive).await
}

/// Whether a body has items in it that only this server understands.
fn has_own_words(body: &[u8]) -> bool {
    [&b"item_reference"[..], compact::MARK]
        .iter()
        .any(|word| memchr::memmem::find(body, word).is_some())
}

/// Passes an answer on, and keeps it. A stream is not silent for longer than `alive`.
async fn pass_on(
    answer: Response<Body>,
    mut keeper: Keeper,
    alive: Duration,
) -> Result<Response<Body>, Denial> {
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let (head, body) = answer.into_parts();
    if relay::is_stream(&head.headers) {
        let (pieces, taken) = mpsc::channel(WAITING);
        tokio::spawn(pump(Telling::new(body), keeper, pieces, alive));
        return Ok(Response::from_parts(head, relay::piecewise(taken)));
    }
    let body = whole(body).await?;
    let is_answer = head.extensions.get::<NoAnswer>().is_none();
    let body = match serde_json::from_slice(&body) {
        // One that failed is a response all the same.
        Ok(Value::Object(mut response)) if is_answer || response.contains_key("status") => {
            keeper.keep(&mut response).await;
            Value::Object(response).to_string().into()
        }
        Ok(_) | Err(_) => body,
    };
    Ok(Response::from_parts(head, Body::from(body)))
}

/// An answer's body, whole.
pub(crate) async fn whole(body: Body) -> Result<Bytes, Refusal> {
    let patience = Duration::from_hours(24);
    whole::collect(body, MOST, patience).await.map_err(|_| {
        Refusal::new(
            Reason::Upstream,
            "The answer broke off in its middle. Try again.",
        )
    })
}

async fn pump(
    mut telling: Telling,
    mut keeper: Keeper,
    pieces: mpsc::Sender<Bytes>,
    alive: Duration,
) {
    loop {
        let told = tokio::select! {
            biased;
            // Dropping the body cancels the upstream, and bills what went out.
            () = pieces.closed() => return,
            told = tokio::time::timeout(alive, telling.next()) => told,
        };
        let piece = match told {
            Ok(Some(told)) => {
                let told = keeper.pass(told).await;
                telling::frame(&told.name, &told.data)
            }
            Ok(None) => return,
            // An upstream's own comments come no further than this.
            Err(_) => Bytes::from_static(KEEP_ALIVE),
        };
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
}

/// What is said of a thing that is not there, or is another workspace's: nothing tells the two apart.
fn no_such(kind: &str, id: &str) -> Refusal {
    Refusal::new(
        Reason::NotFound,
        format!("{kind} with id '{id}' not found."),
    )
}

/// A list of items as it is shown.
fn listed(items: &[Value], more: bool) -> Value {
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    serde_json::json!({"object": "list", "data": items, "first_id": id(items.first()),
        "last_id": id(items.last()), "has_more": more})
}

/// A workspace's id.
fn workspace(caller: &Caller) -> &WorkspaceId {
    &caller.workspace.id
}
