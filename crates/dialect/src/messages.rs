//! Anthropic's Messages.

pub(crate) mod decode;
pub(crate) mod encode;
mod usage;
