//! Answers in the Messages API.

pub(crate) mod read;
pub(crate) mod validate;
pub(crate) mod write;
