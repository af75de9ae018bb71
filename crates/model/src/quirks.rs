//! What a compatible server turned out not to take. Learnt from its refusals, as a table, and kept
//! for the process: each thing is left out once it was refused once.

use std::sync::Arc;

use quire_dialect::{Caching, Clearing, Dialect, OutputLimit, Thinking};
use quire_protocol::{ModelError, ModelErrorKind, Prefix};

use crate::encoders::{Compacting, Plan};

/// Things that are left out for one model of one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    refused: Vec<&'static Rule>,
}

/// A thing that may be refused.
#[derive(Debug)]
struct Rule {
    dialects: &'static [Dialect],
    /// What a refusal names when it is about this: whole words, or paths of parameters. `a.*` is
    /// a path and all below it, `*.a` one wherever it lies.
    names: &'static [&'static str],
    /// Words that show that it is about something else after all.
    unless: &'static [&'static str],
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
const NOT_CHAT: &[Dialect] = &[Dialect::Messages, Dialect::Responses];
const RESPONSES: &[Dialect] = &[Dialect::Responses];

/// Tried in this order: the more telling names come first.
static RULES: &[Rule] = &[
    Rule {
        dialects: MESSAGES,
        names: &["*.cache_control", "cache_control.*"],
        unless: &[],
        name: "the automatic cache mark",
        present: |plan| plan.opening.caching == Caching::Automatic,
        drop: |plan| plan.opening.caching = Caching::PrefixOnly,
    },
    Rule {
        dialects: MESSAGES,
        names: &["*.cache_control", "cache_control.*"],
        unless: &[],
        name: "cache marks",
        present: |plan| plan.opening.caching == Caching::PrefixOnly,
        drop: |plan| plan.opening.caching = Caching::Off,
    },
    Rule {
        dialects: &Dialect::ALL,
        names: &[
            "output_config.format.*",
            "output_format.*",
            "text.format.*",
            "*.response_format",
            "response_format.*",
            "json_schema",
        ],
        unless: &[],
        name: SCHEMA,
        present: |plan| plan.tail.schema.is_some(),
        drop: tell_schema,
    },
    Rule {
        dialects: MESSAGES,
        names: &["clear_tool_uses_20250919", "clear_thinking_20251015"],
        unless: &[],
        name: CLEARING,
        present: clears,
        drop: clear_nothing,
    },
    Rule {
        dialects: NOT_CHAT,
        names: &[
            "context_management.*",
            "compact_20260112",
            "compact-2026-01-12",
            "*.compact_threshold",
        ],
        unless: &[],
        name: "a compaction by itself",
        present: |plan| matches!(plan.tail.compaction, Compacting::From(_)),
        drop: |plan| {
            if let Compacting::From(_) = plan.tail.compaction {
                plan.tail.compaction = Compacting::Never;
            }
        },
    },
    // One whose signature or key does not hold any more must not keep the session from going on.
    Rule {
        dialects: NOT_CHAT,
        names: &[
            "compaction.*",
            "*.compaction",
            "encrypted",
            "*.encrypted_content",
        ],
        unless: &[],
        name: "what was compacted before",
        present: |plan| {
            let asks = matches!(plan.tail.compaction, Compacting::Now(_));
            plan.compacted && plan.opening.takes_compactions && !asks
        },
        drop: |plan| plan.opening.takes_compactions = false,
    },
    Rule {
        dialects: MESSAGES,
        names: &["context_management.*", "context-management-2025-06-27"],
        unless: &[],
        name: CLEARING,
        present: clears,
        drop: clear_nothing,
    },
    Rule {
        dialects: MESSAGES,
        names: &["thinking.*"],
        // What the model thought before must be sent as it was: no setting mends that.
        unless: &["block", "blocks"],
        name: "a request to think",
        present: |plan| plan.tail.thinking != Thinking::Unset,
        drop: |plan| plan.tail.thinking = Thinking::Unset,
    },
    Rule {
        dialects: RESPONSES,
        names: &["reasoning.summary", "summary", "summaries", "reasoning"],
        unless: &[],
        name: "summaries of the reasoning",
        present: |plan| plan.opening.features.reasoning_summaries,
        drop: |plan| plan.opening.features.reasoning_summaries = false,
    },
    Rule {
        dialects: &Dialect::ALL,
        names: &[
            "output_config.effort.*",
            "reasoning.effort",
            "*.reasoning_effort",
            "effort",
            "output_config",
            "reasoning",
        ],
        unless: &[],
        name: "an effort",
        present: |plan| plan.tail.effort.is_some(),
        drop: |plan| plan.tail.effort = None,
    },
    Rule {
        dialects: RESPONSES,
        names: &["custom", "grammar"],
        unless: &[],
        name: "free-text tools",
        present: |plan| plan.opening.features.custom_tools,
        drop: |plan| plan.opening.features.custom_tools = false,
    },
    Rule {
        dialects: &Dialect::ALL,
        names: &["output_config", "grammar"],
        unless: &[],
        name: SCHEMA,
        present: |plan| plan.tail.schema.is_some(),
        drop: tell_schema,
    },
    Rule {
        dialects: OPENAI,
        names: &["*.prompt_cache_key"],
        unless: &[],
        name: "a cache key",
        present: |plan| !plan.tail.cache_key.is_empty(),
        drop: |plan| plan.tail.cache_key = String::new(),
    },
    Rule {
        dialects: CHAT,
        names: &["*.max_completion_tokens"],
        unless: &[],
        name: "`max_completion_tokens`",
        present: |plan| limits_with(plan, OutputLimit::MaxCompletionTokens),
        drop: |plan| plan.opening.features.output_limit = OutputLimit::MaxTokens,
    },
    Rule {
        dialects: CHAT,
        names: &["*.max_tokens"],
        unless: &[],
        name: "`max_tokens`",
        present: |plan| limits_with(plan, OutputLimit::MaxTokens),
        drop: |plan| plan.opening.features.output_limit = OutputLimit::MaxCompletionTokens,
    },
    Rule {
        dialects: OPENAI,
        names: &[
            "*.max_tokens",
            "*.max_completion_tokens",
            "*.max_output_tokens",
        ],
        unless: &[],
        name: "a limit on output tokens",
        present: |plan| plan.tail.max_output.is_some(),
        drop: |plan| plan.tail.max_output = None,
    },
    Rule {
        dialects: MESSAGES,
        names: &["*.max_tokens"],
        unless: &[],
        name: "more than 64,000 output tokens",
        present: |plan| exceeds(plan, 64_000),
        drop: |plan| limit(plan, 64_000),
    },
    Rule {
        dialects: MESSAGES,
        names: &["*.max_tokens"],
        unless: &[],
        name: "more than 32,000 output tokens",
        present: |plan| exceeds(plan, 32_000),
        drop: |plan| limit(plan, 32_000),
    },
    Rule {
        dialects: MESSAGES,
        names: &["*.max_tokens"],
        unless: &[],
        name: "more than 8,192 output tokens",
        present: |plan| exceeds(plan, 8_192),
        drop: |plan| limit(plan, 8_192),
    },
];

const SCHEMA: &str = "a schema for the answer";
const CLEARING: &str = "a wish to leave old parts of the context out";

fn clears(plan: &Plan) -> bool {
    plan.tail.clearing != Clearing::default()
}

fn clear_nothing(plan: &mut Plan) {
    plan.tail.clearing = Clearing::default();
}

/// Tells the model the schema in words. The answer is checked in any case.
fn tell_schema(plan: &mut Plan) {
    let Some(schema) = plan.tail.schema.take() else {
        return;
    };
    let mut prefix = Prefix::clone(&plan.opening.prefix);
    let words = format!(
        "\n\nYour final answer must be JSON that fits this schema, with no fence and no other \
         words: {schema}\n"
    );
    prefix.instructions.push_str(&words);
    plan.opening.prefix = Arc::new(prefix);
}

fn exceeds(plan: &Plan, tokens: u32) -> bool {
    plan.tail.max_output.is_some_and(|most| most > tokens)
}

fn limit(plan: &mut Plan, tokens: u32) {
    plan.tail.max_output = plan.tail.max_output.map(|most| most.min(tokens));
}

fn limits_with(plan: &Plan, field: OutputLimit) -> bool {
    plan.tail.max_output.is_some() && plan.opening.features.output_limit == field
}

impl Rule {
    /// Whether a refusal in these words is about this.
    fn is_meant(&self, words: &[&str]) -> bool {
        let has = |names: &[&str]| {
            let mut pairs = words
                .iter()
                .flat_map(|word| names.iter().map(move |name| (word, name)));
            pairs.any(|(word, name)| covers(name, word))
        };
        has(self.names) && !has(self.unless)
    }
}

/// The words of a refusal; a path of a parameter is one.
fn words(said: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '-');
    said.split(move |c| !part(c))
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
}

fn covers(name: &str, word: &str) -> bool {
    if let Some(path) = name.strip_suffix(".*") {
        word.strip_prefix(path)
            .is_some_and(|below| below.is_empty() || below.starts_with(['.', '[']))
    } else if let Some(last) = name.strip_prefix("*.") {
        word.rsplit('.').next() == Some(last)
    } else {
        word == name
    }
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
        let words: Vec<&str> = words(&said).collect();
        let rule = RULES.iter().find(|rule| {
            rule.dialects.contains(&plan.opening.dialect)
                && rule.is_meant(&words)
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
    use quire_dialect::{ApiVersion, Features};

    use super::*;
    use crate::encoders::{Opening, Tail};
    use crate::failure::model_error;

    fn plan(dialect: Dialect) -> Plan {
        Plan {
            opening: Opening {
                dialect,
                model: "m".into(),
                prefix: Arc::new(Prefix::default()),
                words: "",
                caching: Caching::Automatic,
                api_version: ApiVersion::default(),
                features: Features {
                    custom_tools: true,
                    reasoning_summaries: true,
                    cache_key: true,
                    output_limit: OutputLimit::MaxTokens,
                },
                takes_images: true,
                takes_compactions: true,
            },
            tail: Tail {
                max_output: Some(128_000),
                thinking: Thinking::Adaptive,
                effort: Some("high"),
                schema: Some(Arc::new(serde_json::json!({"type": "object"}))),
                cache_key: "k".into(),
                window_beta: None,
                compaction: Compacting::From(150_000),
                clearing: Clearing {
                    tool_uses: true,
                    thinking: true,
                },
                words: "",
                region: None,
            },
            compacted: false,
        }
    }

    fn refusal(said: &str) -> ModelError {
        ModelError {
            status: Some(400),
            ..model_error(ModelErrorKind::BadRequest, said, "")
        }
    }

    /// What is left out of requests whose refusals all say the same, in this order.
    fn dropped(dialect: Dialect, said: &str) -> String {
        let mut quirks = Quirks::default();
        loop {
            let mut plan = plan(dialect);
            quirks.apply(&mut plan);
            if quirks.learn(&plan, &refusal(said)).is_none() {
                break;
            }
        }
        let names: Vec<&str> = quirks.refused.iter().map(|rule| rule.name).collect();
        names.join(", ")
    }

    /// dialect | a refusal | what is left out, one after another, while it stays the same
    const TABLE: &str = r#"
        messages | cache_control: Extra inputs are not permitted | the automatic cache mark, cache marks
        messages | system.0.cache_control: Extra inputs are not permitted | the automatic cache mark, cache marks
        messages | output_config: Extra inputs are not permitted | an effort, a schema for the answer
        messages | This model does not support the effort parameter. | an effort
        messages | adaptive thinking is not supported | a request to think
        messages | "thinking.type.enabled" is not supported. Use "output_config.effort" | a request to think, an effort
        messages | max_tokens: 128000 > 4096 | more than 64,000 output tokens, more than 32,000 output tokens, more than 8,192 output tokens
        messages | messages: roles must alternate |
        messages | context_management: Extra inputs are not permitted | a compaction by itself, a wish to leave old parts of the context out
        messages | context_management.edits.0.type: Input tag 'compact_20260112' found | a compaction by itself, a wish to leave old parts of the context out
        messages | Unexpected value(s) `compact-2026-01-12` for the `anthropic-beta` header | a compaction by itself
        messages | `clear_thinking_20251015` strategy requires `thinking` to be enabled | a wish to leave old parts of the context out, a request to think
        responses | Unknown parameter: 'context_management' | a compaction by itself
        responses | Unknown parameter: 'context_management[0].compact_threshold' | a compaction by itself
        messages | `thinking` or `redacted_thinking` blocks cannot be modified. |
        messages | messages.5.content.0: Invalid `signature` in `thinking` block |
        responses | Unsupported parameter: 'reasoning.summary' | summaries of the reasoning
        responses | Unsupported parameter: 'reasoning.effort' | an effort
        responses | Unknown parameter: 'reasoning' | summaries of the reasoning, an effort
        responses | Unknown parameter: 'prompt_cache_key' | a cache key
        responses | tools[0].type must be function, not custom | free-text tools
        chat | Unrecognized request argument supplied: reasoning_effort | an effort
        chat | Use 'max_completion_tokens' instead of 'max_tokens' | `max_tokens`, `max_completion_tokens`, a limit on output tokens
        responses | 'max_output_tokens' is too large: at most 16384 | a limit on output tokens
        chat | prompt_cache_key | a cache key
    "#;

    #[test]
    fn each_refusal_drops_one_thing_once() {
        for line in TABLE.lines().filter(|line| !line.trim().is_empty()) {
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            let dialect = Dialect::ALL.into_iter().find(|it| it.name() == parts[0]);
            assert_eq!(dropped(dialect.unwrap(), parts[1]), parts[2], "{line}");
        }
    }

    #[test]
    fn a_refused_schema_is_left_out_before_anything_else() {
        for (dialect, said) in [
            (
                Dialect::Messages,
                "output_config.format.schema: For 'object' type, 'additionalProperties' must be \
                 explicitly set to false",
            ),
            (
                Dialect::Messages,
                "output_config.format: Extra inputs are not permitted",
            ),
            (
                Dialect::Messages,
                "output_config.format.schema: the property 'effort' has an empty enum",
            ),
            (
                Dialect::Responses,
                "Invalid parameter: 'text.format' of type 'json_schema' is not supported with \
                 this model",
            ),
            (
                Dialect::Chat,
                "Invalid schema for response_format 'answer': In context=('properties', \
                 'summary'), 'additionalProperties' is required",
            ),
            (
                Dialect::Chat,
                "'response_format.json_schema.schema' must be an object",
            ),
            (
                Dialect::Chat,
                "Unrecognized request argument supplied: response_format",
            ),
            (
                Dialect::Chat,
                "Cannot use custom grammar constraints with tools.",
            ),
        ] {
            let first = dropped(dialect, said);
            assert!(first.starts_with(SCHEMA), "{dialect} {said}: {first}");
        }
    }

    #[test]
    fn a_refused_schema_is_told_in_words() {
        let mut plan = plan(Dialect::Chat);
        tell_schema(&mut plan);
        assert_eq!(plan.tail.schema, None);
        let told = &plan.opening.prefix.instructions;
        assert!(told.contains(r#"{"type":"object"}"#), "{told}");
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
