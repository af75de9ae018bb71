//! A session that is at hand: what is known of it, and what those who watch it are told.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use quire_protocol::{Activity, CallId, Client, Event, Frame, JobId, Seq};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How long the end of a session may take to be told to those who watch it.
const TELLING: Duration = Duration::from_secs(1);
/// Why a session ends that neither was removed nor died.
pub(crate) const UNREADABLE: &str = "its journal cannot be read any further: `quire sessions show` shows what is \
                          there, and `quire doctor` looks at the disk";

/// A session that is at hand.
pub(crate) struct Hosted {
    pub(crate) client: Arc<dyn Client>,
    pub(crate) activity: Activity,
    pub(crate) model: String,
    pub(crate) running: BTreeSet<CallId>,
    pub(crate) jobs: BTreeSet<JobId>,
    pub(crate) faces: HashSet<u64>,
    /// The last place in its journal that this is known from.
    pub(crate) seen: watch::Sender<Seq>,
    /// The last place when it was opened: what is up to here happened under another host.
    pub(crate) found: Seq,
    /// Told when faces come and go.
    pub(crate) changed: Arc<Notify>,
    /// Why it is here no more, for those who watch it.
    pub(crate) end: watch::Sender<Option<String>>,
}

/// A session that is watched.
pub(crate) struct Watched {
    pub(crate) frames: BoxStream<'static, Frame>,
    pub(crate) end: watch::Receiver<Option<String>>,
}

impl Watched {
    /// Why there are no more frames, for a person.
    pub(crate) async fn why_ended(mut self) -> String {
        // Whoever ended it says so at once; otherwise it goes on, and only this watch is over.
        let told = timeout(TELLING, self.end.wait_for(Option::is_some)).await;
        let told = told.is_ok_and(|told| told.is_ok());
        let end = self.end.borrow().clone().filter(|_| told);
        end.unwrap_or_else(|| UNREADABLE.to_owned())
    }
}

impl Hosted {
    pub(crate) fn is_resting(&self) -> bool {
        !self.activity.is_at_work() && self.jobs.is_empty() && self.running.is_empty()
    }

    pub(crate) fn follow(&mut self, event: &Event) {
        self.activity.follow(event);
        match event {
            Event::Configured { settings } => self.model.clone_from(&settings.model),
            Event::ToolStarted { call } => {
                self.running.insert(*call);
            }
            Event::ToolEnded { call, .. } => {
                self.running.remove(call);
            }
            Event::JobStarted { job, .. } => {
                self.jobs.insert(*job);
            }
            Event::JobEnded { end } => {
                self.jobs.remove(&end.job);
            }
            Event::Recovered { .. } => {
                self.running.clear();
                self.jobs.clear();
            }
            _ => {}
        }
    }
}
