//! Goals: what a session works for turn after turn until a separate evaluator says that it is met.

use serde::{Deserialize, Serialize};

use crate::{CallId, CommandEnd};

/// What is to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// In a person's words.
    pub text: String,
    /// Commands that must succeed where the goal is met; the evaluator sees their results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// How many verdicts in a row may find nothing new before the work stops.
    pub patience: u32,
    /// How many verdicts there may be since a person last spoke.
    pub verdicts: u32,
    /// The commit that was checked out when it was set, with which the changes are compared. The engine
    /// fills it in; none where the workspace was in no repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
}

impl Goal {
    /// A goal with the usual patience.
    #[must_use]
    pub fn new(text: impl Into<String>, checks: Vec<String>) -> Self {
        Self {
            text: text.into(),
            checks,
            patience: 3,
            verdicts: 100,
            start: None,
        }
    }
}

/// Something that happened to the goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum GoalStep {
    /// There is a goal from here on.
    Set {
        /// The goal.
        goal: Goal,
    },
    /// The evaluator judged.
    Judged {
        /// What it said.
        judgement: Judgement,
    },
    /// There is no goal any more.
    Dropped {
        /// Why: `person`, `met`, `impossible`, `no progress`.
        cause: String,
    },
}

/// What the evaluator said of a goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: GoalVerdict,
    /// Its reasons, which steer the next turn.
    pub reasons: String,
    /// The commands that the claim named as evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<CallId>,
    /// The goal's checks, as they were just run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckRun>,
    /// A hash of the changes in the workspace: the same number means that nothing changed.
    #[serde(default)]
    pub changes: u64,
    /// The same, after the checks had run.
    #[serde(default)]
    pub left: u64,
}

/// Whether a goal is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalVerdict {
    /// It is.
    Met,
    /// More work is needed.
    NotYet,
    /// It cannot be.
    Impossible,
}

impl GoalVerdict {
    /// Its name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotYet => "not_yet",
            Self::Impossible => "impossible",
        }
    }
}

impl GoalVerdict {
    /// Reads an evaluator's answer: a JSON object with `verdict` and `reasons`, perhaps with words
    /// around it.
    #[must_use]
    pub fn read(answer: &str) -> Option<(Self, String)> {
        #[derive(Deserialize)]
        struct Answer {
            verdict: GoalVerdict,
            reasons: String,
        }
        let (from, to) = (answer.find('{')?, answer.rfind('}')?);
        let answer: Answer = serde_json::from_str(answer.get(from..=to)?).ok()?;
        Some((answer.verdict, answer.reasons))
    }
}

/// A check of a goal that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRun {
    /// The command.
    pub command: String,
    /// How it ended; absent when it could not run.
    pub end: Option<CommandEnd>,
    /// The last of what it printed.
    pub output: String,
}

impl CheckRun {
    /// Whether it exited with 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.end == Some(CommandEnd::Exited { code: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_with_words_around_them() {
        for (answer, verdict) in [
            (
                r#"{"verdict":"met","reasons":"all green"}"#,
                Some(GoalVerdict::Met),
            ),
            (
                "```json\n{\"verdict\":\"not_yet\",\"reasons\":\"x\"}\n```",
                Some(GoalVerdict::NotYet),
            ),
            (
                r#"Well: {"verdict":"impossible","reasons":"no key"}."#,
                Some(GoalVerdict::Impossible),
            ),
            (r#"{"verdict":"maybe","reasons":""}"#, None),
            ("} met {", None),
            ("met", None),
            ("", None),
        ] {
            let read = GoalVerdict::read(answer).map(|(verdict, _)| verdict);
            assert_eq!(read, verdict, "{answer}");
        }
    }
}
