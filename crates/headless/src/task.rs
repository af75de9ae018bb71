//! What one run is to do, as the caller gives it.

use std::fmt;
use std::io::BufRead;
use std::time::Duration;

use quire_protocol::{Content, Goal, SessionId, Settings};

use crate::Style;

/// One task for [`crate::run`].
#[derive(Debug)]
pub struct Task {
    /// What is said to the model. Empty says nothing new and goes on with the turn that a crash
    /// left unfinished.
    pub content: Vec<Content>,
    /// What to work for, turn after turn, from this task on; the session's own goal when absent.
    pub goal: Option<Goal>,
    /// The session to work in.
    pub start: Start,
    /// What is printed.
    pub output: Output,
    /// How text for a person looks.
    pub style: Style,
    /// Who answers approvals.
    pub approvals: Approver,
    /// How long it may take; then the turn is interrupted.
    pub timeout: Option<Duration>,
}

/// The session to work in.
#[expect(clippy::large_enum_variant, reason = "one per run")]
pub enum Start {
    /// A new one.
    New(Settings),
    /// An earlier one.
    Open {
        /// Which.
        session: SessionId,
        /// Makes its settings from the recorded ones; recorded when they differ.
        adapt: Adapt,
    },
}

/// Makes the settings of an opened session from the recorded ones, or says why the session cannot
/// go on with them.
pub type Adapt = Box<dyn FnOnce(Settings) -> Result<Settings, String> + Send>;

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(settings) => f.debug_tuple("New").field(settings).finish(),
            Self::Open { session, .. } => f.debug_tuple("Open").field(session).finish(),
        }
    }
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Progress for a person on the error stream, the answer on the output stream.
    Progress,
    /// One event a line on the output stream, the result last.
    Json,
}

/// Who answers approvals.
pub enum Approver {
    /// Nobody: what would ask is refused, with a reason that the model can act on.
    Nobody,
    /// A person: questions go to the error stream, answers are read from here, one line each. It
    /// is read only while a question is open.
    Person(Box<dyn BufRead + Send>),
}

impl fmt::Debug for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Person(_) => "Person",
        })
    }
}
