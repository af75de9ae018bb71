//! Follows a process to its end: takes in its output, shows it live, and kills it when its time is
//! up or someone stops it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quire_protocol::{CallId, Delta, Process, ProcessEnd, ProcessEvent};
use tokio::time::Instant;

use crate::calls::{Stop, lock};
use crate::clean::clean;
use crate::spool::Spool;

/// Live output comes at most this often.
const PAUSE: Duration = Duration::from_millis(100);
/// Live output that is waiting, in bytes; what comes on top pushes out what came first.
const MOST_WAITING: usize = 8 * 1024;

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself.
    Own(ProcessEnd),
    /// Its time was up.
    TimedOut,
    /// Someone stopped it.
    Stopped,
}

/// Live output of a call.
pub(crate) struct Live {
    call: CallId,
    progress: Option<Arc<dyn Fn(Delta) + Send + Sync>>,
    waiting: Vec<u8>,
    next: Instant,
}

impl Live {
    pub(crate) fn to(call: CallId, progress: Arc<dyn Fn(Delta) + Send + Sync>) -> Self {
        Self {
            progress: Some(progress),
            ..Self::none(call)
        }
    }

    pub(crate) fn none(call: CallId) -> Self {
        Self {
            call,
            progress: None,
            waiting: Vec::new(),
            next: Instant::now(),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.progress.is_some() {
            self.waiting.extend_from_slice(bytes);
            if self.waiting.len() > 2 * MOST_WAITING {
                self.waiting.drain(..self.waiting.len() - MOST_WAITING);
            }
        }
    }

    fn show(&mut self) {
        let Some(progress) = &self.progress else {
            return;
        };
        let whole = whole_characters(&self.waiting);
        let skipped = whole.saturating_sub(MOST_WAITING);
        let text = clean(&self.waiting[skipped..whole]).text;
        self.waiting.drain(..whole);
        self.next = Instant::now() + PAUSE;
        if !text.is_empty() {
            progress(Delta::ToolOutput {
                call: self.call,
                text,
            });
        }
    }
}

/// How many bytes there are before a character whose end is still to come.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => bytes.len(),
    }
}

/// Follows a process until its whole tree is dead.
pub(crate) async fn drive(
    process: &dyn Process,
    spool: &Mutex<Spool>,
    mut live: Live,
    deadline: Option<Instant>,
    stop: &Stop,
) -> Ending {
    let mut stopped = std::pin::pin!(stop.stopped());
    let never = Instant::now() + Duration::from_hours(24 * 365);
    let mut time_up = std::pin::pin!(tokio::time::sleep_until(deadline.unwrap_or(never)));
    let mut event = process.next();
    let cut_short = loop {
        tokio::select! {
            biased;
            () = &mut stopped => break Ending::Stopped,
            () = &mut time_up => break Ending::TimedOut,
            event_now = &mut event => match event_now {
                ProcessEvent::Output(bytes) | ProcessEvent::Errors(bytes) => {
                    lock(spool).push(&bytes);
                    live.push(&bytes);
                    if Instant::now() >= live.next {
                        live.show();
                    }
                    event = process.next();
                }
                ProcessEvent::Ended(end) => {
                    live.show();
                    return Ending::Own(end);
                }
            },
            () = tokio::time::sleep_until(live.next), if !live.waiting.is_empty() => live.show(),
        }
    };
    let rest = async {
        while let ProcessEvent::Output(bytes) | ProcessEvent::Errors(bytes) = event.await {
            lock(spool).push(&bytes);
            event = process.next();
        }
    };
    tokio::join!(process.kill(), rest);
    live.show();
    cut_short
}
