//! Questions to a person, and their answers.

use serde::{Deserialize, Serialize};

use crate::{Rule, RuleAction};

/// A question to a person about one tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Exactly what would run: the command line, or the tool and its target.
    pub action: String,
    /// Why it is asked: which rule, which sandbox limit.
    pub reason: String,
    /// What "always" would allow: a command prefix, in words. Empty when it cannot be remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<String>,
    /// What it would touch, in short lines, as far as it is known without looking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<String>,
    /// What it would make of files, as far as the call itself says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Proposed>,
}

/// A change of a file that was not made yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// Which file, as the call names it.
    pub path: String,
    /// Hunks of a unified diff without places, since nobody looked at the file; cut to a sane size,
    /// which its last line then says. Empty where the file goes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub diff: String,
}

impl Approval {
    /// The rule that "always" makes of it; none where it cannot be remembered.
    #[must_use]
    pub fn always(&self) -> Option<Rule> {
        (!self.prefix.is_empty()).then(|| Rule {
            prefix: self.prefix.clone(),
            action: RuleAction::Allow,
        })
    }
}

/// A person's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Run this one.
    AllowOnce,
    /// Run this one and whatever has the approval's prefix, for this session.
    AllowAlways,
    /// Do not run it.
    Deny {
        /// Told to the model.
        reason: String,
    },
}

impl Answer {
    /// A person's no, in words for the model, with the reason if one was given.
    #[must_use]
    pub fn no(why: &str) -> Self {
        let reason = match why.trim() {
            "" => "The person does not allow this. Do not try it again in another form; find \
                   another way or ask what is wanted."
                .to_owned(),
            why => format!("The person does not allow this: {why}"),
        };
        Self::Deny { reason }
    }
}
