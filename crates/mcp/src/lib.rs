//! Servers of the Model Context Protocol that talk over their stdin and stdout, as one
//! [`quire_protocol::ToolServers`]. Their processes are started by the sandbox port and confined as the
//! session's policy says; the words of the protocol are those of its official library, `rmcp`.

mod answer;
mod connection;
mod described;
mod lines;
mod link;
mod listed;
mod message;
mod names;
mod schema;
mod seen;
mod servers;
mod slot;
mod starting;
mod wire;

pub use described::{Begin, Confinement, Ground, Server, ServerReport, ServerState};
pub use servers::Servers;
