//! What comes back: told in this server's own terms, and kept.

use std::sync::Arc;

use quire_depot::{
    ConversationId, Error, Growth, KeyId, Put, ResponseId, ResponseStatus, StoredItem,
    StoredResponse, WorkspaceId,
};
use serde_json::{Map, Value};

use super::context::{Context, Memory, Recalled, Wish, conversation_value};
use super::items::{self, Item, fresh_id, with_id};
use super::shell;
use super::telling::Told;
use crate::app::App;
use crate::clock::now_ms;
use crate::keyring::Caller;

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// It is kept once it is complete.
    Stored,
    /// It is there already, and changes.
    Background,
    /// It is not kept.
    Passing,
}

impl Keeping {
    /// By what the client said.
    pub(crate) fn of(store: bool) -> Self {
        if store { Self::Stored } else { Self::Passing }
    }
}

/// Keeps one response.
pub(crate) struct Keeper {
    app: Arc<App>,
    workspace: WorkspaceId,
    key: KeyId,
    id: String,
    created_at: i64,
    previous: Option<String>,
    /// The same, where the store has it.
    linked: Option<String>,
    conversation: Option<String>,
    keeping: Keeping,
    request: String,
    /// The model that was asked for.
    model: String,
    /// The request but for its input.
    settings: String,
    before: Vec<Item>,
    own: Vec<Item>,
    /// Items of the answer that are complete.
    output: Vec<Value>,
    memory: Option<Arc<Memory>>,
    /// How it ended, once it has.
    pub(crate) ended: Option<ResponseStatus>,
}

impl Keeper {
    /// For a request that is about to be sent.
    pub(crate) fn new(
        app: &Arc<App>,
        caller: &Caller,
        wish: &Wish<'_>,
        context: &Context,
        keeping: Keeping,
    ) -> Self {
        Self {
            app: Arc::clone(app),
            workspace: caller.workspace.id.clone(),
            key: caller.key.id.clone(),
            id: wish.id.clone(),
            created_at: now_ms(),
            previous: wish.previous.clone(),
            linked: wish.previous.clone().filter(|_| !context.is_self_contained),
            conversation: wish.conversation.clone(),
            keeping,
            request: if keeping == Keeping::Stored {
                wish.kept(context)
            } else {
                String::new()
            },
            model: wish.model.clone(),
            settings: wish.settings(),
            before: context.before.clone(),
            own: context.own.clone(),
            output: Vec::new(),
            memory: None,
            ended: None,
        }
    }

    /// The same, remembered by a connection too.
    pub(crate) fn remembering(mut self, memory: &Arc<Memory>) -> Self {
        self.memory = Some(Arc::clone(memory));
        self
    }

    /// What this went on from is not held by a connection any longer.
    pub(crate) fn forget_previous(&self, memory: &Memory) {
        if let Some(previous) = &self.previous {
            memory.forget(previous);
        }
    }

    /// An event as the client sees it. With the last one the response is kept, before anybody learns that it ended.
    pub(crate) async fn pass(&mut self, told: Told) -> Told {
        match told.name.as_str() {
            "response.output_item.done" => {
                if let Ok(mut event) = serde_json::from_slice::<Value>(&told.data) {
                    self.output.push(event["item"].take());
                }
                told
            }
            "response.created"
            | "response.queued"
            | "response.in_progress"
            | "response.completed"
            | "response.incomplete"
            | "response.failed" => {
                let Ok(mut event) = serde_json::from_slice::<Value>(&told.data) else {
                    return told;
                };
                if let Some(Value::Object(response)) = event.get_mut("response") {
                    self.keep(response).await;
                }
                Told {
                    name: told.name,
                    data: event.to_string().into(),
                }
            }
            _more => told,
        }
    }

    /// Puts a response into this server's terms, and keeps it if it has ended.
    pub(crate) async fn keep(&mut self, response: &mut Map<String, Value>) {
        self.name(response);
        let status = response.get("status").and_then(Value::as_str);
        let Some(status) = status.and_then(ended) else {
            return;
        };
        let is_empty = |output: &Value| output.as_array().is_none_or(Vec::is_empty);
        if response.get("output").is_none_or(is_empty) && !self.output.is_empty() {
            response.insert("output".to_owned(), self.output.clone().into());
        }
        self.ended = Some(status);
        if self.write(status, response).await.is_err() {
            // It can be used, but nobody will find it: it says so itself.
            response.insert("store".to_owned(), false.into());
        }
        if let Some(memory) = &self.memory {
            if status == ResponseStatus::Failed {
                return;
            }
            let mut all = std::mem::take(&mut self.before);
            all.append(&mut self.own.clone());
            all.extend(self.answered(response));
            let recalled = Recalled {
                items: all,
                is_kept: response.get("store") == Some(&Value::Bool(true)),
            };
            memory.remember(&self.id, recalled);
        }
    }

    /// Puts a response into this server's terms.
    pub(crate) fn name(&self, response: &mut Map<String, Value>) {
        shell::fill(response, &self.model, &self.settings, self.created_at);
        let kept = self.keeping != Keeping::Passing;
        response.insert("id".to_owned(), self.id.as_str().into());
        response.insert("store".to_owned(), kept.into());
        let background = self.keeping == Keeping::Background;
        response.insert("background".to_owned(), background.into());
        response.insert(
            "previous_response_id".to_owned(),
            self.previous.as_deref().into(),
        );
        if let Some(id) = &self.conversation {
            response.insert("conversation".to_owned(), conversation_value(id));
        }
    }

    /// The items of the answer.
    fn answered(&self, response: &Map<String, Value>) -> Vec<Item> {
        let output = response.get("output").map(Value::to_string);
        items::input(output.as_deref(), &format!("{}a", self.id)).unwrap_or_default()
    }

    async fn write(
        &self,
        status: ResponseStatus,
        response: &Map<String, Value>,
    ) -> Result<(), Error> {
        let text = Value::Object(response.clone()).to_string();
        let conversation = self.conversation.as_deref().map(ConversationId::from);
        let grows = conversation.filter(|_| status != ResponseStatus::Failed);
        let Some(conversation) = grows else {
            return self.record(status, &text, None).await;
        };
        let answered = self.answered(response);
        let new: Vec<Item> = self.own.iter().chain(&answered).cloned().collect();
        let write = async |items: Vec<StoredItem>| {
            let growth = Growth {
                conversation: &conversation,
                items: &items,
            };
            self.record(status, &text, Some(growth)).await
        };
        let known = |id: &str| self.before.iter().any(|item| item.id == id);
        match write(stored(&new, known)).await {
            // Another response put an item of the same id there in the meantime.
            Err(Error::Exists { kind: "item", .. }) => write(stored(&new, |_| true)).await,
            // The conversation is gone, and the response is not.
            Err(Error::Missing { .. }) => self.record(status, &text, None).await,
            done => done,
        }
    }

    /// Writes how the response ended, together with what its conversation grows by.
    async fn record(
        &self,
        status: ResponseStatus,
        text: &str,
        growth: Option<Growth<'_>>,
    ) -> Result<(), Error> {
        let id = ResponseId::from(self.id.as_str());
        let workspace = &self.workspace;
        let responses = self.app.depot().responses();
        match (self.keeping, growth) {
            (Keeping::Passing, None) => Ok(()),
            (
                Keeping::Passing,
                Some(Growth {
                    conversation,
                    items,
                }),
            ) => {
                let conversations = self.app.depot().conversations();
                conversations
                    .put(workspace, conversation, &Put::Last, items)
                    .await
            }
            (Keeping::Background, None) => {
                let done = responses.update(workspace, &id, status, text).await;
                done.map(drop)
            }
            (Keeping::Background, Some(growth)) => {
                let done = responses.end(workspace, &id, status, text, growth).await;
                done.map(drop)
            }
            (Keeping::Stored, growth) => {
                let stored = self.stored(id, status, text);
                match growth {
                    Some(growth) => responses.add_ended(workspace, &stored, growth).await,
                    None => responses.add(workspace, &stored, &[]).await,
                }
            }
        }
    }

    fn stored(&self, id: ResponseId, status: ResponseStatus, text: &str) -> StoredResponse {
        StoredResponse {
            id,
            key: self.key.clone(),
            created_at: self.created_at,
            expires_at: Some(expiry(self.created_at)),
            previous: self.linked.as_deref().map(ResponseId::from),
            conversation: self.conversation.as_deref().map(ConversationId::from),
            background: false,
            status,
            request: self.request.clone(),
            response: text.to_owned(),
        }
    }
}

/// Items for a conversation: those whose id is taken get another.
pub(crate) fn stored(items: &[Item], is_taken: impl Fn(&str) -> bool) -> Vec<StoredItem> {
    let mut seen = std::collections::HashSet::new();
    let one = |item: &Item| {
        let id = if is_taken(&item.id) || !seen.insert(item.id.clone()) {
            fresh_id(&item.kind)
        } else {
            item.id.clone()
        };
        StoredItem {
            item: with_id(&item.shown().to_string(), &id),
            id,
        }
    };
    items.iter().map(one).collect()
}

/// When a response of a time is deleted.
pub(crate) fn expiry(created_at: i64) -> i64 {
    created_at.saturating_add(super::KEPT_DAYS * 86_400_000)
}

fn ended(status: &str) -> Option<ResponseStatus> {
    match status {
        "completed" => Some(ResponseStatus::Completed),
        "incomplete" => Some(ResponseStatus::Incomplete),
        "failed" => Some(ResponseStatus::Failed),
        "cancelled" => Some(ResponseStatus::Cancelled),
        _open => None,
    }
}
