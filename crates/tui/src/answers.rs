//! What answers an open question: a letter and Enter, or a key with Alt at once. A letter alone gives
//! nothing, since it may be the first of a sentence. What opens under typing hands, a list too, is looked
//! at first.

use quire_protocol::{Answer, CallId, Event, Op};

use crate::app::App;
use crate::keys::Reply;
use crate::picker::Picker;
use crate::wish::Wish;

/// What was typed at a question that is answered was typed at this one: no call has that number.
const GONE: CallId = CallId(0);

/// What is open that nobody had time to see.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Surprise {
    question: Option<CallId>,
    list: bool,
}

impl App {
    /// Whether something is open that nobody had time to see.
    pub(crate) fn is_surprised(&self) -> bool {
        self.surprise() != Surprise::default()
    }

    /// What is open that nobody had time to see: keys that were on their way answer nothing of it.
    pub(crate) fn surprise(&self) -> Surprise {
        Surprise {
            question: self
                .first_asked()
                .filter(|first| self.faced != Some(*first)),
            list: self.picker.as_ref().is_some_and(Picker::is_unseen),
        }
    }

    /// The person has seen the first open question, and the list.
    pub(crate) fn face(&mut self) {
        self.faced = self.first_asked();
        self.picker.iter_mut().for_each(Picker::face);
        self.hasty = None;
    }

    /// Questions that are open no more were neither seen nor typed at: the next one may be about the same call.
    pub(crate) fn forget_answered(&mut self) {
        let asked = &self.conversation.asked;
        let gone = |call: CallId| asked.iter().all(|(open, _)| *open != call);
        if self.faced.is_some_and(gone) {
            self.faced = None;
        }
        if self.answering.is_some_and(gone) {
            self.answering = Some(GONE);
        }
    }

    /// Whether a line that comes now may be no answer to what is asked: nobody had time to see that, or a
    /// line has just come.
    pub(crate) fn is_hurried(&self) -> bool {
        self.is_surprised() || self.hasty.is_some()
    }

    /// The question that is to be answered first.
    pub(crate) fn first_asked(&self) -> Option<CallId> {
        self.conversation.asked.first().map(|(call, _)| *call)
    }

    /// The question that keys are about: one that is open and was seen.
    pub(crate) fn facing(&self) -> Option<CallId> {
        self.first_asked()
            .filter(|first| self.faced == Some(*first))
    }

    /// The answer that Enter gives: all that was typed, at this very question, is its letter.
    pub(crate) fn in_hand(&self) -> Option<Reply> {
        Reply::of(self.editor.text()).filter(|_| self.begun_here().is_some())
    }

    /// The open question, where what is typed was begun at it.
    fn begun_here(&self) -> Option<CallId> {
        self.answering.filter(|_| self.answering == self.facing())
    }

    /// A character is about to be typed: the first one shows at what.
    pub(crate) fn begin_typing(&mut self) {
        if self.editor.is_empty() {
            self.answering = self.facing();
            self.picker.iter_mut().for_each(|list| list.type_at(true));
        }
    }

    /// What stands in the input, or will, was typed at no question and no list.
    pub(crate) fn typed_at_nothing(&mut self) {
        self.answering = None;
        self.picker.iter_mut().for_each(|list| list.type_at(false));
    }

    /// Gives the answer in hand, if what is typed is one; there is nothing to give it to where the
    /// question is gone, which is no reason to say a letter to the model.
    pub(crate) fn give(&mut self) -> Option<Vec<Wish>> {
        self.answering?;
        Reply::of(self.editor.text())?;
        let reply = self.in_hand();
        self.editor.take();
        let Some(reply) = reply else {
            self.notice = Some(ANSWERED.to_owned());
            return Some(Vec::new());
        };
        Some(match reply {
            Reply::Once | Reply::Session | Reply::Always => self.reply(reply),
            Reply::No => self.answer(&Answer::no("")),
        })
    }

    /// Gives a whole line as the answer to the question at which it was begun; nothing where it was begun
    /// at none, and is none.
    pub(crate) fn give_line(&mut self, line: &str) -> Option<Vec<Wish>> {
        let (word, why) = line.split_once(' ').unwrap_or((line, ""));
        let reply = Reply::of(word).filter(|reply| *reply == Reply::No || why.trim().is_empty());
        let here = self.begun_here();
        let begun = self.answering.take();
        if let Some(call) = here {
            if self.hasty.replace(call) == here {
                self.notice = Some(HASTY.to_owned());
                return Some(Vec::new());
            }
            return Some(match reply {
                Some(Reply::No) => self.answer(&Answer::no(why.trim())),
                Some(reply) => self.reply(reply),
                None => {
                    self.notice = Some(LETTERS.to_owned());
                    Vec::new()
                }
            });
        }
        let told = match (reply, begun, self.first_asked()) {
            (Some(_), Some(_), _) => ANSWERED,
            (Some(_), None, Some(_)) => HASTY,
            (Some(_), None, None) | (None, ..) => return None,
        };
        self.notice = Some(told.to_owned());
        Some(Vec::new())
    }

    /// Answers the open question; of a no, the reason is asked for first.
    pub(crate) fn reply(&mut self, reply: Reply) -> Vec<Wish> {
        if self.in_hand().is_some() {
            self.editor.take();
        }
        if self.surprise().question.is_some() {
            self.notice = Some("this question is new: look at it, then answer".to_owned());
            return Vec::new();
        }
        let Some((call, approval)) = self.conversation.asked.first() else {
            self.notice = Some("nothing is asked".to_owned());
            return Vec::new();
        };
        match reply {
            Reply::Once => self.answer(&Answer::AllowOnce),
            Reply::Session | Reply::Always if approval.prefix.is_empty() => {
                self.notice = Some(ONCE_ONLY.to_owned());
                Vec::new()
            }
            Reply::Session => self.answer(&Answer::AllowAlways),
            Reply::Always => {
                self.keeping = Some((*call, approval.prefix.clone()));
                self.answer(&Answer::AllowAlways)
            }
            Reply::No => {
                self.refusing = Some(*call);
                self.stash_input();
                Vec::new()
            }
        }
    }

    /// Something was recorded: gives what is to be allowed for good, once that answer is the one that
    /// counts. Another may have come before it.
    pub(crate) fn take_rule(&mut self, event: &Event) -> Option<Vec<String>> {
        let Event::ApprovalAnswered { call, answer, .. } = event else {
            return None;
        };
        let (_, prefix) = self.keeping.take_if(|(asked, _)| asked == call)?;
        if *answer == Answer::AllowAlways {
            return Some(prefix);
        }
        let told = "another answer came first: no rule is kept";
        self.conversation.note(told);
        None
    }

    /// A rule was kept for good, or could not be.
    pub(crate) fn kept(&mut self, kept: Result<(), String>) {
        let file = &self.rules_file;
        match kept {
            Ok(()) => {
                let told = format!("a rule in {file} allows it from now on, in all folders");
                self.conversation.note(&told);
            }
            Err(why) => {
                let told = format!("it is allowed for this session only: {why}");
                self.conversation.warn(&told);
            }
        }
    }

    /// Asks to give an answer to the first open question.
    pub(crate) fn answer(&self, answer: &Answer) -> Vec<Wish> {
        let answer = |call| {
            let answer = answer.clone();
            Wish::Ask(Op::Answer { call, answer })
        };
        self.first_asked().map(answer).into_iter().collect()
    }
}

/// Why an answer is given to nothing.
const ANSWERED: &str = "that question is answered already";
/// Why a line is no answer.
const HASTY: &str = "that came too soon to be an answer: look at the question, then answer";
/// How a line answers.
const LETTERS: &str = "please answer with one of the letters; commands (/stop, /help) work too";
/// Why a question has no answer but for this once.
pub(crate) const ONCE_ONLY: &str =
    "this can only be allowed once: no first words of it say well enough what runs";
