//! Days in UTC, as people write them. There is no clock here.

use std::fmt;
use std::str::FromStr;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// A calendar day in UTC, counted from 1 January 1970; written `2026-11-25`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

impl Day {
    /// The day of a time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn of(at_ms: u64) -> Self {
        Self(u32::try_from(at_ms / DAY_MS).unwrap_or(u32::MAX))
    }

    /// Year, month and day of the Gregorian calendar. Years begin in March here, so that the leap day
    /// comes last.
    fn date(self) -> (u64, u64, u64) {
        let days = u64::from(self.0) + 719_468;
        let era = days / 146_097;
        let in_era = days % 146_097;
        let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year + year / 4 - year / 100);
        let month = (5 * in_year + 2) / 153;
        let day = in_year - (153 * month + 2) / 5 + 1;
        let (next, month) = if month < 10 {
            (0, month + 3)
        } else {
            (1, month - 9)
        };
        (era * 400 + year + next, month, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A text that is no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no day: write it like 2026-11-25")]
pub struct DayError(String);

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let error = || DayError(text.to_owned());
        let mut parts = text.splitn(3, '-').map(str::parse::<u32>);
        let mut next = || parts.next().and_then(Result::ok).ok_or_else(error);
        let (year, month, day) = (next()?, next()?, next()?);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
        {
            return Err(error());
        }
        // One of the first of the months around it, and then the day itself.
        let about = (year - 1970) * 365 + (year - 1969) / 4 + (month - 1) * 30;
        let found = (about.saturating_sub(20)..about + 60)
            .map(Self)
            .find(|found| found.date() == (u64::from(year), u64::from(month), u64::from(day)));
        found.ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_and_read() {
        for (number, written) in [
            (0, "1970-01-01"),
            (789, "1972-02-29"),
            (11_017, "2000-03-01"),
            (20_525, "2026-03-13"),
            (20_782, "2026-11-25"),
        ] {
            assert_eq!(Day(number).to_string(), written);
            assert_eq!(written.parse(), Ok(Day(number)));
        }
        for number in (0..60_000).step_by(7) {
            assert_eq!(Day(number).to_string().parse(), Ok(Day(number)));
        }
        assert_eq!(Day::of(86_399_999), Day(0));
        assert_eq!(Day::of(86_400_000), Day(1));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "today",
            "2026-11",
            "2026-02-30",
            "2026-13-01",
            "25.11.2026",
            "1969-12-31",
        ] {
            let wrong = text.parse::<Day>().unwrap_err().to_string();
            assert!(wrong.contains("write it like"), "{text}: {wrong}");
        }
    }
}
