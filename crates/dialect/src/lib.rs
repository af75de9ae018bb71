//! Messages, Responses and Chat Completions as pure functions on bytes: what is sent, and what the
//! answer means. No IO, no retries, no clock.
//!
//! An [`Encoder`] grows a request body that never changes what it has sent before, so that the
//! providers' prompt caches keep working. A [`Decoder`] reads a streamed answer in any chunking.

mod arguments;
mod chat;
mod decoder;
mod encoder;
mod error;
mod head;
mod ids;
mod json;
mod messages;
mod responses;
mod sink;
pub mod sse;
mod tools;

pub use decoder::{DecodeError, Decoded, Decoder, Extra, Retryable, decode_whole};
pub use encoder::Encoder;
pub use error::decode_error;
pub use head::{
    ApiVersion, COMPACTION_BETAS, Caching, Clearing, Compaction, Dialect, Features, Head, Options,
    OutputLimit, Thinking,
};
