//! What a client may ask of a session.

use serde::{Deserialize, Serialize};

use crate::{Answer, CallId, Content, ContextPart, Effort, Goal, MessageId, Settings};

/// A client's request to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "ops are few and short-lived")]
pub enum Op {
    /// Says something. With no turn running, every delivery but a note starts one.
    Say {
        /// Made by the client; a repeated id is ignored.
        message: MessageId,
        /// When to deliver it.
        delivery: Delivery,
        /// What it says.
        content: Vec<Content>,
        /// How hard to think in the turn that it opens; the session's own effort when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effort: Option<Effort>,
    },
    /// Takes back a message that was accepted and has not reached the model; one that has reached it, or
    /// that nobody knows, is left as it is.
    Withdraw {
        /// Which message. Its id stays known: it cannot be said again.
        message: MessageId,
    },
    /// Goes on with a turn that a crash, a limit or a pause left open, and takes back a pause that has not
    /// begun; without a turn, goes on with the goal, if there is one.
    Resume,
    /// Lets the open turn come to the end of its step and wait there.
    Pause,
    /// Ends the turn now.
    Interrupt {
        /// Who or what wants it: `person`, `timeout`, `signal`.
        cause: String,
    },
    /// Answers an approval; the first answer wins.
    Answer {
        /// The call it is about.
        call: CallId,
        /// The answer.
        answer: Answer,
    },
    /// Changes the settings from the next request on; another model or folder only while nothing of the session runs.
    Configure {
        /// All of them.
        settings: Settings,
    },
    /// Compacts the context: now, or at the next step boundary of the open turn.
    Compact {
        /// What the summary should dwell on; may be empty.
        focus: String,
        /// Which part of the context.
        part: ContextPart,
    },
    /// Takes the last compaction back. Only while no turn is open.
    UndoCompaction,
    /// Sets the goal, or drops it. A new goal is worked for from the next step of the open turn, or from
    /// the next message on.
    SetGoal {
        /// The goal; none drops it.
        goal: Option<Goal>,
    },
}

/// When a message reaches the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// At the next step boundary: with the next request to the model.
    Steer,
    /// After the turn, as a turn of its own.
    Queue,
    /// With the next request to the model, whenever that is: it starts no turn, and keeps none going.
    Note,
}
