//! Requests of OpenAI's Responses.

mod decode;
mod encode;
mod items;

pub(super) use decode::decode;
pub(super) use encode::encode;
