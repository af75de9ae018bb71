//! Prometheus' text format: families of samples, each behind its head.

use std::fmt::Write as _;

use super::{BUCKETS, Counts};

/// A text that grows by heads and lines.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// The head of a family: every sample of it follows before the next head.
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample.
    pub(super) fn line(&mut self, name: &str, label: &str, value: &str) {
        let _ = if label.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{label}}} {value}")
        };
    }

    /// The samples of one label set of a histogram.
    pub(super) fn histogram(&mut self, name: &str, label: &str, counts: &Counts) {
        for (end, count) in BUCKETS.iter().zip(counts.buckets) {
            let end = format!("{}.{:03}", end / 1_000, end % 1_000);
            self.line(
                &format!("{name}_bucket"),
                &format!("{label},le=\"{end}\""),
                &count.to_string(),
            );
        }
        self.line(
            &format!("{name}_bucket"),
            &format!("{label},le=\"+Inf\""),
            &counts.requests.to_string(),
        );
        let sum = format!(
            "{}.{:03}",
            counts.milliseconds / 1_000,
            counts.milliseconds % 1_000
        );
        self.line(&format!("{name}_sum"), label, &sum);
        self.line(
            &format!("{name}_count"),
            label,
            &counts.requests.to_string(),
        );
    }
}

/// A label's value as it stands between quotes.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
