//! Rules that answer without asking.

use serde::{Deserialize, Serialize};

/// What may run, where, and who is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What the kernel lets commands do.
    pub sandbox: SandboxMode,
    /// When a person is asked.
    pub approvals: ApprovalMode,
    /// Rules by command prefix; the longest match wins, a later one among equals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Domains that commands may reach through the proxy: `example.org`, `*.example.org`, or `*`
    /// for every one. None means no network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// Folders besides the workspace that commands may write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<std::path::PathBuf>,
    /// Names of environment variables that commands get, besides the built-in list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
}

/// What the kernel lets commands do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// Read the disk, write nothing but a private temp folder.
    ReadOnly,
    /// Also write the workspace, except what configures git, hooks and Quire.
    WorkspaceWrite,
    /// Everything the user may do. The person has said that something else confines it.
    Off,
}

/// When a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalMode {
    /// For every call that may change something.
    Ask,
    /// To leave the sandbox. With the sandbox off never: the person has said that something else
    /// confines the commands.
    Auto,
    /// Never; what would ask is refused.
    Never,
}

/// A rule by command prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The words a command starts with: `["git", "push"]`.
    pub prefix: Vec<String>,
    /// What to do with it.
    pub action: RuleAction,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Run it without asking.
    Allow,
    /// Ask a person.
    Ask,
    /// Refuse it.
    Deny,
}
