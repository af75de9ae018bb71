//! One response in the background: sent upstream, its events kept as they come, its end noted.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use quire_depot::{ClaimedResponse, ResponseId, ResponseStatus, WorkspaceId};
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Fields, Keeper, Keeping, Telling, Told, Wish, whole};
use crate::app::App;
use crate::clock::{new_id, now_ms};
use crate::relay::{self, Ask};
use crate::reply::Denial;

/// How long events may wait for others to be kept with.
const GATHERED: Duration = Duration::from_millis(50);
/// So many are kept at once.
const EVENTS: usize = 256;
/// How often it is looked whether somebody cancelled it elsewhere.
const LOOK: Duration = Duration::from_secs(1);

/// Works on a response that was claimed.
pub(super) async fn work(app: &Arc<App>, claimed: &ClaimedResponse) {
    let id = claimed.response.id.clone();
    let workspace = claimed.workspace.clone();
    let Ok(mut log) = Log::open(app, workspace, id.clone()).await else {
        // The store does not answer. It is let go of, and claimed again.
        return;
    };
    let mut changes = app.desk().changes(&id);
    let ended = tokio::select! {
        ended = run(app, claimed, &mut log) => Some(ended),
        // Dropping the run cancels the upstream.
        () = async {
            loop {
                tokio::select! {
                    () = changes.next() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
                if is_over(app, claimed).await {
                    return;
                }
            }
        } => None,
    };
    // Out of reach of the look above, which would take this end for somebody else's and cut off what comes with it.
    let done = match ended {
        Some(Ok((told, mut keeper))) => log.end(told, &mut keeper).await,
        Some(Err(refusal)) => Err(refusal),
        None => Ok(()),
    };
    if let Err(refusal) = done {
        fail(app, claimed, &refusal).await;
    }
    app.desk().changed(&id);
}

/// Whether the response has ended, or is gone.
pub(super) async fn is_over(app: &App, claimed: &ClaimedResponse) -> bool {
    let responses = app.depot().responses();
    match responses
        .get(&claimed.workspace, &claimed.response.id)
        .await
    {
        Ok(Some(found)) => !found.status.is_open(),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Asks the model, up to the event that ends its answer and whoever keeps it.
async fn run(
    app: &Arc<App>,
    claimed: &ClaimedResponse,
    log: &mut Log,
) -> Result<(Told, Keeper), Refusal> {
    let caller = app
        .keyring()
        .caller_by_id(&claimed.response.key, now_ms())?;
    let text = claimed.response.request.as_bytes();
    let mut wish = Wish::read(text, claimed.response.id.to_string())?;
    wish.fields.set("stream", "true".to_owned());
    let context = wish.resume(app, &caller.workspace.id).await;
    let context = context.map_err(|denial| denial.refusal)?;
    let body = wish.standing_alone(app, &context);
    let keeper = Keeper::new(app, &caller, &wish, &context, Keeping::Background);
    let ask = Ask {
        api: Dialect::Responses,
        caller,
        request_id: new_id("req_"),
        headers: HeaderMap::new(),
        body: body.into(),
        started: std::time::Instant::now(),
        batch: false,
        path: None,
    };
    let answer = relay::relay(app, ask)
        .await
        .map_err(|denial: Denial| denial.refusal)?;
    if !answer.status().is_success() {
        return Err(refused(answer).await);
    }
    log.take(answer, keeper).await
}

/// What an answer that is none says.
async fn refused(answer: Response<Body>) -> Refusal {
    let status = answer.status();
    let body = whole(answer.into_body()).await.unwrap_or_default();
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    let error = &value["error"];
    let message = error["message"]
        .as_str()
        .unwrap_or("The model did not answer.");
    let reason = match status.as_u16() {
        429 => Reason::RateLimited,
        400..500 => Reason::Invalid,
        _ => Reason::Upstream,
    };
    let refusal = Refusal::new(reason, message);
    match error["code"].as_str() {
        Some(code) => refusal.coded(code),
        None => refusal,
    }
}

/// Notes that a response failed.
pub(super) async fn fail(app: &Arc<App>, claimed: &ClaimedResponse, refusal: &Refusal) {
    let mut response: Value =
        serde_json::from_str(&claimed.response.response).unwrap_or_else(|_| json!({}));
    let code = refusal.code.as_deref().unwrap_or(match refusal.reason {
        Reason::RateLimited => "rate_limit_exceeded",
        Reason::Invalid | Reason::NotFound | Reason::TooLarge => "invalid_prompt",
        Reason::Unauthenticated
        | Reason::OutOfMoney
        | Reason::Forbidden
        | Reason::Conflict
        | Reason::Internal
        | Reason::Upstream
        | Reason::Broken
        | Reason::Overloaded
        | Reason::Timeout => "server_error",
    });
    response["status"] = "failed".into();
    response["error"] = json!({"code": code, "message": refusal.message});
    let (workspace, id) = (&claimed.workspace, &claimed.response.id);
    if let Ok(mut log) = Log::open(app, workspace.clone(), id.clone()).await {
        log.add("response.failed", json!({"response": response}));
        let _ = log.flush().await;
    }
    let responses = app.depot().responses();
    let text = response.to_string();
    let _ = responses
        .update(workspace, id, ResponseStatus::Failed, &text)
        .await;
}

/// The events of one response, as they are kept.
struct Log {
    app: Arc<App>,
    workspace: WorkspaceId,
    id: ResponseId,
    next: u64,
    /// Whether a server that died had told of items: what is told now would contradict it, but for the end.
    begun_before: bool,
    gathered: Vec<(u64, String)>,
}

impl Log {
    /// Goes on behind what is kept.
    async fn open(
        app: &Arc<App>,
        workspace: WorkspaceId,
        id: ResponseId,
    ) -> Result<Self, quire_depot::Error> {
        let responses = app.depot().responses();
        let mut last = None;
        let mut begun_before = false;
        loop {
            let some = responses.events(&workspace, &id, last, 1_000).await?;
            begun_before |= some
                .iter()
                .any(|(_, event)| event.contains("\"output_index\""));
            match some.last() {
                Some((sequence, _)) => last = Some(*sequence),
                None => break,
            }
        }
        Ok(Self {
            app: Arc::clone(app),
            workspace,
            id,
            next: last.map_or(0, |last| last + 1),
            begun_before,
            gathered: Vec::new(),
        })
    }

    fn add(&mut self, name: &str, mut event: Value) {
        event["type"] = name.into();
        event["sequence_number"] = self.next.into();
        self.gathered.push((self.next, event.to_string()));
        self.next += 1;
    }

    async fn flush(&mut self) -> Result<(), quire_depot::Error> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let responses = self.app.depot().responses();
        responses
            .add_events(&self.workspace, &self.id, &self.gathered)
            .await?;
        self.gathered.clear();
        self.app.desk().changed(&self.id);
        Ok(())
    }

    /// Keeps an answer, event by event, up to the one that ends it.
    async fn take(
        &mut self,
        answer: Response<Body>,
        mut keeper: Keeper,
    ) -> Result<(Told, Keeper), Refusal> {
        let mut telling = Telling::new(answer.into_body());
        let mut due: Option<Instant> = None;
        loop {
            let told = match due {
                None => telling.next().await,
                Some(at) => {
                    if let Ok(told) = tokio::time::timeout_at(at, telling.next()).await {
                        told
                    } else {
                        self.flush().await.map_err(lost)?;
                        due = None;
                        continue;
                    }
                }
            };
            let Some(told) = told else {
                break;
            };
            if told.name == "error" {
                return Err(broken(&told));
            }
            let is_end = matches!(
                told.name.as_str(),
                "response.completed" | "response.incomplete" | "response.failed"
            );
            if is_end {
                return Ok((told, keeper));
            }
            let told = keeper.pass(told).await;
            self.note(&told);
            due = due.or_else(|| Some(Instant::now() + GATHERED));
            if self.gathered.len() >= EVENTS {
                self.flush().await.map_err(lost)?;
                due = None;
            }
        }
        Err(Refusal::new(
            Reason::Upstream,
            "The answer broke off in its middle.",
        ))
    }

    fn note(&mut self, told: &Told) {
        // The first events were told when it was taken in.
        let is_known = matches!(told.name.as_str(), "response.created" | "response.queued");
        if is_known || self.begun_before {
            return;
        }
        if let Ok(event) = serde_json::from_slice(&told.data) {
            self.add(&told.name, event);
        }
    }

    /// First the events, then the end: whoever sees the end finds them all.
    async fn end(&mut self, told: Told, keeper: &mut Keeper) -> Result<(), Refusal> {
        let mut event: Value = serde_json::from_slice(&told.data).unwrap_or_default();
        if let Some(Value::Object(response)) = event.get_mut("response") {
            keeper.name(response);
        }
        self.add(&told.name, event);
        self.flush().await.map_err(lost)?;
        keeper.pass(told).await;
        Ok(())
    }
}

fn lost(error: quire_depot::Error) -> Refusal {
    Denial::from(error).refusal
}

/// What an `error` event says.
fn broken(told: &Told) -> Refusal {
    let event = Fields::read(&told.data).ok();
    let text = |name| {
        let fields = event.as_ref()?;
        fields.get::<String>(name).ok().flatten()
    };
    let message = text("message").unwrap_or_else(|| "The model broke off.".to_owned());
    let refusal = Refusal::new(Reason::Upstream, message);
    match text("code") {
        Some(code) => refusal.coded(code),
        None => refusal,
    }
}
