//! What the model said last without calling a tool, and how it goes on where the output limit cut it.

use quire_protocol::{Event, Item, TokenStop};

/// The words of a reply that calls no tool: the answer, when the turn ends there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// Its texts as they came.
    texts: Vec<String>,
    /// Whether the output limit cut it, so that the next reply is the rest of it.
    cut: bool,
}

impl Words {
    /// The words of a reply; none of one that calls a tool.
    pub(crate) fn of(items: &[Item], stop: TokenStop) -> Option<Self> {
        if items.iter().any(|item| matches!(item, Item::ToolCall(_))) {
            return None;
        }
        let texts = items.iter().filter_map(|item| match item {
            Item::Assistant { text, .. } => Some(text.clone()),
            _ => None,
        });
        Some(Self {
            texts: texts.collect(),
            cut: stop == TokenStop::MaxTokens,
        })
    }

    /// Takes the next reply: the rest of this one if it was cut, or another answer.
    pub(crate) fn followed_by(&mut self, next: Self) {
        if !self.cut {
            *self = next;
            return;
        }
        self.cut = next.cut;
        let mut rest = next.texts.into_iter();
        if let Some(last) = self.texts.last_mut() {
            last.push_str(&rest.next().unwrap_or_default());
        }
        self.texts.extend(rest);
    }

    /// Whether the next reply is the rest of it.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Its parts that say something.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        let texts = self.texts.iter().map(|text| text.trim());
        texts.filter(|text| !text.is_empty())
    }

    /// All of it, its parts as paragraphs.
    pub(crate) fn text(&self) -> Option<String> {
        let parts: Vec<&str> = self.parts().collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }
}

/// The answer as the records of a turn make it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saying {
    /// What was said last.
    pub(crate) answer: Words,
    /// Whether the open request is not for the session's own work.
    aside: bool,
}

impl Saying {
    /// Takes an event in. Summaries and judgements are not said to anybody.
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::TurnStarted { .. } => self.answer = Words::default(),
            // Something else was said in between: the next reply answers that.
            Event::MessageDelivered { .. } => self.answer.cut = false,
            Event::ModelCalled { purpose, .. } => self.aside = !purpose.is_work(),
            Event::ModelReplied { items, stop, .. } if !self.aside => {
                match Words::of(items, *stop) {
                    Some(next) => self.answer.followed_by(next),
                    None => self.answer = Words::default(),
                }
            }
            _ => {}
        }
    }

    /// Takes an event of before this run in: only an answer that may go on is kept.
    pub(crate) fn learn(&mut self, event: &Event) {
        self.add(event);
        let over = matches!(event, Event::TurnEnded { .. });
        if over || !self.answer.cut {
            self.answer = Words::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> Item {
        Item::Assistant {
            text: text.into(),
            opaque: None,
        }
    }

    fn thinks() -> Item {
        Item::Thinking {
            text: "hm".into(),
            opaque: None,
        }
    }

    #[test]
    fn an_answer_that_was_cut_is_joined_where_it_was_cut() {
        use TokenStop::{EndTurn, MaxTokens};
        for (replies, whole) in [
            (
                vec![
                    (vec![says("one t")], MaxTokens),
                    (vec![says("wo")], EndTurn),
                ],
                "one two",
            ),
            (
                vec![
                    (vec![says("a"), says("b ")], MaxTokens),
                    (vec![thinks(), says("c "), says("d")], MaxTokens),
                    (vec![says("e\n")], EndTurn),
                ],
                "a\n\nb c\n\nde",
            ),
            (
                vec![(vec![says("old")], EndTurn), (vec![says("new")], EndTurn)],
                "new",
            ),
            (
                vec![(vec![thinks()], MaxTokens), (vec![says("all")], EndTurn)],
                "all",
            ),
        ] {
            let mut answer = Words::default();
            for (items, stop) in replies {
                answer.followed_by(Words::of(&items, stop).unwrap());
            }
            assert_eq!(answer.text().as_deref(), Some(whole));
        }
    }
}
