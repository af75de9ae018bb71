//! How large things are, and how many tokens that is. Weights are bytes, nearly; what a token weighs
//! is learned from what the provider counts.

use std::sync::Arc;

use quire_protocol::{Content, Item, Opaque, Prefix, ToolInput, ToolSpec, Usage};

/// What brackets and names around an item weigh on the wire, as far as models count it.
const WRAPPING: u64 = 24;
/// What an image weighs: about 1,600 tokens.
const IMAGE: u64 = 6_000;
/// Tokens of a thousand bytes, where nothing was learned yet.
const USUAL_RATE: u64 = 290;
/// Beyond these the provider counts something else than it was sent.
const RATES: std::ops::RangeInclusive<u64> = 60..=1_500;

/// What an item weighs.
pub(crate) fn of(item: &Item) -> u64 {
    let inner = match item {
        Item::User { content, .. } | Item::ToolResult { content, .. } => of_content(content),
        Item::Notice { text } | Item::Ledger { text } | Item::Assistant { text, .. } => {
            of_text(text)
        }
        Item::Summary { text, opaque } | Item::Thinking { text, opaque } => {
            of_text(text).max(of_opaque(opaque.as_ref()))
        }
        Item::ToolCall(call) => of_text(&call.name) + of_text(&call.arguments),
        Item::Foreign { opaque } => of_opaque(Some(opaque)),
    };
    inner + WRAPPING
}

/// What items weigh together.
pub(crate) fn of_all<'a>(items: impl IntoIterator<Item = &'a Arc<Item>>) -> u64 {
    items.into_iter().map(|item| of(item)).sum()
}

/// What an item with this content weighs.
pub(crate) fn with_content(content: &[Content]) -> u64 {
    of_content(content) + WRAPPING
}

/// What an item with this text weighs.
pub(crate) fn with_text(text: &str) -> u64 {
    of_text(text) + WRAPPING
}

/// What opens every request.
pub(crate) fn of_prefix(prefix: &Prefix) -> u64 {
    let tools = prefix.tools.iter().map(of_tool);
    of_text(&prefix.instructions) + tools.sum::<u64>() + WRAPPING
}

/// What a tool weighs as it is described to a model.
pub(crate) fn of_tool(tool: &ToolSpec) -> u64 {
    let input = match &tool.input {
        ToolInput::Json(schema) => of_text(&schema.to_string()),
        ToolInput::Text { grammar } => of_text(grammar),
    };
    of_text(&tool.name) + of_text(&tool.description) + input + WRAPPING
}

fn of_text(text: &str) -> u64 {
    text.len() as u64
}

fn of_content(content: &[Content]) -> u64 {
    let part = |part: &Content| match part {
        Content::Text { text } => of_text(text),
        Content::Image { .. } => IMAGE,
    };
    content.iter().map(part).sum()
}

/// A provider's own block is mostly encrypted, in base64, and longer than what it stands for.
fn of_opaque(opaque: Option<&Opaque>) -> u64 {
    opaque.map_or(0, |opaque| of_text(&opaque.json) / 2)
}

/// What is known of the size of requests, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// What opens every request.
    prefix: u64,
    /// The weight of the request that is open.
    asked: u64,
    /// Weight and tokens of the last request that the provider counted, while the context only grew
    /// since.
    counted: Option<(u64, u64)>,
    /// Tokens of a thousand bytes.
    rate: u64,
    /// The weight of the lightest request that the provider refused as too large.
    refused: Option<u64>,
    /// Whether the model has answered a request. Before, every size is a guess.
    answered: bool,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            prefix: 0,
            asked: 0,
            counted: None,
            rate: USUAL_RATE,
            refused: None,
            answered: false,
        }
    }
}

impl Scale {
    pub(crate) fn prefix_set(&mut self, prefix: &Prefix) {
        self.prefix = of_prefix(prefix);
        self.counted = None;
    }

    /// A request with a context of this weight was sent.
    pub(crate) fn asked(&mut self, context: u64) {
        self.asked = context + self.prefix;
    }

    /// The provider counted the tokens of the open request.
    pub(crate) fn counted(&mut self, usage: &Usage) {
        let tokens = usage.prompt();
        if tokens == 0 || self.asked == 0 {
            return;
        }
        let rate = tokens * 1_000 / self.asked;
        if RATES.contains(&rate) {
            self.rate = rate;
            self.counted = Some((self.asked, tokens));
        }
    }

    /// The provider refused the open request as too large.
    pub(crate) fn refused(&mut self) {
        let least = self
            .refused
            .map_or(self.asked, |least| least.min(self.asked));
        self.refused = Some(least);
    }

    /// Another window may take what this one refused.
    pub(crate) fn window_changed(&mut self) {
        self.refused = None;
    }

    /// The model answered a request.
    pub(crate) fn answered(&mut self) {
        self.answered = true;
    }

    /// Tokens that fit where so many are set: clearly fewer than were refused. Before the first answer a
    /// little more is tried, because the guess may be too high.
    pub(crate) fn room(&self, set: u64) -> u64 {
        match self.refused {
            Some(refused) => set.min(self.tokens(refused) / 10 * 9).max(1),
            None if self.answered => set,
            None => set.saturating_add(set / 8),
        }
    }

    /// The context did not only grow.
    pub(crate) fn shrunk(&mut self) {
        self.counted = None;
    }

    /// Another model counts otherwise.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            prefix: self.prefix,
            ..Self::default()
        };
    }

    /// Tokens of a request with a context of this weight.
    pub(crate) fn request(&self, context: u64) -> u64 {
        let weight = context + self.prefix;
        match self.counted {
            Some((counted, tokens)) => tokens + self.tokens(weight.saturating_sub(counted)),
            None => self.tokens(weight),
        }
    }

    /// Tokens of a request with a context of this weight, whatever the last one had.
    pub(crate) fn request_afresh(&self, context: u64) -> u64 {
        self.tokens(context + self.prefix)
    }

    /// Tokens of something of this weight.
    pub(crate) fn tokens(&self, weight: u64) -> u64 {
        weight.saturating_mul(self.rate) / 1_000
    }

    /// The weight of so many tokens.
    pub(crate) fn weight(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(1_000) / self.rate.max(1)
    }

    /// Tokens of what opens every request.
    pub(crate) fn prefix(&self) -> u64 {
        self.tokens(self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64) -> Usage {
        Usage {
            input,
            ..Usage::default()
        }
    }

    #[test]
    fn estimates_learn_from_what_was_counted() {
        let mut scale = Scale::default();
        assert_eq!(scale.request(100_000), 29_000);
        scale.asked(100_000);
        scale.counted(&usage(25_000));
        assert_eq!(scale.request(100_000), 25_000);
        assert_eq!(scale.request(104_000), 26_000);
        scale.shrunk();
        assert_eq!(scale.request(40_000), 10_000);
        assert_eq!(scale.weight(10_000), 40_000);
    }

    #[test]
    fn a_refusal_is_an_upper_bound_until_the_window_changes() {
        let mut scale = Scale::default();
        assert_eq!(scale.room(40_000), 45_000);
        scale.answered();
        assert_eq!(scale.room(40_000), 40_000);
        for context in [100_000, 80_000, 90_000] {
            scale.asked(context);
            scale.refused();
        }
        assert_eq!(scale.room(40_000), 20_880);
        assert_eq!(scale.room(20_000), 20_000);
        // It is bytes that were refused: what they are in tokens is learned later.
        scale.asked(40_000);
        scale.counted(&usage(16_000));
        assert_eq!(scale.room(40_000), 28_800);
        scale.window_changed();
        assert_eq!(scale.room(40_000), 40_000);
    }

    #[test]
    fn nonsense_teaches_nothing() {
        for tokens in [0, 1, 10_000_000] {
            let mut scale = Scale::default();
            scale.asked(100_000);
            scale.counted(&usage(tokens));
            assert_eq!(scale.request(100_000), 29_000);
        }
    }
}
