//! One process that hosts the sessions of all of a person's faces: they go on when a terminal is
//! closed. Both ends of its wire are here, JSON-RPC 2.0 in lines over a Unix socket that only its
//! owner may use, or over a WebSocket for those who know its token; what hosts the sessions themselves
//! is handed in.

mod background;
mod care;
mod connection;
mod gather;
mod hosted;
mod hub;
mod link;
mod origin;
mod pipe;
mod remote;
mod serve;
mod socket;
mod web;
mod wire;

pub use background::{Ending, background, leave_starter, leave_terminal};
pub use hub::Hosts;
pub use origin::Origin;
pub use remote::{Remote, Stopped, Summon};
pub use serve::{Daemon, ServeError};
pub use web::{NOT_ENCRYPTED, Token};
