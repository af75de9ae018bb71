//! Compactions and goals, in words.

use quire_protocol::{
    Compaction, CompactionCause, CompactionKind, CompactionStep, GoalStep, GoalVerdict, Judgement,
};

use crate::progress::Progress;
use crate::text::{counted, thousands};

/// What a compaction did.
pub(crate) fn compacted(compaction: &Compaction) -> String {
    let why = match compaction.cause {
        CompactionCause::Threshold => "the context got large",
        CompactionCause::Overflow => "the context did not fit",
        CompactionCause::Asked => "as asked",
    };
    let what = match compaction.kind {
        CompactionKind::Clear => {
            let results = counted(compaction.cleared.len() as u64, "result");
            format!("{results} cleared")
        }
        CompactionKind::Summary => items(compaction, "summarised by the model"),
        CompactionKind::Provider => items(compaction, "compacted by the provider"),
        CompactionKind::Cut => items(compaction, "left out without a summary"),
    };
    format!(
        "compacted ({why}): {what}; about {} tokens before, {} after",
        thousands(compaction.tokens_before),
        thousands(compaction.tokens_after)
    )
}

fn items(compaction: &Compaction, what: &str) -> String {
    format!(
        "{} {what}",
        counted(compaction.replaced.len().into(), "item")
    )
}

/// What the evaluator said.
pub(crate) fn judged(judgement: &Judgement) -> String {
    let verdict = match judgement.verdict {
        GoalVerdict::Met => "met",
        GoalVerdict::NotYet => "not met yet",
        GoalVerdict::Impossible => "impossible",
    };
    format!("the goal is {verdict}: {}", judgement.reasons)
}

impl Progress {
    pub(crate) fn compaction(&mut self, step: &CompactionStep) -> String {
        match step {
            CompactionStep::Done { compaction } => self.note(&compacted(compaction)),
            CompactionStep::Failed { reason, .. } => {
                self.warning(&format!("a compaction failed: {reason}"))
            }
            CompactionStep::Undone => self.note("the last compaction was taken back"),
            CompactionStep::Asked { .. } => String::new(),
        }
    }

    pub(crate) fn goal(&mut self, step: &GoalStep) -> String {
        match step {
            GoalStep::Set { goal } => self.note(&format!("goal: {}", goal.text)),
            GoalStep::Judged { judgement } => {
                self.judged = Some(judgement.reasons.clone());
                let failed: Vec<String> = judgement
                    .checks
                    .iter()
                    .filter(|check| !check.succeeded())
                    .filter(|check| !judgement.reasons.contains(&check.command))
                    .map(|check| format!("; check `{}` fails", check.command))
                    .collect();
                self.note(&format!("{}{}", judged(judgement), failed.concat()))
            }
            GoalStep::Dropped { .. } => String::new(),
        }
    }
}
