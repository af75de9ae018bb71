//! Layered settings as plain data that remember where each value came from.
//!
//! Pure: it is given texts, pairs and paths, and reads no file and no environment. Layers, low to
//! high: defaults, the user's file, the workspace's file (inert until the folder is trusted),
//! the environment, flags.
//!
//! ```
//! use quire_config::{Layers, Source};
//!
//! let layers = Layers::new("/home/me/project").flag("model", "--model", "openai/gpt-5.5");
//! let resolved = layers.resolve()?;
//! assert_eq!(resolved.model(), Some("openai/gpt-5.5"));
//! assert_eq!(resolved.source("model"), Some(&Source::Flag("--model".into())));
//! assert_eq!(resolved.source("effort"), Some(&Source::Default));
//! # Ok::<(), quire_config::Error>(())
//! ```

mod choice;
mod edit;
mod error;
mod file;
mod first;
mod key;
mod layers;
mod mcp;
mod over;
mod paths;
mod provider;
mod resolved;
mod source;
mod table;
mod times;
mod trust;
mod url;
mod value;

pub use edit::{allow, refuse, set, trust, unset, untrust};
pub use error::Error;
pub use file::{ConfigFile, parse};
pub use first::{Endpoint, EndpointStanding, endpoints};
pub use key::{KEYS, Key, Kind};
pub use layers::Layers;
pub use mcp::{McpHttp, McpProcess, McpServer, McpTransport};
pub use paths::{Paths, PathsError};
pub use provider::{
    ApiVersion, Clear, Dialect, ModelEntry, Provider, Secret, Thinking, TokenPrices, ToolFamily,
};
pub use resolved::{Notice, Resolved, Row};
pub use source::{Layer, Source, Sourced};
pub use times::seconds;
pub use value::{Durability, Value};
