//! Picks the model that a request names, by the provider's part of `provider/name`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_core::stream::BoxStream;
use quire_protocol::{Model, ModelErrorKind, ModelEvent, ModelRequest};

use crate::failure::{failed, model_error};
use crate::flow::only;

/// Models by provider.
#[derive(Clone, Default)]
pub struct Router {
    models: BTreeMap<String, Arc<dyn Model>>,
}

impl Router {
    /// A router that knows no provider.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a provider; its name has no `/`.
    #[must_use]
    pub fn with(mut self, provider: impl Into<String>, model: Arc<dyn Model>) -> Self {
        self.models.insert(provider.into(), model);
        self
    }

    /// The providers' names, sorted.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }
}

impl Model for Router {
    fn respond(&self, request: ModelRequest) -> BoxStream<'static, ModelEvent> {
        let (provider, name) = request
            .model
            .split_once('/')
            .unwrap_or(("", &request.model));
        if let Some(model) = self.models.get(provider) {
            return model.respond(request);
        }
        let known = self.providers().collect::<Vec<_>>().join(", ");
        let message = if provider.is_empty() {
            format!("`{name}` names no provider")
        } else {
            format!("there is no provider `{provider}`")
        };
        let hint = if known.is_empty() {
            "No provider is set up.".to_owned()
        } else {
            format!("Write the model as provider/name; the providers are: {known}.")
        };
        only(failed(model_error(
            ModelErrorKind::UnknownModel,
            message,
            hint,
        )))
    }
}
