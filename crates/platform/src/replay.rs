//! Requests as they came, kept for debugging: in memory, up to so many bytes, where the config asks for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use bytes::Bytes;
use quire_depot::{KeyId, WorkspaceId};
use quire_dialect::Dialect;

use crate::charge::Order;
use crate::config::Log;
use crate::relay::Ask;

/// What a request takes besides its body, about, in bytes.
const BESIDES: u64 = 1_024;

/// The newest requests.
#[derive(Default)]
pub(crate) struct Replays {
    requests: Mutex<VecDeque<Replay>>,
    /// What they take.
    bytes: AtomicU64,
}

/// A request as it came, without its key.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    pub(crate) id: String,
    pub(crate) at: i64,
    pub(crate) api: Dialect,
    pub(crate) key: KeyId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) model: String,
    /// Those that an upstream of the same API gets.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Another path of its API than that for answers.
    pub(crate) path: Option<&'static str>,
}

impl Replays {
    /// Keeps a request, if bodies are kept; the oldest ones make room for it.
    pub(crate) fn keep(&self, log: &Log, ask: &Ask, order: &Order) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        if log.bodies_bytes.is_none() && bytes == 0 {
            return;
        }
        let most = log.bodies_bytes.unwrap_or(0);
        let mut kept = self.kept();
        let size = ask.body.len() as u64 + BESIDES;
        if size <= most {
            self.bytes.fetch_add(size, Ordering::Relaxed);
            kept.push_back(Replay {
                id: ask.request_id.clone(),
                at: order.at,
                api: ask.api,
                key: ask.caller.key.id.clone(),
                workspace: ask.caller.workspace.id.clone(),
                model: order.model_asked.clone(),
                headers: crate::upstream::passed(&ask.headers),
                body: ask.body.clone(),
                path: ask.path,
            });
        }
        while self.bytes.load(Ordering::Relaxed) > most {
            let Some(oldest) = kept.pop_front() else {
                break;
            };
            let size = oldest.body.len() as u64 + BESIDES;
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
    }

    /// The newest ones, at most so many, the newest first.
    pub(crate) fn newest(&self, most: usize) -> Vec<Replay> {
        self.kept().iter().rev().take(most).cloned().collect()
    }

    /// One of them.
    pub(crate) fn one(&self, id: &str) -> Option<Replay> {
        let kept = self.kept();
        kept.iter().find(|replay| replay.id == id).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Replay>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
