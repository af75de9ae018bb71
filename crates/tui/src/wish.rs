//! What a screen wants from the world, which a key or news may come to.

use quire_protocol::{Content, Op, SessionId};

use crate::others::Seek;
use crate::theme::Theme;
use crate::travel::Journey;

/// What a screen wants from the world.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "wishes are few and short-lived")]
pub(crate) enum Wish {
    /// Ask this of the session.
    Ask(Op),
    /// Run a command line of the person's.
    Run(String),
    /// Stop the one that runs.
    StopOwn,
    /// Find out what was said in this folder before.
    Recall,
    /// Write the input in an editor.
    Compose,
    /// Read the image in the clipboard.
    AttachCopied,
    /// Read an image.
    Attach {
        /// Where it is.
        path: String,
        /// What to write where it is none; else the person is told.
        pasted: Option<String>,
    },
    /// Look at what is in the workspace.
    Walk,
    /// List the sessions of this folder.
    List,
    /// Ask about the past.
    Travel(Journey),
    /// Go on with another session, with this in the input.
    Switch {
        /// Which.
        session: SessionId,
        /// What is to be said again.
        content: Vec<Content>,
    },
    /// Look for sessions of this folder to go over to.
    Resume(String),
    /// Look for other sessions of the host.
    Seek(Seek),
    /// Check key, endpoint, sandbox, git and disk.
    Check,
    /// Draw everything anew.
    Redraw,
    /// Show the last calls in full.
    Unfold,
    /// Look for these words in the conversation.
    Find(String),
    /// Draw everything anew, in this theme.
    Wear(Theme),
    /// Stop, until the shell has the screen go on.
    Suspend,
    /// Close the session and leave.
    Quit,
}
