//! A model whose answers are written in the test that uses it.

use std::sync::{Mutex, PoisonError};

use futures_core::stream::BoxStream;
use futures_util::stream;
use quire_protocol::{
    CallId, Item, Model, ModelErrorKind, ModelEvent, ModelRequest, Money, Reply, TokenStop,
    ToolCall, Usage,
};

use crate::failure::{failed, model_error};

type Script = dyn Fn(&ModelRequest) -> Vec<ModelEvent> + Send + Sync;

/// Answers from a closure.
pub struct Scripted {
    script: Box<Script>,
}

impl Scripted {
    /// Asks `script` for each answer. One that does not end as a stream must gets a failure put
    /// at its end.
    pub fn new(script: impl Fn(&ModelRequest) -> Vec<ModelEvent> + Send + Sync + 'static) -> Self {
        Self {
            script: Box::new(script),
        }
    }

    /// Plays answers one after another, and fails when there are none left.
    pub fn queue(answers: impl IntoIterator<Item = Vec<ModelEvent>>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<Vec<_>>().into_iter());
        Self::new(move |_| {
            let next = answers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next();
            next.unwrap_or_default()
        })
    }

    /// An answer of these items that cost nothing; the stop follows from whether there are calls.
    #[must_use]
    pub fn reply(items: Vec<Item>) -> ModelEvent {
        let calls = items.iter().any(|item| matches!(item, Item::ToolCall(_)));
        ModelEvent::Finished(Reply {
            model: "scripted".to_owned(),
            items,
            stop: if calls {
                TokenStop::ToolUse
            } else {
                TokenStop::EndTurn
            },
            usage: Usage::default(),
            cost: Some(Money::ZERO),
            retries: Vec::new(),
        })
    }

    /// Words, as an item.
    pub fn text(text: impl Into<String>) -> Item {
        Item::Assistant {
            text: text.into(),
            opaque: None,
        }
    }

    /// A call, as an item; `number` counts from 1 in each reply.
    pub fn call(number: u32, name: impl Into<String>, arguments: impl Into<String>) -> Item {
        Item::ToolCall(ToolCall {
            call: CallId(number),
            provider_id: format!("call_{number}"),
            name: name.into(),
            arguments: arguments.into(),
        })
    }
}

impl Model for Scripted {
    fn respond(&self, request: ModelRequest) -> BoxStream<'static, ModelEvent> {
        let mut events = (self.script)(&request);
        if !matches!(
            events.last(),
            Some(ModelEvent::Finished(_) | ModelEvent::Failed(_))
        ) {
            events.push(failed(model_error(
                ModelErrorKind::BadRequest,
                "the script has no answer left",
                "Write one more answer into the script.",
            )));
        }
        Box::pin(stream::iter(events))
    }
}
