//! Responses in the background: answered at once with `queued`, worked on by whichever server claims them, and
//! gone on with by another one if that dies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::Response;
use quire_depot::{ClaimedResponse, ConversationId, ResponseId, ResponseStatus, StoredResponse};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::keep::expiry;
use super::{Context, Wish, follow, unanswered, work};
use crate::answered::json;
use crate::app::App;
use crate::clock::now_ms;
use crate::crew::{self, Crew, Trade};
use crate::relay::Ask;
use crate::reply::Denial;

/// Where work in the background lies.
pub(crate) struct Desk {
    crew: Crew,
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
            crew: Crew::new(),
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
    let response = Value::Object(unanswered(wish, &ask.body, created_at));
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
    app.desk().crew.wake();
    if wish.stream {
        return Ok(follow::follow(app, workspace, id, None));
    }
    Ok(json(&response))
}

/// The work on responses in the background.
pub(crate) struct Waiting;

impl Trade for Waiting {
    type Piece = ClaimedResponse;
    const AT_ONCE: usize = 64;

    fn crew(app: &App) -> &Crew {
        &app.desk().crew
    }

    async fn claim(app: &App, most: u32, until: i64) -> Vec<ClaimedResponse> {
        let responses = app.depot().responses();
        let claimed = responses.claim(most, &Self::crew(app).worker, now_ms(), until);
        claimed.await.unwrap_or_default()
    }

    async fn renew(app: &App, until: i64) {
        let _ = app
            .depot()
            .responses()
            .renew(&Self::crew(app).worker, until)
            .await;
    }

    async fn let_go(app: &App, claimed: &ClaimedResponse) -> Result<(), quire_depot::Error> {
        app.depot()
            .responses()
            .let_go(&Self::crew(app).worker, claimed)
            .await
    }

    async fn release(app: &App) {
        let _ = app
            .depot()
            .responses()
            .release(&Self::crew(app).worker)
            .await;
    }

    async fn work(app: &Arc<App>, claimed: &ClaimedResponse) -> bool {
        work::work(app, claimed).await;
        work::is_over(app, claimed).await
    }

    async fn fail(app: &Arc<App>, claimed: &ClaimedResponse) -> bool {
        work::fail(app, claimed, &crew::fault()).await;
        app.desk().changed(&claimed.response.id);
        work::is_over(app, claimed).await
    }
}
