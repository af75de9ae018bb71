//! Requests of Anthropic's Messages.

mod decode;
mod encode;

pub(super) use decode::{decode, delivery};
pub(super) use encode::{LEAST_THRESHOLD, betas, encode};
