//! Days and the HTTP date format. There is no clock here: what day it is comes from a server's
//! `date` header or from the caller.

/// A calendar day, counted from 1 January 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

impl Day {
    /// The day of a Gregorian date from 1970 on; month and day count from 1.
    #[must_use]
    pub const fn new(year: u32, month: u32, day: u32) -> Self {
        // Days since the epoch, with years that start in March so that the leap day comes last.
        let (year, month) = if month <= 2 {
            (year - 1, month + 9)
        } else {
            (year, month - 3)
        };
        let in_year = (153 * month + 2) / 5 + day - 1;
        let days = year * 365 + year / 4 - year / 100 + year / 400 + in_year;
        Self(days - 719_468)
    }
}

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

/// The day within a count of seconds since the epoch.
pub(crate) fn day_of(seconds: u64) -> Day {
    Day(u32::try_from(seconds / 86_400).unwrap_or(u32::MAX))
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
    fn days() {
        for (day, number) in [
            (Day::new(1970, 1, 1), 0),
            (Day::new(1972, 2, 29), 789),
            (Day::new(1972, 3, 1), 790),
            (Day::new(2000, 3, 1), 11_017),
            (Day::new(2026, 3, 13), 20_525),
        ] {
            assert_eq!(day.0, number);
        }
    }

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
