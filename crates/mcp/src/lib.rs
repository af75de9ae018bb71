//! Servers of the Model Context Protocol as one [`quire_protocol::ToolServers`]. Those that talk over their stdin
//! and stdout are processes, which the sandbox port starts, confined as the session's policy says; others are reached
//! by HTTP. The words of the protocol are those of its official library, `rmcp`.

mod address;
mod answer;
mod client;
mod connection;
mod described;
mod events;
mod exchange;
mod far;
mod lines;
mod link;
mod listed;
mod message;
mod names;
mod program;
mod remote;
mod schema;
mod secrets;
mod seen;
mod servers;
mod slot;
mod starting;
mod stream;
mod trouble;
mod wire;

pub use address::Address;
pub use described::{Begin, Ground, Server, ServerReport, ServerState, Transport};
pub use program::{Confinement, Program};
pub use servers::Servers;
