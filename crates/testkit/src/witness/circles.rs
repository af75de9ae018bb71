//! The guard against going round in circles, computed again from whole texts.

use quire_protocol::ToolOutcome;

use super::{Checked, ensure};

/// The last step, and how often in a row it was the same.
#[derive(Debug, Default)]
pub(super) struct Circles {
    last: String,
    count: u32,
    /// The count at which the model was warned; 0 for never.
    warned_at: u32,
}

impl Circles {
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// A step is over.
    pub(super) fn stepped<'a>(
        &mut self,
        calls: impl Iterator<Item = (&'a String, Option<&'a ToolOutcome>)>,
    ) {
        let step: Vec<String> = calls
            .map(|(call, outcome)| {
                let told = outcome.map(|outcome| (outcome.status, &outcome.content));
                format!("{call} {told:?}")
            })
            .collect();
        let step = step.join("\n");
        if step != self.last {
            self.reset();
            self.last = step;
        }
        self.count += 1;
    }

    pub(super) fn warned(&mut self) -> Checked {
        ensure!(
            self.count >= 2 && self.warned_at != self.count,
            "warned at {} of a circle",
            self.count
        );
        self.warned_at = self.count;
        Ok(())
    }

    /// Checks that another request may be made.
    pub(super) fn may_go_on(&self, limit: u32) -> Checked {
        let limit = limit.max(2);
        ensure!(self.count < limit, "the model goes round in circles");
        let half = limit.div_ceil(2).max(2);
        ensure!(
            self.count != half || self.warned_at == half,
            "the model is not warned of a circle"
        );
        Ok(())
    }
}
