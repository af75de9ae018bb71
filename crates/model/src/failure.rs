//! Short ways to say that something went wrong.

use quire_protocol::{ModelError, ModelErrorKind, ModelEvent, ModelFailure, Usage};

/// An error without an HTTP status.
pub(crate) fn model_error(
    kind: ModelErrorKind,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> ModelError {
    ModelError {
        kind,
        message: message.into(),
        hint: hint.into(),
        status: None,
    }
}

/// A failure that cost nothing and was not retried.
pub(crate) fn failed(error: ModelError) -> ModelEvent {
    ModelEvent::Failed(ModelFailure {
        error,
        usage: Usage::default(),
        cost: None,
        retries: Vec::new(),
    })
}
