//! Models behind one port: providers over HTTP with retries and prices, recorded and scripted
//! models, and the catalogue of what is known of each model.
//!
//! The wire formats are `quire-dialect`'s; this crate adds connections, patience and money.

mod attempt;
mod card;
mod catalogue;
mod effort;
mod encoders;
mod failure;
mod flow;
mod http;
mod http_date;
mod models;
mod price;
mod probe;
mod provider;
mod quirks;
mod recorded;
mod region;
mod retry;
mod router;
mod scripted;
mod secret;
mod transport;

pub use card::{CardLine, Origin};
pub use catalogue::{Catalogue, Images, ModelFacts, Override, ThinkingKind, ToolDialect};
pub use effort::{Asked, EffortLine};
pub use http::HttpModel;
pub use price::{Billing, Factor, PriceRow, Prices};
pub use probe::{Probe, probe};
pub use provider::{KeyHeader, Provider, Proxies};
pub use recorded::{Pace, Recorded, RecordingError};
pub use retry::RetryPolicy;
pub use router::Router;
pub use scripted::Scripted;
pub use secret::Secret;
