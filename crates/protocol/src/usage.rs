//! Token counts, in one convention for every provider.

use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// Tokens of one or more model requests. The five input and output counts are disjoint:
/// the whole prompt is `input + cache_read + cache_write_5m + cache_write_1h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to a cache.
    pub input: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache that lives about five minutes (or the provider's default).
    pub cache_write_5m: u64,
    /// Prompt tokens written to a cache that lives an hour or more.
    pub cache_write_1h: u64,
    /// Tokens produced, thinking included.
    pub output: u64,
    /// Of `output`, those that were thinking.
    pub thinking: u64,
}

impl Usage {
    /// All prompt tokens.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            cache_read: self.cache_read + other.cache_read,
            cache_write_5m: self.cache_write_5m + other.cache_write_5m,
            cache_write_1h: self.cache_write_1h + other.cache_write_1h,
            output: self.output + other.output,
            thinking: self.thinking + other.thinking,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usage {
    type Output = Self;

    /// What came after `earlier`, which is a beginning of this.
    fn sub(self, earlier: Self) -> Self {
        Self {
            input: self.input.saturating_sub(earlier.input),
            cache_read: self.cache_read.saturating_sub(earlier.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_sub(earlier.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_sub(earlier.cache_write_1h),
            output: self.output.saturating_sub(earlier.output),
            thinking: self.thinking.saturating_sub(earlier.thinking),
        }
    }
}
