//! Times as requests write them: RFC 3339.

use quire_protocol::Day;

/// A time in milliseconds since the Unix epoch. Years before 1970 are none.
pub(crate) fn read(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let day: Day = date.parse().ok()?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let (rest, ms) = match rest.strip_prefix('.') {
        None => (rest, 0),
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, rest) = rest.split_at(digits);
            let ms = format!("{fraction:0<3}")[..3].parse().ok();
            (rest, ms.filter(|_| digits > 0)?)
        }
    };
    let offset = match rest {
        "Z" | "z" => 0,
        zone => {
            let minutes = minutes(zone.get(1..)?)?;
            match zone.as_bytes()[0] {
                b'+' => minutes,
                b'-' => -minutes,
                _ => return None,
            }
        }
    };
    let seconds = i64::from(number(clock.get(6..)?)?);
    let colon = clock.as_bytes()[5] == b':';
    let in_day = minutes(clock.get(..5)?)? * 60 + seconds;
    let is_time = colon && seconds <= 60;
    let at = (i64::from(day.0) * 86_400 + in_day - offset * 60) * 1_000 + ms;
    (is_time && at >= 0).then_some(at)
}

/// `13:45` in minutes.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(i64::from(hours * 60 + minutes))
}

/// Two digits.
fn number(text: &str) -> Option<u32> {
    let is_one = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_spelling() {
        for (text, at) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-07-26T13:45:12Z", Some(1_785_073_512_000)),
            ("2026-07-26T13:45:12.1239Z", Some(1_785_073_512_123)),
            ("2026-07-26t13:45:12.5z", Some(1_785_073_512_500)),
            ("2026-07-26 15:45:12+02:00", Some(1_785_073_512_000)),
            ("2026-07-26T05:15:12-08:30", Some(1_785_073_512_000)),
            ("2026-07-26", None),
            ("2026-07-26T13:45", None),
            ("2026-07-26T13:45:12", None),
            ("2026-07-26T25:45:12Z", None),
            ("2026-07-26T13:45:99Z", None),
            ("2026-07-26T13:45:12.Z", None),
            ("2026-02-30T13:45:12Z", None),
            ("2026-07-26T13-45:12Z", None),
            ("2026-07-26T+3:45:12Z", None),
            ("2026-07-26T13:45:12é", None),
            ("2026-07-26T1é:45:12Z", None),
            ("", None),
        ] {
            assert_eq!(read(text), at, "{text}");
        }
    }
}
