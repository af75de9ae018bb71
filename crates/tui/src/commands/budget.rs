//! `/budget`: what the session may use, and how to let it use more.

use quire_protocol::{duration, thousands};

use super::pair;
use crate::app::App;
use crate::look;
use crate::wish::Wish;

const HOW: &str =
    "/budget 5, or /budget money=5 tokens=2M turns=100 time=2h; `none` takes a limit off";

pub(super) fn budget(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    if words.is_empty() {
        return show(app);
    }
    let flags = words.split_whitespace().map(flag);
    let flags: Vec<(&'static str, String)> = flags.collect::<Result<_, _>>()?;
    app.refitted(&flags)
}

/// A limit as the setting that it is, and its value as that is written.
fn flag(word: &str) -> Result<(&'static str, String), String> {
    let (name, value) = word.split_once('=').unwrap_or(("money", word));
    let key = match name {
        "money" => "budget_usd",
        "tokens" => "budget_tokens",
        "turns" => "budget_turns",
        "time" => "budget_time_s",
        _ => return Err(format!("`{name}` is no limit: {HOW}")),
    };
    let value = match key {
        "budget_usd" => value.trim_start_matches('$').to_owned(),
        "budget_tokens" | "budget_turns" => plain_count(value),
        _ => value.to_owned(),
    };
    Ok((key, value))
}

/// `2M` and `500k` as digits; anything else as it is.
fn plain_count(value: &str) -> String {
    let lower = value.to_ascii_lowercase();
    let (digits, zeros) = match (lower.strip_suffix('k'), lower.strip_suffix('m')) {
        (Some(digits), _) => (digits, "000"),
        (_, Some(digits)) => (digits, "000000"),
        (None, None) => return value.to_owned(),
    };
    format!("{digits}{zeros}")
}

fn show(app: &mut App) -> Result<Vec<Wish>, String> {
    let settings = app.conversation.settings.as_ref();
    let limits = settings
        .ok_or("the session has not begun yet")?
        .limits
        .clone();
    let meter = &app.conversation.meter;
    let of = |used: String, limit: Option<String>| match limit {
        Some(limit) => format!("{used} of {limit}"),
        None => format!("{used}, no limit"),
    };
    let tokens = meter.usage.prompt() + meter.usage.output;
    let lines = vec![
        look::line("Limits of this session, at which work pauses", look::BOLD),
        pair(
            "money",
            &of(
                meter.bill.in_words(|cost| cost.rounded(4)),
                limits.budget.map(|money| format!("${}", money.rounded(2))),
            ),
        ),
        pair(
            "tokens",
            &of(thousands(tokens), limits.tokens.map(thousands)),
        ),
        pair(
            "turns",
            &of(
                thousands(meter.turns.into()),
                limits.turns.map(|turns| thousands(turns.into())),
            ),
        ),
        pair(
            "time of work",
            &of(duration(meter.worked_ms), limits.work_ms.map(duration)),
        ),
        pair(
            "requests in one turn",
            &thousands(limits.requests_per_turn.into()),
        ),
        look::line(format!("  {HOW}"), look::DIM),
    ];
    app.conversation.show(lines);
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_as_people_write_them() {
        for (word, key, value) in [
            ("5", "budget_usd", "5"),
            ("$2.50", "budget_usd", "2.50"),
            ("money=none", "budget_usd", "none"),
            ("tokens=2M", "budget_tokens", "2000000"),
            ("tokens=500k", "budget_tokens", "500000"),
            ("turns=100", "budget_turns", "100"),
            ("time=2h", "budget_time_s", "2h"),
        ] {
            assert_eq!(flag(word), Ok((key, value.to_owned())), "{word}");
        }
        assert!(flag("tokns=5").unwrap_err().contains("`tokns` is no limit"));
    }
}
