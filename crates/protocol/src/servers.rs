//! The port to servers whose tools come and go while a session is at work: those of MCP.

use std::borrow::Cow;

use futures_core::future::BoxFuture;
use serde_json::Value;

use crate::{Policy, ToolCall, ToolOutcome, ToolSpec};

/// The tool by which a model calls those that came late. It takes `name` and `arguments`.
pub const USE_TOOL: &str = "use_tool";

/// The servers of one session. Dropping it ends what it started.
pub trait ToolServers: Send + Sync {
    /// The tools of those servers that are there or were, in a fixed order. Names are unique and fit every provider.
    fn specs(&self) -> Vec<ToolSpec>;

    /// The same, and the servers that could not be started or broke, each with why in a line: `NAME: …`.
    fn offer(&self) -> (Vec<ToolSpec>, Vec<String>);

    /// Waits until there is another offer than the last that was asked for.
    fn changed(&self) -> BoxFuture<'static, ()>;

    /// Waits until each server has told its tools or failed, or until that was long enough.
    fn settled(&self) -> BoxFuture<'static, ()>;

    /// The tool of this name in a session with this policy, also when its server is not there now.
    fn find(&self, name: &str, policy: &Policy) -> Option<ServerTool>;

    /// Calls a tool of that name with a JSON object, on a server that this policy confines: one that
    /// something else confines is started anew. A server that is not there is started. What it answers
    /// may have any size.
    fn call(&self, name: &str, arguments: &str, policy: &Policy)
    -> BoxFuture<'static, ToolOutcome>;

    /// Ends the server that has this tool, and returns once nothing of it runs; the next call starts it
    /// again. What cannot be ended, since it runs elsewhere, is no longer waited for.
    fn end(&self, name: &str) -> BoxFuture<'static, ()>;
}

/// A tool of a server, as policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTool {
    /// The server's name.
    pub server: String,
    /// What the server calls the tool.
    pub tool: String,
    /// What the server reaches that commands of the session do not, in short lines.
    pub reaches: Vec<String>,
}

impl ToolCall {
    /// The call that one of [`USE_TOOL`] means, without arguments where it gives none; any other call
    /// means itself.
    #[must_use]
    pub fn meant(&self) -> Cow<'_, Self> {
        let given: Option<Value> = (self.name == USE_TOOL)
            .then(|| serde_json::from_str(&self.arguments).ok())
            .flatten();
        let Some(name) = given.as_ref().and_then(|given| given["name"].as_str()) else {
            return Cow::Borrowed(self);
        };
        let arguments = match given.as_ref().and_then(|given| given.get("arguments")) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        Cow::Owned(Self {
            name: name.to_owned(),
            arguments,
            ..self.clone()
        })
    }
}
