//! Models of settings that may change while they are used.

use std::sync::{Mutex, PoisonError};

use futures_core::stream::BoxStream;
use quire_protocol::{Model, ModelEvent, ModelRequest};

/// A model that is made anew, before a request, once what it was made of has changed.
pub struct Renewed<State, Made> {
    state: Box<dyn Fn() -> State + Send + Sync>,
    make: Box<dyn Fn() -> Option<Made> + Send + Sync>,
    /// What it was made of, as `state` told it, and the model.
    now: Mutex<(State, Made)>,
}

impl<State: PartialEq, Made> Renewed<State, Made> {
    /// A model, and what it was made of. `state` is looked at before each request; where it is another one
    /// by then, `make` is asked for another model. If that gives none, the last one works on.
    pub fn new(
        now: (State, Made),
        state: impl Fn() -> State + Send + Sync + 'static,
        make: impl Fn() -> Option<Made> + Send + Sync + 'static,
    ) -> Self {
        Self {
            now: Mutex::new(now),
            state: Box::new(state),
            make: Box::new(make),
        }
    }
}

impl<State: PartialEq + Send, Made: Model> Model for Renewed<State, Made> {
    fn respond(&self, request: ModelRequest) -> BoxStream<'static, ModelEvent> {
        let state = (self.state)();
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != state
            && let Some(made) = (self.make)()
        {
            *now = (state, made);
        }
        now.1.respond(request)
    }
}
