//! Durable facts and live fragments.

use serde::{Deserialize, Serialize};

use crate::{
    Answer, Approval, CallId, CallPlan, CompactionStep, Content, Delivery, Effort, GoalStep, Item,
    JobEnd, JobId, MessageId, ModelError, Money, PlanStep, Prefix, Purpose, RequestId, Seq,
    Settings, StopReason, TokenStop, ToolOutcome, TravelStep, TurnId, Usage,
};

/// One durable fact. A session is the fold of its events and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The session began, or its settings changed.
    Configured {
        /// The settings from here on.
        settings: Settings,
    },
    /// What opens every request changed, or tools came late: the first event of its kind sets it.
    PrefixSet {
        /// What every request starts with from here on.
        prefix: Prefix,
        /// Why it changed. Other bytes at the beginning cost the provider's cache; late tools do not.
        reason: String,
    },
    /// A person's message was accepted. It reaches the model with [`Event::MessageDelivered`].
    MessageAccepted {
        /// The message.
        message: MessageId,
        /// When it is to be delivered.
        delivery: Delivery,
        /// What it says.
        content: Vec<Content>,
        /// How hard to think in the turn that it opens; the session's own effort when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effort: Option<Effort>,
    },
    /// An accepted message became part of the context, here.
    MessageDelivered {
        /// The message.
        message: MessageId,
    },
    /// An accepted message was taken back before it reached the model. It never will.
    MessageWithdrawn {
        /// The message.
        message: MessageId,
    },
    /// A turn began.
    TurnStarted {
        /// The turn.
        turn: TurnId,
    },
    /// A request to the model was about to be sent.
    ModelCalled {
        /// The request.
        request: RequestId,
        /// Items of context in it.
        items: u32,
        /// What it is for.
        #[serde(default, skip_serializing_if = "Purpose::is_work")]
        purpose: Purpose,
        /// Tokens that its prompt is estimated to have; 0 where nobody estimated.
        #[serde(default, skip_serializing_if = "is_zero")]
        estimate: u64,
        /// The effort that was chosen for it alone, and why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chosen: Option<ChosenEffort>,
        /// How long the session had worked until then, in milliseconds; waiting for a person is not
        /// work.
        #[serde(default, skip_serializing_if = "is_zero")]
        worked_ms: u64,
    },
    /// The model answered. Its items enter the context together.
    ModelReplied {
        /// The request it answers.
        request: RequestId,
        /// The model that served it, as the provider names it.
        model: String,
        /// What it said, in order.
        items: Vec<Item>,
        /// What is to happen to each tool call in `items`.
        plans: Vec<CallPlan>,
        /// Why it stopped.
        stop: TokenStop,
        /// What it used, lost attempts included.
        usage: Usage,
        /// What that cost; absent when no price is known, or not all tokens were reported.
        cost: Option<Money>,
        /// Attempts that failed before this one.
        retries: Vec<Retry>,
    },
    /// A request failed for good, was cancelled, or was lost in a crash.
    ModelFailed {
        /// The request.
        request: RequestId,
        /// What went wrong.
        error: ModelError,
        /// Tokens the provider reported before it failed; they were paid for.
        usage: Usage,
        /// What they cost; absent when no price is known.
        cost: Option<Money>,
        /// Attempts that failed before the last one.
        retries: Vec<Retry>,
    },
    /// A person was asked about a call.
    ApprovalAsked {
        /// The call.
        call: CallId,
        /// What is asked.
        approval: Approval,
    },
    /// The question was answered; the first answer wins.
    ApprovalAnswered {
        /// The call.
        call: CallId,
        /// The answer.
        answer: Answer,
        /// Nobody answered it: the answer to this other call made a rule that allows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ruled_by: Option<CallId>,
    },
    /// A tool was about to run. It never runs again, whatever happens.
    ToolStarted {
        /// The call.
        call: CallId,
    },
    /// A call has its result.
    ToolEnded {
        /// The call.
        call: CallId,
        /// The result.
        outcome: ToolOutcome,
    },
    /// The plan that a person sees changed.
    PlanSet {
        /// All of it.
        steps: Vec<PlanStep>,
    },
    /// A background job is running.
    JobStarted {
        /// The job.
        job: JobId,
        /// The call that started it.
        call: CallId,
    },
    /// A background job ended.
    JobEnded {
        /// How.
        end: JobEnd,
    },
    /// The harness told the model something.
    Noticed {
        /// What it was told.
        text: String,
    },
    /// Someone asked for the turn to stop. Nothing new starts after this.
    InterruptAccepted {
        /// Who or what: `person`, `timeout`, `signal`.
        cause: String,
    },
    /// The context as a whole changed, or is about to.
    Compaction(CompactionStep),
    /// There is a goal, or it was judged, or it is gone.
    Goal(GoalStep),
    /// Files changed or were taken back, or the session is a fork.
    Travel(TravelStep),
    /// The open turn pauses, or is about to. It goes on from where it is.
    TurnPaused {
        /// The turn.
        turn: TurnId,
        /// Whether a limit or a person wants it, and whether it has begun.
        #[serde(default, skip_serializing_if = "Pause::is_limit")]
        pause: Pause,
        /// Which limit, or by whom, and what to do, in words for a person.
        detail: String,
        /// How long the session had worked by then, in milliseconds.
        #[serde(default, skip_serializing_if = "is_zero")]
        worked_ms: u64,
    },
    /// The turn is over: every call has its result and nothing of it runs any more.
    TurnEnded {
        /// The turn.
        turn: TurnId,
        /// Why.
        reason: StopReason,
        /// In words, for a person; empty for an ordinary end.
        detail: String,
    },
    /// A process took the session over after another one died in the middle of a turn.
    Recovered {
        /// Calls whose tool was running then.
        lost_calls: Vec<CallId>,
        /// The request that was open then.
        lost_request: Option<RequestId>,
    },
}

/// Who wants a turn to pause, and how far that has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// A limit was reached: the turn waits until it is raised.
    #[default]
    Limit,
    /// A person wants it: nothing has paused yet, the step under way comes to its end first.
    Asked,
    /// A person wanted it: the turn waits until it is resumed or something is said.
    Person,
    /// No person wants it any more, before it began: the turn goes on as if nothing had been asked.
    Withdrawn,
}

impl Pause {
    /// Whether the turn waits from here on.
    #[must_use]
    pub const fn has_begun(self) -> bool {
        match self {
            Self::Limit | Self::Person => true,
            Self::Asked | Self::Withdrawn => false,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
    const fn is_limit(&self) -> bool {
        matches!(self, Self::Limit)
    }
}

/// An effort that the kernel chose for one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenEffort {
    /// The effort.
    pub effort: Effort,
    /// Why, in a few words.
    pub reason: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An event with its place and time, as stored, watched and printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the journal.
    pub seq: Seq,
    /// Milliseconds since the Unix epoch at which it was recorded.
    pub at_ms: u64,
    /// The fact.
    #[serde(flatten)]
    pub event: Event,
}

/// A failed attempt that was followed by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// What went wrong, in words.
    pub reason: String,
    /// How long was waited before the next attempt.
    pub wait_ms: u64,
}

/// A live fragment: droppable, never stored, true only until the event that completes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Delta {
    /// More of the answer's text.
    Text {
        /// The words.
        text: String,
    },
    /// More of the thinking's text.
    Thinking {
        /// The words.
        text: String,
    },
    /// The model is writing a tool call.
    CallWriting {
        /// The tool's name.
        name: String,
        /// Bytes of arguments so far.
        bytes: u64,
    },
    /// A running tool printed something.
    ToolOutput {
        /// The call.
        call: CallId,
        /// What it printed, as text.
        text: String,
    },
    /// An attempt failed and another follows. Text and thinking shown for this request are void.
    Retrying {
        /// Why and how long.
        retry: Retry,
    },
}

/// What a watcher of a session gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "frames are few and short-lived")]
pub enum Frame {
    /// A committed event.
    Record(Record),
    /// A live fragment.
    Delta(Delta),
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::{ToolInput, ToolSpec, ToolStatus};

    /// The shape is stored for ever and printed by `--json`: a change here is a change for users.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the usual form of such checks"
    )]
    fn check(event: Event, expected: Expect) {
        let record = Record {
            seq: Seq(4),
            at_ms: 1_700_000_000_000,
            event,
        };
        let json = serde_json::to_string(&record).unwrap();
        expected.assert_eq(&json);
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }

    #[test]
    fn shapes() {
        check(
            Event::MessageAccepted {
                message: MessageId::new("m1"),
                delivery: Delivery::Steer,
                content: vec![Content::text("hi")],
                effort: None,
            },
            expect![[
                r#"{"seq":4,"at_ms":1700000000000,"type":"message_accepted","message":"m1","delivery":"steer","content":[{"kind":"text","text":"hi"}]}"#
            ]],
        );
        check(
            Event::ToolEnded {
                call: CallId(2),
                outcome: ToolOutcome::text(ToolStatus::Done, "ok"),
            },
            expect![[
                r#"{"seq":4,"at_ms":1700000000000,"type":"tool_ended","call":2,"outcome":{"status":"done","content":[{"kind":"text","text":"ok"}]}}"#
            ]],
        );
        check(
            Event::ModelReplied {
                request: RequestId(1),
                model: "m".to_owned(),
                items: vec![Item::Assistant {
                    text: "a".to_owned(),
                    opaque: None,
                }],
                plans: Vec::new(),
                stop: TokenStop::EndTurn,
                usage: Usage {
                    input: 3,
                    ..Usage::default()
                },
                cost: "0.0001".parse().ok(),
                retries: Vec::new(),
            },
            expect![[
                r#"{"seq":4,"at_ms":1700000000000,"type":"model_replied","request":1,"model":"m","items":[{"kind":"assistant","text":"a"}],"plans":[],"stop":"end_turn","usage":{"input":3,"cache_read":0,"cache_write_5m":0,"cache_write_1h":0,"output":0,"thinking":0},"cost":"0.0001","retries":[]}"#
            ]],
        );
    }

    #[test]
    fn a_prefix_keeps_the_order_of_its_schemas() {
        let schema = serde_json::from_str(r#"{"type":"object","properties":{"b":{},"a":{}}}"#);
        check(
            Event::PrefixSet {
                prefix: Prefix {
                    instructions: "i".to_owned(),
                    tools: vec![ToolSpec {
                        name: "t".to_owned(),
                        description: String::new(),
                        input: ToolInput::Json(schema.unwrap()),
                    }],
                    ..Prefix::default()
                },
                reason: "r".to_owned(),
            },
            expect![[
                r#"{"seq":4,"at_ms":1700000000000,"type":"prefix_set","prefix":{"instructions":"i","tools":[{"name":"t","description":"","input":{"json":{"type":"object","properties":{"b":{},"a":{}}}}}]},"reason":"r"}"#
            ]],
        );
    }
}
