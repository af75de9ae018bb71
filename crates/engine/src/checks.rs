//! What the evaluator of a goal is shown besides the session: the goal's checks, run just now, and the
//! changes in the workspace.

use std::sync::Arc;
use std::time::Duration;

use quire_protocol::{
    CallId, CheckRun, CommandEnd, RequestId, ToolContext, ToolOutcome, ToolSet, joined_text,
};
use tokio::sync::oneshot;

use crate::changes::Since;

/// How much of a check's output is kept, in bytes: its end.
const OUTPUT_KEPT: usize = 4_000;
/// How much of the changes is shown, in bytes: their beginning. What looks for them shows less.
const CHANGES_SHOWN: usize = 24_000;
/// How long a look at the changes may take. It takes long where there are very many files, or where one of
/// them answers nobody.
const LOOK: Duration = Duration::from_mins(1);
/// The number under which checks run; no call of a model has it.
const CHECK: CallId = CallId(0);

/// Checks to be run.
pub(crate) struct Checking {
    pub(crate) tools: Arc<dyn ToolSet>,
    pub(crate) context: ToolContext,
    pub(crate) commands: Vec<String>,
    /// The request for the judgement.
    pub(crate) request: RequestId,
    /// Since when changes count.
    pub(crate) since: Since,
}

/// What came of them.
pub(crate) struct Checked {
    pub(crate) checks: Vec<CheckRun>,
    pub(crate) changes: String,
    /// The same, after the checks ran.
    pub(crate) left: String,
}

impl Checking {
    /// Runs them, one after the other; none when it is cancelled, once nothing runs any more.
    pub(crate) async fn run(self, cancelled: &mut oneshot::Receiver<()>) -> Option<Checked> {
        let changes = self.changes(cancelled).await?;
        let mut checks = Vec::with_capacity(self.commands.len());
        for command in &self.commands {
            let outcome = self.one(command, cancelled).await?;
            let output = joined_text(&outcome.content);
            let from = output.ceil_char_boundary(output.len().saturating_sub(OUTPUT_KEPT));
            checks.push(CheckRun {
                command: command.clone(),
                end: outcome.end,
                output: output[from..].to_owned(),
            });
        }
        let left = match checks.as_slice() {
            [] => changes.clone(),
            _ => self.changes(cancelled).await?,
        };
        Some(Checked {
            checks,
            changes,
            left,
        })
    }

    /// What changed, as the evaluator is shown it. A look that did not come to its end says so, and for
    /// which request: another one that did not is not the same, for nothing shows that nothing changed.
    async fn changes(&self, cancelled: &mut oneshot::Receiver<()>) -> Option<String> {
        let command = self.since.command();
        let (ran, why) = match self.within(LOOK, &command, cancelled).await? {
            Ran::ToItsEnd(ran) => (ran, "it failed".to_owned()),
            Ran::TooLong(ran) => (ran, format!("it took longer than {} s", LOOK.as_secs())),
        };
        let mut changes = joined_text(&ran.content);
        changes.truncate(changes.floor_char_boundary(CHANGES_SHOWN));
        if ran.end != Some(CommandEnd::Exited { code: 0 }) {
            let request = self.request.0;
            changes = format!(
                "The look at the changes did not come to its end ({why}; request {request}). There may be \
                 others than these:\n{changes}"
            );
        }
        Some(changes)
    }

    /// Runs a command to its end.
    async fn one(
        &self,
        command: &str,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Option<ToolOutcome> {
        match self.within(Duration::MAX, command, cancelled).await? {
            Ran::ToItsEnd(outcome) | Ran::TooLong(outcome) => Some(outcome),
        }
    }

    /// Runs a command for so long at most; none when it was cancelled.
    async fn within(
        &self,
        most: Duration,
        command: &str,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Option<Ran> {
        let mut running = self.tools.check(command, self.context.clone());
        tokio::select! {
            biased;
            _ = cancelled => {
                self.tools.cancel(CHECK).await;
                running.await;
                None
            }
            outcome = &mut running => Some(Ran::ToItsEnd(outcome)),
            () = tokio::time::sleep(most) => {
                self.tools.cancel(CHECK).await;
                Some(Ran::TooLong(running.await))
            }
        }
    }
}

/// How a command ran.
enum Ran {
    ToItsEnd(ToolOutcome),
    /// It was stopped after its time.
    TooLong(ToolOutcome),
}
