//! How a run ended, and with which exit code.

use quire_protocol::{ClientError, SessionId, StopReason};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The model had no more to do.
    Done,
    /// The model or its provider refused.
    Refused,
    /// A limit of the session (money, tokens, turns, time) is reached, or the budget cannot be kept. The
    /// turn is paused and goes on once the limit is raised.
    Budget,
    /// The turn used all the requests it may make.
    TurnLimit,
    /// The same calls gave the same results again and again.
    NoProgress,
    /// The evaluator found that the goal cannot be met.
    Impossible,
    /// The answer was cut at the model's output limit.
    Truncated,
    /// A signal or a person stopped it.
    Cancelled,
    /// It took too long.
    TimedOut,
    /// Nobody reads the output any more.
    OutputClosed,
    /// The model could not be reached, or its answer never fitted the schema.
    Error,
}

impl Outcome {
    /// The process's exit code; the table is in the crate's documentation.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Refused => 3,
            Self::Budget => 4,
            Self::TurnLimit => 5,
            Self::NoProgress => 6,
            Self::Truncated => 7,
            Self::Impossible => 8,
            Self::TimedOut => 124,
            Self::Cancelled => 130,
            Self::OutputClosed => 141,
        }
    }

    /// Its name in the result line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error => "error",
            Self::Refused => "refused",
            Self::Budget => "budget",
            Self::TurnLimit => "turn_limit",
            Self::NoProgress => "no_progress",
            Self::Truncated => "truncated",
            Self::Impossible => "impossible",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::OutputClosed => "output_closed",
        }
    }

    /// For a person.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error => "failed",
            Self::Refused => "the model refused",
            Self::Budget => "paused at a limit of the session",
            Self::TurnLimit => "stopped: the turn used all its requests",
            Self::NoProgress => "stopped by Quire",
            Self::Impossible => "stopped: the goal cannot be met",
            Self::Truncated => "the answer was cut at the output limit",
            Self::TimedOut => "stopped: it took too long",
            Self::Cancelled => "cancelled",
            Self::OutputClosed => "stopped: nobody reads the output",
        }
    }

    /// Whether what the model said last is an answer to be given out.
    pub(crate) const fn answers(self) -> bool {
        matches!(self, Self::Done | Self::Refused | Self::Truncated)
    }
}

impl From<StopReason> for Outcome {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::EndTurn => Self::Done,
            StopReason::MaxTokens => Self::Truncated,
            StopReason::MaxTurnRequests => Self::TurnLimit,
            StopReason::Refusal => Self::Refused,
            StopReason::Cancelled => Self::Cancelled,
            StopReason::Budget => Self::Budget,
            StopReason::NoProgress => Self::NoProgress,
            StopReason::Impossible => Self::Impossible,
            StopReason::Error => Self::Error,
        }
    }
}

/// Why a run could not be brought to an [`Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session could not be used, or died.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The output schema is no JSON schema. Nothing was started.
    #[error("the output schema cannot be used: {0}")]
    Schema(String),
    /// Nothing was said, and the session has no unfinished turn.
    #[error("there is nothing to go on with in session {0}: give it a prompt")]
    NothingToDo(SessionId),
    /// Nothing was said to a new session.
    #[error("the prompt is empty: say what is to be done")]
    EmptyPrompt,
    /// The output could not be written. The turn was stopped; the session is intact.
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_codes_of_their_own() {
        let all = [
            Outcome::Done,
            Outcome::Error,
            Outcome::Refused,
            Outcome::Budget,
            Outcome::TurnLimit,
            Outcome::NoProgress,
            Outcome::Truncated,
            Outcome::Impossible,
            Outcome::TimedOut,
            Outcome::Cancelled,
            Outcome::OutputClosed,
        ];
        let mut codes = all.map(Outcome::exit_code);
        codes.sort_unstable();
        assert_eq!(codes, [0, 1, 3, 4, 5, 6, 7, 8, 124, 130, 141]);
        let documentation = include_str!("lib.rs");
        let guide = include_str!("../../../docs/guide/events.md");
        for outcome in all {
            let row = format!("| {} |", outcome.exit_code());
            assert!(documentation.contains(&row), "{row}");
            assert!(
                guide.contains(&format!("`{}`", outcome.name())),
                "{}",
                outcome.name()
            );
        }
    }
}
