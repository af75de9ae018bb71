//! What came out of the layers: typed for those who use it, in rows for those who look at it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use quire_protocol::{
    ApprovalMode, CompactionMode, ContextLimits, Delivery, Effort, Limits, Money, Phase, Policy,
    Rule, RuleAction, SandboxMode,
};

use crate::key::{KEYS, Key};
use crate::mcp::McpServer;
use crate::paths::expand;
use crate::provider::{ModelEntry, Provider};
use crate::source::{Source, Sourced};
use crate::trust::Standing;
use crate::value::{Durability, Value};

/// Something odd that does no harm: an unknown key, a file that is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub source: Source,
    /// What, and what to do.
    pub message: String,
}

/// A key with its value and where it came from, to be shown.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The key.
    pub key: &'static Key,
    /// Its value.
    pub value: &'a Value,
    /// Where it came from.
    pub source: &'a Source,
}

/// Settings, each with where it came from.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub(crate) home: Option<PathBuf>,
    pub(crate) values: BTreeMap<&'static str, Sourced<Value>>,
    pub(crate) rules: Vec<Sourced<Rule>>,
    pub(crate) providers: BTreeMap<String, Provider>,
    pub(crate) models: BTreeMap<String, ModelEntry>,
    pub(crate) servers: BTreeMap<String, McpServer>,
    /// How the workspace's own file stands, if there is one.
    pub(crate) standing: Option<Standing>,
    pub(crate) notices: Vec<Notice>,
}

impl Resolved {
    /// Every key with its value and source, in a fixed order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        KEYS.iter().filter_map(|key| {
            let sourced = self.values.get(key.name)?;
            Some(Row {
                key,
                value: &sourced.value,
                source: &sourced.source,
            })
        })
    }

    /// Where the value of a key came from; `None` when there is no such key.
    #[must_use]
    pub fn source(&self, key: &str) -> Option<&Source> {
        self.values.get(key).map(|sourced| &sourced.source)
    }

    /// Where what concerns commands comes from: the names of keys, and rules in words, each with its
    /// place.
    #[must_use]
    pub fn origins(&self) -> Vec<(String, String)> {
        let keys = self.values.iter();
        let keys = keys.map(|(key, value)| ((*key).to_owned(), value.source.to_string()));
        let rules = self.rules.iter().map(|rule| {
            let action = match rule.value.action {
                RuleAction::Allow => "allow",
                RuleAction::Ask => "ask",
                RuleAction::Deny => "deny",
            };
            let words = format!("{action} {}", rule.value.prefix.join(" "));
            (words, rule.source.to_string())
        });
        keys.chain(rules).collect()
    }

    /// Whether the workspace's own file counts.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.standing == Some(Standing::Trusted)
    }

    /// Whether the workspace has a file of its own about which the person has said nothing yet, as it
    /// is now.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        let decided = [Standing::Trusted, Standing::Refused];
        self.standing
            .is_some_and(|standing| !decided.contains(&standing))
    }

    /// What is odd, in the order of the layers.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The model, when one is set.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.text("model")
    }

    /// How hard to think.
    #[must_use]
    pub fn effort(&self) -> Effort {
        self.text("effort")
            .and_then(|name| name.parse().ok())
            .unwrap_or_default()
    }

    /// How long a whole run may take.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.count("timeout_s")
            .map(|seconds| Duration::from_secs(u64::from(seconds)))
    }

    /// Whether changes of files are kept, so that they can be taken back.
    pub fn keeps_files(&self) -> bool {
        !matches!(self.get("checkpoints"), Some(Value::Toggle(false)))
    }

    /// Whether instruction files are read.
    #[must_use]
    pub fn reads_instructions(&self) -> bool {
        !matches!(self.get("instructions"), Some(Value::Toggle(false)))
    }

    /// The theme of the screen, by its name.
    #[must_use]
    pub fn theme(&self) -> &str {
        self.text("theme").unwrap_or("auto")
    }

    /// How the screen tells a person who looks elsewhere, by its name.
    #[must_use]
    pub fn notify(&self) -> &str {
        self.text("notify").unwrap_or("off")
    }

    /// Whether the screen is all of the terminal.
    #[must_use]
    pub fn fills_screen(&self) -> bool {
        self.text("screen") == Some("full")
    }

    /// Whether the screen shows all that is thought.
    #[must_use]
    pub fn shows_thinking(&self) -> bool {
        matches!(self.get("thinking_shown"), Some(Value::Toggle(true)))
    }

    /// Between looks of the screen at the clock.
    #[must_use]
    pub fn progress(&self) -> Duration {
        Duration::from_secs(self.count("progress_s").unwrap_or(1).into())
    }

    /// What survives a power cut.
    #[must_use]
    pub fn durability(&self) -> Durability {
        match self.text("store.durability") {
            Some("commit") => Durability::Commit,
            _ => Durability::Second,
        }
    }

    /// What may run, where, and who is asked.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            sandbox: match self.text("sandbox") {
                Some("read-only") => SandboxMode::ReadOnly,
                Some("off") => SandboxMode::Off,
                _ => SandboxMode::WorkspaceWrite,
            },
            approvals: match self.text("approvals") {
                Some("ask") => ApprovalMode::Ask,
                Some("never") => ApprovalMode::Never,
                _ => ApprovalMode::Auto,
            },
            rules: self.rules.iter().map(|rule| rule.value.clone()).collect(),
            domains: self.list("network.domains"),
            writable: self
                .list("writable")
                .iter()
                .map(|path| expand(self.home.as_deref(), path))
                .collect(),
            environment: self.list("environment"),
            phase: Phase::Work,
        }
    }

    /// How much a session may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let defaults = Limits::default();
        Limits {
            requests_per_turn: self
                .count("max_turns")
                .unwrap_or(defaults.requests_per_turn),
            budget: self.budget(),
            tokens: self.count("budget_tokens").map(u64::from),
            turns: self.count("budget_turns"),
            work_ms: self
                .count("budget_time_s")
                .map(|seconds| u64::from(seconds) * 1_000),
            ..defaults
        }
    }

    /// How large the context of a model with this window may grow, that may answer with so many tokens
    /// at most, and what happens then.
    #[must_use]
    pub fn context(&self, window: u64, max_output: u64) -> ContextLimits {
        let mut limits = ContextLimits::for_window(window, max_output);
        let room = limits.room();
        if let Some(at) = self.count("context.compact_at").map(u64::from) {
            let tokens = if at <= 100 { room * at / 100 } else { at };
            limits.compact_at = tokens.clamp(1, room);
        }
        if let Some(keep) = self.count("context.keep").map(u64::from) {
            limits.keep = keep.min(room / 5);
        }
        limits.compaction = match self.text("context.compaction") {
            Some("provider") => CompactionMode::Provider,
            Some("provider-threshold") => CompactionMode::ProviderThreshold,
            Some("off") => CompactionMode::Off,
            _ => CompactionMode::Own,
        };
        limits
    }

    /// Whether the effort stays the same from step to step, also where the model does not think
    /// adaptively.
    #[must_use]
    pub fn fixes_effort(&self) -> bool {
        self.text("effort_choice") == Some("fixed")
    }

    /// How a message is delivered that is sent with Enter while a turn works.
    #[must_use]
    pub fn follow_up(&self) -> Delivery {
        match self.text("follow_up") {
            Some("queue") => Delivery::Queue,
            _ => Delivery::Steer,
        }
    }

    /// Where inference must happen.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.text("region")
    }

    /// The rules by command prefix, lowest layer first, each with where it stands.
    #[must_use]
    pub fn rules(&self) -> &[Sourced<Rule>] {
        &self.rules
    }

    /// The providers by name: `anthropic`, `openai`, `chat`, and those of the user's file.
    #[must_use]
    pub fn providers(&self) -> &BTreeMap<String, Provider> {
        &self.providers
    }

    /// The models that the files name.
    #[must_use]
    pub fn models(&self) -> &BTreeMap<String, ModelEntry> {
        &self.models
    }

    /// The MCP servers by name, those that are not enabled too. Of two of one name, the person's own
    /// file's is the one.
    #[must_use]
    pub fn mcp_servers(&self) -> &BTreeMap<String, McpServer> {
        &self.servers
    }

    /// How long `quire exec` waits for its MCP servers before its first request.
    #[must_use]
    pub fn mcp_wait(&self) -> Duration {
        Duration::from_secs(self.count("mcp_wait_s").unwrap_or(5).into())
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).map(|sourced| &sourced.value)
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn count(&self, key: &str) -> Option<u32> {
        match self.get(key)? {
            Value::Count(count) => Some(*count),
            _ => None,
        }
    }

    fn budget(&self) -> Option<Money> {
        match self.get("budget_usd")? {
            Value::Money(money) => Some(*money),
            _ => None,
        }
    }

    fn list(&self, key: &str) -> Vec<String> {
        match self.get(key) {
            Some(Value::List(list)) => list.clone(),
            _ => Vec::new(),
        }
    }
}
