//! What confines commands, as the model is told.

use quire_protocol::{Policy, SandboxMode};

/// What confines commands, in a sentence for the model.
#[must_use]
pub fn confinement(policy: &Policy) -> String {
    let files = match policy.sandbox {
        SandboxMode::Off => return "none; be careful".to_owned(),
        SandboxMode::ReadOnly => "commands read the disk and write only /tmp",
        SandboxMode::WorkspaceWrite => {
            "commands read the disk and write this folder and /tmp, but not .git/hooks or .git/config"
        }
    };
    let network = if policy.domains.is_empty() {
        "no network".to_owned()
    } else {
        format!("network only to {}, by proxy", policy.domains.join(", "))
    };
    format!("{files}; {network}")
}
