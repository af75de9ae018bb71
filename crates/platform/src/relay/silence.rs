//! How long a stream has been silent.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// What watches a stream that may not be silent for long. The clock is only wound up anew when it rings.
pub(super) struct Silence {
    most: Duration,
    last: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Silence {
    /// From now on, for at most so long.
    pub(super) fn new(most: Duration) -> Self {
        Self {
            most,
            last: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(most)),
        }
    }

    /// Something was said.
    pub(super) fn broken(&mut self) {
        self.last = Instant::now();
    }

    /// Whether it lasted too long. If not, the task is woken once it may have.
    pub(super) fn is_long(&mut self, context: &mut Context<'_>) -> bool {
        while self.alarm.as_mut().poll(context).is_ready() {
            let until = self.last + self.most;
            if until <= Instant::now() {
                return true;
            }
            self.alarm.as_mut().reset(until);
        }
        false
    }
}
