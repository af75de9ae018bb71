//! Requests and answers of one model API in the words of another: Messages, Responses and Chat
//! Completions, any to any, as pure functions on bytes. No IO, no routing, no clock.
//!
//! [`Request`] and [`Event`] are the common words. What only one API has words for stays with the node
//! it stands on, as [`Own`] fields: it comes out again in the API it came from, and is told of where it is lost.

mod answer;
mod refusal;
mod request;
mod seal;

pub use answer::{
    Answer, Begin, Block, ClientTool, Collector, Delta, Event, Fault, Finish, Frame, KEEP_ALIVE,
    Meter, Reader, Stop, Tally, UsageChunk, Validator, Writer, error_body, read_error, read_whole,
    response_echo, sign_of_life, socket_error, stream_error, write_whole,
};
pub use refusal::{Reason, Refusal};
pub use request::{
    Abilities, CallInput, Choice, Delivery, Dropped, Edit, Encoded, Format, Named, Names, Own,
    Part, Pick, Request, Role, Sampling, Source, Target, Thinking, Tool, ToolKind, Turn,
    check_complete, check_version, decode_request, encode_request, no_call, no_result,
    not_permitted, waits,
};
pub use seal::{Seal, Sealer};
