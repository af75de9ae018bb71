//! Newtype ids. Ids are made outside this crate (they need a clock or random bytes) or counted by
//! the kernel.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! counted {
    ($($(#[$meta:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The next id in counting order.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

counted! {
    /// Position of an event in its session's journal, counted from 1. `Seq(0)` is "before the first".
    Seq(u64);
    /// A turn of a session, counted from 1.
    TurnId(u32);
    /// A model request of a session, counted from 1. An answer that quotes an old one is dropped.
    RequestId(u32);
    /// A tool call of a session, counted from 1; unlike the provider's id it never repeats.
    CallId(u32);
    /// A background job of a session; it bears the number of the call that started it.
    JobId(u32);
}

macro_rules! named {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a name without checking it.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

named! {
    /// A session: a UUID version 7, so ids sort by creation time.
    SessionId;
    /// A message from a person, unique in its session; the client makes it, so that sending the
    /// same message twice is noticed.
    MessageId;
    /// A blob: the lowercase hex SHA-256 of its bytes.
    BlobId;
}
