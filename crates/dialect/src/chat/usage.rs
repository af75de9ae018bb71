//! Token counts of the Chat Completions dialect: `prompt_tokens` includes what came from a cache.

use quire_protocol::Usage;
use serde::Deserialize;

use crate::decoder::count;

/// `usage` as it is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// Some servers' word for the cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    /// Whether both prompt and answer were counted. No prompt is empty: where it counts nothing,
    /// the server does not count.
    pub(crate) fn counts_all(&self) -> bool {
        count(self.prompt_tokens) > 0 && self.completion_tokens.is_some()
    }

    /// Disjoint counts.
    pub(crate) fn usage(self) -> Usage {
        let prompt = self.prompt_tokens_details.unwrap_or_default();
        let completion = self.completion_tokens_details.unwrap_or_default();
        let cached = count(prompt.cached_tokens.or(self.prompt_cache_hit_tokens));
        let written = count(prompt.cache_write_tokens);
        Usage {
            input: count(self.prompt_tokens)
                .saturating_sub(cached)
                .saturating_sub(written),
            cache_read: cached,
            cache_write_5m: written,
            cache_write_1h: 0,
            output: count(self.completion_tokens),
            thinking: count(completion.reasoning_tokens),
        }
    }
}
