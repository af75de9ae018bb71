//! What comes before a request: the responses that it goes on from, its conversation, and what it refers to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_depot::{ConversationId, Order, Page, ResponseId, StoredResponse, WorkspaceId};
use quire_translate::{Reason, Refusal};
use serde_json::{Value, json};

use super::fields::{Fields, quoted};
use super::items::{self, Item};
use super::{calls, compact};
use crate::app::App;
use crate::reply::Denial;

/// Most responses that one may go on from, one after the other.
pub(crate) const CHAIN: u32 = 4_096;
/// Items of a conversation that are read at once.
const PAGE: u32 = 1_000;

/// How many of the items of a kept request were its own input, where what came before is kept with it.
const OWN_ITEMS: &str = "quire_own_items";

/// What a request asks of this server, and the rest of it.
#[derive(Clone, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) fields: Fields<'a>,
    /// The id that the response gets.
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) previous: Option<String>,
    pub(crate) conversation: Option<String>,
    pub(crate) store: bool,
    pub(crate) background: bool,
    pub(crate) stream: bool,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Named {
    Id(String),
    Object { id: String },
}

impl<'a> Wish<'a> {
    /// Reads a body.
    pub(crate) fn read(body: &'a [u8], id: String) -> Result<Self, Refusal> {
        let fields = Fields::read(body)?;
        let flag = |name| fields.get::<bool>(name);
        let conversation = fields.get("conversation")?.map(|named| match named {
            Named::Id(id) | Named::Object { id } => id,
        });
        let wish = Self {
            id,
            model: fields.get("model")?.unwrap_or_default(),
            previous: fields.get("previous_response_id")?,
            conversation,
            store: flag("store")?.unwrap_or(true),
            background: flag("background")?.unwrap_or(false),
            stream: flag("stream")?.unwrap_or(false),
            fields,
        };
        if wish.previous.is_some() && wish.conversation.is_some() {
            let message = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Send one of them.";
            return Err(Refusal::new(Reason::Invalid, message)
                .about("previous_response_id")
                .coded("mutually_exclusive_parameters"));
        }
        if wish.background && !wish.store {
            let message = "A response in the background is kept so that it can be fetched: leave `store` out, or set it to true.";
            return Err(Refusal::new(Reason::Invalid, message).about("store"));
        }
        Ok(wish)
    }

    /// Whether it goes on from a response or a conversation.
    fn goes_on(&self) -> bool {
        self.previous.is_some() || self.conversation.is_some()
    }

    /// The body with everything in it that came before, for an upstream that keeps nothing.
    pub(crate) fn standing_alone(&self, app: &App, context: &Context) -> String {
        let mut fields = self.fields.clone();
        fields.remove(&[
            "previous_response_id",
            "conversation",
            "background",
            "background_options",
        ]);
        fields.set("store", "false".to_owned());
        set_input(app, &mut fields, context);
        self.include_ciphers(app, &mut fields);
        fields.write()
    }

    /// The body with everything in its input that came before, for what is no request for an answer.
    pub(crate) fn input_alone(&self, app: &App, context: &Context) -> String {
        let mut fields = self.fields.clone();
        fields.remove(&["previous_response_id", "conversation"]);
        set_input(app, &mut fields, context);
        fields.write()
    }

    /// The body without its input, which may be long.
    pub(crate) fn settings(&self) -> String {
        let mut fields = self.fields.clone();
        fields.remove(&["input"]);
        fields.write()
    }

    /// Reasoning comes back as a cipher, which is all that the next request can send of it.
    fn include_ciphers(&self, app: &App, fields: &mut Fields<'_>) {
        const CIPHER: &str = "reasoning.encrypted_content";
        if !self.store
            || app
                .till()
                .catalogue
                .facts("openai", &self.model)
                .efforts
                .is_empty()
        {
            return;
        }
        let mut include: Vec<Value> = fields.get("include").ok().flatten().unwrap_or_default();
        if !include.iter().any(|name| name == CIPHER) {
            include.push(CIPHER.into());
            fields.set("include", Value::from(include).to_string());
        }
    }

    /// The body as it is kept: what it refers to stands in it.
    pub(crate) fn kept(&self, context: &Context) -> String {
        let mut fields = self.fields.clone();
        if context.is_self_contained {
            fields.set(OWN_ITEMS, context.own.len().to_string());
            fields.set(
                "input",
                items::list(context.before.iter().chain(&context.own)),
            );
        } else if context.referred {
            fields.set("input", items::list(context.own.iter()));
        }
        fields.write()
    }
}

fn set_input(app: &App, fields: &mut Fields<'_>, context: &Context) {
    if !context.changed {
        return;
    }
    let all = context.before.iter().chain(&context.own);
    let readable = all.filter(|item| item.is_readable());
    let readable: Vec<Item> = readable.map(|item| compact::opened(app, item)).collect();
    fields.set("input", items::list(readable.iter()));
}

/// What a request goes on from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    /// Everything before it.
    pub(crate) before: Vec<Item>,
    /// Its own input.
    pub(crate) own: Vec<Item>,
    /// Whether the input that goes upstream is another than the one that came.
    pub(crate) changed: bool,
    /// Whether it referred to items.
    referred: bool,
    /// Whether what came before is to be kept with the request, because nothing else keeps it: a connection's memory
    /// ends, and a conversation goes on changing.
    pub(crate) is_self_contained: bool,
}

impl Context {
    /// Finds everything that a request needs to stand for itself.
    pub(crate) async fn resolve(
        app: &App,
        workspace: &WorkspaceId,
        wish: &Wish<'_>,
        memory: Option<&Memory>,
    ) -> Result<Self, Denial> {
        let mut is_self_contained = wish.conversation.is_some();
        let before = match (&wish.previous, &wish.conversation) {
            (Some(id), _) => match memory.and_then(|memory| memory.recall(id)) {
                Some(recalled) => {
                    is_self_contained = !recalled.is_kept;
                    recalled.items
                }
                None => chain(app, workspace, id).await?,
            },
            (None, Some(id)) => conversation(app, workspace, id).await?,
            (None, None) => Vec::new(),
        };
        let mut own = items::input(wish.fields.raw("input"), &wish.id)?;
        let mut referred = false;
        for item in &mut own {
            if item.kind == "item_reference" {
                *item = find(&before, &item.id)?;
                referred = true;
            }
        }
        if wish.goes_on() {
            calls::have_calls(&before, &own)?;
        }
        let sealed = before.iter().chain(&own).any(compact::is_ours);
        Ok(Self {
            changed: referred || sealed || !before.is_empty(),
            before,
            own,
            referred,
            is_self_contained,
        })
    }

    /// Refuses a request for an answer that goes on from calls without their results.
    pub(crate) fn check_results(&self, wish: &Wish<'_>) -> Result<(), Refusal> {
        if wish.goes_on() {
            calls::have_results(&self.before, &self.own)?;
        }
        Ok(())
    }
}

impl Wish<'_> {
    /// What a kept request goes on from: what was kept with it is told apart from its own input.
    pub(crate) async fn resume(
        &mut self,
        app: &App,
        workspace: &WorkspaceId,
    ) -> Result<Context, Denial> {
        let own_items: Option<usize> = self.fields.get(OWN_ITEMS)?;
        let Some(own_items) = own_items else {
            return Context::resolve(app, workspace, self, None).await;
        };
        self.fields.remove(&[OWN_ITEMS]);
        let mut before = items::input(self.fields.raw("input"), &self.id)?;
        let own = before.split_off(before.len().saturating_sub(own_items));
        Ok(Context {
            before,
            own,
            changed: true,
            referred: false,
            is_self_contained: true,
        })
    }
}

fn find(before: &[Item], id: &str) -> Result<Item, Refusal> {
    let found = before.iter().rev().find(|item| item.id == id);
    found.cloned().ok_or_else(|| {
        Refusal::new(
            Reason::Invalid,
            format!(
                "Item with id '{id}' not found in what this request goes on from. Send the item itself, or the \
                 `previous_response_id` or `conversation` that has it."
            ),
        )
        .about("input")
    })
}

/// What the vendor says of a response that it does not know.
pub(crate) fn unknown_previous(id: &str) -> Refusal {
    Refusal::new(
        Reason::Invalid,
        format!("Previous response with id '{id}' not found."),
    )
    .about("previous_response_id")
    .coded("previous_response_not_found")
}

/// Everything up to a response, its answer included.
async fn chain(app: &App, workspace: &WorkspaceId, id: &str) -> Result<Vec<Item>, Denial> {
    let key = ResponseId::from(id);
    let chain = app
        .depot()
        .responses()
        .chain(workspace, &key, CHAIN)
        .await?;
    let Some(last) = chain.last().filter(|last| last.id == key) else {
        return Err(unknown_previous(id).into());
    };
    if last.status.is_open() {
        let message = format!("The response '{id}' is not complete yet: go on from it when it is.");
        return Err(Refusal::new(Reason::Invalid, message)
            .about("previous_response_id")
            .into());
    }
    let mut all = whole(&chain)?;
    let answer = Fields::read(last.response.as_bytes())?;
    told(&answer, &last.id, &mut all)?;
    Ok(all)
}

/// Everything that was given to the model for the last response of a chain.
pub(crate) fn whole(chain: &[StoredResponse]) -> Result<Vec<Item>, Refusal> {
    let mut all = Vec::new();
    if let Some(gap) = chain.first().and_then(|first| first.previous.as_ref()) {
        let message = format!(
            "An earlier response of this chain, '{gap}', was deleted or has expired, and without it the context has a \
             gap. Begin anew; a conversation does not expire."
        );
        return Err(Refusal::new(Reason::Invalid, message)
            .about("previous_response_id")
            .coded("previous_response_not_found"));
    }
    for (index, response) in chain.iter().enumerate() {
        let request = Fields::read(response.request.as_bytes())?;
        all.extend(items::input(request.raw("input"), response.id.as_str())?);
        if index + 1 < chain.len() {
            let answer = Fields::read(response.response.as_bytes())?;
            told(&answer, &response.id, &mut all)?;
        }
    }
    Ok(all)
}

/// Adds what was answered. A compaction in it stands for everything before.
fn told(answer: &Fields<'_>, id: &ResponseId, all: &mut Vec<Item>) -> Result<(), Refusal> {
    let output = items::input(answer.raw("output"), &format!("{id}a"))?;
    if let Some(at) = output.iter().rposition(|item| item.kind == "compaction") {
        all.clear();
        all.extend_from_slice(&output[at..]);
    } else {
        all.extend(output);
    }
    Ok(())
}

/// All items of a conversation.
async fn conversation(app: &App, workspace: &WorkspaceId, id: &str) -> Result<Vec<Item>, Denial> {
    let conversations = app.depot().conversations();
    let key = ConversationId::from(id);
    if conversations.get(workspace, &key).await?.is_none() {
        return Err(super::no_such("Conversation", id)
            .about("conversation")
            .into());
    }
    let mut all = Vec::new();
    let mut page = Page {
        after: None,
        before: None,
        limit: PAGE,
        order: Order::OldestFirst,
    };
    loop {
        let listed = conversations.items(workspace, &key, &page).await?;
        for item in &listed.items {
            all.push(Item::read(&item.item, &item.id, 0)?);
        }
        match listed.items.last() {
            Some(last) if listed.more => page.after = Some(last.id.clone()),
            Some(_) | None => return Ok(all),
        }
    }
}

/// What a connection remembers of its own responses, kept or not: the newest few, up to so many bytes.
#[derive(Debug)]
pub(crate) struct Memory {
    most_bytes: usize,
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    responses: HashMap<String, Recalled>,
    order: VecDeque<String>,
}

/// A response as a connection remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Recalled {
    /// Everything up to its end.
    pub(crate) items: Vec<Item>,
    /// Whether it is kept in the store too.
    pub(crate) is_kept: bool,
}

/// How many responses a connection remembers.
const REMEMBERED: usize = 16;

impl Memory {
    /// Nothing is remembered yet, and never more than so many bytes.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            remembered: Mutex::default(),
        }
    }

    fn recall(&self, id: &str) -> Option<Recalled> {
        self.held().responses.get(id).cloned()
    }

    /// Remembers a response; the oldest ones make room for it, all of them and itself where it is too large.
    pub(crate) fn remember(&self, id: &str, response: Recalled) {
        let mut held = self.held();
        held.responses.insert(id.to_owned(), response);
        held.order.push_back(id.to_owned());
        let kept = held.fitting(self.most_bytes);
        while held.order.len() > kept
            && let Some(oldest) = held.order.pop_front()
        {
            held.responses.remove(&oldest);
        }
    }

    /// Forgets a response.
    pub(crate) fn forget(&self, id: &str) {
        let mut held = self.held();
        held.responses.remove(id);
        held.order.retain(|known| known != id);
    }

    fn held(&self) -> MutexGuard<'_, Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    /// How many of the newest fit so many bytes. What they have in common is held once, and counts once.
    fn fitting(&self, most_bytes: usize) -> usize {
        let (mut counted, mut bytes) = (HashSet::new(), 0);
        let newest = self.order.iter().rev().take(REMEMBERED);
        let fitting = newest.take_while(|id| {
            let items = self
                .responses
                .get(*id)
                .map_or(&[][..], |known| &known.items);
            let new = items
                .iter()
                .filter(|item| counted.insert(Arc::as_ptr(&item.raw)));
            bytes += new.map(|item| item.raw.len()).sum::<usize>();
            bytes <= most_bytes
        });
        fitting.count()
    }
}

/// A conversation as responses name it.
pub(crate) fn conversation_value(id: &str) -> Value {
    json!({ "id": id })
}

/// A message of the user, as an item.
pub(crate) fn user_message(text: &str) -> String {
    format!(
        r#"{{"type":"message","role":"user","content":[{{"type":"input_text","text":{}}}]}}"#,
        quoted(text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(bytes: usize) -> Item {
        Item {
            id: "msg_1".to_owned(),
            kind: "message".to_owned(),
            raw: "x".repeat(bytes).into(),
        }
    }

    #[test]
    fn a_connection_remembers_so_many_bytes_at_most() {
        let memory = Memory::new(1_000);
        let remember = |id: &str, items: &[Item]| {
            let items = items.to_vec();
            let is_kept = false;
            memory.remember(id, Recalled { items, is_kept });
        };
        let known = |ids: &[&str]| -> Vec<String> {
            let known = ids.iter().filter(|id| memory.recall(id).is_some());
            known.map(ToString::to_string).collect()
        };
        // Each goes on from the one before: what they share is held once.
        let mut items = Vec::new();
        for id in ["a", "b", "c"] {
            items.push(item(300));
            remember(id, &items);
        }
        assert_eq!(known(&["a", "b", "c"]), ["a", "b", "c"]);
        remember("d", &[item(400)]);
        assert_eq!(known(&["a", "b", "c", "d"]), ["d"]);
        remember("e", &[item(500)]);
        assert_eq!(known(&["d", "e"]), ["d", "e"]);
        remember("f", &[item(1_001)]);
        assert!(known(&["d", "e", "f"]).is_empty());
        for number in 0..40 {
            remember(&format!("g{number}"), &[item(1)]);
        }
        assert_eq!(known(&["g23", "g24", "g39"]), ["g24", "g39"]);
    }
}
