//! Messages that wait to be heard, taken back to be edited, dropped or put in another order. One is
//! taken back at a time, and said again only once that is recorded: so none is heard twice, and
//! whatever happens, at most one is on nobody's list (and still in the history of what was said).

use std::collections::VecDeque;

use quire_protocol::{Content, Delivery, MessageId, Op, first_line, joined_text};

use crate::app::App;
use crate::commands::{answer, pair};
use crate::look;
use crate::rows::cut;
use crate::wish::Wish;

/// What is being taken back.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// In order; the first one is asked for.
    taking: VecDeque<(MessageId, Then)>,
    /// What was said again and is not accepted yet.
    again: Vec<(MessageId, Vec<Content>)>,
    /// What was not taken and stands in the input again, as it stands there.
    refused: Vec<(MessageId, String)>,
    /// Whether the person was told that leaving now is too early.
    told: bool,
}

/// Columns of a message in the list.
const OF_TEXT: usize = 26;

/// What becomes of a message that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It goes into the input.
    Edit,
    /// Nothing.
    Drop,
    /// It is said again, behind all others.
    SayAgain,
}

impl App {
    /// Takes the last waiting message back into the input.
    pub(crate) fn take_last_back(&mut self) -> Vec<Wish> {
        let Some(place) = self.last_said() else {
            return Vec::new();
        };
        self.take_back(place, Then::Edit).unwrap_or_else(|why| {
            self.notice = Some(why);
            Vec::new()
        })
    }

    /// The last waiting message that was said; a note was not.
    pub(crate) fn last_said(&self) -> Option<usize> {
        let mut pending = self.conversation.pending.iter();
        pending.rposition(|pending| pending.delivery != Delivery::Note)
    }

    fn take_back(&mut self, place: usize, then: Then) -> Result<Vec<Wish>, String> {
        let pending = self.conversation.pending.get(place);
        let pending = pending.ok_or("no such message waits: /queue lists them")?;
        Ok(self.begin_taking([(pending.message.clone(), then)]))
    }

    /// Moves a waiting message one place up: the one before it, and all behind it, are said again in
    /// their order.
    fn move_up(&mut self, place: usize) -> Result<Vec<Wish>, String> {
        let pending = &self.conversation.pending;
        if place == 0 && !pending.is_empty() {
            return Err("it is the first one already".to_owned());
        }
        if place >= pending.len() {
            return Err("no such message waits: /queue lists them".to_owned());
        }
        let moved = pending[place - 1..].iter().enumerate();
        let moved: Vec<_> = moved
            .filter(|(number, _)| *number != 1)
            .map(|(_, pending)| (pending.message.clone(), Then::SayAgain))
            .collect();
        Ok(self.begin_taking(moved))
    }

    fn begin_taking(&mut self, messages: impl IntoIterator<Item = (MessageId, Then)>) -> Vec<Wish> {
        let idle = self.outbox.taking.is_empty();
        for (message, then) in messages {
            let known = |(taken, _): &(MessageId, Then)| *taken == message;
            if !self.outbox.taking.iter().any(known) {
                self.outbox.taking.push_back((message, then));
            }
        }
        let first = self.outbox.next_op().filter(|_| idle);
        first.map(Wish::Ask).into_iter().collect()
    }

    /// What was recorded may have settled what is being taken back. Gives what to ask next.
    pub(crate) fn settle_outbox(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        self.take_out_what_was_heard();
        let withdrawn = std::mem::take(&mut self.conversation.withdrawn);
        let conversation = &self.conversation;
        let again = &mut self.outbox.again;
        again.retain(|(message, _)| !conversation.waits(message));
        while let Some((message, then)) = self.outbox.taking.front().cloned() {
            if self.conversation.waits(&message) {
                break;
            }
            self.outbox.taking.pop_front();
            let taken = withdrawn.iter().find(|taken| taken.message == message);
            match (taken, then) {
                (None, _) => self.notice = Some("it was heard already".to_owned()),
                (Some(taken), Then::Edit) => self.put_in(&taken.content),
                (Some(_), Then::Drop) => self.notice = Some("it is dropped".to_owned()),
                (Some(taken), Then::SayAgain) => {
                    let op = self.say_content(taken.content.clone(), taken.delivery, taken.effort);
                    if let Op::Say { message, .. } = &op {
                        let content = taken.content.clone();
                        self.outbox.again.push((message.clone(), content));
                    }
                    ops.push(op);
                }
            }
            ops.extend(self.outbox.next_op());
        }
        ops
    }

    /// Something that was asked was not done: what may be lost by it comes back into the input.
    pub(crate) fn was_refused(&mut self, op: &Op, why: &str) {
        if !self.asks_model_again(why) {
            self.conversation.warn(why);
        }
        self.outbox.taking.clear();
        let mut lost = std::mem::take(&mut self.outbox.again);
        if let Op::Say {
            message,
            content,
            delivery: Delivery::Steer | Delivery::Queue,
            ..
        } = op
            && !lost.iter().any(|(known, _)| known == message)
        {
            lost.push((message.clone(), content.clone()));
        }
        for (message, content) in lost {
            self.put_in(&content);
            self.outbox.refused.push((message, self.editor.whole()));
        }
    }

    /// A host that did not answer may have taken a message all the same, which then is not to be sent again.
    fn take_out_what_was_heard(&mut self) {
        let conversation = &self.conversation;
        let heard = |(message, _): &(MessageId, String)| conversation.waits(message);
        let Some(place) = self.outbox.refused.iter().position(heard) else {
            return;
        };
        let (_, input) = self.outbox.refused.swap_remove(place);
        self.notice = Some(if self.editor.whole() == input {
            self.editor.take();
            "it was heard after all".to_owned()
        } else {
            "what could not be sent was heard after all: it may still stand in the input".to_owned()
        });
    }

    /// Writes a message into the input, before what is being typed.
    pub(crate) fn put_in(&mut self, content: &[Content]) {
        let input = if self.refusing.is_some() || self.search.is_some() {
            &mut self.aside
        } else {
            self.recalled = None;
            &mut self.editor
        };
        let (images, typed) = (input.images(), input.take());
        let is_image = |part: &&Content| part.as_text().is_none();
        let taken: Vec<Content> = content.iter().filter(is_image).cloned().collect();
        for image in input.write(&joined_text(content), &taken) {
            input.attach("without a name", image);
        }
        if !typed.is_empty() {
            input.insert("\n");
            input.write(&typed, &images);
        }
    }

    /// Whether leaving now could leave a message on nobody's list. Says so once.
    pub(crate) fn must_stay(&mut self) -> bool {
        let stays = !self.outbox.taking.is_empty() && !self.outbox.told;
        self.outbox.told = stays;
        if stays {
            self.notice = Some("messages are being put in order: once more leaves".to_owned());
        }
        stays
    }
}

impl Outbox {
    fn next_op(&self) -> Option<Op> {
        let (message, _) = self.taking.front()?;
        Some(Op::Withdraw {
            message: message.clone(),
        })
    }
}

/// `/queue`: lists the messages that wait, changes them, or says one that is heard after the turn.
pub(crate) fn queue(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    if words.is_empty() {
        return Ok(list(app));
    }
    let (verb, number) = words.split_once(' ').unwrap_or((words, ""));
    let place = number.trim().parse::<usize>().ok();
    let place = place.map(|number| number.wrapping_sub(1));
    match (verb, place) {
        ("drop", Some(place)) => app.take_back(place, Then::Drop),
        ("edit", Some(place)) => app.take_back(place, Then::Edit),
        ("up", Some(place)) => app.move_up(place),
        _ => Ok(vec![app.say(words.to_owned(), Delivery::Queue)]),
    }
}

fn list(app: &mut App) -> Vec<Wish> {
    let conversation = &app.conversation;
    if conversation.pending.is_empty() {
        let none = "no message waits; /queue WORDS says one for after the turn";
        return answer(app, none);
    }
    let has_turn = conversation.has_turn();
    let mut lines = vec![look::line(
        "Messages that wait; /queue edit N, /queue drop N, /queue up N",
        look::BOLD,
    )];
    lines.extend(
        conversation
            .pending
            .iter()
            .enumerate()
            .map(|(place, pending)| {
                let title = pending.title();
                let (text, _) = first_line(&title);
                let name = format!("{} {}", place + 1, cut(&text, OF_TEXT));
                pair(&name, pending.class(has_turn))
            }),
    );
    app.conversation.show(lines);
    Vec::new()
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use quire_protocol::{Event, Record, Seq, TurnId};

    use super::*;

    /// A screen at work whose session does what is asked, when it is let.
    struct Desk {
        app: App,
        seq: u64,
    }

    impl Desk {
        fn new(said: &[(&str, Delivery)]) -> Self {
            let app = App::new(
                "me".to_owned(),
                std::sync::Arc::new(|settings, _| Ok(settings)),
            );
            let mut desk = Self { app, seq: 0 };
            desk.record(Event::TurnStarted { turn: TurnId(1) });
            for (text, delivery) in said {
                let op = desk
                    .app
                    .say_content(vec![Content::text(*text)], *delivery, None);
                desk.does(op);
            }
            desk
        }

        fn record(&mut self, event: Event) -> Vec<Op> {
            self.seq += 1;
            self.app.conversation.record(&Record {
                seq: Seq(self.seq),
                at_ms: self.seq,
                event,
            });
            self.app.settle()
        }

        /// The session does what is asked, and what is asked because of it.
        fn does(&mut self, op: Op) {
            let event = match op {
                Op::Say {
                    message,
                    delivery,
                    content,
                    effort,
                } => Event::MessageAccepted {
                    message,
                    delivery,
                    content,
                    effort,
                },
                Op::Withdraw { message } if self.app.conversation.waits(&message) => {
                    Event::MessageWithdrawn { message }
                }
                other => panic!("{other:?} is not about messages"),
            };
            for op in self.record(event) {
                self.does(op);
            }
        }

        fn grants(&mut self, wishes: Vec<Wish>) {
            for wish in wishes {
                match wish {
                    Wish::Ask(op) => self.does(op),
                    other => panic!("{other:?}"),
                }
            }
        }

        fn runs(&mut self, line: &str) -> Vec<Wish> {
            self.app.editor.set(line);
            self.press(KeyCode::Enter)
        }

        fn press(&mut self, code: KeyCode) -> Vec<Wish> {
            self.app.key(KeyEvent::new(code, KeyModifiers::NONE))
        }

        fn waiting(&self) -> Vec<(&str, Delivery)> {
            let pending = self.app.conversation.pending.iter();
            pending
                .map(|one| (one.text.as_str(), one.delivery))
                .collect()
        }

        fn notice(&self) -> &str {
            self.app.notice.as_deref().unwrap_or_default()
        }
    }

    use Delivery::{Queue, Steer};

    #[test]
    fn up_takes_the_last_one_back_and_sending_it_puts_it_at_the_end() {
        let mut desk = Desk::new(&[("a", Steer), ("b", Queue)]);
        let wishes = desk.press(KeyCode::Up);
        assert_eq!(desk.app.editor.text(), "", "not before it is recorded");
        desk.grants(wishes);
        assert_eq!(desk.app.editor.text(), "b");
        assert_eq!(desk.waiting(), [("a", Steer)]);
        let wishes = desk.press(KeyCode::Enter);
        desk.grants(wishes);
        assert_eq!(desk.waiting(), [("a", Steer), ("b", Steer)]);
    }

    #[test]
    fn what_was_typed_meanwhile_stays_behind_what_comes_back() {
        let mut desk = Desk::new(&[("a", Steer)]);
        let wishes = desk.press(KeyCode::Up);
        desk.press(KeyCode::Char('x'));
        desk.grants(wishes);
        assert_eq!(desk.app.editor.text(), "a\nx");
    }

    #[test]
    fn the_keys_may_be_the_other_way_round() {
        let mut desk = Desk::new(&[]);
        desk.app.follow_up = Queue;
        desk.app.editor.set("two lines \\");
        assert_eq!(desk.press(KeyCode::Enter), []);
        assert_eq!(desk.app.editor.text(), "two lines \n");
        for (text, key) in [("a", KeyCode::Enter), ("b", KeyCode::Tab)] {
            desk.app.editor.set(text);
            let wishes = desk.press(key);
            desk.grants(wishes);
        }
        assert_eq!(desk.waiting(), [("a", Queue), ("b", Steer)]);
    }

    #[test]
    fn images_come_back_with_their_message() {
        let mut desk = Desk::new(&[]);
        let image = Content::Image {
            media_type: "image/png".to_owned(),
            data: "aGk=".to_owned(),
        };
        desk.app.editor.insert("see ");
        desk.app.attached("shot.png", Ok(image), None);
        let wishes = desk.press(KeyCode::Enter);
        desk.grants(wishes);
        let said = desk.app.conversation.pending[0].content.clone();
        assert_eq!(said.len(), 2);
        assert_eq!(desk.waiting(), [("see [image 1: shot.png]", Steer)]);
        let wishes = desk.press(KeyCode::Up);
        desk.grants(wishes);
        assert_eq!(desk.app.editor.layout(80).rows, ["see [image shot.png]"]);
        let wishes = desk.press(KeyCode::Enter);
        desk.grants(wishes);
        assert_eq!(desk.app.conversation.pending[0].content, said);
    }

    #[test]
    fn a_message_that_is_heard_first_is_not_said_again() {
        let mut desk = Desk::new(&[("a", Steer), ("b", Steer)]);
        for line in ["/queue edit 1", "/queue up 2"] {
            let wishes = desk.runs(line);
            let [Wish::Ask(Op::Withdraw { message })] = &wishes[..] else {
                panic!("{wishes:?}");
            };
            let message = message.clone();
            if line.ends_with("edit 1") {
                let asked = desk.record(Event::MessageDelivered { message });
                assert_eq!(asked, []);
                assert_eq!(desk.notice(), "it was heard already");
                assert_eq!(desk.app.editor.text(), "");
                desk = Desk::new(&[("a", Steer), ("b", Steer)]);
            } else {
                let asked = desk.record(Event::MessageDelivered { message });
                assert_eq!(asked, []);
                assert_eq!(desk.waiting(), [("b", Steer)]);
            }
        }
    }

    #[test]
    fn the_order_changes_one_message_at_a_time() {
        let mut desk = Desk::new(&[("a", Queue), ("b", Queue), ("c", Steer), ("d", Queue)]);
        let wishes = desk.runs("/queue up 3");
        assert_eq!(wishes.len(), 1, "{wishes:?}");
        desk.grants(wishes);
        assert_eq!(
            desk.waiting(),
            [("a", Queue), ("c", Steer), ("b", Queue), ("d", Queue)]
        );
        assert!(!desk.app.must_stay());
    }

    #[test]
    fn leaving_in_the_middle_of_it_is_asked_twice() {
        let mut desk = Desk::new(&[("a", Queue), ("b", Queue)]);
        desk.runs("/queue up 2");
        assert_eq!(desk.runs("/quit"), []);
        assert!(desk.notice().contains("once more leaves"));
        assert_eq!(desk.runs("/quit"), [Wish::Quit]);
    }

    #[test]
    fn what_cannot_be_said_again_comes_back_into_the_input() {
        let mut desk = Desk::new(&[("a", Queue), ("b", Queue)]);
        let wishes = desk.runs("/queue up 2");
        let [Wish::Ask(Op::Withdraw { message })] = &wishes[..] else {
            panic!("{wishes:?}");
        };
        let message = message.clone();
        let asked = desk.record(Event::MessageWithdrawn { message });
        assert!(matches!(asked[..], [Op::Say { .. }]), "{asked:?}");
        desk.app
            .was_refused(&asked[0], "the session is busy elsewhere");
        assert_eq!(desk.app.editor.text(), "a");
    }

    #[test]
    fn a_message_that_cannot_be_sent_comes_back_into_the_input_unless_it_was_heard() {
        for (typed, left, notice) in [
            ("", "", "it was heard after all"),
            ("more", "look left\nmore", "may still stand"),
        ] {
            let mut desk = Desk::new(&[]);
            let wishes = desk.runs("look left");
            let [Wish::Ask(said)] = &wishes[..] else {
                panic!("{wishes:?}");
            };
            assert!(desk.app.editor.is_empty());
            desk.app.was_refused(said, "the host does not answer");
            assert_eq!(desk.app.editor.text(), "look left");
            if !typed.is_empty() {
                desk.app.editor.insert("\n");
                desk.app.editor.insert(typed);
            }
            desk.grants(wishes);
            assert_eq!(desk.app.editor.text(), left);
            assert!(desk.notice().contains(notice), "{}", desk.notice());
        }
    }

    #[test]
    fn the_commands_of_the_queue() {
        for (line, left, notice) in [
            ("/queue drop 1", vec![("b", Queue)], "it is dropped"),
            (
                "/queue drop 3",
                vec![("a", Steer), ("b", Queue)],
                "no such message",
            ),
            (
                "/queue drop 0",
                vec![("a", Steer), ("b", Queue)],
                "no such message",
            ),
            (
                "/queue up 1",
                vec![("a", Steer), ("b", Queue)],
                "the first one already",
            ),
            (
                "/queue drop the tests",
                vec![("a", Steer), ("b", Queue), ("drop the tests", Queue)],
                "",
            ),
            (
                "/queue up",
                vec![("a", Steer), ("b", Queue), ("up", Queue)],
                "",
            ),
        ] {
            let mut desk = Desk::new(&[("a", Steer), ("b", Queue)]);
            let wishes = desk.runs(line);
            desk.grants(wishes);
            assert_eq!(desk.waiting(), left, "{line}");
            assert!(desk.notice().contains(notice), "{line}: {}", desk.notice());
        }
        let mut desk = Desk::new(&[("a", Steer), ("b", Queue)]);
        assert_eq!(desk.runs("/queue"), []);
        let told: Vec<String> = desk
            .app
            .conversation
            .take_done()
            .iter()
            .map(ToString::to_string)
            .collect();
        let told = told.join("\n");
        assert!(
            told.contains("1 a ") && told.contains("queued: heard after the turn"),
            "{told}"
        );
    }
}
