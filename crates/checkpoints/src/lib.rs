//! What the files of workspaces were: a mirror of each folder, in which a look finds what changed by any
//! means, and the way back. It touches neither git's index nor its history, and follows no link.
//!
//! The mirror is a cache: what a session may take back is kept as blobs of its own, and its journal
//! says which.

mod files;
mod folder;
mod keeper;
mod merge;
mod mirror;
mod restore;
mod scan;
mod unrecorded;

pub use keeper::Keeper;
