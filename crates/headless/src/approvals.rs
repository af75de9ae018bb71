//! Answers to approvals: from a person, one question at a time, or refused because there is none.

use std::collections::VecDeque;
use std::future::pending;
use std::io::BufRead;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use quire_protocol::{Answer, Approval, CallId};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::Approver;
use crate::text::visible;

/// The open questions and who answers them.
pub(crate) struct Approvals {
    person: Option<Person>,
    queue: VecDeque<(CallId, Approval)>,
    first: First,
}

/// How far the first question in the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// It is not on the screen.
    Waiting,
    /// It is on the screen.
    Shown,
    /// It was answered, and that is not recorded yet: what is recorded is shown before the next.
    Answered,
}

/// A person's lines, read one at a time by a thread of their own, which may block for ever.
struct Person {
    wanted: Sender<()>,
    lines: UnboundedReceiver<Option<String>>,
    /// Whether a line was asked for that has not come.
    reading: bool,
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// An answer to a question.
    Answer(CallId, Answer),
    /// Nothing that was offered.
    Unclear,
    /// Nothing to do with a question.
    Nothing,
}

impl Approvals {
    pub(crate) fn new(approver: Approver) -> Self {
        let person = match approver {
            Approver::Nobody => None,
            Approver::Person(reader) => Some(Person::new(reader)),
        };
        Self {
            person,
            queue: VecDeque::new(),
            first: First::Waiting,
        }
    }

    /// Takes a question in. Answers it at once when there is nobody to ask.
    pub(crate) fn asked(&mut self, call: CallId, approval: Approval) -> Option<Answer> {
        if self.person.is_none() {
            return Some(refusal(&approval));
        }
        self.queue.push_back((call, approval));
        None
    }

    /// The next question to show, if it is time for one, and the choices.
    pub(crate) fn next_to_show(&mut self) -> Option<(CallId, Approval, String)> {
        let person = self.person.as_mut()?;
        let waiting = self.first == First::Waiting;
        let (call, approval) = self.queue.front().filter(|_| waiting)?;
        self.first = First::Shown;
        person.want();
        Some((*call, approval.clone(), choices(approval)))
    }

    /// Forgets a question that was answered, here or elsewhere. Says whether it still was on the
    /// screen.
    pub(crate) fn settled(&mut self, call: CallId) -> bool {
        let first = self.queue.front().is_some_and(|(first, _)| *first == call);
        self.queue.retain(|(open, _)| *open != call);
        first && std::mem::replace(&mut self.first, First::Waiting) == First::Shown
    }

    /// Forgets all questions: the turn is over.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.first = First::Waiting;
    }

    /// Waits for the person's next line; none when there will be no more. Waits for ever when no
    /// line was asked for.
    pub(crate) async fn line(&mut self) -> Option<String> {
        match &mut self.person {
            Some(person) if person.reading => {
                let line = person.lines.recv().await.flatten();
                person.reading = false;
                line
            }
            _ => pending().await,
        }
    }

    /// What a line means for the question on the screen.
    pub(crate) fn hear(&mut self, line: Option<&str>) -> Said {
        let shown = self.first == First::Shown;
        let Some((call, approval)) = self.queue.front().filter(|_| shown) else {
            return Said::Nothing;
        };
        let answer = if let Some(line) = line {
            meaning(line, approval)
        } else {
            self.person = None;
            Some(refusal(approval))
        };
        let Some(answer) = answer else {
            self.first = First::Waiting;
            return Said::Unclear;
        };
        self.first = First::Answered;
        Said::Answer(*call, answer)
    }

    /// Questions that nobody will answer, after the person's lines have ended.
    pub(crate) fn orphans(&mut self) -> Vec<(CallId, Approval, Answer)> {
        if self.person.is_some() {
            return Vec::new();
        }
        let answered = usize::from(self.first == First::Answered);
        let orphans = self.queue.drain(..).skip(answered);
        orphans
            .map(|(call, approval)| {
                let answer = refusal(&approval);
                (call, approval, answer)
            })
            .collect()
    }
}

impl Person {
    fn new(mut reader: Box<dyn BufRead + Send>) -> Self {
        let (wanted, wants) = channel();
        let (said, lines) = unbounded_channel();
        thread::spawn(move || {
            while wants.recv().is_ok() {
                let mut line = String::new();
                let line = match reader.read_line(&mut line) {
                    Ok(1..) => Some(line),
                    Ok(0) | Err(_) => None,
                };
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            wanted,
            lines,
            reading: false,
        }
    }

    fn want(&mut self) {
        if !self.reading {
            // A thread that is gone closes `lines`, which is heard as their end.
            let _ = self.wanted.send(());
            self.reading = true;
        }
    }
}

fn choices(approval: &Approval) -> String {
    let session = match approval.prefix.as_slice() {
        [] => String::new(),
        prefix => format!(" · s `{} …` for this session", visible(&prefix.join(" "))),
    };
    format!("  y once{session} · n no, n WHY no and why > ")
}

fn meaning(line: &str, approval: &Approval) -> Option<Answer> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (word.to_lowercase().as_str(), rest.trim()) {
        ("y" | "yes", "") => Some(Answer::AllowOnce),
        ("s" | "session" | "a" | "always", "") if !approval.prefix.is_empty() => {
            Some(Answer::AllowAlways)
        }
        ("n" | "no", why) => Some(Answer::no(why)),
        _ => None,
    }
}

fn refusal(approval: &Approval) -> Answer {
    Answer::Deny {
        reason: format!(
            "This needs a person's approval ({}), and nobody can be asked in this run. Do not \
             try it again. Reach the goal in a way that needs no approval, or finish what you can \
             and say in your answer what a person has to run.",
            approval.reason.trim().trim_end_matches('.'),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(prefix: &[&str]) -> Approval {
        Approval {
            action: "git push".into(),
            reason: "network".into(),
            prefix: prefix.iter().map(|word| (*word).to_owned()).collect(),
            ..Approval::default()
        }
    }

    #[test]
    fn lines_and_their_meaning() {
        let deny = |reason: &str| {
            Some(Answer::Deny {
                reason: format!("The person does not allow this: {reason}"),
            })
        };
        let with = approval(&["git", "push"]);
        for (line, answer) in [
            ("y\n", Some(Answer::AllowOnce)),
            (" YES ", Some(Answer::AllowOnce)),
            ("s", Some(Answer::AllowAlways)),
            ("a", Some(Answer::AllowAlways)),
            ("stop that", None),
            ("yes, but", None),
            ("n use a branch\n", deny("use a branch")),
            ("", None),
            ("yes please", None),
            ("yarn", None),
        ] {
            assert_eq!(meaning(line, &with), answer, "{line:?}");
        }
        assert!(matches!(meaning("n", &with), Some(Answer::Deny { .. })));
        assert_eq!(meaning("s", &approval(&[])), None);
    }

    #[test]
    fn questions_come_one_at_a_time() {
        let reader = std::io::Cursor::new("");
        let mut approvals = Approvals::new(Approver::Person(Box::new(reader)));
        assert_eq!(approvals.asked(CallId(1), approval(&["git"])), None);
        assert_eq!(approvals.asked(CallId(2), approval(&[])), None);
        let (call, _, choices) = approvals.next_to_show().unwrap();
        assert_eq!(call, CallId(1));
        assert!(choices.contains("s `git …` for this session"), "{choices}");
        assert!(approvals.next_to_show().is_none());
        assert_eq!(approvals.hear(Some("what?")), Said::Unclear);
        assert_eq!(approvals.next_to_show().unwrap().0, CallId(1));
        assert_eq!(
            approvals.hear(Some("y")),
            Said::Answer(CallId(1), Answer::AllowOnce)
        );
        assert!(approvals.next_to_show().is_none(), "it is not recorded yet");
        assert!(!approvals.settled(CallId(1)));
        assert_eq!(approvals.hear(Some("y")), Said::Nothing);
        let (call, _, choices) = approvals.next_to_show().unwrap();
        assert_eq!(call, CallId(2));
        assert!(!choices.contains("session"), "{choices}");
        assert!(approvals.settled(CallId(2)), "answered elsewhere");
        assert_eq!(approvals.asked(CallId(2), approval(&[])), None);
        assert!(approvals.next_to_show().is_some());
        assert_eq!(approvals.asked(CallId(3), approval(&[])), None);
        assert!(matches!(
            approvals.hear(None),
            Said::Answer(CallId(2), Answer::Deny { .. })
        ));
        assert!(approvals.asked(CallId(4), approval(&[])).is_some());
        let orphans: Vec<CallId> = approvals.orphans().iter().map(|(call, ..)| *call).collect();
        assert_eq!(orphans, [CallId(3)]);
    }
}
