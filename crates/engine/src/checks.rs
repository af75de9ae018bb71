//! What the evaluator of a goal is shown besides the session: the goal's checks, run just now, and the
//! changes in the workspace.

use std::sync::Arc;

use quire_protocol::{CallId, CheckRun, ToolContext, ToolOutcome, ToolSet, joined_text};
use tokio::sync::oneshot;

/// How much of a check's output is kept, in bytes: its end.
const OUTPUT_KEPT: usize = 4_000;
/// How much of the changes is shown, in bytes: their beginning.
const CHANGES_SHOWN: usize = 24_000;
/// Shows what changed since a time, committed or not, and new files with their beginnings; first a sum over
/// all of it, for only a part is shown. Without a repository the files that are newer are named.
/// `@SINCE@` stands for the time as git reads it, `@SECONDS@` for its seconds.
const CHANGES: &str = r#"
if ! git rev-parse --git-dir >/dev/null 2>&1; then
    find . -type f -newermt "@@SECONDS@" 2>/dev/null | sort | head -n 200 |
        while IFS= read -r file; do printf 'changed file: %s %s\n' "$file" "$(cksum <"$file")"; done
    exit 0
fi
export GIT_OPTIONAL_LOCKS=0
nothing=$(git hash-object -t tree /dev/null)
base=$(git rev-parse -q --verify "HEAD@{@SINCE@}" 2>/dev/null ||
       git rev-parse -q --verify HEAD 2>/dev/null || echo "$nothing")
# Git's log of the branch may begin later, with a commit that is part of the work.
if [ "$(git log -1 --format=%ct "$base" 2>/dev/null || echo 0)" -ge @SECONDS@ ]; then
    base=$(git rev-parse -q --verify "$base^" 2>/dev/null || echo "$nothing")
fi
new() { git -c core.quotePath=false ls-files --others --exclude-standard; }
changed() { git diff --no-ext-diff --no-textconv "$@" "$base"; }
changed --quiet && [ -z "$(new)" ] && exit 0
{ changed; new | head -n 2000 | while IFS= read -r file; do
    printf '%s ' "$file"; cksum <"$file"; done; } 2>/dev/null | cksum | sed 's/^/sum of all changes: /'
changed --stat
changed
new | head -n 50 | while IFS= read -r file; do
    printf 'new file: %s\n' "$file"
    head -c 2000 -- "$file" | tr -d '\000'
    echo
done
exit 0"#;
/// The number under which checks run; no call of a model has it.
const CHECK: CallId = CallId(0);

/// Checks to be run.
pub(crate) struct Checking {
    pub(crate) tools: Arc<dyn ToolSet>,
    pub(crate) context: ToolContext,
    pub(crate) commands: Vec<String>,
    /// Since when changes count, in seconds since the Unix epoch.
    pub(crate) since_s: u64,
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

    /// What changed, as the evaluator is shown it.
    async fn changes(&self, cancelled: &mut oneshot::Receiver<()>) -> Option<String> {
        let command = CHANGES
            .replace("@SINCE@", &format!("{} +0000", self.since_s))
            .replace("@SECONDS@", &self.since_s.to_string());
        let looked = self.one(&command, cancelled).await?;
        let mut changes = match looked.lines {
            Some(0) => String::new(),
            _ => joined_text(&looked.content),
        };
        changes.truncate(changes.floor_char_boundary(CHANGES_SHOWN));
        Some(changes)
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
