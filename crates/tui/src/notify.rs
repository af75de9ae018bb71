//! Telling a person who looks elsewhere that a session needs one, or that a turn is over: the bell,
//! and a notification of the desktop, as far as they were asked for. Pure: bytes come out.

use std::collections::BTreeSet;
use std::time::Duration;

use quire_protocol::{Agent, CallId, SessionId, Standing, first_line};
use tokio::time::Instant;

use crate::conversation::{Conversation, Doing};
use crate::rows::{cut, safe};
use crate::terminal::Focus;

/// After so much work the person is told even where the terminal has the focus, or says nothing of it.
const LONG: Duration = Duration::from_secs(10);
/// Columns of a notification.
const WIDE: usize = 120;

/// How a person is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    bell: bool,
    desktop: Option<Desktop>,
}

/// The words in which a terminal takes a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Desktop {
    /// OSC 9: iTerm2, `WezTerm`, Ghostty, kitty, Windows Terminal.
    Nine,
    /// OSC 777: foot, urxvt.
    Named,
}

impl Notify {
    /// As the settings say: `off`, `bell`, `desktop` or `both`; nothing for other words. `variable`
    /// reads the environment, which says what the terminal understands.
    pub fn named<'a>(name: &str, variable: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let terminal = variable("TERM").unwrap_or_default();
        let named = terminal.starts_with("foot") || terminal.starts_with("rxvt");
        let desktop = Some(if named { Desktop::Named } else { Desktop::Nine });
        let (bell, desktop) = match name {
            "off" => (false, None),
            "bell" => (true, None),
            "desktop" => (false, desktop),
            "both" => (true, desktop),
            _ => return None,
        };
        Some(Self { bell, desktop })
    }

    /// The same, as far as nothing but text may be written.
    pub(crate) fn plain(self) -> Self {
        Self {
            desktop: None,
            ..self
        }
    }

    /// Whether a person is told of anything.
    pub(crate) fn is_off(self) -> bool {
        self == Self::default()
    }

    fn bytes(self, words: &str) -> String {
        let words = cut(&safe(words).replace(';', ","), WIDE);
        let mut bytes = match self.desktop {
            None => String::new(),
            Some(Desktop::Nine) => format!("\x1b]9;{words}\x1b\\"),
            Some(Desktop::Named) => format!("\x1b]777;notify;Quire;{words}\x1b\\"),
        };
        if self.bell {
            bytes.push('\x07');
        }
        bytes
    }
}

/// Where a session stands, as far as somebody is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Rests,
    Works,
    Asks(CallId),
    Waits,
}

impl Stand {
    fn of(conversation: &Conversation) -> Self {
        if let Some((call, _)) = conversation.asked.first() {
            return Self::Asks(*call);
        }
        match conversation.doing() {
            Doing::Nothing => Self::Rests,
            Doing::Waits => Self::Waits,
            _ => Self::Works,
        }
    }
}

/// Follows a session, and says when a person is to be told.
#[derive(Debug)]
pub(crate) struct Alerts {
    how: Notify,
    stand: Stand,
    /// Since when it has worked without a person.
    since: Instant,
    /// Whether the terminal has the focus, where it says so.
    focused: Option<bool>,
}

impl Alerts {
    pub(crate) fn new(how: Notify) -> Self {
        Self {
            how,
            stand: Stand::Rests,
            since: Instant::now(),
            focused: None,
        }
    }

    /// Whether it is to be known when the terminal has the focus.
    pub(crate) fn focus_wanted(&self) -> Focus {
        if self.how.is_off() {
            Focus::Untold
        } else {
            Focus::Told
        }
    }

    /// The terminal got the focus, or lost it.
    pub(crate) fn focus(&mut self, focused: bool) {
        self.focused = Some(focused);
    }

    /// Another session is shown: how it stands is no news.
    pub(crate) fn begin(&mut self, conversation: &Conversation, now: Instant) {
        self.stand = Stand::of(conversation);
        self.since = now;
    }

    /// Takes in where the session stands now; gives the bytes that tell of it, if any.
    pub(crate) fn follow(&mut self, conversation: &Conversation, now: Instant) -> Option<String> {
        let stand = Stand::of(conversation);
        let before = std::mem::replace(&mut self.stand, stand);
        if stand == before {
            return None;
        }
        let words = match stand {
            Stand::Works => {
                self.since = now;
                return None;
            }
            Stand::Asks(_) => {
                let (_, approval) = conversation.asked.first()?;
                let (action, _) = first_line(&approval.action);
                format!("asks whether it may run: {action}")
            }
            Stand::Waits => "waits for you".to_owned(),
            Stand::Rests => "is done".to_owned(),
        };
        let long = now.saturating_duration_since(self.since) >= LONG;
        if self.focused != Some(false) && !long {
            return None;
        }
        let settings = conversation.settings.as_ref();
        let folder = settings.and_then(|settings| settings.workspace.file_name());
        let folder = folder.map_or_else(|| "Quire".into(), std::ffi::OsStr::to_string_lossy);
        Some(self.how.bytes(&format!("{folder}: {words}"))).filter(|bytes| !bytes.is_empty())
    }
}

impl Alerts {
    /// The bytes that tell of another session, if any: whoever looks at the terminal sees it there.
    pub(crate) fn call(&self, words: &str) -> Option<String> {
        if self.focused == Some(true) {
            return None;
        }
        Some(self.how.bytes(words)).filter(|bytes| !bytes.is_empty())
    }
}

/// Which sessions wait for a person, as it was heard last.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    /// None before anything was heard.
    known: Option<BTreeSet<SessionId>>,
    /// Since when somebody listens: what waited before is no news.
    since_ms: u64,
}

impl Callers {
    /// Nobody has called by this time.
    pub(crate) fn since(since_ms: u64) -> Self {
        Self {
            known: None,
            since_ms,
        }
    }

    /// Takes in how all sessions stand; gives words for those that wait since the last time, `here` aside.
    pub(crate) fn hear(&mut self, agents: &[Agent], here: Option<&SessionId>) -> Option<String> {
        let waiting = agents
            .iter()
            .filter(|agent| agent.standing == Standing::NeedsYou);
        let heard = waiting.clone().map(|agent| agent.head.session.clone());
        let known = self.known.replace(heard.collect());
        let mut new = waiting.filter(|agent| {
            let session = &agent.head.session;
            let waited = match &known {
                Some(known) => known.contains(session),
                None => agent.head.updated_ms < self.since_ms,
            };
            !waited && Some(session) != here
        });
        let first = new.next()?;
        let (title, _) = first_line(&first.head.title);
        let (detail, _) = first_line(&first.detail);
        let more = match new.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Some(format!("{title}: {detail}{more}"))
    }
}

#[cfg(test)]
mod tests {
    use quire_protocol::{Answer, Approval, Event, Record, Seq, StopReason, TurnId};

    use super::*;

    fn how(name: &str, terminal: &'static str) -> Notify {
        let variable = |name: &str| (name == "TERM").then_some(terminal);
        Notify::named(name, variable).unwrap()
    }

    #[test]
    fn a_person_is_told_as_the_settings_and_the_terminal_say_and_nothing_foreign_gets_out() {
        let words = "a;b\x07\x1b]0;x\x07\x1b\\c\nd\u{9d}e";
        for (name, terminal, expected) in [
            ("off", "xterm", ""),
            ("bell", "xterm", "\x07"),
            ("desktop", "xterm-256color", "\x1b]9;a,bc d\x1b\\"),
            ("both", "foot", "\x1b]777;notify;Quire;a,bc d\x1b\\\x07"),
        ] {
            assert_eq!(how(name, terminal).bytes(words), expected, "{name}");
        }
        assert_eq!(how("both", "foot").plain().bytes(words), "\x07");
        assert!(how("desktop", "foot").plain().is_off());
        let long = how("desktop", "xterm").bytes(&"x".repeat(10_000));
        assert!(long.len() < 200, "{}", long.len());
        assert_eq!(Notify::named("loud", |_| None), None);
    }

    fn event(conversation: &mut Conversation, event: Event) {
        conversation.record(&Record {
            seq: Seq(1),
            at_ms: 0,
            event,
        });
    }

    fn started() -> Event {
        Event::TurnStarted { turn: TurnId(1) }
    }

    fn asked() -> Event {
        Event::ApprovalAsked {
            call: CallId(1),
            approval: Approval {
                action: "make push".to_owned(),
                reason: String::new(),
                prefix: Vec::new(),
                ..Approval::default()
            },
        }
    }

    fn ended() -> Event {
        Event::TurnEnded {
            turn: TurnId(1),
            reason: StopReason::EndTurn,
            detail: String::new(),
        }
    }

    /// What is told of a question, and of the end, each after so many seconds of work.
    fn told(focused: Option<bool>, seconds: [u64; 2]) -> [Option<String>; 2] {
        let mut conversation = Conversation::default();
        let mut alerts = Alerts::new(how("desktop", "xterm"));
        if let Some(focused) = focused {
            alerts.focus(focused);
        }
        let mut now = Instant::now();
        event(&mut conversation, started());
        assert_eq!(alerts.follow(&conversation, now), None);
        now += Duration::from_secs(seconds[0]);
        event(&mut conversation, asked());
        let question = alerts.follow(&conversation, now);
        assert_eq!(alerts.follow(&conversation, now), None, "once");
        now += Duration::from_mins(1);
        let answer = Answer::AllowOnce;
        let call = CallId(1);
        let answered = Event::ApprovalAnswered {
            call,
            answer,
            ruled_by: None,
        };
        event(&mut conversation, answered);
        assert_eq!(alerts.follow(&conversation, now), None);
        now += Duration::from_secs(seconds[1]);
        event(&mut conversation, ended());
        [question, alerts.follow(&conversation, now)]
    }

    #[test]
    fn who_looks_is_told_after_long_work_only_and_who_does_not_always() {
        let asks = Some("\x1b]9;Quire: asks whether it may run: make push\x1b\\".to_owned());
        let done = Some("\x1b]9;Quire: is done\x1b\\".to_owned());
        for focused in [None, Some(true)] {
            assert_eq!(told(focused, [9, 9]), [None, None]);
            assert_eq!(told(focused, [10, 9]), [asks.clone(), None]);
            assert_eq!(told(focused, [9, 10]), [None, done.clone()]);
        }
        assert_eq!(told(Some(false), [0, 0]), [asks, done]);
    }

    #[test]
    fn what_was_before_a_session_is_shown_is_no_news() {
        let mut conversation = Conversation::default();
        event(&mut conversation, started());
        event(&mut conversation, asked());
        let mut alerts = Alerts::new(how("both", "xterm"));
        alerts.focus(false);
        let now = Instant::now();
        alerts.begin(&conversation, now);
        assert_eq!(alerts.follow(&conversation, now), None);
        event(&mut conversation, ended());
        assert!(alerts.follow(&conversation, now).is_some());
    }

    fn standing(session: &str, standing: Standing) -> Agent {
        Agent {
            head: quire_protocol::SessionHead {
                session: SessionId::new(session),
                created_ms: 0,
                updated_ms: 0,
                workspace: "/w".to_owned(),
                title: format!("task {session}"),
                events: 1,
                parent: None,
            },
            standing,
            detail: "asks".to_owned(),
            model: String::new(),
            asked: None,
            faces: 0,
        }
    }

    #[test]
    fn what_waits_since_the_last_time_is_told_once() {
        use Standing::{NeedsYou, Working};
        let mut callers = Callers::since(1);
        let before = standing("a", NeedsYou);
        assert_eq!(callers.hear(std::slice::from_ref(&before), None), None);
        let here = SessionId::new("d");
        let now = [
            before,
            standing("b", NeedsYou),
            standing("c", NeedsYou),
            standing("d", NeedsYou),
            standing("e", Working),
        ];
        let words = callers.hear(&now, Some(&here));
        assert_eq!(words.as_deref(), Some("task b: asks (and 1 more)"));
        assert_eq!(callers.hear(&now, None), None, "told already, or seen");
        assert_eq!(callers.hear(&[], None), None);
        let again = callers.hear(&[standing("a", NeedsYou)], None);
        assert_eq!(again.as_deref(), Some("task a: asks"));
        let first = Callers::since(0).hear(&now, Some(&here));
        assert_eq!(
            first.as_deref(),
            Some("task a: asks (and 2 more)"),
            "it came after the screen"
        );
        let mut alerts = Alerts::new(how("both", "xterm"));
        assert!(
            alerts
                .call("x")
                .is_some_and(|bytes| bytes.ends_with('\x07'))
        );
        alerts.focus(true);
        assert_eq!(alerts.call("x"), None);
    }
}
