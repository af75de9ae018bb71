//! Ids: strings that the caller mints, one type each so that none is taken for another.

use std::fmt;
use std::sync::Arc;

use crate::Value;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<&$name> for Value {
            fn from(id: &$name) -> Self {
                Self::from(id.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// An organisation: who pays.
    OrganisationId;
    /// A workspace of an organisation; what is stored belongs to one.
    WorkspaceId;
    /// An API key, `key_…`; not its secret.
    KeyId;
    /// A request, `req_…`; it is metered once.
    RequestId;
    /// A file, `file_…`.
    FileId;
    /// A batch, `msgbatch_…` or `batch_…`.
    BatchId;
    /// A stored response, `resp_…`.
    ResponseId;
    /// A conversation, `conv_…`.
    ConversationId;
}
