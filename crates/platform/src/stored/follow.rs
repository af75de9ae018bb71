//! The events of a response in the background, from any place on: those that are kept, then those that come.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use quire_depot::{ResponseId, WorkspaceId};
use quire_translate::KEEP_ALIVE;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{WAITING, telling};
use crate::app::App;
use crate::relay;

/// Events that are read at once.
const PAGE: u32 = 256;
/// How long at most until the store is asked again: the response may be another server's work.
const AGAIN: Duration = Duration::from_millis(500);
/// Rounds of nothing after which the connection is told to live.
const ALIVE: u32 = 30;

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

/// A stream of a response's events behind a sequence number.
pub(super) fn follow(
    app: &Arc<App>,
    workspace: WorkspaceId,
    id: ResponseId,
    after: Option<u64>,
) -> Response<Body> {
    let (pieces, taken) = mpsc::channel(WAITING);
    tokio::spawn(tell(Arc::clone(app), workspace, id, after, pieces));
    let mut response = Response::new(relay::piecewise(taken));
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    response
}

async fn tell(
    app: Arc<App>,
    workspace: WorkspaceId,
    id: ResponseId,
    mut after: Option<u64>,
    pieces: mpsc::Sender<Bytes>,
) {
    let responses = app.depot().responses();
    let mut changes = app.desk().changes(&id);
    let mut quiet = 0;
    loop {
        // What is noted as over has all its events by now.
        let found = responses.get(&workspace, &id).await;
        let is_over = match found {
            Ok(Some(found)) => !found.status.is_open(),
            Ok(None) => true,
            // The store may come back.
            Err(_) => false,
        };
        let events = responses.events(&workspace, &id, after, PAGE).await;
        let events = events.unwrap_or_default();
        for (sequence, event) in &events {
            after = Some(*sequence);
            let Ok(Kind { kind }) = serde_json::from_str(event) else {
                continue;
            };
            if pieces
                .send(telling::frame(&kind, event.as_bytes()))
                .await
                .is_err()
            {
                return;
            }
        }
        if !events.is_empty() {
            quiet = 0;
            continue;
        }
        if is_over {
            return;
        }
        quiet += 1;
        if quiet % ALIVE == 0 && pieces.send(Bytes::from_static(KEEP_ALIVE)).await.is_err() {
            return;
        }
        tokio::select! {
            () = pieces.closed() => return,
            () = changes.next() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}
