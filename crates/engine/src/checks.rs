//! What the evaluator of a goal is shown besides the session: the goal's checks, run just now, and the
//! changes in the workspace.

use std::sync::Arc;

use quire_protocol::{CallId, CheckRun, Content, ToolContext, ToolOutcome, ToolSet};
use tokio::sync::oneshot;

/// How much of a check's output is kept, in bytes: its end.
const OUTPUT_KEPT: usize = 4_000;
/// How much of the changes is shown, in bytes: their beginning.
const CHANGES_SHOWN: usize = 24_000;
/// Shows what changed since the last commit, new files too; nothing where there is no repository.
const CHANGES: &str = "git --no-optional-locks diff --no-ext-diff --no-textconv --stat HEAD 2>/dev/null && \
                       git --no-optional-locks diff --no-ext-diff --no-textconv HEAD 2>/dev/null; \
                       git ls-files --others --exclude-standard 2>/dev/null | sed 's/^/new file: /'";
/// The number under which checks run; no call of a model has it.
const CHECK: CallId = CallId(0);

/// Checks to be run.
pub(crate) struct Checking {
    pub(crate) tools: Arc<dyn ToolSet>,
    pub(crate) context: ToolContext,
    pub(crate) commands: Vec<String>,
}

/// What came of them.
pub(crate) struct Checked {
    pub(crate) checks: Vec<CheckRun>,
    pub(crate) changes: String,
}

impl Checking {
    /// Runs them, one after the other; none when it is cancelled, once nothing runs any more.
    pub(crate) async fn run(self, cancelled: &mut oneshot::Receiver<()>) -> Option<Checked> {
        let mut checks = Vec::with_capacity(self.commands.len());
        for command in &self.commands {
            let outcome = self.one(command, cancelled).await?;
            let output = words(&outcome);
            let from = output.ceil_char_boundary(output.len().saturating_sub(OUTPUT_KEPT));
            checks.push(CheckRun {
                command: command.clone(),
                end: outcome.end,
                output: output[from..].to_owned(),
            });
        }
        let looked = self.one(CHANGES, cancelled).await?;
        let mut changes = match looked.lines {
            Some(0) => String::new(),
            _ => words(&looked),
        };
        changes.truncate(changes.floor_char_boundary(CHANGES_SHOWN));
        Some(Checked { checks, changes })
    }

    async fn one(
        &self,
        command: &str,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Option<ToolOutcome> {
        let mut running = self.tools.check(command, self.context.clone());
        tokio::select! {
            biased;
            _ = cancelled => {
                self.tools.cancel(CHECK).await;
                running.await;
                None
            }
            outcome = &mut running => Some(outcome),
        }
    }
}

fn words(outcome: &ToolOutcome) -> String {
    let texts = outcome.content.iter().filter_map(Content::as_text);
    texts.collect::<Vec<_>>().join("\n")
}
