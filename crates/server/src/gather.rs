//! Fragments of an answer on their way to a face: those of a moment go together, so that an answer that
//! comes in thousands of pieces costs what a screen can show of them.

use std::time::Duration;

use quire_protocol::Delta;
use tokio::time::Instant;

/// From one fragment to the next, and so the longest that one waits for more of its kind: a frame of
/// the screen while nobody types.
const MOMENT: Duration = Duration::from_millis(33);

/// A fragment that waits.
#[derive(Default)]
pub(crate) struct Gathered {
    waiting: Option<(Delta, Instant)>,
    /// When the last one went.
    went: Option<Instant>,
}

impl Gathered {
    /// When what waits is to go.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|(_, due)| *due)
    }

    /// What waits goes now.
    pub(crate) fn take(&mut self) -> Option<Delta> {
        let (delta, _) = self.waiting.take()?;
        self.went = Some(Instant::now());
        Some(delta)
    }

    /// Adds a fragment; gives what goes now. That is the fragment itself where none went for a moment,
    /// and what waits where it is of another kind.
    pub(crate) fn add(&mut self, delta: Delta) -> Option<Delta> {
        let now = Instant::now();
        let delta = match &mut self.waiting {
            Some((waiting, _)) => join(waiting, delta)?,
            None => delta,
        };
        let before = self.take();
        match self.went.map(|went| went + MOMENT) {
            Some(due) if due > now => self.waiting = Some((delta, due)),
            Some(_) | None => {
                self.went = Some(now);
                return Some(delta);
            }
        }
        before
    }
}

/// Adds a fragment to one of its kind; gives it back where that is another.
fn join(to: &mut Delta, delta: Delta) -> Option<Delta> {
    match (to, delta) {
        (Delta::Text { text }, Delta::Text { text: more })
        | (Delta::Thinking { text }, Delta::Thinking { text: more }) => text.push_str(&more),
        (
            Delta::ToolOutput { call, text },
            Delta::ToolOutput {
                call: of,
                text: more,
            },
        ) if *call == of => {
            text.push_str(&more);
        }
        (
            Delta::CallWriting { name, bytes },
            Delta::CallWriting {
                name: of,
                bytes: now,
            },
        ) if *name == of => {
            *bytes = now;
        }
        (_, delta) => return Some(delta),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Delta {
        Delta::Text {
            text: text.to_owned(),
        }
    }

    fn thinking(text: &str) -> Delta {
        Delta::Thinking {
            text: text.to_owned(),
        }
    }

    #[test]
    fn fragments_of_a_kind_go_together_and_in_order() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.due(), None);
        assert_eq!(
            gathered.add(text("0")),
            Some(text("0")),
            "the first at once"
        );
        assert_eq!(gathered.add(thinking("a")), None);
        let due = gathered.due();
        assert_eq!(gathered.add(thinking("b")), None);
        assert_eq!(gathered.due(), due, "none waits longer for the next one");
        assert_eq!(gathered.add(text("c")), Some(thinking("ab")));
        assert_eq!(gathered.add(text("d")), None);
        assert_eq!(gathered.take(), Some(text("cd")));
        assert_eq!((gathered.due(), gathered.take()), (None, None));
    }
}
