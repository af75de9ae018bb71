//! Requests of OpenAI's Chat Completions.

mod decode;
mod encode;
mod messages;

pub(super) use decode::decode;
pub(super) use encode::encode;
