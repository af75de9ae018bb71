//! The guard against going round in circles, computed again from whole texts: all steps are kept, and
//! the end of them is compared block by block.

use quire_protocol::ToolOutcome;

use super::{Checked, ensure};

/// The steps since somebody spoke, and the last warning.
#[derive(Debug, Default)]
pub(super) struct Circles {
    steps: Vec<String>,
    /// The count at which the model was warned; 0 for never.
    warned_at: u32,
}

impl Circles {
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// How often in a row the last step, or the last two or three in turn, were the same.
    pub(super) fn count(&self) -> u32 {
        let counts = (1..=3).map(|length| self.repeats(length));
        counts.max().unwrap_or(0)
    }

    /// How many blocks of so many steps at the end are all like the last one.
    fn repeats(&self, length: usize) -> u32 {
        let mut blocks = self.steps.rchunks_exact(length);
        let Some(last) = blocks.next() else {
            return 0;
        };
        let alike = blocks.take_while(|block| *block == last).count();
        u32::try_from(alike).unwrap_or(u32::MAX) + 1
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
        self.steps.push(step.join("\n"));
        if self.count() < self.warned_at {
            self.warned_at = 0;
        }
    }

    pub(super) fn warned(&mut self) -> Checked {
        let count = self.count();
        ensure!(
            count >= 2 && self.warned_at != count,
            "warned at {count} of a circle"
        );
        self.warned_at = count;
        Ok(())
    }

    /// Checks that a request may be made that follows no step.
    pub(super) fn is_within(&self, limit: u32) -> Checked {
        ensure!(
            self.count() < limit.max(2),
            "the model goes round in circles"
        );
        Ok(())
    }

    /// Checks that another request may be made after a step.
    pub(super) fn may_go_on(&self, limit: u32) -> Checked {
        self.is_within(limit)?;
        let (limit, count) = (limit.max(2), self.count());
        let half = limit.div_ceil(2).max(2);
        ensure!(
            count != half || self.warned_at == half,
            "the model is not warned of a circle"
        );
        Ok(())
    }
}
