//! What is counted of a life, so that it shows what was checked.

use quire_kernel::Input;
use quire_protocol::{
    CallId, CompactionCause, CompactionKind, CompactionStep, ContextPart, Event, GoalStep,
    GoalVerdict, Op, Pause, StopReason, ToolOutcome, ToolStatus,
};

use super::World;
use crate::witness::Cause;

impl World {
    pub(super) fn count(&mut self, event: &Event, cause: &Cause<'_>) {
        self.summary.events += 1;
        let said = matches!(cause, Cause::Input(Input::Op(Op::Say { .. })));
        let what = match event {
            Event::TurnStarted { .. } if !said => "turn:opened-by-itself",
            Event::TurnEnded { reason, detail, .. } => {
                if detail.contains("does not fit the model") {
                    self.summary.see("stop:without-room");
                }
                stop_name(*reason)
            }
            Event::TurnPaused { pause, detail, .. } => {
                self.count_others(detail, cause);
                pause_name(*pause, detail)
            }
            Event::PrefixSet { reason, .. } if reason.starts_with("tools that came late") => {
                "servers:settled"
            }
            Event::Noticed { text } => notice_name(text),
            Event::ToolEnded { call, outcome } => {
                self.count_work_of_others(*call, outcome);
                match outcome.status {
                    ToolStatus::Denied => "tool:denied",
                    ToolStatus::Failed => "tool:failed",
                    ToolStatus::Done | ToolStatus::Cancelled | ToolStatus::Lost => return,
                }
            }
            Event::ModelCalled {
                chosen: Some(chosen),
                ..
            } => match chosen.reason.as_str() {
                "asked for in this turn" => "effort:by-message",
                _ => "effort:by-rule",
            },
            Event::Compaction(step) => return self.count_compaction(step),
            Event::Goal(step) => goal_name(step),
            _ => return,
        };
        self.summary.see(what);
    }

    /// A call ends for which others may have worked, and may have a question still.
    fn count_work_of_others(&mut self, call: CallId, outcome: &ToolOutcome) {
        let asks =
            self.session.is_running(call) && self.session.asked().any(|(asked, _)| asked == call);
        if asks {
            self.summary.see(match outcome.status {
                ToolStatus::Lost => "crash:lost-question",
                _ if self.session.is_stopping() => "asks:stopped-unanswered",
                _ => "asks:ended-unanswered",
            });
        }
        match &outcome.spent {
            Some(spent) if spent.missed > 0 => self.summary.see("tool:spent-unpriced"),
            Some(_) => self.summary.see("tool:spent"),
            None => {}
        }
    }

    /// A limit is reached, perhaps by others.
    fn count_others(&mut self, detail: &str, cause: &Cause<'_>) {
        let unpriced = matches!(cause, Cause::Input(Input::ToolEnded { outcome, .. })
            if outcome.spent.is_some_and(|spent| spent.missed > 0));
        let counted = detail.contains("by others");
        self.summary.see(match () {
            () if detail.contains("cannot be kept") && unpriced => "pause:unpriced-of-others",
            () if counted && detail.contains("tokens") => "pause:tokens-with-others",
            () if counted => "pause:budget-with-others",
            () => return,
        });
    }

    fn count_compaction(&mut self, step: &CompactionStep) {
        let what = match step {
            CompactionStep::Asked { part, .. } => match part {
                ContextPart::Older => "compaction:asked",
                ContextPart::UpTo { .. } => "compaction:asked-up-to",
                ContextPart::From { .. } => "compaction:asked-from",
            },
            CompactionStep::Failed { kind, .. } => match kind {
                CompactionKind::Provider => "compaction:failed-at-the-provider",
                CompactionKind::Summary | CompactionKind::Clear | CompactionKind::Cut => {
                    "compaction:failed"
                }
            },
            CompactionStep::Undone => "compaction:undone",
            CompactionStep::Done { compaction } => {
                self.summary.see(match compaction.cause {
                    CompactionCause::Threshold => "compaction:at-threshold",
                    CompactionCause::Overflow => "compaction:after-overflow",
                    CompactionCause::Asked => "compaction:as-asked",
                });
                match compaction.kind {
                    CompactionKind::Clear => "compaction:clear",
                    CompactionKind::Summary => "compaction:summary",
                    CompactionKind::Provider if compaction.head.is_empty() => {
                        "compaction:by-the-provider-itself"
                    }
                    CompactionKind::Provider => "compaction:provider",
                    CompactionKind::Cut => "compaction:cut",
                }
            }
        };
        self.summary.see(what);
    }
}

fn goal_name(step: &GoalStep) -> &'static str {
    match step {
        GoalStep::Set { .. } => "goal:set",
        GoalStep::Dropped { .. } => "goal:dropped",
        GoalStep::Judged { judgement } => match judgement.verdict {
            GoalVerdict::Met => "goal:met",
            GoalVerdict::Impossible => "goal:impossible",
            GoalVerdict::NotYet => match judgement.reasons.as_str() {
                text if text.contains("could not be read") => "goal:unreadable",
                text if text.starts_with("the check") => "goal:contradicted-by-a-check",
                text if text.starts_with("no call") => "goal:met-without-evidence",
                _ => "goal:not-yet",
            },
        },
    }
}

fn notice_name(text: &str) -> &'static str {
    match () {
        () if text.starts_with("You made the same call") => "notice:repeats",
        () if text.starts_with("You made") => "notice:repeats-in-turn",
        () if text.starts_with("Your reply") => "notice:silence",
        () if text.starts_with("Your answer was cut") => "notice:cut",
        () if text.starts_with("A goal is set") => "notice:goal",
        () if text.starts_with("The goal is not met") => "notice:goal-not-met",
        () if text.starts_with("The goal is not shown") => "notice:goal-not-shown",
        () => "notice:job",
    }
}

fn pause_name(pause: Pause, detail: &str) -> &'static str {
    match () {
        () if pause == Pause::Asked => "pause:asked",
        () if pause == Pause::Person => "pause:by-person",
        () if pause == Pause::Withdrawn => "pause:withdrawn",
        () if detail.contains("cannot be kept") => "pause:unpriced",
        () if detail.contains("tokens") => "pause:tokens",
        () if detail.contains("turns") => "pause:turns",
        () if detail.contains("worked") => "pause:time",
        () => "pause:budget",
    }
}

fn stop_name(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn => "stop:end-turn",
        StopReason::MaxTokens => "stop:max-tokens",
        StopReason::MaxTurnRequests => "stop:max-turn-requests",
        StopReason::Refusal => "stop:refusal",
        StopReason::Cancelled => "stop:cancelled",
        StopReason::Budget => "stop:budget",
        StopReason::NoProgress => "stop:no-progress",
        StopReason::Impossible => "stop:impossible",
        StopReason::Error => "stop:error",
    }
}
