//! Answers in the Chat Completions API.

mod calls;
pub(crate) mod read;
mod reasoning;
pub(crate) mod validate;
pub(crate) mod write;
