//! What records say to a person, in words.

use quire_protocol::{
    ApprovalMode, Compaction, CompactionCause, CompactionKind, GoalStep, GoalVerdict, JobEnd,
    ModelError, ModelErrorKind, Phase, SandboxMode, Settings, StopReason,
};

use crate::meter::short;

/// How a turn ended.
pub(crate) fn ended(reason: StopReason, detail: &str) -> String {
    let words = match reason {
        StopReason::EndTurn => "done",
        StopReason::MaxTokens => "the answer was cut at the output limit",
        StopReason::MaxTurnRequests => "stopped: the turn used all its requests",
        StopReason::Refusal => "the model refused",
        StopReason::Cancelled => "stopped",
        StopReason::Budget => "stopped: the budget is spent",
        StopReason::NoProgress => "stopped by Quire",
        StopReason::Impossible => "stopped: the goal cannot be met",
        StopReason::Error => "the turn failed",
    };
    if detail.is_empty() || reason == StopReason::Cancelled {
        words.to_owned()
    } else {
        format!("{words}: {detail}")
    }
}

/// Why a request failed; nothing where that is told by what follows.
pub(crate) fn failure(error: &ModelError) -> String {
    match error.kind {
        ModelErrorKind::Lost | ModelErrorKind::Cancelled => String::new(),
        _ if error.hint.is_empty() => error.message.clone(),
        _ => format!("{}. {}", error.message.trim_end_matches('.'), error.hint),
    }
}

/// How a background job ended.
pub(crate) fn job_ended(end: &JobEnd) -> String {
    format!("job {} ended: {}", end.job, end.outcome)
}

/// What a compaction did.
pub(crate) fn compacted(compaction: &Compaction) -> String {
    let how = match compaction.kind {
        CompactionKind::Clear => "results cleared",
        CompactionKind::Summary => "summarised",
        CompactionKind::Provider => "compacted by the provider",
        CompactionKind::Cut => "older items left out",
    };
    let why = match compaction.cause {
        CompactionCause::Threshold => "it was nearly full",
        CompactionCause::Overflow => "it did not fit",
        CompactionCause::Asked => "as you asked",
    };
    format!(
        "context {how} ({why}): {} → {} tokens; /undo-compaction takes it back",
        short(compaction.tokens_before),
        short(compaction.tokens_after)
    )
}

/// What happened to the goal.
pub(crate) fn goal(step: &GoalStep) -> String {
    match step {
        GoalStep::Set { goal } => format!("goal: {}", goal.text),
        GoalStep::Judged { judgement } => {
            let verdict = match judgement.verdict {
                GoalVerdict::Met => "the goal is met",
                GoalVerdict::NotYet => "the goal is not met yet",
                GoalVerdict::Impossible => "the goal cannot be met",
            };
            format!("{verdict}: {}", judgement.reasons)
        }
        GoalStep::Dropped { cause } => format!("there is no goal any more ({cause})"),
    }
}

/// What changed between settings, as far as a person sees it.
pub(crate) fn settings_changed(before: &Settings, now: &Settings) -> Option<String> {
    let mut changes = Vec::new();
    if before.model != now.model {
        changes.push(format!("model {}", now.model));
    }
    if before.effort != now.effort {
        changes.push(format!("effort {}", now.effort.name()));
    }
    if before.policy.sandbox != now.policy.sandbox {
        changes.push(format!("sandbox {}", sandbox(now.policy.sandbox)));
    }
    if before.policy.approvals != now.policy.approvals {
        changes.push(format!("approvals {}", approvals(now.policy.approvals)));
    }
    match (before.policy.phase, now.policy.phase) {
        (Phase::Work | Phase::Look, Phase::Plan) => {
            changes.push("plan mode, nothing is changed until /plan accept".to_owned());
        }
        (Phase::Plan, Phase::Work) => changes.push("plan mode is over".to_owned()),
        (Phase::Work | Phase::Plan, Phase::Look) => changes.push("it may only look".to_owned()),
        (Phase::Look, Phase::Work) => changes.push("it may change things".to_owned()),
        (Phase::Work, Phase::Work) | (Phase::Plan, Phase::Plan) | (Phase::Look, Phase::Look) => {}
    }
    if before.policy.rules != now.policy.rules {
        changes.push("other rules for commands".to_owned());
    }
    if before.limits != now.limits {
        changes.push("other limits".to_owned());
    }
    (!changes.is_empty()).then(|| format!("from the next request on: {}", changes.join(", ")))
}

/// A sandbox by its name.
pub(crate) fn sandbox(mode: SandboxMode) -> &'static str {
    match mode {
        SandboxMode::ReadOnly => "read-only",
        SandboxMode::WorkspaceWrite => "workspace-write",
        SandboxMode::Off => "off",
    }
}

/// When a person is asked, by its name.
pub(crate) fn approvals(mode: ApprovalMode) -> &'static str {
    match mode {
        ApprovalMode::Ask => "ask",
        ApprovalMode::Auto => "auto",
        ApprovalMode::Never => "never",
    }
}
