//! Where a value came from.

use std::fmt;
use std::path::{Path, PathBuf};

use quire_protocol::spelled;

/// A layer of settings, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Built in.
    Default,
    /// The user's file.
    User,
    /// The workspace's file, once it is trusted.
    Project,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

/// Where a value came from, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Built in.
    Default,
    /// A line of a file.
    File {
        /// [`Layer::User`] or [`Layer::Project`].
        layer: Layer,
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u32,
    },
    /// An environment variable, by name.
    Environment(String),
    /// A flag, as it is written.
    Flag(String),
}

impl Source {
    /// A file as a whole.
    pub(crate) fn first_line(layer: Layer, path: &Path) -> Self {
        Self::File {
            layer,
            path: path.to_path_buf(),
            line: 1,
        }
    }

    /// The layer it belongs to.
    #[must_use]
    pub const fn layer(&self) -> Layer {
        match self {
            Self::Default => Layer::Default,
            Self::File { layer, .. } => *layer,
            Self::Environment(_) => Layer::Environment,
            Self::Flag(_) => Layer::Flag,
        }
    }

    /// The environment variable that it came from, if it did.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::Environment(variable) => Some(variable),
            Self::Default | Self::File { .. } | Self::Flag(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, .. } => write!(f, "{}:{line}", spelled(path)),
            Self::Environment(variable) => write!(f, "${variable}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}
