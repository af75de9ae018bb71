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
    /// Whether it may be worked, or is planned first.
    #[serde(default, skip_serializing_if = "Phase::is_work")]
    pub phase: Phase,
}

impl Policy {
    /// What holds now: while it is not worked, commands read and nothing is written but a private temp
    /// folder, whatever the sandbox is otherwise.
    #[must_use]
    pub fn in_force(&self) -> Self {
        let mut policy = self.clone();
        if !policy.phase.is_work() {
            policy.sandbox = SandboxMode::ReadOnly;
            policy.writable.clear();
        }
        policy
    }
}

/// Whether it may be worked, is planned first, or is only looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// What the policy lets be done may be done.
    #[default]
    Work,
    /// Nothing is changed until the person accepts the plan.
    Plan,
    /// Nothing is changed, whatever rules and persons say: others are at work.
    Look,
}

impl Phase {
    /// Whether it may be worked.
    #[must_use]
    pub fn is_work(&self) -> bool {
        *self == Self::Work
    }
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

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn a_policy_of_before_there_were_plans_is_one_to_work_by() {
        let recorded = json!({"sandbox": "workspace-write", "approvals": "auto"});
        let policy: Policy = from_value(recorded.clone()).unwrap();
        assert_eq!(policy.phase, Phase::Work);
        assert_eq!(to_value(&policy).unwrap(), recorded);
    }

    #[test]
    fn what_is_planned_or_looked_at_is_read_only_whatever_the_sandbox_is() {
        for (sandbox, phase) in [
            ("read-only", "plan"),
            ("workspace-write", "plan"),
            ("off", "plan"),
            ("off", "look"),
        ] {
            let policy: Policy = from_value(json!({
                "sandbox": sandbox,
                "approvals": "auto",
                "writable": ["/srv"],
                "domains": ["example.org"],
                "phase": phase,
            }))
            .unwrap();
            let now = policy.in_force();
            assert_eq!(now.sandbox, SandboxMode::ReadOnly, "{sandbox}");
            assert!(now.writable.is_empty(), "{sandbox}");
            assert_eq!(now.domains, policy.domains, "{sandbox}");
            let work = Policy {
                phase: Phase::Work,
                ..policy
            };
            assert_eq!(work.in_force(), work, "{sandbox}");
        }
    }
}
