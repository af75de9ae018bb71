//! Who is told of requests that ended, besides the account and the metrics: the log and the traces.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_depot::{KeyId, UsageRow, WorkspaceId};
use quire_net::Proxies;

use crate::charge::Till;
use crate::config::Config;
use crate::log::{Entry, Lines};
use crate::metrics::Metrics;
use crate::relay::Ask;
use crate::telemetry::{Trace, Traces};

/// The log and the traces.
pub(crate) struct Watch {
    pub(crate) lines: Lines,
    pub(crate) traces: Traces,
}

impl Watch {
    /// Nobody is told anything until a config says so.
    pub(crate) fn new(metrics: &Arc<Metrics>) -> Self {
        Self {
            lines: Lines::new(Box::new(std::io::stderr()), Arc::clone(metrics)),
            traces: Traces::new(Arc::clone(metrics)),
        }
    }

    /// Tells those whom a config names.
    pub(crate) fn set(&self, config: &Config, proxies: &Proxies) {
        self.lines.set(&config.log);
        self.traces.set(config.telemetry.as_ref(), proxies);
    }

    /// Waits, for a moment, until everything is told.
    pub(crate) async fn close(&self) {
        self.traces.close().await;
        self.lines.close().await;
    }
}

/// What is told of a request. Everything that works on it holds the same one; when the last has let go, its line is
/// written.
pub(crate) struct Story {
    till: Arc<Till>,
    request: String,
    /// The request for whose sake the platform made this one.
    beside: Option<String>,
    api: &'static str,
    model: String,
    key: KeyId,
    workspace: WorkspaceId,
    /// The trace that it is part of.
    pub(crate) trace: Option<Trace>,
    tries: Mutex<Tries>,
}

#[derive(Default)]
struct Tries {
    count: u32,
    /// How the last one ended.
    last: Option<UsageRow>,
    /// What kept the last failed one from being answered, as the connection tells it.
    failure: Option<String>,
    /// Fields that the upstream did not get.
    dropped: Vec<String>,
    /// The status of a refusal by this server.
    refused: Option<u16>,
}

impl Story {
    /// That of a client's request.
    pub(crate) fn begin(till: &Arc<Till>, ask: &Ask, model: &str) -> Arc<Self> {
        Self::new(till, ask, (ask.request_id.clone(), None), model)
    }

    /// That of a request which the platform makes for the sake of a client's.
    pub(crate) fn beside(till: &Arc<Till>, ask: &Ask, request: &str, model: &str) -> Arc<Self> {
        let beside = Some(ask.request_id.clone());
        Self::new(till, ask, (request.to_owned(), beside), model)
    }

    fn new(
        till: &Arc<Till>,
        ask: &Ask,
        (request, beside): (String, Option<String>),
        model: &str,
    ) -> Arc<Self> {
        Arc::new(Self {
            till: Arc::clone(till),
            request,
            beside,
            api: ask.api.name(),
            model: model.to_owned(),
            key: ask.caller.key.id.clone(),
            workspace: ask.caller.workspace.id.clone(),
            trace: till.watch.traces.of(&ask.headers),
            tries: Mutex::default(),
        })
    }

    /// It is sent to an upstream.
    pub(crate) fn tried(&self) {
        self.tries().count += 1;
    }

    /// A try has ended.
    pub(crate) fn ended(&self, row: UsageRow) {
        if self.till.watch.lines.are_on() {
            self.tries().last = Some(row);
        }
    }

    /// A try was not answered.
    pub(crate) fn failed(&self, how: String) {
        self.tries().failure = Some(how);
    }

    /// The upstream did not get these fields.
    pub(crate) fn dropped(&self, fields: &[String]) {
        fields.clone_into(&mut self.tries().dropped);
    }

    /// This server refused it after it had been admitted.
    pub(crate) fn refused(&self, status: u16) {
        let mut tries = self.tries();
        tries.refused = Some(status);
        if tries.count == 0 {
            self.till.metrics.refused(status);
        }
    }

    fn tries(&self) -> MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its line; none of one that nobody answered.
    fn entry(&self) -> Option<Entry> {
        let tries = std::mem::take(&mut *self.tries());
        let Some(row) = tries.last else {
            return Some(Entry::Refused {
                request: self.request.clone(),
                api: self.api,
                status: tries.refused?,
                model: Some(self.model.clone()),
                key: Some(self.key.clone()),
                workspace: Some(self.workspace.clone()),
            });
        };
        Some(Entry::Served {
            request: self.request.clone(),
            beside: self.beside.clone(),
            status: tries.refused.unwrap_or(row.status),
            row: Box::new(row),
            tries: tries.count,
            dropped: tries.dropped,
            failure: tries.failure,
        })
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let lines = &self.till.watch.lines;
        if lines.are_on()
            && let Some(entry) = self.entry()
        {
            lines.write(entry);
        }
    }
}
