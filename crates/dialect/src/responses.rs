//! OpenAI's Responses.

pub(crate) mod decode;
pub(crate) mod encode;
mod item;
