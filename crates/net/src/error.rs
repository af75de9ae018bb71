//! What can go wrong on the way to a server and back, by what is to be done about it.

/// A request that was not answered, or not to the end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Mend the URL: no request can be sent there.
    #[error("`{url}` is no URL to send requests to")]
    BadUrl {
        /// As it was given.
        url: String,
    },
    /// Trust the server's certificate, or do not talk to it: time does not cure this. Nothing was sent.
    #[error("cannot connect to {url}: {reason}")]
    Untrusted {
        /// Where to.
        url: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// Try again or elsewhere: there was no connection, and nothing was sent.
    #[error("cannot connect to {url}: {reason}")]
    Unreachable {
        /// Where to.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Try again if the request may be served twice: no answer came, and whether the server took the
    /// request is not known.
    #[error("the connection to {url} broke: {reason}")]
    Broken {
        /// Where to.
        url: String,
        /// How it broke.
        reason: String,
    },
    /// Make do with what came: the answer began and broke off.
    #[error("the connection broke in the middle of the answer: {reason}")]
    CutShort {
        /// How it broke off.
        reason: String,
    },
}

/// How rustls begins its words about a certificate that it does not trust.
const UNTRUSTED: &str = "invalid peer certificate";

impl Error {
    /// A connection that did not come about.
    pub(crate) fn connecting(url: String, reason: String) -> Self {
        if reason.contains(UNTRUSTED) {
            Self::Untrusted { url, reason }
        } else {
            Self::Unreachable { url, reason }
        }
    }
}

impl From<hyper::Error> for Error {
    /// An error in the middle of an answer's body.
    fn from(error: hyper::Error) -> Self {
        Self::CutShort {
            reason: reason(&error),
        }
    }
}

/// The last and most telling reason in a chain of errors.
pub(crate) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}
