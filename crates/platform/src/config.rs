//! The platform's settings: one TOML file, read whole, checked before anything starts, and read again on
//! demand. Keys and limits of users are not here: those are in the depot.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use quire_dialect::Dialect;
use serde::Deserialize;

mod check;
mod route;

pub use check::{Finding, Severity};
pub use route::{Additions, Compaction, EffortBy, Model, Route, ToolsBy, pattern_covers};

/// Everything that the file says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where clients reach it. Loopback unless somebody says otherwise.
    #[serde(default = "loopback")]
    pub listen: SocketAddr,
    /// `sqlite:///path/to/platform.db`'s folder, or `postgres://…`; the caller's data folder when absent.
    #[serde(default)]
    pub store: Option<String>,
    /// Where the spool of what is under way lies; beside the store's folder, or in the caller's data folder.
    #[serde(default)]
    pub spool: Option<PathBuf>,
    /// TLS; plain HTTP when absent.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The environment variable that holds the admin API's key; without it the admin API is closed.
    #[serde(default = "admin_variable")]
    pub admin_key_env: String,
    /// The environment variable that holds the secret by which opaque texts are sealed; by default one is made and
    /// kept in the store.
    #[serde(default)]
    pub seal_secret_env: Option<String>,
    /// Bounds that protect the server.
    #[serde(default)]
    pub bounds: Bounds,
    /// What is written down of requests.
    #[serde(default)]
    pub log: Log,
    /// Traces, where somebody collects them.
    #[serde(default)]
    pub telemetry: Option<Telemetry>,
    /// Where requests can be sent, by name.
    #[serde(default)]
    pub upstreams: BTreeMap<String, Upstream>,
    /// What clients can ask for, by name. `*` at the end of a name stands for any rest.
    #[serde(default)]
    pub models: BTreeMap<String, Model>,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, the server's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Bounds that protect the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Bytes of a request's body. Vendors take 32 MB.
    pub body_bytes: u64,
    /// Bytes of a batch's body.
    pub batch_bytes: u64,
    /// Bytes of an uploaded file.
    pub file_bytes: u64,
    /// Connections at once.
    pub connections: usize,
    /// Requests at once; more are told that the server is overloaded.
    pub requests: usize,
    /// Seconds for a request's head to arrive.
    pub head_s: u64,
    /// Seconds without a byte of a request's body.
    pub body_idle_s: u64,
    /// Seconds in which a stream that is written here may be silent before it gives a sign of life.
    pub keep_alive_s: u64,
    /// Seconds that a client may leave an answer unread before it is given up.
    pub reader_idle_s: u64,
    /// Seconds that requests under way have when the server is told to end.
    pub drain_s: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            batch_bytes: 256 << 20,
            file_bytes: 500 << 20,
            connections: 20_000,
            requests: 10_000,
            head_s: 15,
            body_idle_s: 30,
            keep_alive_s: 15,
            reader_idle_s: 120,
            drain_s: 600,
        }
    }
}

impl Bounds {
    /// How long a stream may be silent.
    pub(crate) fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive_s.max(1))
    }
}

/// What is written down of requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A line of JSON for each request, to standard error.
    pub requests: bool,
    /// Whether requests are kept for replay, bodies and all, and how many bytes of them at most; none by default.
    pub bodies_bytes: Option<u64>,
    /// So many requests are kept at most.
    pub bodies_count: u64,
    /// So many seconds long.
    pub bodies_age_s: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            requests: false,
            bodies_bytes: None,
            bodies_count: 10_000,
            bodies_age_s: 7 * 86_400,
        }
    }
}

/// An OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Its OTLP/HTTP address, such as `http://127.0.0.1:4318`.
    pub otlp: String,
    /// One of so many requests is traced.
    #[serde(default = "one")]
    pub one_of: u32,
    /// Whether prompts and answers are part of it, in plain words; off by default.
    #[serde(default)]
    pub contents: bool,
}

/// Where requests can be sent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// What it speaks.
    #[serde(deserialize_with = "dialect")]
    pub dialect: Dialect,
    /// Where it is. Messages' ends before `/v1`, the others' in it.
    pub base_url: String,
    /// The environment variable with its key; local servers need none.
    #[serde(default)]
    pub key_env: Option<String>,
    /// How the key travels; by the dialect when absent.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Headers that every request bears.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The provider by whose prices it is charged (`anthropic`, `openai`, a name of one's own in the config of
    /// models); by the dialect when absent.
    #[serde(default)]
    pub prices_of: Option<String>,
    /// Regions that it computes in and nowhere else.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Whether it can be told where to compute (`inference_geo`), as Anthropic itself can.
    #[serde(default)]
    pub placeable: bool,
    /// Requests at once.
    #[serde(default = "many")]
    pub concurrency: usize,
    /// Milliseconds for a connection.
    #[serde(default = "connect_ms")]
    pub connect_ms: u64,
    /// Seconds for the first byte of an answer.
    #[serde(default = "ten_minutes")]
    pub first_byte_s: u64,
    /// Seconds without a byte in the middle of an answer.
    #[serde(default = "five_minutes")]
    pub idle_s: u64,
    /// When it counts as broken.
    #[serde(default)]
    pub breaker: Breaker,
}

/// How a key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `authorization: Bearer …`.
    Bearer,
    /// `x-api-key: …`.
    XApiKey,
}

/// When an upstream counts as broken, so that it is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Failures in a row.
    pub failures: u32,
    /// Seconds that it is left alone; then one request tries it.
    pub rest_s: u64,
    /// Further tries for each hundred requests, so that a broken upstream is not stormed.
    pub retries_percent: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 5,
            rest_s: 10,
            retries_percent: 20,
        }
    }
}

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Reads the text of the file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml_edit::de::from_str(text)
            .map_err(|error| ConfigError(error.to_string().trim().to_owned()))
    }
}

impl Config {
    /// What only a start takes over, and whether it is another one there.
    pub(crate) fn fixed_that_differ(&self, other: &Self) -> [(&'static str, bool); 6] {
        [
            ("listen", self.listen != other.listen),
            ("tls", self.tls != other.tls),
            ("store", self.store != other.store),
            ("spool", self.spool != other.spool),
            (
                "seal_secret_env",
                self.seal_secret_env != other.seal_secret_env,
            ),
            (
                "bounds",
                (
                    self.bounds.connections,
                    self.bounds.head_s,
                    self.bounds.reader_idle_s,
                    self.bounds.drain_s,
                ) != (
                    other.bounds.connections,
                    other.bounds.head_s,
                    other.bounds.reader_idle_s,
                    other.bounds.drain_s,
                ),
            ),
        ]
    }
}

impl Upstream {
    /// How long a connection may take.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    /// The provider by whose prices it is charged.
    #[must_use]
    pub fn priced_as(&self) -> &str {
        self.prices_of.as_deref().unwrap_or(match self.dialect {
            Dialect::Messages => "anthropic",
            Dialect::Responses | Dialect::Chat => "openai",
        })
    }

    /// Whether a request that must be computed in a region may go there.
    #[must_use]
    pub fn computes_in(&self, region: &str) -> bool {
        self.placeable
            || self
                .regions
                .iter()
                .any(|tag| tag.eq_ignore_ascii_case(region))
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer => "bearer",
            Self::XApiKey => "x-api-key",
        })
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8787))
}

fn admin_variable() -> String {
    "QUIRE_ADMIN_KEY".to_owned()
}

const fn one() -> u32 {
    1
}

const fn many() -> usize {
    4_096
}

const fn connect_ms() -> u64 {
    5_000
}

const fn ten_minutes() -> u64 {
    600
}

const fn five_minutes() -> u64 {
    300
}

fn dialect<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Dialect, D::Error> {
    let name = String::deserialize(from)?;
    Dialect::ALL
        .into_iter()
        .find(|dialect| dialect.name() == name)
        .ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{name}` is no dialect: use messages, responses or chat"
            ))
        })
}
