//! Since when changes count for a goal, and the command that looks for them. It runs in the sandbox, for a
//! repository may be hostile.

use std::time::Duration;

use quire_protocol::{Event, Goal, GoalStep, ToolContext, ToolSet, joined_text};

/// Shows the changes; what stands for a goal is filled in.
const LOOK: &str = include_str!("changes.sh");
/// Names the commit that is checked out, or the empty tree before the first.
const START: &str = "git rev-parse -q --verify 'HEAD^{commit}' 2>/dev/null ||
{ git rev-parse --git-dir >/dev/null 2>&1 && git hash-object -t tree /dev/null; }";
/// How long that may take: whoever sets a goal waits for it.
const START_WAIT: Duration = Duration::from_secs(10);

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

/// The goal with the commit that is checked out now, unless there is none or git does not answer.
pub(crate) async fn started(goal: Goal, tools: &dyn ToolSet, context: ToolContext) -> Goal {
    // Dropping it stops it.
    let asked = tokio::time::timeout(START_WAIT, tools.check(START, context)).await;
    let answer = asked.map_or_else(|_| String::new(), |ran| joined_text(&ran.content));
    let start = Some(answer.trim().to_owned()).filter(|name| is_object_name(name));
    Goal { start, ..goal }
}

/// Whether a text is what git calls its objects, and no other word of a command.
fn is_object_name(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
