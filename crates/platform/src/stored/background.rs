//! Responses in the background: answered at once with `queued`, worked on by whichever server claims them, and
//! gone on with by another one if that dies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use quire_depot::{ConversationId, ResponseId, ResponseStatus, StoredResponse};
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, watch};

use super::keep::expiry;
use super::{Context, Wish, follow, unanswered, work};
use crate::app::App;
use crate::clock::{new_id, now_ms};
use crate::relay::Ask;
use crate::reply::Denial;

/// How many responses one server works on at once.
const AT_ONCE: usize = 64;
/// How long a claim lasts unless it is renewed.
const LEASE_MS: i64 = 60_000;
/// Rounds of the desk after which claims are renewed.
const RENEW: u32 = 15;
/// How often the store is asked for work that another server took in, or left.
const ROUND: Duration = Duration::from_secs(1);

/// Where work in the background lies.
pub(crate) struct Desk {
    /// The name under which this server claims.
    worker: String,
    /// Told when there is work.
    work: Notify,
    /// Those who watch a response.
    watched: Mutex<HashMap<ResponseId, watch::Sender<u64>>>,
}

/// Changes of one response, as far as they happen in this process.
pub(crate) struct Watched(watch::Receiver<u64>);

impl Watched {
    /// Returns at the next change.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Desk {
    /// An empty desk.
    pub(crate) fn new() -> Self {
        Self {
            worker: new_id("server_"),
            work: Notify::new(),
            watched: Mutex::default(),
        }
    }

    /// Something of a response changed.
    pub(crate) fn changed(&self, id: &ResponseId) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, sender| sender.receiver_count() > 0);
        if let Some(sender) = watched.get(id) {
            sender.send_modify(|count| *count += 1);
        }
    }

    /// Watches a response.
    pub(crate) fn changes(&self, id: &ResponseId) -> Watched {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = watched
            .entry(id.clone())
            .or_insert_with(|| watch::Sender::new(0));
        Watched(sender.subscribe())
    }
}

/// Takes a request in and answers that it waits.
pub(super) async fn begin(
    app: &Arc<App>,
    ask: Ask,
    wish: &Wish<'_>,
    context: &Context,
) -> Result<Response<Body>, Denial> {
    let caller = &ask.caller;
    app.admits(caller, &wish.model)?;
    let created_at = now_ms();
    let body: Map<String, Value> = serde_json::from_slice(&ask.body).unwrap_or_default();
    let response = Value::Object(unanswered(wish, &body, created_at));
    let id = ResponseId::from(wish.id.as_str());
    let stored = StoredResponse {
        id: id.clone(),
        key: caller.key.id.clone(),
        created_at,
        expires_at: Some(expiry(created_at)),
        previous: wish.previous.as_deref().map(ResponseId::from),
        conversation: wish.conversation.as_deref().map(ConversationId::from),
        background: true,
        status: ResponseStatus::Queued,
        request: wish.kept(context),
        response: response.to_string(),
    };
    let workspace = caller.workspace.id.clone();
    let responses = app.depot().responses();
    responses.add(&workspace, &stored, &[]).await?;
    let events = ["response.created", "response.queued"];
    let event = |(number, name): (u64, &str)| {
        let event = json!({"type": name, "sequence_number": number, "response": response});
        (number, event.to_string())
    };
    let events: Vec<_> = (0..).zip(events).map(event).collect();
    responses.add_events(&workspace, &id, &events).await?;
    app.desk().work.notify_one();
    if wish.stream {
        return Ok(follow::follow(app, workspace, id, None));
    }
    Ok(super::json(&response))
}

/// Works on what waits, until the server ends; then lets what is under way come to its end. What is dropped in the
/// middle is given back by [`release`].
pub(crate) async fn work(app: Arc<App>) {
    let mut under_way = tokio::task::JoinSet::new();
    let mut rounds = 0_u32;
    // However much there is to do, claims are renewed in time.
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.tenure().ended() => break,
            () = app.desk().work.notified() => {}
            _ = round.tick() => rounds += 1,
        }
        while under_way.try_join_next().is_some() {}
        if rounds >= RENEW {
            rounds = 0;
            renew(&app).await;
        }
        claim(&app, &mut under_way).await;
    }
    while !under_way.is_empty() {
        tokio::select! {
            _ = under_way.join_next() => {}
            () = tokio::time::sleep(ROUND * RENEW) => renew(&app).await,
        }
    }
}

async fn renew(app: &App) {
    let until = now_ms().saturating_add(LEASE_MS);
    // A claim that cannot be renewed runs out, and another server takes over.
    let _ = app
        .depot()
        .responses()
        .renew(&app.desk().worker, until)
        .await;
}

async fn claim(app: &Arc<App>, under_way: &mut tokio::task::JoinSet<()>) {
    let room = u32::try_from(AT_ONCE.saturating_sub(under_way.len())).unwrap_or(0);
    if room == 0 {
        return;
    }
    let now = now_ms();
    let until = now.saturating_add(LEASE_MS);
    let responses = app.depot().responses();
    let claimed = responses.claim(room, &app.desk().worker, now, until).await;
    for claimed in claimed.unwrap_or_default() {
        let app = Arc::clone(app);
        under_way.spawn(async move {
            work::work(&app, claimed).await;
            app.desk().work.notify_one();
        });
    }
}

/// Gives back what this server has not finished.
pub(crate) async fn release(app: &App) {
    let _ = app.depot().responses().release(&app.desk().worker).await;
}
