//! How long a session has worked: the time with a turn open, waiting for a person not counted. Told
//! by a clock that never jumps.

use std::time::{Duration, Instant};

use quire_kernel::Session;

/// The work of one session in this process.
#[derive(Debug)]
pub(crate) struct Worked {
    /// What was recorded before, in milliseconds.
    before: u64,
    /// Until the last change.
    total: Duration,
    /// Since when it works now.
    since: Option<Instant>,
}

impl Worked {
    pub(crate) fn new(session: &Session) -> Self {
        Self {
            before: session.worked_ms(),
            total: Duration::ZERO,
            since: None,
        }
    }

    /// Takes notice of what the session became.
    pub(crate) fn follow(&mut self, session: &Session) {
        let works =
            session.turn().is_some() && !session.is_dormant() && !session.waits_for_person();
        match (self.since, works) {
            (None, true) => self.since = Some(Instant::now()),
            (Some(since), false) => {
                self.total += since.elapsed();
                self.since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// All of it, with what earlier processes recorded.
    pub(crate) fn milliseconds(&self) -> u64 {
        let now = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        let here = u64::try_from((self.total + now).as_millis()).unwrap_or(u64::MAX);
        self.before.saturating_add(here)
    }
}
