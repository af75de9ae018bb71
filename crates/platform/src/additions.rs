//! What the platform adds to what a model has: a request is changed before it is written for the upstream, and
//! the answer's events on their way back. Each addition is a setting of a route.

mod clear;
mod compact;
mod effort;
mod lengthen;
mod schema;
mod words;

pub(crate) use clear::{clear, clears};
pub(crate) use compact::{Cut, Then, alone, demanded, summarized, told, wanted};
pub(crate) use effort::fit;
pub(crate) use lengthen::{Lengthened, Next, lengthened};
pub(crate) use schema::{Held, schema_of};
pub(crate) use words::{Listener, tell};
