//! Folders as git sees them: what its ignore files leave out, and files opened so that neither a link nor
//! a pipe that took their place leads the reader astray. Knows no tool and no session.

mod ignored;
mod open;

pub use ignored::{EntryKind, Ignored};
pub use open::{handle_path, open_checked};
