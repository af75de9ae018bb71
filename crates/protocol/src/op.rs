//! What a client may ask of a session.

use serde::{Deserialize, Serialize};

use crate::{Answer, CallId, Content, MessageId, Settings};

/// A client's request to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "ops are few and short-lived")]
pub enum Op {
    /// Says something. With no turn running, every delivery starts one.
    Say {
        /// Made by the client; a repeated id is ignored.
        message: MessageId,
        /// When to deliver it.
        delivery: Delivery,
        /// What it says.
        content: Vec<Content>,
    },
    /// Goes on with a turn that a crash left open; without one, does nothing.
    Resume,
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
    /// Changes the settings from the next request on.
    Configure {
        /// All of them.
        settings: Settings,
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
}
