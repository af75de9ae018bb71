//! What is wrong with a setting, and where.

use std::path::PathBuf;

use quire_protocol::spelled;

/// A setting that cannot be used. The message says what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A file is not what it should be, at a place in it.
    #[error("{}:{line}:{column}: {message}", spelled(path))]
    File {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u32,
        /// Column in characters, counted from 1.
        column: u32,
        /// What is wrong and what is expected.
        message: String,
    },
    /// An environment variable has a value that cannot be used.
    #[error("environment variable {variable}: {message}")]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong and what is expected.
        message: String,
    },
    /// A command line flag has a value that cannot be used.
    #[error("{flag}: {message}")]
    Flag {
        /// The flag.
        flag: String,
        /// What is wrong and what is expected.
        message: String,
    },
    /// No model can be chosen, or the one that is named does not exist.
    #[error("{0}")]
    Model(String),
    /// A value that was to be set does not fit its key, or there is no such key.
    #[error("{key}: {message}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong and what is expected.
        message: String,
    },
}
