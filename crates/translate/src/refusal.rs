//! Why a request is not served, in a form that each API has words for.

/// A request that is not served, or an answer that broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What happened and what to do about it, for the person who reads the client's log.
    pub message: String,
    /// The field it is about (`messages.0.content`), where it is about one.
    pub field: Option<String>,
    /// The API's stable code for it (`context_length_exceeded`), where it has one.
    pub code: Option<String>,
}

/// Why a request is not served. Each has one HTTP status and one error type in each API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request is wrong. 400.
    Invalid,
    /// No key, or one that is not known. 401.
    Unauthenticated,
    /// No money left. 402 at Anthropic, 429 with `insufficient_quota` at OpenAI.
    OutOfMoney,
    /// The key may not do this. 403.
    Forbidden,
    /// There is no such thing, or not for this key. 404.
    NotFound,
    /// The thing is in another state. 409.
    Conflict,
    /// Too many bytes. 413.
    TooLarge,
    /// Too many requests or tokens. 429.
    RateLimited,
    /// The server's own fault. 500.
    Internal,
    /// The upstream failed or cannot be reached. 502 at OpenAI, 500 at Anthropic.
    Upstream,
    /// The upstream's answer broke off, or is none of its API. The APIs have no other words for it than for a failure.
    Broken,
    /// The upstream, or this server, has too much to do. 529 at Anthropic, 503 at OpenAI.
    Overloaded,
    /// It took too long. 504.
    Timeout,
}

impl Refusal {
    /// A refusal with a message alone.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            field: None,
            code: None,
        }
    }

    /// The same, about a field.
    #[must_use]
    pub fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with the API's code for it.
    #[must_use]
    pub fn coded(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}
