//! What a compatible server turned out not to take. Learnt from its refusals, as a table, and kept
//! for the process: each thing is left out once it was refused once.

use quire_dialect::{Caching, Dialect, OutputLimit, Thinking};
use quire_protocol::{ModelError, ModelErrorKind};

use crate::encoders::Plan;

/// Things that are left out for one model of one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    refused: Vec<&'static Rule>,
}

/// A thing that may be refused.
#[derive(Debug)]
struct Rule {
    dialects: &'static [Dialect],
    /// What a refusal says when it is about this.
    words: &'static [&'static str],
    /// For a person.
    name: &'static str,
    /// Whether the plan has the thing.
    present: fn(&Plan) -> bool,
    /// Makes the plan do without.
    drop: fn(&mut Plan),
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Rule {}

const MESSAGES: &[Dialect] = &[Dialect::Messages];
const CHAT: &[Dialect] = &[Dialect::Chat];
const OPENAI: &[Dialect] = &[Dialect::Responses, Dialect::Chat];
const RESPONSES: &[Dialect] = &[Dialect::Responses];

/// Tried in this order: the more telling words come first.
static RULES: &[Rule] = &[
    Rule {
        dialects: MESSAGES,
        words: &["cache_control"],
        name: "the automatic cache mark",
        present: |plan| plan.caching == Caching::Automatic,
        drop: |plan| plan.caching = Caching::PrefixOnly,
    },
    Rule {
        dialects: MESSAGES,
        words: &["cache_control"],
        name: "cache marks",
        present: |plan| plan.caching == Caching::PrefixOnly,
        drop: |plan| plan.caching = Caching::Off,
    },
    Rule {
        dialects: &Dialect::ALL,
        words: &["effort", "output_config"],
        name: "an effort",
        present: |plan| plan.effort.is_some(),
        drop: |plan| plan.effort = None,
    },
    Rule {
        dialects: RESPONSES,
        words: &["summary"],
        name: "summaries of the reasoning",
        present: |plan| plan.features.reasoning_summaries,
        drop: |plan| plan.features.reasoning_summaries = false,
    },
    Rule {
        dialects: OPENAI,
        words: &["prompt_cache_key"],
        name: "a cache key",
        present: |plan| !plan.cache_key.is_empty(),
        drop: |plan| plan.cache_key = String::new(),
    },
    Rule {
        dialects: RESPONSES,
        words: &["custom", "grammar"],
        name: "free-text tools",
        present: |plan| plan.features.custom_tools,
        drop: |plan| plan.features.custom_tools = false,
    },
    Rule {
        dialects: &[Dialect::Messages, Dialect::Responses],
        words: &["thinking", "reasoning"],
        name: "a request to think",
        present: |plan| plan.thinking != Thinking::Unset,
        drop: |plan| plan.thinking = Thinking::Unset,
    },
    Rule {
        dialects: CHAT,
        words: &["max_completion_tokens"],
        name: "`max_completion_tokens`",
        present: |plan| limits_with(plan, OutputLimit::MaxCompletionTokens),
        drop: |plan| plan.features.output_limit = OutputLimit::MaxTokens,
    },
    Rule {
        dialects: CHAT,
        words: &["max_tokens"],
        name: "`max_tokens`",
        present: |plan| limits_with(plan, OutputLimit::MaxTokens),
        drop: |plan| plan.features.output_limit = OutputLimit::MaxCompletionTokens,
    },
    Rule {
        dialects: MESSAGES,
        words: &["max_tokens"],
        name: "so many output tokens",
        present: |plan| plan.max_output.is_some_and(|most| most > SMALL_OUTPUT),
        drop: |plan| plan.max_output = Some(SMALL_OUTPUT),
    },
];

/// What any model may produce.
const SMALL_OUTPUT: u32 = 8_192;

fn limits_with(plan: &Plan, field: OutputLimit) -> bool {
    plan.max_output.is_some() && plan.features.output_limit == field
}

impl Quirks {
    /// Leaves out what was refused before.
    pub(crate) fn apply(&self, plan: &mut Plan) {
        for rule in &self.refused {
            (rule.drop)(plan);
        }
    }

    /// Learns from a refusal of this plan. Returns what was learnt, in words, if that is anything
    /// new.
    pub(crate) fn learn(&mut self, plan: &Plan, error: &ModelError) -> Option<String> {
        if error.kind != ModelErrorKind::BadRequest || !matches!(error.status, Some(400 | 422)) {
            return None;
        }
        let said = error.message.to_lowercase();
        let rule = RULES.iter().find(|rule| {
            rule.dialects.contains(&plan.dialect)
                && rule.words.iter().any(|word| said.contains(word))
                && (rule.present)(plan)
                && !self.refused.contains(rule)
        })?;
        self.refused.push(rule);
        Some(format!(
            "the server does not take {}, which is left out from now on ({})",
            rule.name, error.message
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quire_dialect::{ApiVersion, Features};
    use quire_protocol::Prefix;

    use super::*;
    use crate::failure::model_error;

    fn plan(dialect: Dialect) -> Plan {
        Plan {
            dialect,
            model: "m".into(),
            prefix: Arc::new(Prefix::default()),
            max_output: Some(32_000),
            thinking: Thinking::Adaptive,
            effort: Some("high"),
            schema: None,
            cache_key: "k".into(),
            caching: Caching::Automatic,
            api_version: ApiVersion::default(),
            features: Features {
                custom_tools: true,
                reasoning_summaries: true,
                cache_key: true,
                output_limit: OutputLimit::MaxTokens,
            },
        }
    }

    fn refusal(said: &str) -> ModelError {
        ModelError {
            status: Some(400),
            ..model_error(ModelErrorKind::BadRequest, said, "")
        }
    }

    #[test]
    fn each_refusal_drops_one_thing_once() {
        let (messages, responses, chat) = (Dialect::Messages, Dialect::Responses, Dialect::Chat);
        for (dialect, said, dropped) in [
            (messages, "cache_control: Extra inputs are not permitted", 2),
            (messages, "output_config: Extra inputs are not permitted", 1),
            (messages, "adaptive thinking is not supported", 1),
            (messages, "max_tokens: 32000 > 4096", 1),
            (messages, "messages: roles must alternate", 0),
            (responses, "Unsupported parameter: 'reasoning.summary'", 2),
            (responses, "Unknown parameter: 'prompt_cache_key'", 1),
            (responses, "tools[0].type must be function, not custom", 1),
            (
                chat,
                "Unrecognized request argument supplied: reasoning_effort",
                1,
            ),
            (
                chat,
                "Use 'max_completion_tokens' instead of 'max_tokens'",
                2,
            ),
            (chat, "prompt_cache_key", 1),
        ] {
            let mut quirks = Quirks::default();
            let mut learnt = 0;
            loop {
                let mut plan = plan(dialect);
                quirks.apply(&mut plan);
                if quirks.learn(&plan, &refusal(said)).is_none() {
                    break;
                }
                learnt += 1;
            }
            assert_eq!(learnt, dropped, "{dialect} {said}");
        }
    }

    #[test]
    fn only_refusals_teach() {
        let mut quirks = Quirks::default();
        let plan = plan(Dialect::Chat);
        let busy = model_error(ModelErrorKind::Busy, "reasoning_effort", "");
        assert_eq!(quirks.learn(&plan, &busy), None);
        assert_eq!(quirks, Quirks::default());
    }
}
