//! The work on batches: items are claimed from the depot, served like any request, and their results written once.
//! A server that dies leaves its claims to run out, and another one takes over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use bytes::Bytes;
use quire_depot::{ClaimedItem, ItemState};
use quire_dialect::Dialect;
use quire_translate::error_body;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::app::App;
use crate::clock::{new_id, now_ms};
use crate::relay::{self, Ask, whole};
use crate::reply::Denial;

/// Items that one server works on at once.
const AT_ONCE: usize = 32;
/// How long a claim lasts unless it is renewed.
const LEASE_MS: i64 = 60_000;
/// Rounds after which claims are renewed.
const RENEW: u32 = 15;
/// How often the store is asked for what another server took in, or left.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds after which batches are looked through that have expired.
const SETTLE: u32 = 5;
/// Most bytes of an answer.
const MOST: usize = 256 << 20;
/// How often an item is tried whose upstream is busy or broken, and the first wait between.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Where batches are worked on.
pub(crate) struct Bench {
    /// The name under which this server claims.
    worker: String,
    work: Notify,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            worker: new_id("server_"),
            work: Notify::new(),
        }
    }

    /// There is work.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }
}

/// Works on what waits, until the server ends. What has begun by then is given back by [`release`].
pub(crate) async fn work(app: Arc<App>) {
    let mut under_way = JoinSet::new();
    let mut rounds = 0_u32;
    // However much there is to do, claims are renewed in time.
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.tenure().ended() => return,
            () = app.bench().work.notified() => {}
            _ = round.tick() => {
                rounds = rounds.wrapping_add(1);
                keep_house(&app, rounds).await;
            }
        }
        while under_way.try_join_next().is_some() {}
        claim(&app, &mut under_way).await;
    }
}

async fn keep_house(app: &App, rounds: u32) {
    let batches = app.depot().batches();
    // What fails now is done in a later round.
    if rounds.is_multiple_of(RENEW) {
        let _ = batches
            .renew(&app.bench().worker, now_ms().saturating_add(LEASE_MS))
            .await;
    }
    if rounds.is_multiple_of(SETTLE) {
        let _ = batches.settle(now_ms(), 100).await;
    }
}

async fn claim(app: &Arc<App>, under_way: &mut JoinSet<()>) {
    let room = u32::try_from(AT_ONCE.saturating_sub(under_way.len())).unwrap_or(0);
    if room == 0 {
        return;
    }
    let now = now_ms();
    let claimed = app
        .depot()
        .batches()
        .claim(room, &app.bench().worker, now, now.saturating_add(LEASE_MS))
        .await;
    for item in claimed.unwrap_or_default() {
        let app = Arc::clone(app);
        under_way.spawn(async move {
            let (state, result) = serve(&app, &item).await;
            // One that cannot be written is claimed again, and served again: its first serving stays billed.
            let _ = app
                .depot()
                .batches()
                .finish(&item, state, &result, now_ms())
                .await;
            app.bench().wake();
        });
    }
}

/// Gives back what this server has not finished.
pub(crate) async fn release(app: &App) {
    let _ = app.depot().batches().release(&app.bench().worker).await;
}

/// Serves one item: how it ended, and its answer or error.
async fn serve(app: &Arc<App>, item: &ClaimedItem) -> (ItemState, String) {
    let mut wait = FIRST_WAIT;
    for tries in 1..=TRIES {
        let request_id = new_id("req_");
        match attempt(app, item, &request_id).await {
            Ok((status, body)) if (200..300).contains(&status) => {
                return (ItemState::Succeeded, body);
            }
            // What another try cannot mend is the item's result, and so is what no try has mended.
            Ok((status, body)) if tries == TRIES || !is_passing(status) => {
                return (ItemState::Errored, body);
            }
            Err(denial) => {
                let (status, body) = error_body(Dialect::Messages, &denial.refusal, &request_id);
                if tries == TRIES || !is_passing(status) {
                    return (
                        ItemState::Errored,
                        String::from_utf8_lossy(&body).into_owned(),
                    );
                }
            }
            Ok(_) => {}
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    unreachable!("the last try returns")
}

fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

async fn attempt(
    app: &Arc<App>,
    item: &ClaimedItem,
    request_id: &str,
) -> Result<(u16, String), Denial> {
    let caller = app.keyring().caller_by_id(&item.key, now_ms())?;
    let body = crate::files::inline(
        &app.depot().files(),
        &item.workspace,
        whole_wanted(&item.params),
    )
    .await?;
    let ask = Ask {
        api: Dialect::Messages,
        caller,
        request_id: request_id.to_owned(),
        headers: headers(&item.details),
        body,
        started: Instant::now(),
        batch: true,
        path: None,
    };
    let response: Response<Body> = relay::relay(app, ask).await?;
    let status = response.status().as_u16();
    let patience = Duration::from_hours(1);
    let body = whole::collect(response.into_body(), MOST, patience).await;
    let body = body.map_err(|_| {
        quire_translate::Refusal::new(
            quire_translate::Reason::Upstream,
            "The answer broke off in its middle.",
        )
    })?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The request without a wish for a stream: nobody reads one.
fn whole_wanted(params: &str) -> Bytes {
    match serde_json::from_str::<Map<String, Value>>(params) {
        Ok(mut request) if request.contains_key("stream") => {
            request.shift_remove("stream");
            Value::Object(request).to_string().into()
        }
        Ok(_) | Err(_) => Bytes::from(params.to_owned()),
    }
}

/// The headers that the batch was handed in with, as far as they mean something to an upstream.
fn headers(details: &str) -> HeaderMap {
    let details: Value = serde_json::from_str(details).unwrap_or(Value::Null);
    let mut headers = HeaderMap::new();
    for (field, name) in [("version", "anthropic-version"), ("beta", "anthropic-beta")] {
        let value = details[field]
            .as_str()
            .and_then(|text| HeaderValue::try_from(text).ok());
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers
}
