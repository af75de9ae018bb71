//! Watching a session: what the journal holds, then what happens live, with nothing missing.

use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::stream;
use quire_protocol::{Frame, Record, Seq, SessionId, Store};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::journal::decode_entry;

/// Records read from the store at a time.
const PAGE: usize = 64;

/// A watcher. Live frames come over a bounded channel; whoever falls behind loses fragments, and
/// reads the records it missed from the store.
struct Watch {
    store: Arc<dyn Store>,
    session: SessionId,
    /// The last record that was yielded.
    seen: Seq,
    /// Records read from the store and not yet yielded, newest first.
    page: Vec<Record>,
    /// Whether the store may hold records after `page` that the channel will not bring.
    behind: bool,
    live: Option<broadcast::Receiver<Frame>>,
}

/// Everything recorded after `after`, then everything live. `live` must have been subscribed
/// before this is called; without it the stream ends with the journal.
pub(crate) fn watch(
    store: Arc<dyn Store>,
    session: SessionId,
    after: Seq,
    live: Option<broadcast::Receiver<Frame>>,
) -> BoxStream<'static, Frame> {
    let watch = Watch {
        store,
        session,
        seen: after,
        page: Vec::new(),
        behind: true,
        live,
    };
    Box::pin(stream::unfold(watch, |mut watch| async {
        let frame = watch.next().await?;
        Some((frame, watch))
    }))
}

impl Watch {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(record) = self.page.pop() {
                self.seen = record.seq;
                return Some(Frame::Record(record));
            }
            if self.behind {
                self.read_page().await?;
                continue;
            }
            match self.live.as_mut()?.recv().await {
                Ok(Frame::Record(record)) if record.seq <= self.seen => {}
                Ok(Frame::Record(record)) if record.seq > self.seen.next() => self.behind = true,
                Ok(Frame::Record(record)) => {
                    self.seen = record.seq;
                    return Some(Frame::Record(record));
                }
                Ok(delta) => return Some(delta),
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => {
                    // What was recorded just before the end may have been lagged over.
                    self.live = None;
                    self.behind = true;
                }
            }
        }
    }

    /// Reads the next page; `None` when the store fails or the next entry cannot be read, which ends
    /// the watch: what is good before that was yielded by then.
    async fn read_page(&mut self) -> Option<()> {
        let entries = self.store.read(&self.session, self.seen, PAGE).await.ok()?;
        let good = entries.iter().map_while(|entry| decode_entry(entry).ok());
        self.page = good.collect();
        self.page.reverse();
        if self.page.is_empty() && !entries.is_empty() {
            return None;
        }
        self.behind = entries.len() == PAGE || self.page.len() < entries.len();
        Some(())
    }
}
