//! What is charged for an answer that is passed on as it is: read beside the stream at the least cost. Words are
//! counted as bytes and not parsed; the few events that hold usage, the model or an error are.

mod frames;
mod read;
mod scan;

use quire_dialect::Dialect;

use crate::answer::meter::frames::Frames;
use crate::answer::meter::read::Seen;
use crate::answer::{Stop, Tally};
use crate::refusal::Refusal;

/// Bytes of text that one token is about.
const BYTES_PER_TOKEN: u64 = 4;

/// Watches the bytes of an answer go by.
#[derive(Debug)]
pub struct Meter {
    frames: Frames,
    seen: Seen,
    /// The stream is no stream of events, or holds an endless one.
    is_lost: bool,
}

impl Meter {
    /// A meter at the start of a stream.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            frames: Frames::new(),
            seen: Seen::new(dialect),
            is_lost: false,
        }
    }

    /// What a body that came whole says.
    #[must_use]
    pub fn whole(dialect: Dialect, body: &[u8]) -> Self {
        let mut meter = Self::new(dialect);
        meter.seen.whole(body);
        meter
    }

    /// Takes more bytes, in any chunking.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_lost {
            return;
        }
        let seen = &mut self.seen;
        let taken = self.frames.push(bytes, &mut |frame| seen.frame(frame));
        self.is_lost = taken.is_err();
    }

    /// The stream has ended, perhaps without the marks of its end.
    pub fn finish(&mut self) {
        let seen = &mut self.seen;
        let taken = self.frames.finish(&mut |frame| seen.frame(frame));
        self.is_lost |= taken.is_err();
        self.seen.ended |= self.seen.stop.is_some();
    }

    /// The usage reported so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.seen.tally
    }

    /// The upstream's id of the answer.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.seen.id.as_deref()
    }

    /// The model that answers, as the upstream names it.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.seen.model.as_deref()
    }

    /// Why it stopped, once it has.
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        self.seen.stop.as_ref()
    }

    /// What the upstream reported as an error.
    #[must_use]
    pub fn failure(&self) -> Option<&Refusal> {
        self.seen.failure.as_ref()
    }

    /// Whether the answer is all there, or has failed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.seen.ended
    }

    /// About how many tokens were produced so far: what is reported, or what the words seen come to, whichever is more.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        let seen = self.seen.bytes.div_ceil(BYTES_PER_TOKEN);
        self.seen.tally.usage.output.max(seen)
    }

    /// The sequence number that the next event of a Responses stream has.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.seen.events
    }
}

#[cfg(test)]
mod tests;
