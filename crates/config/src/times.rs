//! Lengths of time as people write them.

/// A time as seconds: `90`, `90s`, `15m`, `2h`. The error repeats the text and says how to write
/// it.
pub fn seconds(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => (text, 1),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(factor))
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| format!("{text}: write it like 90s, 15m or 2h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200)] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for wrong in [
            "",
            "m",
            "1d",
            "-5",
            "0",
            "99999999999999999999",
            "1.5h",
            "ü",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
