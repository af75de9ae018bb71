//! Token counts of the Messages dialect: `input_tokens` leaves out what the cache took part in.

use std::ops::Add;

use quire_protocol::Usage;
use serde::Deserialize;

use crate::decoder::{Extra, count};

/// `usage` as it is sent, in full or in part. Counts are cumulative.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    iterations: Option<Vec<Iteration>>,
    service_tier: Option<String>,
    inference_geo: Option<String>,
    speed: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

/// One of several passes behind an answer. The totals leave out those that compacted.
#[derive(Clone, Debug, Deserialize)]
struct Iteration {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(flatten)]
    usage: Counts,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
}

impl Counts {
    fn usage(&self) -> Usage {
        let written = count(self.cache_creation_input_tokens);
        let parts = self.cache_creation.clone().unwrap_or_default();
        let hour = count(parts.ephemeral_1h_input_tokens);
        let minutes = count(parts.ephemeral_5m_input_tokens);
        // Some servers send only the sum, some only the parts.
        Usage {
            input: count(self.input_tokens),
            cache_read: count(self.cache_read_input_tokens),
            cache_write_5m: written.saturating_sub(hour).max(minutes),
            cache_write_1h: hour,
            output: count(self.output_tokens),
            thinking: 0,
        }
    }
}

impl WireUsage {
    /// Takes over every count that `later` has.
    pub(crate) fn overwrite(&mut self, later: Self) {
        fn take<T>(slot: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *slot = later;
            }
        }
        take(&mut self.input_tokens, later.input_tokens);
        take(&mut self.output_tokens, later.output_tokens);
        take(
            &mut self.cache_read_input_tokens,
            later.cache_read_input_tokens,
        );
        take(
            &mut self.cache_creation_input_tokens,
            later.cache_creation_input_tokens,
        );
        take(&mut self.cache_creation, later.cache_creation);
        take(&mut self.output_tokens_details, later.output_tokens_details);
        take(&mut self.iterations, later.iterations);
        take(&mut self.service_tier, later.service_tier);
        take(&mut self.inference_geo, later.inference_geo);
        take(&mut self.speed, later.speed);
    }

    /// Whether the tokens of the answer are among them.
    pub(crate) fn counts_answer(&self) -> bool {
        self.output_tokens.is_some()
    }

    /// The passes behind the answer, each charged by itself. The totals leave out those that
    /// compacted, and are themselves the sum of the others.
    pub(crate) fn passes(&self) -> Vec<Usage> {
        let listed = self.iterations.iter().flatten();
        let mut passes: Vec<Usage> = listed.map(|pass| pass.usage.usage()).collect();
        let are_all = self
            .iterations
            .iter()
            .flatten()
            .any(|pass| pass.kind != "compaction");
        if !are_all {
            let counts = Counts {
                input_tokens: self.input_tokens,
                output_tokens: self.output_tokens,
                cache_read_input_tokens: self.cache_read_input_tokens,
                cache_creation_input_tokens: self.cache_creation_input_tokens,
                cache_creation: self.cache_creation.clone(),
            };
            passes.push(counts.usage());
        }
        let details = self.output_tokens_details.clone().unwrap_or_default();
        if let Some(last) = passes.last_mut() {
            last.thinking = count(details.thinking_tokens);
        }
        passes
    }

    /// All that was used, compaction included.
    pub(crate) fn total(&self) -> Usage {
        self.passes().into_iter().fold(Usage::default(), Add::add)
    }

    /// Copies what decides the price.
    pub(crate) fn describe(&self, extra: &mut Extra) {
        extra.service_tier.clone_from(&self.service_tier);
        extra.inference_geo.clone_from(&self.inference_geo);
        extra.speed.clone_from(&self.speed);
    }
}
