//! The one ladder of efforts, and what each level becomes for a model: its own level, a number of
//! tokens to think for, or, where it has neither, words and a limit on the answer. Data and pure
//! functions.

use quire_dialect::{Dialect, Thinking};
use quire_protocol::Effort;

use crate::{ModelFacts, ThinkingKind};

/// What a request asks for at an effort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The model's own level.
    pub level: Option<Effort>,
    /// Whether and how it thinks.
    pub thinking: Thinking,
    /// What it is told in words; empty for nothing.
    pub words: &'static str,
    /// The most tokens of its answer, where the effort limits them further than the model does.
    pub max_output: Option<u32>,
}

/// What becomes of one level of the ladder, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffortLine {
    /// The level.
    pub level: Effort,
    /// The model's own level that it is mapped to, where that is another one.
    pub mapped_to: Option<Effort>,
    /// The lower level that sends the same, where the model has no level of its own for either.
    pub same_as: Option<Effort>,
    /// What is sent, in words.
    pub sent: String,
}

/// A level's place in the ladder for models that have no levels of their own.
struct Rung {
    /// How many tokens a model may think for that wants a number.
    budget: u32,
    /// What a model is told that takes no number either.
    words: &'static str,
    /// The most tokens of such a model's answer.
    max_output: Option<u32>,
}

const fn rung(effort: Effort) -> Rung {
    match effort {
        Effort::Low => Rung {
            budget: 2_048,
            words: "Effort: low. Do what was asked in as few steps as it takes, look at nothing \
                    beyond it, and answer in a few words.",
            max_output: Some(8_192),
        },
        Effort::Medium => Rung {
            budget: 8_192,
            words: "Effort: medium. Look at what the task needs and no more, and keep your \
                    reasoning and your answers short.",
            max_output: Some(16_384),
        },
        Effort::High => Rung {
            budget: 16_384,
            words: "",
            max_output: None,
        },
        Effort::Xhigh => Rung {
            budget: 32_768,
            words: "Effort: very high. Think the task through step by step before you act, look \
                    at all that bears on it, and check the result.",
            max_output: None,
        },
        Effort::Max => Rung {
            budget: 49_152,
            words: "Effort: the highest. Before each action think at length and weigh several \
                    ways; afterwards prove every result, and leave nothing unchecked.",
            max_output: None,
        },
    }
}

impl ModelFacts {
    /// What a request in a dialect asks this model for at an effort.
    #[must_use]
    pub fn asked(&self, effort: Effort, dialect: Dialect) -> Asked {
        let rung = rung(effort);
        let level = self.level(effort);
        let mut asked = Asked {
            level,
            thinking: match self.thinking {
                ThinkingKind::Adaptive => Thinking::Adaptive,
                ThinkingKind::Budget => Thinking::Budget(self.budget(&rung)),
                ThinkingKind::Unset => Thinking::Unset,
            },
            words: "",
            max_output: None,
        };
        if level.is_none() && !self.has_budget(dialect) {
            asked.words = rung.words;
            asked.max_output = rung.max_output.map(|most| most.min(self.max_output));
        }
        asked
    }

    /// The ladder as this model takes it, lowest level first.
    #[must_use]
    pub fn efforts_described(&self, dialect: Dialect) -> Vec<EffortLine> {
        let line = |level: Effort| {
            let asked = self.asked(level, dialect);
            let sent = asked.described(dialect);
            let mut lower = Effort::ALL.into_iter().filter(|lower| *lower < level);
            let same = |lower: &Effort| self.asked(*lower, dialect).described(dialect) == sent;
            EffortLine {
                level,
                mapped_to: asked.level.filter(|taken| *taken != level),
                same_as: lower.find(same).filter(|_| asked.level.is_none()),
                sent,
            }
        };
        Effort::ALL.into_iter().map(line).collect()
    }

    /// What a person should know of an effort that does not reach the model as it is.
    #[must_use]
    pub fn effort_note(&self, wanted: Effort, dialect: Dialect) -> Option<String> {
        let asked = self.asked(wanted, dialect);
        let name = wanted.name();
        match asked.level {
            Some(taken) if taken != wanted => Some(format!(
                "effort `{name}` becomes `{}`: this model has no `{name}`",
                taken.name()
            )),
            None if !asked.words.is_empty() => Some(format!(
                "effort `{name}` is told to the model in words: it takes no levels"
            )),
            Some(_) | None => None,
        }
    }

    /// The highest of the model's levels that is not above the one that is wanted, or its lowest.
    fn level(&self, wanted: Effort) -> Option<Effort> {
        let below = self.efforts.iter().rfind(|level| **level <= wanted);
        below.or(self.efforts.first()).copied()
    }

    fn has_budget(&self, dialect: Dialect) -> bool {
        self.thinking == ThinkingKind::Budget && dialect == Dialect::Messages
    }

    /// At least 1,024 tokens, and less than what the model may produce.
    fn budget(&self, rung: &Rung) -> u32 {
        rung.budget.min(self.max_output / 2).max(1_024)
    }
}

impl Asked {
    /// What is sent, in the provider's own words.
    fn described(&self, dialect: Dialect) -> String {
        let mut parts = Vec::new();
        if let Some(level) = self.level {
            let field = match dialect {
                Dialect::Messages => "output_config.effort",
                Dialect::Responses => "reasoning.effort",
                Dialect::Chat => "reasoning_effort",
            };
            parts.push(format!("{field} = {}", level.name()));
        }
        if dialect == Dialect::Messages {
            match self.thinking {
                Thinking::Adaptive => parts.push("thinking adaptive".to_owned()),
                Thinking::Budget(tokens) => parts.push(format!("thinking up to {tokens} tokens")),
                Thinking::Unset | Thinking::Disabled => {}
            }
        }
        if !self.words.is_empty() {
            parts.push(format!("in words: \"{}\"", self.words));
        }
        if let Some(tokens) = self.max_output {
            parts.push(format!("at most {tokens} tokens of answer"));
        }
        if parts.is_empty() {
            parts.push("nothing: the model's own way".to_owned());
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::Catalogue;

    #[track_caller]
    fn check(model: &str, dialect: Dialect, expected: &Expect) {
        let facts = Catalogue::builtin().facts("p", model);
        let line = |line: &EffortLine| {
            let mapped = line.mapped_to.map_or("", Effort::name);
            format!("{:<6} {mapped:<6} {}", line.level.name(), line.sent)
        };
        let lines: Vec<String> = facts.efforts_described(dialect).iter().map(line).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn native_levels_and_what_maps_down_to_them() {
        check(
            "claude-opus-4-6",
            Dialect::Messages,
            &expect![[r"
            low           output_config.effort = low, thinking adaptive
            medium        output_config.effort = medium, thinking adaptive
            high          output_config.effort = high, thinking adaptive
            xhigh  high   output_config.effort = high, thinking adaptive
            max           output_config.effort = max, thinking adaptive"]],
        );
        check(
            "gpt-5",
            Dialect::Responses,
            &expect![[r"
            low           reasoning.effort = low
            medium        reasoning.effort = medium
            high          reasoning.effort = high
            xhigh  high   reasoning.effort = high
            max    high   reasoning.effort = high"]],
        );
        check(
            "gpt-5.2",
            Dialect::Chat,
            &expect![[r"
            low           reasoning_effort = low
            medium        reasoning_effort = medium
            high          reasoning_effort = high
            xhigh         reasoning_effort = xhigh
            max    xhigh  reasoning_effort = xhigh"]],
        );
    }

    #[test]
    fn a_number_of_tokens_to_think_for() {
        check(
            "claude-haiku-4-5",
            Dialect::Messages,
            &expect![[r"
            low           thinking up to 2048 tokens
            medium        thinking up to 8192 tokens
            high          thinking up to 16384 tokens
            xhigh         thinking up to 32000 tokens
            max           thinking up to 32000 tokens"]],
        );
    }

    #[test]
    fn words_and_a_limit_for_models_with_neither() {
        check(
            "qwen3-coder",
            Dialect::Chat,
            &expect![[r#"
            low           in words: "Effort: low. Do what was asked in as few steps as it takes, look at nothing beyond it, and answer in a few words.", at most 8192 tokens of answer
            medium        in words: "Effort: medium. Look at what the task needs and no more, and keep your reasoning and your answers short.", at most 16384 tokens of answer
            high          nothing: the model's own way
            xhigh         in words: "Effort: very high. Think the task through step by step before you act, look at all that bears on it, and check the result."
            max           in words: "Effort: the highest. Before each action think at length and weigh several ways; afterwards prove every result, and leave nothing unchecked.""#]],
        );
        // The number of tokens is a field of Messages alone.
        let elsewhere = Catalogue::builtin().facts("p", "claude-haiku-4-5");
        let asked = elsewhere.asked(Effort::Low, Dialect::Chat);
        assert!(asked.words.contains("low") && asked.max_output == Some(8_192));
    }

    #[test]
    fn a_person_is_told_what_becomes_of_a_level() {
        for (model, wanted, note) in [
            ("claude-opus-5", Effort::Max, None),
            (
                "claude-opus-4-6",
                Effort::Xhigh,
                Some("`xhigh` becomes `high`"),
            ),
            ("gpt-5", Effort::Max, Some("`max` becomes `high`")),
            (
                "gpt-4.1",
                Effort::Max,
                Some("`max` is told to the model in words"),
            ),
            ("gpt-4.1", Effort::High, None),
            ("claude-haiku-4-5", Effort::Low, None),
        ] {
            let facts = Catalogue::builtin().facts("p", model);
            let told = facts.effort_note(wanted, Dialect::Messages);
            let holds = match (&told, note) {
                (Some(told), Some(note)) => told.contains(note),
                (told, note) => told.is_none() && note.is_none(),
            };
            assert!(holds, "{model} {wanted:?}: {told:?}");
        }
    }

    #[test]
    fn a_model_with_only_a_high_level_gets_it_for_a_low_one() {
        let mut facts = Catalogue::builtin().facts("p", "gpt-5");
        facts.efforts = vec![Effort::High];
        let asked = facts.asked(Effort::Low, Dialect::Chat);
        assert_eq!((asked.level, asked.words), (Some(Effort::High), ""));
    }
}
