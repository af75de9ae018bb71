//! The answer while it streams: whole lines are shown for good, the rest is shown live. What the
//! journal says in the end has the last word.

use quire_protocol::{Item, first_sentence};
use ratatui_core::text::Line;

use crate::calls::{Details, thoughts};
use crate::look;
use crate::markdown::Markdown;
use crate::rows::end_of;

/// Bytes of an unfinished line, or of thinking, that can be seen.
const SEEN: usize = 4_000;

/// What is streamed of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// All of the answer's text so far.
    said: String,
    /// Bytes of `said` that were shown for good.
    shown: usize,
    markdown: Markdown,
    /// How that was before the first line.
    begins: Markdown,
    /// Whether a line with words was shown.
    begun: bool,
    /// Empty lines that stand before the next line with words, if there is one.
    empty: usize,
    /// How much of the thinking is shown.
    details: Details,
    /// The thinking that is being streamed.
    thinking: String,
    /// The first sentence of what was thought before the words.
    thought: String,
    /// Pieces of thinking that were shown for good.
    thoughts: usize,
    /// The call that is being written: its tool and how much there is of it.
    pub(crate) writing: Option<(String, u64)>,
}

impl Stream {
    /// Nothing yet, of which so much of the thinking is to be shown, and the words so.
    pub(crate) fn new(details: Details, markdown: Markdown) -> Self {
        Self {
            details,
            begins: markdown.clone(),
            markdown,
            ..Self::default()
        }
    }

    /// Takes more of the answer; gives the lines that are whole now.
    pub(crate) fn text(&mut self, text: &str) -> Vec<Line<'static>> {
        let mut lines = self.end_thinking();
        self.writing = None;
        self.said.push_str(text);
        if text.contains('\n') {
            lines.extend(self.whole_lines());
        }
        lines
    }

    /// Takes more of the thinking; gives what of the answer came before it.
    pub(crate) fn think(&mut self, text: &str) -> Vec<Line<'static>> {
        self.thinking.push_str(text);
        self.writing = None;
        self.break_off()
    }

    /// A call is being written; gives what of the answer came before it.
    pub(crate) fn write(&mut self, name: &str, bytes: u64) -> Vec<Line<'static>> {
        let mut lines = self.end_thinking();
        lines.extend(self.break_off());
        self.writing = Some((name.to_owned(), bytes));
        lines
    }

    /// The line that is not whole yet, and the rows of a table that is not.
    pub(crate) fn tail(&self) -> Vec<Line<'static>> {
        let tail = end_of(&self.said[self.shown..], SEEN);
        self.markdown.unfinished(tail)
    }

    /// Why the call is written that is being written, as far as that is said or thought.
    pub(crate) fn why(&self) -> String {
        match first_sentence(&self.said) {
            nothing if nothing.is_empty() => self.thought.clone(),
            said => said,
        }
    }

    /// The end of the thinking that is being streamed.
    pub(crate) fn thinking(&self) -> &str {
        end_of(&self.thinking, SEEN)
    }

    /// The request failed: what there is of it, for good.
    pub(crate) fn give_up(mut self) -> Vec<Line<'static>> {
        self.break_off()
    }

    /// The reply is recorded: the lines of it that were not shown yet.
    pub(crate) fn finish(mut self, items: &[Item]) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        let all: String = items.iter().filter_map(words_of).collect();
        if !all.starts_with(&self.said[..self.shown]) {
            lines.push(look::line(
                "· some of this answer did not reach the screen; here it is from its beginning",
                look::DIM,
            ));
            self.shown = 0;
            self.markdown = self.begins.clone();
            (self.begun, self.empty) = (false, 0);
        }
        let mut from = 0;
        for item in items {
            if let Item::Thinking { text, .. } = item
                && !text.trim().is_empty()
            {
                lines.extend(self.markdown.end());
                if self.thoughts > 0 {
                    self.thoughts -= 1;
                } else {
                    lines.extend(thoughts(text, self.details));
                }
            }
            let Some(text) = words_of(item) else {
                continue;
            };
            let skipped = self.shown.saturating_sub(from).min(text.len());
            from += text.len();
            lines.extend(self.lines_of(&text[skipped..]));
        }
        lines.extend(self.markdown.end());
        lines
    }

    fn end_thinking(&mut self) -> Vec<Line<'static>> {
        let text = std::mem::take(&mut self.thinking);
        if text.trim().is_empty() {
            return Vec::new();
        }
        self.thoughts += 1;
        self.thought = first_sentence(&text);
        thoughts(&text, self.details)
    }

    fn whole_lines(&mut self) -> Vec<Line<'static>> {
        let Some(end) = self.said[self.shown..].rfind('\n') else {
            return Vec::new();
        };
        let whole = self.said[self.shown..self.shown + end].to_owned();
        self.shown += end + 1;
        self.lines_of(&whole)
    }

    fn lines_of(&mut self, text: &str) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        for line in text.split('\n') {
            if line.trim().is_empty() {
                lines.extend(self.markdown.end());
                self.empty += usize::from(self.begun);
                continue;
            }
            for _ in 0..std::mem::take(&mut self.empty) {
                lines.push(Line::default());
            }
            self.begun = true;
            lines.extend(self.markdown.lines(line));
        }
        lines
    }

    /// Shows the line that is not whole as if it were.
    fn break_off(&mut self) -> Vec<Line<'static>> {
        let rest = self.said[self.shown..].to_owned();
        self.shown = self.said.len();
        let mut lines = self.lines_of(&rest);
        lines.extend(self.markdown.end());
        lines
    }
}

fn words_of(item: &Item) -> Option<&str> {
    match item {
        Item::Assistant { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Form;

    fn said(text: &str) -> Vec<Item> {
        vec![Item::Assistant {
            text: text.to_owned(),
            opaque: None,
        }]
    }

    fn shown(lines: &[Line<'static>]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_cut_of_an_answer_shows_the_same_lines() {
        let text = "\n\n# One\n\ntwo `x`\n```\ncode\n\n```\nlast\n\n";
        let whole = shown(&Stream::default().finish(&said(text)));
        assert_eq!(whole.first().map(String::as_str), Some("One"));
        for size in 1..text.len() {
            let mut stream = Stream::default();
            let mut lines = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                lines.extend(stream.text(std::str::from_utf8(piece).unwrap()));
            }
            lines.extend(stream.finish(&said(text)));
            assert_eq!(shown(&lines), whole, "pieces of {size}");
        }
    }

    #[test]
    fn every_cut_of_a_table_shows_the_same_lines_and_its_rows_are_seen_meanwhile() {
        let text = "see\n| a | b |\n|---|--:|\n| one | 2 |\n\n| x |\nend\n|c|\n|-|";
        let begun = || Stream::new(Details::Folded, Markdown::new(Form::Screen, 40));
        let whole = shown(&begun().finish(&said(text)));
        assert_eq!(whole[1..3], ["a   │ b", "────┼──"]);
        for size in 1..text.len() {
            let mut stream = begun();
            let mut lines = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                lines.extend(stream.text(std::str::from_utf8(piece).unwrap()));
            }
            lines.extend(stream.finish(&said(text)));
            assert_eq!(shown(&lines), whole, "pieces of {size}");
        }
        let mut stream = begun();
        assert_eq!(shown(&stream.text("see\n| a |\n|--|\n| on")), ["see"]);
        assert_eq!(shown(&stream.tail()), ["| a |", "|--|", "| on"]);
    }

    /// Code in a block has its colours however it comes, and keeps them.
    #[test]
    fn every_cut_of_code_has_the_same_colours() {
        let text = "see:\n```rust\n/* one\ntwo */ let x = \"a\nb\"; // end\n```\nover";
        let whole = Stream::default().finish(&said(text));
        assert!(
            whole[3]
                .spans
                .iter()
                .any(|span| span.style == look::KEYWORD)
        );
        for size in 1..text.len() {
            let mut stream = Stream::default();
            let mut lines = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                lines.extend(stream.text(std::str::from_utf8(piece).unwrap()));
                // What is drawn of the line that is not whole changes nothing.
                stream.tail();
            }
            lines.extend(stream.finish(&said(text)));
            assert_eq!(lines, whole, "pieces of {size}");
        }
    }

    #[test]
    fn what_was_lost_on_the_way_is_shown_from_the_record() {
        let mut stream = Stream::default();
        stream.text("first\nthi");
        stream.text("rd\n");
        let lines = shown(&stream.finish(&said("first\nsecond\nthird\n")));
        assert_eq!(lines[1..], ["first", "second", "third"]);
        assert!(lines[0].contains("did not reach"), "{lines:?}");
    }

    #[test]
    fn why_a_call_is_written_is_what_was_said_or_else_thought_before_it() {
        let mut stream = Stream::default();
        stream.think("**I look at it.** Then I mend it");
        stream.write("bash", 9);
        assert_eq!(stream.why(), "I look at it.");
        stream.text("Now I test. With all");
        stream.write("bash", 9);
        assert_eq!(stream.why(), "Now I test.");
    }

    #[test]
    fn thinking_is_one_line_and_stands_once() {
        let mut stream = Stream::default();
        assert!(stream.think("I look. Then").is_empty());
        assert_eq!(shown(&stream.text("yes")), ["~ I look."]);
        let mut items = vec![Item::Thinking {
            text: "I look. Then".to_owned(),
            opaque: None,
        }];
        items.extend(said("yes"));
        assert_eq!(shown(&stream.finish(&items)), ["yes"]);
        assert_eq!(
            shown(&Stream::default().finish(&items)),
            ["~ I look.", "yes"]
        );
    }
}
