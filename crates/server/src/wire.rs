//! What is said over the socket: JSON-RPC 2.0, one message a line. The words inside are those of
//! `protocol`, as its journal has them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use quire_protocol::{
    ClientError, Conflicts, Frame, MessageId, Op, Point, Seq, SessionId, SessionQuery, Settings,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The oldest version of these words that is understood.
pub(crate) const OLDEST: u32 = 1;
/// The newest one.
pub(crate) const NEWEST: u32 = 1;

/// Bytes of a message to the host at most: a prompt with its images fits.
pub(crate) const LONGEST: usize = 64 << 20;
/// Bytes of a message from the host at most: whatever was asked can be told of.
pub(crate) const LONGEST_TOLD: usize = 72 << 20;
/// Letters of what is searched for at most.
pub(crate) const LONGEST_SEARCH: usize = 1_000;

/// What can be asked and what is told. Each says last what it takes and gives, from which `cargo xtask
/// schema` writes what faces in other languages are made from.
pub(crate) mod method {
    /// Said first: `Hello -> Welcome`
    pub(crate) const HELLO: &str = "hello";
    /// Starts a session: `Start -> Named`
    pub(crate) const START: &str = "session/start";
    /// Opens a session that is there: `Named -> Opened`
    pub(crate) const OPEN: &str = "session/open";
    /// Asks something of a session; answered once it is recorded: `Submit -> ()`
    pub(crate) const SUBMIT: &str = "session/submit";
    /// This face looks at the session no more; its work goes on: `Named -> ()`
    pub(crate) const CLOSE: &str = "session/close";
    /// Removes a session for good: `Named -> ()`
    pub(crate) const REMOVE: &str = "session/remove";
    /// Begins a session with what another one has, or had before a message: `Fork -> Named`
    pub(crate) const FORK: &str = "session/fork";
    /// What a session made of files: `Changes -> Vec<FileChange>`
    pub(crate) const CHANGES: &str = "session/changes";
    /// Takes a session's changes of files back: `TakeBack -> TakenBack`
    pub(crate) const TAKE_BACK: &str = "session/take_back";
    /// Tells what is recorded in a session, and all that happens: `Watch -> Watched`
    pub(crate) const WATCH: &str = "session/watch";
    /// Ends a watch: `Watched -> ()`
    pub(crate) const UNWATCH: &str = "session/unwatch";
    /// Lists sessions, newest activity first: `List -> Vec<SessionHead>`
    pub(crate) const SESSIONS: &str = "sessions/list";
    /// Searches all sessions: `Search -> Vec<Hit>`
    pub(crate) const SEARCH: &str = "sessions/search";
    /// What sessions need: `() -> Vec<Agent>`
    pub(crate) const AGENTS: &str = "agents/list";
    /// Ends the host; the one thing that needs no `hello`: `Stop -> ()`
    pub(crate) const STOP: &str = "host/stop";
    /// More of what is watched: `<- More`
    pub(crate) const FRAME: &str = "watch/frame";
    /// What was watched is over: `<- Ended`
    pub(crate) const END: &str = "watch/end";
    /// The host ends, and the next one shows it: `<- Watched`
    pub(crate) const LEAVING: &str = "watch/leaving";
}

/// JSON-RPC's own numbers, and those of this wire.
pub(crate) mod code {
    /// A message is no JSON.
    pub(crate) const NOT_JSON: i64 = -32_700;
    /// A message asks nothing.
    pub(crate) const NO_REQUEST: i64 = -32_600;
    /// There is no such method.
    pub(crate) const NO_METHOD: i64 = -32_601;
    /// The params are not those of the method.
    pub(crate) const BAD_PARAMS: i64 = -32_602;
    /// The session said no: the data is a `ClientError`.
    pub(crate) const CLIENT: i64 = -32_000;
    /// The two sides share no version.
    pub(crate) const VERSION: i64 = -32_001;
    /// Something else was asked before `hello`.
    pub(crate) const NO_HELLO: i64 = -32_002;
    /// The host makes room for another one: connect again.
    pub(crate) const LEAVING: i64 = -32_003;
}

/// A message as it comes in, on either side.
#[derive(Deserialize)]
pub(crate) struct Incoming<'a> {
    /// The version of JSON-RPC; one that is not said is the only one.
    #[serde(default)]
    pub(crate) jsonrpc: Option<String>,
    /// What is told has none; null is one.
    #[serde(default, borrow, deserialize_with = "said")]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(default)]
    pub(crate) method: Option<String>,
    #[serde(default, borrow)]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(crate) result: Option<&'a RawValue>,
    #[serde(default)]
    pub(crate) error: Option<Failure>,
}

/// Whatever is there, null too.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Reads a message to the host; what it asks or tells, or with which id the failure is answered.
pub(crate) fn heard(message: &[u8]) -> Result<Heard<'_>, (&RawValue, Failure)> {
    let nobody = |code, words: String| (RawValue::NULL, Failure::new(code, words));
    let incoming: Incoming<'_> = match serde_json::from_slice(message) {
        Ok(_) if message.trim_ascii_start().starts_with(b"[") => {
            let words = "batches are not taken: say one message after the other";
            return Err(nobody(code::NO_REQUEST, words.to_owned()));
        }
        Ok(incoming) => incoming,
        Err(error) => {
            let code = match serde_json::from_slice::<IgnoredAny>(message) {
                Ok(_) => code::NO_REQUEST,
                Err(_) => code::NOT_JSON,
            };
            return Err(nobody(code, format!("not a message: {error}")));
        }
    };
    let of_id = |id: &&RawValue| !id.get().starts_with(['{', '[', 't', 'f']);
    let id = incoming.id.filter(of_id);
    let wrong = |words| {
        let failure = Failure::new(code::NO_REQUEST, words);
        (id.unwrap_or(RawValue::NULL), failure)
    };
    if id.is_none() && incoming.id.is_some() {
        return Err(wrong("an id is a string, a number or null"));
    }
    if incoming.jsonrpc.is_some_and(|version| version != "2.0") {
        return Err(wrong("this is JSON-RPC 2.0"));
    }
    let Some(method) = incoming.method else {
        return Err(wrong("a request has a method"));
    };
    Ok(Heard {
        id,
        method,
        params: incoming.params,
    })
}

/// What a face asks, or tells, which nothing is answered to.
pub(crate) struct Heard<'a> {
    pub(crate) id: Option<&'a RawValue>,
    pub(crate) method: String,
    pub(crate) params: Option<&'a RawValue>,
}

/// Why something asked was not done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: i64,
    pub(crate) message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Value>,
}

impl Failure {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self {
            code: code::CLIENT,
            message: error.to_string(),
            data: serde_json::to_value(&error).ok(),
        }
    }
}

impl From<Failure> for ClientError {
    fn from(failure: Failure) -> Self {
        let told = failure.data.map(serde_json::from_value::<Self>);
        match told {
            Some(Ok(error)) if failure.code == code::CLIENT => error,
            _ => Self::Unreachable(failure.message),
        }
    }
}

/// The first thing that is said.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The versions that the face understands.
    pub(crate) protocol: Versions,
    /// Its name and version, for people.
    pub(crate) client: String,
    /// The folder it was started in.
    pub(crate) folder: PathBuf,
    /// Its environment: a session's commands and providers get theirs from here. The host's own counts
    /// where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) oldest: u32,
    pub(crate) newest: u32,
}

/// The answer to it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// The version that is spoken from here on.
    pub(crate) protocol: u32,
    /// The host's name and version, for people.
    pub(crate) server: String,
    /// Its process.
    pub(crate) process: u32,
}

/// The newest version that both sides understand.
pub(crate) fn agreed(theirs: Versions) -> Result<u32, Failure> {
    let newest = theirs.newest.min(NEWEST);
    if newest >= theirs.oldest.max(OLDEST) {
        return Ok(newest);
    }
    let message = if theirs.oldest > NEWEST {
        format!(
            "this host is older than its client: it speaks version {NEWEST} of the protocol, the \
             client {} at least. Stop it (`quire serve --stop`); the next start brings the new one",
            theirs.oldest
        )
    } else {
        format!(
            "this client is older than the host: it speaks version {} of the protocol at most, the \
             host {OLDEST} at least. Update the client",
            theirs.newest
        )
    };
    Err(Failure::new(code::VERSION, message))
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) settings: Settings,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) session: SessionId,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fork {
    pub(crate) session: SessionId,
    /// The message before which the fork begins; all of the session without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<MessageId>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Changes {
    pub(crate) session: SessionId,
    pub(crate) since: Point,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TakeBack {
    pub(crate) session: SessionId,
    pub(crate) to: Point,
    #[serde(default)]
    pub(crate) conflicts: Conflicts,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Submit {
    pub(crate) session: SessionId,
    pub(crate) op: Op,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) session: SessionId,
    /// What is recorded up to here is known already.
    #[serde(default)]
    pub(crate) after: Seq,
}

/// A watch by the number that its answer gave.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub(crate) watch: u64,
}

/// A watch that is over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) watch: u64,
    /// Why, for a person.
    #[serde(default)]
    pub(crate) reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Search {
    pub(crate) text: String,
    pub(crate) limit: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct List {
    #[serde(default)]
    pub(crate) query: SessionQuery,
}

/// Asks the host to end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stop {
    /// How long running tools may take to end by themselves.
    #[serde(default)]
    pub(crate) patience_ms: u64,
}

/// More of what is watched.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct More {
    pub(crate) watch: u64,
    pub(crate) frame: Frame,
}

/// A line that asks.
pub(crate) fn request(id: u64, method: &str, params: &impl Serialize) -> Vec<u8> {
    line(
        &serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": method }),
        "params",
        params,
    )
}

/// A line that tells.
pub(crate) fn notice(method: &str, params: &impl Serialize) -> Vec<u8> {
    line(
        &serde_json::json!({ "jsonrpc": "2.0", "method": method }),
        "params",
        params,
    )
}

/// A line that answers; `id` as it was asked.
pub(crate) fn answer(id: &RawValue, answer: Result<Box<RawValue>, Failure>) -> Vec<u8> {
    let head = serde_json::json!({ "jsonrpc": "2.0", "id": id });
    match answer {
        Ok(result) => line(&head, "result", &result),
        Err(failure) => line(&head, "error", &failure),
    }
}

/// An object with one more member at its end, and a line's end.
fn line(head: &Value, name: &str, last: &impl Serialize) -> Vec<u8> {
    let mut line = head.to_string().into_bytes();
    line.pop();
    line.extend_from_slice(format!(",\"{name}\":").as_bytes());
    let written = serde_json::to_writer(&mut line, last);
    debug_assert!(written.is_ok(), "these types are all JSON: {written:?}");
    line.extend_from_slice(b"}\n");
    line
}

/// What an answer holds.
pub(crate) fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Failure::new(code::BAD_PARAMS, error.to_string()))
}

/// Reads what was asked with a method.
pub(crate) fn params<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, Failure> {
    let text = params.map_or("{}", RawValue::get);
    serde_json::from_str(text)
        .map_err(|error| Failure::new(code::BAD_PARAMS, format!("bad params: {error}")))
}

#[cfg(test)]
mod tests {
    /// The words of every method have to hold what chance makes of them.
    #[test]
    fn what_may_be_asked_is_fuzzed() {
        let fuzzed = include_str!("../../../fuzz/fuzz_targets/wire.rs");
        let methods = include_str!("wire.rs").lines().filter_map(|line| {
            let (_, types) = line.trim().strip_prefix("/// ")?.split_once(": `")?;
            types.split_once(" -> ")
        });
        let asked: Vec<&str> = methods.map(|(params, _)| params).collect();
        assert!(asked.len() > 14, "{asked:?}");
        for params in asked.into_iter().filter(|params| *params != "()") {
            assert!(
                fuzzed.contains(&format!("again::<wire::{params}>")),
                "{params}"
            );
        }
    }
}
