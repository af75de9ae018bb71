//! OpenAI's Chat Completions, as OpenAI and many other servers speak it.

pub(crate) mod decode;
pub(crate) mod encode;
mod reasoning;
mod usage;
