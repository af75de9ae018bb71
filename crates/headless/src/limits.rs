//! The limits of a session, in words and as flags.

use quire_protocol::{Limits, Settings};

use crate::text::{counted, duration, thousands};

/// The flag that raises the limit of which these words tell.
pub(crate) fn flag(detail: &str) -> &'static str {
    match () {
        () if detail.contains('$') => "--budget-usd N",
        () if detail.contains("tokens") => "--budget-tokens N",
        () if detail.contains("turn") => "--budget-turns N",
        () => "--budget-time TIME",
    }
}

/// Whether these words tell of a limit that a session has reached.
pub(crate) fn are_told_of(detail: &str) -> bool {
    ["raise the limit", "raise the budget", "the budget of $"]
        .iter()
        .any(|words| detail.contains(words))
}

/// The limits at which a session pauses, as they are now; none if they are as they were.
pub(crate) fn changed(before: &Settings, now: &Settings) -> Option<String> {
    let pausing = |limits: &Limits| (limits.budget, limits.tokens, limits.turns, limits.work_ms);
    (pausing(&before.limits) != pausing(&now.limits)).then(|| in_words(&now.limits))
}

fn in_words(limits: &Limits) -> String {
    let words = [
        limits
            .budget
            .map(|budget| format!("${}", budget.rounded(2))),
        limits
            .tokens
            .map(|tokens| format!("{} tokens", thousands(tokens))),
        limits.turns.map(|turns| counted(turns.into(), "turn")),
        limits
            .work_ms
            .map(|work_ms| format!("{} of work", duration(work_ms))),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    match words.as_slice() {
        [] => "the session has no limits now".to_owned(),
        words => format!("the session's limits are now {}", words.join(", ")),
    }
}
