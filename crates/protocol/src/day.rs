//! Days in UTC, as people write them. There is no clock here.

use std::fmt;
use std::str::FromStr;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// From 1 March of the year 0 to 1 January 1970, in days. Years begin in March here, so that the leap
/// day comes last.
const BEFORE: u32 = 719_468;

/// A calendar day in UTC, counted from 1 January 1970; written `2026-11-25`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

impl Day {
    /// The day of a Gregorian date from 1970 on; month and day count from 1.
    #[must_use]
    pub const fn new(year: u32, month: u32, day: u32) -> Self {
        let (year, month) = if month <= 2 {
            (year - 1, month + 9)
        } else {
            (year, month - 3)
        };
        let in_year = (153 * month + 2) / 5 + day - 1;
        let days = year * 365 + year / 4 - year / 100 + year / 400 + in_year;
        Self(days - BEFORE)
    }

    /// The day of a time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn of(at_ms: u64) -> Self {
        Self(u32::try_from(at_ms / DAY_MS).unwrap_or(u32::MAX))
    }

    /// The first day of its month.
    #[must_use]
    pub fn month_start(self) -> Self {
        let (_, _, day) = self.date();
        Self(self.0 - u32::try_from(day - 1).unwrap_or(0))
    }

    /// Year, month and day of the Gregorian calendar.
    fn date(self) -> (u64, u64, u64) {
        let days = u64::from(self.0) + u64::from(BEFORE);
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
        let found = Self::new(year, month, day);
        // 30 February would be a day of March.
        let is_it = found.date() == (u64::from(year), u64::from(month), u64::from(day));
        is_it.then_some(found).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_and_read() {
        for (day, number, written) in [
            (Day::new(1970, 1, 1), 0, "1970-01-01"),
            (Day::new(1972, 2, 29), 789, "1972-02-29"),
            (Day::new(1972, 3, 1), 790, "1972-03-01"),
            (Day::new(2000, 2, 29), 11_016, "2000-02-29"),
            (Day::new(2000, 3, 1), 11_017, "2000-03-01"),
            (Day::new(2026, 3, 13), 20_525, "2026-03-13"),
            (Day::new(2026, 11, 25), 20_782, "2026-11-25"),
            (Day::new(2100, 2, 28), 47_540, "2100-02-28"),
            (Day::new(2100, 3, 1), 47_541, "2100-03-01"),
        ] {
            assert_eq!(day, Day(number));
            assert_eq!(day.to_string(), written);
            assert_eq!(written.parse(), Ok(day));
            assert_eq!(
                day.month_start().to_string(),
                format!("{}-01", &written[..7])
            );
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
