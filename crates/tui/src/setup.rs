//! What a screen is given: where its session lives, how it is shown, and what it may ask of the
//! process that it runs in.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use quire_protocol::{Client, ClientError, Delivery, SessionId, Settings};

use crate::app::Fit;
use crate::machine::Machine;
use crate::notify::Notify;
use crate::theme::{Colours, Theme};

/// What a screen needs.
pub struct Setup {
    /// Where sessions live.
    pub client: Arc<dyn Client>,
    /// The same, by which no host is started where there is none any more: looks at other sessions.
    pub lookout: Arc<dyn Client>,
    /// Which session.
    pub start: Start,
    /// What to say first.
    pub first: Option<String>,
    /// How a message is delivered that is sent with Enter while a turn works; Tab does the other.
    pub follow_up: Delivery,
    /// Fits settings to another model.
    pub fit: Fit,
    /// The models that are known, by the names that settings have for them.
    pub models: Vec<String>,
    /// The machine of the person.
    pub machine: Arc<dyn Machine>,
    /// Reads the branch of a folder.
    pub branch: Branch,
    /// Checks what the work needs.
    pub check: Check,
    /// Where settings come from: names and places.
    pub origins: Vec<(String, String)>,
    /// Reads the clock: milliseconds since the Unix epoch.
    pub now_ms: fn() -> u64,
    /// How it is shown.
    pub form: Form,
    /// How it looks.
    pub looks: Looks,
    /// How the person is told of what happens while they look elsewhere.
    pub notify: Notify,
    /// What no other screen is called.
    pub name: String,
}

/// How a conversation is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// On a screen that is drawn in place.
    #[default]
    Screen,
    /// As plain lines, which nothing is drawn over: for screen readers and dumb terminals.
    Plain,
}

/// How a conversation looks.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// What is known of the terminal's colours.
    pub colours: Colours,
    /// The theme to begin with.
    pub theme: Theme,
    /// How much of the terminal is drawn.
    pub room: Room,
    /// How thinking is shown.
    pub thinking: Thinking,
    /// Between looks at the clock while something is being done.
    pub progress: Duration,
}

/// How much of the terminal is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    /// The last rows; what is done goes into the terminal's own scrollback.
    #[default]
    Inline,
    /// All of it, as a screen of its own.
    Full,
}

/// How thinking is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking {
    /// Its first sentence.
    #[default]
    Folded,
    /// All of it.
    Shown,
}

/// Which session a screen opens.
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Start {
    /// A new one.
    New(Settings),
    /// One that is there.
    Open {
        /// Which.
        session: SessionId,
        /// What becomes of its settings, or why they cannot be.
        adapt: Adapt,
    },
}

/// Reads the branch of a folder; nothing where there is none.
pub type Branch = fn(&Path) -> Option<String>;

/// Checks what the work of this model needs, in lines for a person.
pub type Check = Box<dyn Fn(String) -> BoxFuture<'static, String> + Send>;

/// Changes recorded settings, or says why they cannot be.
pub type Adapt = Box<dyn FnOnce(Settings) -> Result<Settings, String> + Send>;

/// Why a screen failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session cannot go on.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The terminal cannot be used.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] io::Error),
}
