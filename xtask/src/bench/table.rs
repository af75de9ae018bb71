//! Rows, their statistics, and how they are printed.

use serde_json::{Value, json};

/// What is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Kibibytes.
    Kib,
    /// Mebibytes.
    Mib,
    /// A factor.
    Times,
    /// Hundredths; more is better.
    Percent,
    /// How often in a second; more is better.
    PerSecond,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Us => format!("{value:.1} µs"),
            Self::Ms => format!("{value:.2} ms"),
            Self::S => format!("{value:.2} s"),
            Self::Kib => format!("{value:.2} KB"),
            Self::Mib => format!("{value:.1} MB"),
            Self::Times => format!("{value:.2}×"),
            Self::Percent => format!("{value:.2} %"),
            Self::PerSecond => format!("{value:.0}/s"),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Ms => "ms",
            Self::S => "s",
            Self::Kib => "KiB",
            Self::Mib => "MiB",
            Self::Times => "times",
            Self::Percent => "percent",
            Self::PerSecond => "per second",
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    what: String,
    unit: Unit,
    samples: Vec<f64>,
    target: Option<(Bound, f64)>,
}

/// On which side of a target it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    AtMost,
    AtLeast,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: Unit, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self {
            what: what.into(),
            unit,
            samples,
            target: None,
        }
    }

    /// What is to be reached: at most this, or for a percentage at least.
    pub(crate) fn with_target(self, target: f64) -> Self {
        let bound = match self.unit {
            Unit::Percent | Unit::PerSecond => Bound::AtLeast,
            Unit::Us | Unit::Ms | Unit::S | Unit::Kib | Unit::Mib | Unit::Times => Bound::AtMost,
        };
        Self {
            target: Some((bound, target)),
            ..self
        }
    }

    /// What is to be reached: at least this, whatever the unit.
    pub(crate) fn with_least(self, target: f64) -> Self {
        Self {
            target: Some((Bound::AtLeast, target)),
            ..self
        }
    }

    pub(crate) fn median(&self) -> f64 {
        quantile(&self.samples, 0.5)
    }

    fn p95(&self) -> f64 {
        quantile(&self.samples, 0.95)
    }

    fn is_reached(&self) -> Option<bool> {
        Some(match self.target? {
            (Bound::AtLeast, target) => self.median() >= target,
            (Bound::AtMost, target) => self.median() <= target,
        })
    }

    fn markdown(&self) -> String {
        let target = self.target.map_or("–".to_owned(), |(bound, target)| {
            let sign = match bound {
                Bound::AtLeast => "≥",
                Bound::AtMost => "≤",
            };
            format!("{sign} {}", self.unit.show(target))
        });
        let verdict = match self.is_reached() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        format!(
            "| {} | {} | {} | {} | {target} | {verdict} |",
            self.what,
            self.unit.show(self.median()),
            self.unit.show(self.p95()),
            self.samples.len(),
        )
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what, "unit": self.unit.name(), "median": self.median(),
            "p95": self.p95(), "n": self.samples.len(), "target": self.target.map(|(_, target)| target),
            "reached": self.is_reached(),
        })
    }
}

/// The sample below which the share `q` of sorted samples lies; `NaN` without samples.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of a small list"
    )]
    let index = (last as f64 * q).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The median of some samples.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// All rows as one Markdown table.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut table = "| what | median | p95 | n | to reach | reached |\n\
                     |---|---|---|---|---|---|\n"
        .to_owned();
    table.push_str(&lines(rows));
    table
}

/// The lines of a table's rows, without its head.
pub(crate) fn lines(rows: &[Row]) -> String {
    rows.iter().map(|row| row.markdown() + "\n").collect()
}

/// All rows as JSON.
pub(crate) fn json(rows: &[Row]) -> Value {
    Value::Array(rows.iter().map(Row::json).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_judged_by_their_median() {
        let row = Row::new("a", Unit::Ms, vec![9.0, 1.0, 2.0]).with_target(2.0);
        assert_eq!(
            row.markdown(),
            "| a | 2.00 ms | 9.00 ms | 3 | ≤ 2.00 ms | yes |"
        );
        let row = Row::new("b", Unit::Percent, vec![99.9]).with_target(100.0);
        assert_eq!(row.is_reached(), Some(false));
        let row = Row::new("e", Unit::PerSecond, vec![5_100.4]).with_target(5_000.0);
        assert_eq!(
            row.markdown(),
            "| e | 5100/s | 5100/s | 1 | ≥ 5000/s | yes |"
        );
        let row = Row::new("f", Unit::Times, vec![19.0]).with_least(20.0);
        assert_eq!(row.is_reached(), Some(false));
        assert_eq!(Row::new("c", Unit::S, vec![1.0]).is_reached(), None);
        assert!(Row::new("d", Unit::S, vec![]).median().is_nan());
    }
}
