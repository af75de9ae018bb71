//! Drives kernels: performs their effects through the ports, records what happened, then shows it.
//!
//! One task per open session owns its kernel. Whatever reaches it becomes an input; the events
//! that `decide` answers with are appended to the store, applied, published to the watchers, and
//! only then are the effects performed. Knows no concrete hand and no face.

mod actor;
mod agents;
mod branch;
mod changes;
mod checks;
mod effects;
mod engine;
mod journal;
mod keeping;
mod offers;
mod past;
mod questions;
mod team;
mod travel;
mod tree;
mod watch;
mod worked;

pub use engine::{Engine, Parts, Workbench};
pub use journal::{decode_entry, search_text};
