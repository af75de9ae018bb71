//! Requests and answers of one model API in the words of another: Messages, Responses and Chat
//! Completions, any to any, as pure functions on bytes. No IO, no routing, no clock.
//!
//! [`Request`] and [`Event`] are the common words. What only one API has words for stays with the node
//! it stands on, as [`Own`] fields: it comes out again in the API it came from, and is told of where it is lost.

mod answer;
mod refusal;
mod request;
mod seal;

pub use answer::{Answer, Begin, Block, Delta, Event, Finish, Stop, Tally};
pub use refusal::{Reason, Refusal};
pub use request::{
    CallInput, Choice, Delivery, Edit, Format, Own, Part, Request, Role, Sampling, Source,
    Thinking, Tool, ToolKind, Turn,
};
pub use seal::{Seal, Sealer};
