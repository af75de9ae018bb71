//! What time it is, and ids that nobody else makes.

use std::time::{SystemTime, UNIX_EPOCH};

use quire_protocol::Day;

/// Milliseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a face has a clock")]
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// The day of a time.
pub(crate) fn day_of(ms: i64) -> Day {
    Day::of(u64::try_from(ms).unwrap_or(0))
}

/// A new id with a vendor's prefix: ids of later milliseconds sort behind earlier ones.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::now_v7().simple())
}
