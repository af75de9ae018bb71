//! The work on batches: items are served like any request, and their results written once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use bytes::Bytes;
use quire_depot::{ClaimedItem, ItemState};
use quire_dialect::Dialect;
use quire_translate::error_body;
use serde_json::{Map, Value};

use crate::app::App;
use crate::clock::{new_id, now_ms};
use crate::crew::{self, Crew, Trade};
use crate::relay::{self, Ask, NoAnswer, whole};
use crate::reply::Denial;

/// Most bytes of an answer.
const MOST: usize = 256 << 20;
/// How often an item is tried whose upstream is busy or broken, and the first wait between.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The work on batches.
pub(crate) struct Items;

impl Trade for Items {
    type Piece = ClaimedItem;
    const AT_ONCE: usize = 32;

    fn crew(app: &App) -> &Crew {
        app.bench()
    }

    async fn claim(app: &App, most: u32, until: i64) -> Vec<ClaimedItem> {
        let batches = app.depot().batches();
        let claimed = batches.claim(most, &app.bench().worker, now_ms(), until);
        claimed.await.unwrap_or_default()
    }

    async fn renew(app: &App, until: i64) {
        let _ = app
            .depot()
            .batches()
            .renew(&app.bench().worker, until)
            .await;
    }

    async fn let_go(app: &App, item: &ClaimedItem) -> Result<(), quire_depot::Error> {
        app.depot()
            .batches()
            .let_go(&app.bench().worker, item)
            .await
    }

    async fn release(app: &App) {
        let _ = app.depot().batches().release(&app.bench().worker).await;
    }

    async fn work(app: &Arc<App>, item: &ClaimedItem) -> bool {
        let (state, result) = serve(app, item).await;
        // One that cannot be written is claimed again, and served again: its first serving stays billed.
        let batches = app.depot().batches();
        let written = batches.finish(item, state, &result, now_ms()).await;
        written.is_ok()
    }

    async fn fail(app: &Arc<App>, item: &ClaimedItem) -> bool {
        let (_, body) = error_body(Dialect::Messages, &crew::fault(), &new_id("req_"));
        let body = String::from_utf8_lossy(&body);
        let batches = app.depot().batches();
        let written = batches.finish(item, ItemState::Errored, &body, now_ms());
        written.await.is_ok()
    }
}

/// Serves one item: how it ended, and its answer or error.
async fn serve(app: &Arc<App>, item: &ClaimedItem) -> (ItemState, String) {
    let mut wait = FIRST_WAIT;
    for tries in 1..=TRIES {
        let request_id = new_id("req_");
        match attempt(app, item, &request_id).await {
            Ok((Fate::Served, body)) => return (ItemState::Succeeded, body),
            // What another try cannot mend is the item's result, and so is what no try has mended.
            Ok((Fate::Final, body)) => return (ItemState::Errored, body),
            Ok((Fate::Passing, body)) if tries == TRIES => return (ItemState::Errored, body),
            Err(denial) => {
                let (status, body) = error_body(Dialect::Messages, &denial.refusal, &request_id);
                if tries == TRIES || !is_passing(status) {
                    return (
                        ItemState::Errored,
                        String::from_utf8_lossy(&body).into_owned(),
                    );
                }
            }
            Ok((Fate::Passing, _)) => {}
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    unreachable!("the last try returns")
}

/// What an answer means for its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is the item's answer.
    Served,
    /// An error that another try may mend.
    Passing,
    /// An error that none does.
    Final,
}

impl Fate {
    fn of(response: &Response<Body>) -> Self {
        let again = response.headers().get("x-should-retry");
        if response.status().is_success() {
            Self::Served
        } else if again.is_some_and(|again| again == "false")
            || !is_passing(response.status().as_u16())
        {
            Self::Final
        } else {
            Self::Passing
        }
    }
}

fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

async fn attempt(
    app: &Arc<App>,
    item: &ClaimedItem,
    request_id: &str,
) -> Result<(Fate, String), Denial> {
    let caller = app.keyring().caller_by_id(&item.key, now_ms())?;
    let ask = Ask {
        api: Dialect::Messages,
        caller,
        request_id: request_id.to_owned(),
        headers: headers(&item.details),
        body: whole_wanted(&item.params),
        started: Instant::now(),
        batch: true,
        path: None,
    };
    let mut response: Response<Body> = relay::relay(app, ask).await?;
    if let Some(NoAnswer(refusal)) = response.extensions_mut().remove() {
        return Err(refusal.into());
    }
    let fate = Fate::of(&response);
    let patience = Duration::from_hours(1);
    let body = whole::collect(response.into_body(), MOST, patience).await;
    let body = body.map_err(|_| {
        quire_translate::Refusal::new(
            quire_translate::Reason::Upstream,
            "The answer broke off in its middle.",
        )
    })?;
    Ok((fate, String::from_utf8_lossy(&body).into_owned()))
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
