//! Events, effects and items in the words of the stories.

use quire_protocol::{
    CompactionStep, Content, Event, GoalStep, Item, Pause, Prefix, Purpose, Span, ToolSpec,
};

use crate::Effect;

pub(super) fn event_words(event: &Event) -> String {
    match event {
        Event::Configured { .. } => "configured".to_owned(),
        Event::PrefixSet { prefix, reason } => format!("{} ({reason})", prefix_words(prefix)),
        Event::MessageAccepted {
            message, delivery, ..
        } => format!("accepted {message} ({delivery:?})"),
        Event::MessageDelivered { message } => format!("delivered {message}"),
        Event::MessageWithdrawn { message } => format!("withdrawn {message}"),
        Event::TurnStarted { turn } => format!("turn {turn} started"),
        Event::ModelCalled {
            request,
            items,
            purpose,
            chosen,
            ..
        } => {
            let what = match purpose {
                Purpose::Work => String::new(),
                other => format!(" for {other:?}"),
            };
            let effort = match chosen {
                Some(chosen) => format!(", effort {:?} ({})", chosen.effort, chosen.reason),
                None => String::new(),
            };
            format!("request {request} with {items} items{what}{effort}")
        }
        Event::ModelReplied { request, .. } => format!("request {request} answered"),
        Event::ModelFailed { request, error, .. } => {
            format!("request {request} failed: {error}")
        }
        Event::ApprovalAsked { call, approval } => format!("asked {call}: {}", approval.action),
        Event::ApprovalAnswered { .. } => answered(event),
        Event::ToolStarted { call } => format!("call {call} started"),
        Event::ToolEnded { call, outcome } => {
            format!(
                "call {call} {:?}: {}",
                outcome.status,
                text(&outcome.content)
            )
        }
        Event::PlanSet { steps } => format!("plan of {} steps", steps.len()),
        Event::JobStarted { job, call } => format!("job {job} of call {call} started"),
        Event::JobEnded { end } => format!("job {} ended: {}", end.job, end.outcome),
        Event::Noticed { text } => format!("noticed: {}", first_line(text)),
        Event::InterruptAccepted { cause } => format!("interrupted by {cause}"),
        Event::TurnEnded {
            turn,
            reason,
            detail,
        } => format!("turn {turn} ended: {reason:?} {detail}")
            .trim_end()
            .to_owned(),
        Event::Compaction(step) => compaction_words(step),
        Event::Goal(step) => goal_words(step),
        Event::Travel(step) => format!("{step:?}"),
        Event::TurnPaused {
            turn,
            pause: Pause::Limit,
            detail,
            ..
        } => format!("turn {turn} paused: {detail}"),
        Event::TurnPaused { turn, pause, .. } => format!("turn {turn} pause: {pause:?}"),
        Event::Recovered {
            lost_calls,
            lost_request,
        } => format!("recovered, lost calls {lost_calls:?}, lost request {lost_request:?}"),
    }
}

fn prefix_words(prefix: &Prefix) -> String {
    let named = |what: &str, tools: &[ToolSpec]| {
        let names = tools.iter().map(|tool| tool.name.as_str());
        [&[what], names.collect::<Vec<_>>().as_slice()]
            .concat()
            .join(" ")
    };
    let late = named(", late", &prefix.late);
    let late = Some(late).filter(|_| !prefix.late.is_empty());
    named("opens with", &prefix.tools) + &late.unwrap_or_default()
}

fn compaction_words(step: &CompactionStep) -> String {
    match step {
        CompactionStep::Asked { focus, part } => format!("compaction asked: {part:?} {focus}")
            .trim_end()
            .to_owned(),
        CompactionStep::Done { compaction } => {
            let Span { from, to } = compaction.replaced;
            format!(
                "compacted: {:?} for {:?}, {from}..{to} become {} items, {} cleared",
                compaction.kind,
                compaction.cause,
                compaction.head.len(),
                compaction.cleared.len()
            )
        }
        CompactionStep::Failed { kind, reason } => format!("compaction failed: {kind:?}: {reason}"),
        CompactionStep::Undone => "compaction undone".to_owned(),
    }
}

fn goal_words(step: &GoalStep) -> String {
    match step {
        GoalStep::Set { goal } => format!("goal: {}", goal.text),
        GoalStep::Judged { judgement } => {
            format!("judged {:?}: {}", judgement.verdict, judgement.reasons)
        }
        GoalStep::Dropped { cause } => format!("goal dropped: {cause}"),
    }
}

pub(super) fn effect_words(effect: Effect) -> String {
    match effect {
        Effect::CallModel(request) => format!("call the model: {request}"),
        Effect::CancelModel(request) => format!("cancel request {request}"),
        Effect::RunTool(call) => format!("run {call}"),
        Effect::CancelTool(call) => format!("cancel {call}"),
        Effect::StopJobs => "stop jobs".to_owned(),
    }
}

pub(super) fn item_words(item: &Item) -> String {
    match item {
        Item::User { content, .. } => format!("user: {}", text(content)),
        Item::Notice { text } => format!("notice: {text}"),
        Item::Assistant { text, .. } => format!("assistant: {text}"),
        Item::Thinking { text, .. } => format!("thinking: {text}"),
        Item::ToolCall(call) => format!("call {}: {}", call.call, call.name),
        Item::ToolResult {
            call,
            status,
            content,
        } => format!("result {call} {status:?}: {}", text(content)),
        Item::Foreign { .. } => "foreign".to_owned(),
        Item::Ledger { .. } => "ledger".to_owned(),
        Item::Summary { text, .. } => format!("summary: {text}").trim_end().to_owned(),
    }
}

fn first_line(text: &str) -> String {
    match text.split_once('\n') {
        Some((line, _)) => format!("{line}…"),
        None => text.to_owned(),
    }
}

/// Texts, cut where a story would drown in them.
fn text(content: &[Content]) -> String {
    let whole: String = content.iter().filter_map(Content::as_text).collect();
    match whole.len() {
        0..=400 => whole,
        bytes => format!("{}… ({bytes} bytes)", &whole[..8]),
    }
}

fn answered(event: &Event) -> String {
    let Event::ApprovalAnswered {
        call,
        answer,
        ruled_by,
    } = event
    else {
        return String::new();
    };
    let by = ruled_by.map_or(String::new(), |other| format!(" by the rule of {other}"));
    format!("answered {call}: {answer:?}{by}")
}
