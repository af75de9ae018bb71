//! The turn loop as a pure state machine: inputs in, events and effects out.
//!
//! [`Session::decide`] reads and never changes; [`Session::apply`] changes and never decides;
//! [`Session::recover`] says what to record about work that was in flight when a process died. A
//! session is therefore exactly the fold of its journal. No clock, no files, no random, no async.
//!
//! The story reads in this order: `turn` (how a turn opens, goes from step to step and ends),
//! `holding` (stop, pause, go on), `calls` (which calls of a reply run when), `approvals`, `steering` (messages that wait),
//! `budget` and `progress` (what ends a turn that should not go on), `goal` (what makes one go on),
//! `context`, `weight`, `compaction` and `summary` (how large the context is, and what is done about
//! it), `ledger` (what must outlive it), `thinking` (how hard the next step is), `planning`, `jobs`, `news`
//! (what the model has not heard of), `offers` (tools that come and go), `travel` (files that changed or went back, forks), `recovery`.
//! Each holds its part of the state, how events change it, and what is decided from it.

mod approvals;
mod budget;
mod calls;
mod compaction;
mod context;
mod draft;
mod facts;
mod goal;
mod holding;
mod input;
mod jobs;
mod ledger;
mod news;
mod offers;
mod planning;
mod progress;
mod recovery;
mod request;
mod session;
mod state;
mod steering;
mod summary;
mod thinking;
mod travel;
mod turn;
mod weight;

#[cfg(test)]
mod tests;

pub use input::*;
pub use session::Session;
pub use steering::is_ordinary;
pub use travel::ForkPlace;
