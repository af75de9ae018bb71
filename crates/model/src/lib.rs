//! Models behind one port: providers over HTTP with retries and prices, recorded and scripted models.
//!
//! The wire formats are `quire-dialect`'s and what is known of a model is `quire-catalogue`'s; this
//! crate adds connections, patience and money.

mod attempt;
mod encoders;
mod failure;
mod flow;
mod http;
mod http_date;
mod probe;
mod provider;
mod quirks;
mod recorded;
mod region;
mod renewed;
mod retry;
mod router;
mod scripted;
mod secret;
mod wire;

pub use http::HttpModel;
pub use probe::{Probe, probe};
pub use provider::{KeyHeader, Provider};
pub use recorded::{Pace, Recorded, RecordingError};
pub use renewed::Renewed;
pub use retry::RetryPolicy;
pub use router::Router;
pub use scripted::Scripted;
pub use secret::Secret;
