//! Requests as they came, kept for debugging where the config asks for it. They wait in memory for the next round of
//! housekeeping, which puts them into the depot: no request waits for that.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use quire_depot::{Error, KeptHead, KeptRequest, KeyId, Room};
use quire_dialect::Dialect;

use crate::charge::Order;
use crate::config::Log;
use crate::relay::Ask;
use crate::stored::COMPACT_PATH;

/// Bytes that wait at most; beyond them the oldest are let go, as when the depot is out of reach.
const WAITING_BYTES: u64 = 64 << 20;
/// Bytes that are written in one transaction, about.
const AT_ONCE_BYTES: u64 = 8 << 20;

/// The requests that wait.
#[derive(Default)]
pub(crate) struct Replays {
    waiting: Mutex<Waiting>,
    /// Whether there are any.
    any: AtomicBool,
    /// One at a time, so that nothing is looked for while it is between here and there.
    settling: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Came>,
    bytes: u64,
}

/// A request as it came.
struct Came {
    head: KeptHead,
    path: Option<&'static str>,
    headers: HeaderMap,
    body: Bytes,
}

/// A request to be made again.
pub(crate) struct Replay {
    pub(crate) head: KeptHead,
    pub(crate) api: Dialect,
    pub(crate) key: KeyId,
    /// Those that an upstream of the same API gets.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Another path of its API than that for answers.
    pub(crate) path: Option<&'static str>,
}

impl Replays {
    /// Keeps a request, if bodies are kept and there is room for it.
    pub(crate) fn keep(&self, log: &Log, ask: &Ask, order: &Order) {
        let Some(most) = log.bodies_bytes else {
            return;
        };
        let size = ask.body.len() as u64;
        if size > most {
            return;
        }
        let mut waiting = self.waiting();
        waiting.bytes += size;
        waiting.requests.push_back(Came {
            head: KeptHead {
                id: ask.request_id.as_str().into(),
                created_at: order.at,
                workspace: ask.caller.workspace.id.clone(),
                key: ask.caller.key.id.clone(),
                api: ask.api.name().to_owned(),
                model: crate::log::short(&order.model_asked).to_owned(),
                body_bytes: size,
            },
            path: ask.path,
            headers: crate::upstream::passed(&ask.headers),
            body: ask.body.clone(),
        });
        waiting.bound(most.min(WAITING_BYTES), log.bodies_count);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether any request waits to be kept.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Puts what waits into the depot, and lets go there what a config has no room for: everything, where nothing is
    /// to be kept. What cannot be put there waits on.
    pub(crate) async fn settle(
        &self,
        depot: &quire_depot::Replay,
        log: &Log,
        now: i64,
    ) -> Result<(), Error> {
        let _alone = self.settling.lock().await;
        self.any.store(false, Ordering::Relaxed);
        let Some(bytes) = log.bodies_bytes else {
            *self.waiting() = Waiting::default();
            return depot.trim(Room::NONE).await.map(drop);
        };
        loop {
            let some = self.waiting().take(AT_ONCE_BYTES);
            if some.is_empty() {
                break;
            }
            let rows: Vec<_> = some.iter().map(Came::row).collect();
            if let Err(error) = depot.add(&rows).await {
                self.waiting().put_back(some);
                self.any.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        let age = i64::try_from(log.bodies_age_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let room = Room {
            bytes,
            count: log.bodies_count,
            since: now.saturating_sub(age),
        };
        depot.trim(room).await.map(drop)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Lets the oldest go until the rest has room.
    fn bound(&mut self, most_bytes: u64, most: u64) {
        while self.bytes > most_bytes || self.requests.len() as u64 > most {
            let Some(oldest) = self.requests.pop_front() else {
                return;
            };
            self.bytes -= oldest.body.len() as u64;
        }
    }

    /// Takes the oldest, up to so many bytes, and one in any case.
    fn take(&mut self, most_bytes: u64) -> Vec<Came> {
        let (mut some, mut bytes) = (Vec::new(), 0);
        while bytes < most_bytes
            && let Some(oldest) = self.requests.pop_front()
        {
            bytes += oldest.body.len() as u64;
            some.push(oldest);
        }
        self.bytes -= bytes;
        some
    }

    fn put_back(&mut self, some: Vec<Came>) {
        for request in some.into_iter().rev() {
            self.bytes += request.body.len() as u64;
            self.requests.push_front(request);
        }
    }
}

impl Came {
    fn row(&self) -> KeptRequest {
        let headers = self.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        let headers: Vec<(String, String)> = headers.collect();
        KeptRequest {
            head: self.head.clone(),
            path: self.path.map(str::to_owned),
            headers: serde_json::json!(headers).to_string(),
            body: self.body.to_vec(),
        }
    }
}

impl Replay {
    /// A request as the depot has it.
    pub(crate) fn read(kept: KeptRequest) -> Result<Self, Error> {
        let damaged = |what: &str| Error::Damaged(format!("a kept request has no {what}"));
        let api = Dialect::ALL
            .into_iter()
            .find(|api| api.name() == kept.head.api);
        let path = match kept.path.as_deref() {
            None => None,
            Some(COMPACT_PATH) => Some(COMPACT_PATH),
            Some(_) => return Err(damaged("path that this server knows")),
        };
        let given: Vec<(String, String)> =
            serde_json::from_str(&kept.headers).map_err(|_| damaged("headers"))?;
        let mut headers = HeaderMap::with_capacity(given.len());
        for (name, value) in given {
            let name = HeaderName::try_from(name).map_err(|_| damaged("headers"))?;
            let value = HeaderValue::try_from(value).map_err(|_| damaged("headers"))?;
            headers.append(name, value);
        }
        Ok(Self {
            api: api.ok_or_else(|| damaged("API that this server knows"))?,
            key: kept.head.key.clone(),
            head: kept.head,
            headers,
            body: kept.body.into(),
            path,
        })
    }
}
