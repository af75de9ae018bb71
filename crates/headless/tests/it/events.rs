//! Short words for the events that the tests are made of.

use quire_protocol::*;

use crate::double::Step;

pub(crate) fn turn_started() -> Step {
    Event::TurnStarted { turn: TurnId(1) }.into()
}

pub(crate) fn delivered(message: &str) -> Step {
    Event::MessageDelivered {
        message: MessageId::new(message),
    }
    .into()
}

pub(crate) fn called(request: u32) -> Step {
    Event::ModelCalled {
        request: RequestId(request),
        items: 1,
        purpose: Purpose::Work,
        estimate: 0,
        chosen: None,
        worked_ms: 0,
    }
    .into()
}

pub(crate) fn reply(items: Vec<Item>) -> Event {
    let plans = items
        .iter()
        .filter_map(|item| match item {
            Item::ToolCall(call) => Some(CallPlan {
                call: call.call,
                lane: Lane::Exclusive,
                verdict: Verdict::Run,
            }),
            _ => None,
        })
        .collect::<Vec<_>>();
    Event::ModelReplied {
        request: RequestId(1),
        model: "m-1".into(),
        stop: if plans.is_empty() {
            TokenStop::EndTurn
        } else {
            TokenStop::ToolUse
        },
        items,
        plans,
        usage: Usage {
            input: 100,
            cache_read: 1000,
            output: 50,
            ..Usage::default()
        },
        cost: Some("0.0012".parse().unwrap()),
        retries: Vec::new(),
    }
}

pub(crate) fn replied(items: Vec<Item>) -> Step {
    reply(items).into()
}

pub(crate) fn says(text: &str) -> Item {
    Item::Assistant {
        text: text.into(),
        opaque: None,
    }
}

pub(crate) fn thinks(text: &str) -> Item {
    Item::Thinking {
        text: text.into(),
        opaque: None,
    }
}

pub(crate) fn calls(call: u32, name: &str, arguments: &str) -> Item {
    Item::ToolCall(ToolCall {
        call: CallId(call),
        provider_id: format!("p{call}"),
        name: name.into(),
        arguments: arguments.into(),
    })
}

pub(crate) fn tool_started(call: u32) -> Step {
    Event::ToolStarted { call: CallId(call) }.into()
}

pub(crate) fn tool_ended(call: u32, outcome: ToolOutcome) -> Step {
    Event::ToolEnded {
        call: CallId(call),
        outcome,
    }
    .into()
}

pub(crate) fn asked(call: u32, action: &str) -> Step {
    Event::ApprovalAsked {
        call: CallId(call),
        approval: Approval {
            action: action.into(),
            reason: "it needs the network".into(),
            prefix: vec!["git".into(), "push".into()],
            ..Approval::default()
        },
    }
    .into()
}

pub(crate) fn answered(call: u32, answer: Answer) -> Step {
    Event::ApprovalAnswered {
        call: CallId(call),
        answer,
        ruled_by: None,
    }
    .into()
}

pub(crate) fn interrupted(cause: &str) -> Step {
    Event::InterruptAccepted {
        cause: cause.into(),
    }
    .into()
}

pub(crate) fn ended(reason: StopReason) -> Step {
    ended_with(reason, "")
}

pub(crate) fn ended_with(reason: StopReason, detail: &str) -> Step {
    Event::TurnEnded {
        turn: TurnId(1),
        reason,
        detail: detail.into(),
    }
    .into()
}

/// A turn that waits for the model.
pub(crate) fn open_turn() -> Vec<Step> {
    vec![turn_started(), delivered("exec-0"), called(1)]
}

/// A turn in which the model answers at once.
pub(crate) fn turn(message: &str, answer: &str) -> Vec<Step> {
    vec![
        turn_started(),
        delivered(message),
        called(1),
        replied(vec![says(answer)]),
        ended(StopReason::EndTurn),
    ]
}
