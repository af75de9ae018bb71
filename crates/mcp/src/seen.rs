//! The little that is remembered of a process, to say why it failed. Pure.

use std::collections::VecDeque;

use quire_protocol::{ProcessEnd, clean};

use crate::secrets::Secrets;

/// Bytes of stderr that are remembered.
const ERRORS: usize = 4096;
/// Characters of stderr that are told.
const TOLD: usize = 1500;
/// Lines on stdout that were no messages which are remembered, and characters of each.
const RUBBISH: (usize, usize) = (3, 200);

/// What was seen of a process.
#[derive(Default)]
pub(crate) struct Seen {
    errors: VecDeque<u8>,
    rubbish: VecDeque<String>,
    /// How it ended.
    pub(crate) end: Option<ProcessEnd>,
    /// Why nothing more is said to it, the first reason.
    broke: Option<String>,
    /// It was ended on purpose.
    pub(crate) dismissed: bool,
    /// It could not be written to.
    pub(crate) deaf: bool,
    /// What is never told: values of variables that it has.
    pub(crate) secrets: Secrets,
    /// It answered the words of the new protocol too late, when the old ones had been tried.
    pub(crate) late: bool,
}

impl Seen {
    /// It printed this on stderr.
    pub(crate) fn errors(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(ERRORS)..];
        let over = (self.errors.len() + piece.len()).saturating_sub(ERRORS);
        self.errors.drain(..over);
        self.errors.extend(piece);
    }

    /// It printed a line that is no message.
    pub(crate) fn rubbish(&mut self, line: &[u8]) {
        let (lines, characters) = RUBBISH;
        if self.rubbish.len() == lines {
            self.rubbish.pop_front();
        }
        let start = &line[..line.len().min(4 * characters)];
        let text = clean(&String::from_utf8_lossy(start));
        self.rubbish
            .push_back(text.chars().take(characters).collect());
    }

    /// Nothing more can be said to it.
    pub(crate) fn broke(&mut self, why: &str) {
        self.broke.get_or_insert_with(|| why.to_owned());
    }

    /// How it ended and what it printed last, to stand behind a sentence.
    pub(crate) fn told(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.broke.clone());
        if self.broke.is_none() && !self.dismissed {
            parts.extend(self.end.map(|end| self.ended(end)));
        }
        let errors = self.errors_told();
        if !errors.is_empty() {
            parts.push(format!("the end of its stderr:\n{errors}"));
        }
        if !self.rubbish.is_empty() {
            let lines: Vec<&str> = self.rubbish.iter().map(String::as_str).collect();
            let lines = lines.join("\n");
            parts.push(format!(
                "lines on its stdout that are no messages:\n{lines}"
            ));
        }
        self.secrets.hide(&parts.join("; "))
    }

    fn errors_told(&self) -> String {
        let bytes: Vec<u8> = self.errors.iter().copied().collect();
        let text = clean(&String::from_utf8_lossy(&bytes));
        let text = text.trim();
        let over = text.chars().count().saturating_sub(TOLD);
        match over {
            0 => text.to_owned(),
            over => format!("… {}", text.chars().skip(over).collect::<String>()),
        }
    }

    fn ended(&self, end: ProcessEnd) -> String {
        match end {
            ProcessEnd::Signalled(9) if self.deaf => "it read no more".to_owned(),
            ProcessEnd::Exited(code) => format!("it exited with code {code}"),
            ProcessEnd::Signalled(signal) => format!("signal {signal} killed it"),
            ProcessEnd::OverLimit => {
                "it used more memory, processes or time than it may".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_what_was_printed_is_remembered() {
        let mut seen = Seen::default();
        for count in 0..5000 {
            seen.errors(format!("line {count}\n").as_bytes());
            seen.rubbish(&b"x".repeat(10_000));
        }
        seen.errors(&b"y".repeat(100_000));
        seen.errors(b"\x1b[31mthe end\xff");
        assert!(seen.errors.len() <= ERRORS && seen.rubbish.len() == 3);
        seen.end = Some(ProcessEnd::Exited(3));
        let told = seen.told();
        assert!(told.len() < 2500, "{}", told.len());
        assert!(
            told.starts_with("it exited with code 3; the end of its stderr:\n… y"),
            "{told}"
        );
        assert!(
            told.contains("ythe end\u{fffd}; lines on its stdout"),
            "{told}"
        );
    }

    #[test]
    fn the_first_reason_is_told() {
        let mut seen = Seen::default();
        assert_eq!(seen.told(), "");
        seen.broke("it printed too much");
        seen.broke("it reads no more");
        seen.end = Some(ProcessEnd::Signalled(9));
        assert_eq!(seen.told(), "it printed too much");
    }

    #[test]
    fn values_of_its_variables_are_not_told() {
        let mut seen = Seen {
            secrets: Secrets::new(["open-sesame".to_owned(), "1".to_owned()]),
            ..Seen::default()
        };
        seen.errors(b"TOKEN=open-sesame is wrong, 1 time");
        seen.rubbish(b"open-sesame");
        let told = seen.told();
        assert!(told.contains("TOKEN=… is wrong, 1 time"), "{told}");
        assert!(!told.contains("sesame"), "{told}");
    }
}
