//! The HTTP date format. There is no clock here: what time it is comes from a server's `date` header.

use quire_protocol::Day;

/// Seconds since the epoch of an HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn http_date(text: &str) -> Option<u64> {
    let mut words = text.trim().split_once(", ")?.1.split(' ');
    let day: u32 = words.next()?.parse().ok()?;
    let month = month(words.next()?)?;
    let year: u32 = words.next()?.parse().ok()?;
    let clock = words.next()?;
    if words.next() != Some("GMT") || !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let days = u64::from(Day::new(year, month, day).0);
    Some(days * 86_400 + hours * 3_600 + minutes * 60 + seconds)
}

fn month(name: &str) -> Option<u32> {
    const NAMES: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let at = NAMES
        .find(name)
        .filter(|at| name.len() == 3 && at % 3 == 0)?;
    u32::try_from(at / 3 + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 ovD 1994 08:49:37 GMT", None),
            ("30", None),
        ] {
            assert_eq!(http_date(text), seconds, "{text}");
        }
    }
}
