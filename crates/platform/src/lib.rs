//! The developer platform: one server that speaks Messages, Responses and Chat Completions in front of any
//! model. It routes, meters, limits and audits; what an answer says it takes from upstream as it is.
//!
//! A request's way: `server` (connections) → `app` (the table of paths) → `caller` (whose key) → `relay`
//! (limits, route, upstream, the answer's bytes) → `charge` (what it cost, once).

mod additions;
mod admin;
mod allowance;
mod answered;
mod app;
mod batches;
mod caller;
mod charge;
mod clock;
mod config;
mod cores;
mod count;
mod crew;
mod directory;
mod files;
mod held;
mod keyring;
mod log;
mod metrics;
mod models;
mod operate;
mod path;
mod peek;
mod query;
mod relay;
mod replay;
mod reply;
mod routing;
mod server;
mod socket;
mod status;
mod stored;
mod telemetry;
mod tenure;
#[cfg(test)]
mod testing;
mod time;
mod upstream;
mod watch;

pub use app::{App, Secrets};
pub use config::{
    Additions, Auth, Bounds, Breaker, Compaction, Config, ConfigError, EffortBy, Finding, Log,
    Model, Route, Severity, Telemetry, Tls, ToolsBy, Upstream, pattern_covers,
};
pub use directory::{KeySecret, NewKey};
pub use operate::{Checked, Operator};
pub use server::{ServeError, Server};
