//! Since when changes count for a goal, and the command that looks for them. It runs in the sandbox, for a
//! repository may be hostile.

use quire_protocol::{Event, GoalStep};

/// Shows the changes; what stands for a goal is filled in.
const LOOK: &str = include_str!("changes.sh");
/// Since when changes count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Since {
    /// In milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    /// The commit that was checked out then, if that is known.
    pub(crate) commit: Option<String>,
}

impl Since {
    /// Takes notice of a goal that is set.
    pub(crate) fn follow(&mut self, event: &Event, at_ms: u64) {
        if let Event::Goal(GoalStep::Set { goal }) = event {
            *self = Self {
                at_ms,
                commit: goal.start.clone().filter(|name| is_object_name(name)),
            };
        }
    }

    /// The command that shows what changed.
    pub(crate) fn command(&self) -> String {
        let seconds = (self.at_ms / 1_000).to_string();
        LOOK.replace("@SECONDS@", &seconds)
            .replace("@START@", self.commit.as_deref().unwrap_or_default())
    }
}

/// Whether a text is what git calls its objects, and no other word of a command.
fn is_object_name(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
