//! HTTP connections outward: pools, proxies, TLS with this machine's certificates, bodies of segments.
//!
//! Nothing here knows what is sent, nor anything of Quire; an error says what its reader can do about it.

mod connector;
mod error;
mod proxies;
mod segments;
mod tls;
mod transport;

pub use error::Error;
pub use proxies::Proxies;
pub use segments::Segments;
pub use transport::{Options, Transport, Versions, address};
