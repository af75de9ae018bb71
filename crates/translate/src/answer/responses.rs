//! Answers in the Responses API.

mod item;
pub(crate) mod object;
mod open;
pub(crate) mod read;
pub(crate) mod validate;
pub(crate) mod write;
