//! Commands of the person's own: `! cargo test` in the input runs with the person's shell and rights,
//! on the machine of the screen. The model is told what it was and what it printed, with its next
//! request; no turn begins because of it.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use quire_protocol::{CommandEnd, Content, Delivery, Op, clean, counted, duration};
use ratatui_core::text::Line;
use tokio::sync::mpsc::{Receiver, channel};

use crate::app::App;
use crate::calls::below;
use crate::look;
use crate::machine::Machine;
use crate::rows::{cut, end_of, safe};
use crate::wish::Wish;

/// Bytes of the beginning and of the end of what a command prints that are kept.
const OF_START: usize = 8 << 10;
const OF_END: usize = 24 << 10;
/// Lines of it that are shown.
const SHOWN: usize = 40;
/// Lines of it that are shown while it runs.
const OF_OUTPUT: usize = 5;
/// What the model is told begins so.
const HEAD: &str = "I ran this command myself, outside of the sandbox:\n$ ";

/// What a running command tells.
#[derive(Debug)]
pub(crate) enum News {
    /// It printed something.
    Printed(Vec<u8>),
    /// It is over: how it ended, or why it could not be run, and how long it took.
    Ended(Result<CommandEnd, String>, u64),
}

/// The process of a command, if one runs.
#[derive(Debug, Default)]
pub(crate) struct Shell {
    news: Option<Receiver<News>>,
    stop: Option<Sender<()>>,
}

impl Shell {
    /// Starts a command. Only one runs at a time.
    pub(crate) fn start(&mut self, machine: &Arc<dyn Machine>, line: String) {
        // Whoever prints faster than that is shown waits.
        let (tell, news) = channel(16);
        let (stop, stopped) = std::sync::mpsc::channel();
        let machine = Arc::clone(machine);
        std::thread::spawn(move || {
            let begun = Instant::now();
            let end = machine.shell(&line, stopped, &mut |bytes| {
                let _ = tell.blocking_send(News::Printed(bytes.to_vec()));
            });
            let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let _ = tell.blocking_send(News::Ended(end, took_ms));
        });
        (self.news, self.stop) = (Some(news), Some(stop));
    }

    /// Stops what runs; what runs on then is killed the next time.
    pub(crate) fn stop(&self) {
        if let Some(stop) = &self.stop {
            let _ = stop.send(());
        }
    }

    /// Waits for what it tells next; for ever where nothing runs.
    pub(crate) async fn next(&mut self) -> News {
        let Some(news) = &mut self.news else {
            return std::future::pending().await;
        };
        let told = news.recv().await;
        let told = told
            .unwrap_or_else(|| News::Ended(Err("it broke off: please report this".to_owned()), 0));
        if matches!(told, News::Ended(..)) {
            (self.news, self.stop) = (None, None);
        }
        told
    }
}

impl Shell {
    /// Stops what runs, for as long as a screen that leaves can wait for it.
    pub(crate) async fn end(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(3);
        self.stop();
        let over = async {
            while self.news.is_some() {
                self.next().await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, over).await;
    }
}

/// A command of the person's that runs, as a screen shows it.
#[derive(Debug)]
pub(crate) struct Own {
    line: String,
    printed: Printed,
}

/// What a command printed: its beginning and its end.
#[derive(Debug, Default)]
struct Printed {
    start: Vec<u8>,
    end: Vec<u8>,
    /// Bytes between them.
    lost: usize,
}

impl Printed {
    fn add(&mut self, bytes: &[u8]) {
        let room = OF_START.saturating_sub(self.start.len());
        let (start, rest) = bytes.split_at(room.min(bytes.len()));
        self.start.extend(start);
        self.end.extend(rest);
        if self.end.len() > 2 * OF_END {
            let over = self.end.len() - OF_END;
            self.end.drain(..over);
            self.lost += over;
        }
    }

    /// All of it as harmless text, with a line for what is left out.
    fn text(&self) -> String {
        if self.lost == 0 {
            let all = [&*self.start, &*self.end].concat();
            return as_left(&String::from_utf8_lossy(&all));
        }
        let (start, end) = (
            String::from_utf8_lossy(&self.start),
            String::from_utf8_lossy(&self.end),
        );
        let lost = counted(self.lost as u64, "byte");
        as_left(&format!("{start}\n[… {lost} left out …]\n{end}"))
    }
}

/// Text as a terminal would be left with it: what was written over is gone, and so is what could do
/// harm.
fn as_left(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let lines = text.split('\n');
    let lines = lines.map(|line| line.rsplit('\r').next().unwrap_or_default());
    clean(&lines.collect::<Vec<_>>().join("\n"))
}

impl App {
    /// Runs a command line of the person's.
    pub(crate) fn run_own(&mut self) -> Vec<Wish> {
        let typed = self.editor.take();
        let line = typed.trim_start_matches('!').trim();
        let wishes = self.begin_own(line);
        if wishes.is_empty() {
            self.editor.set(&typed);
        }
        wishes
    }

    fn begin_own(&mut self, line: &str) -> Vec<Wish> {
        if line.is_empty() {
            self.notice = Some("which command? `! cargo test` runs it in the workspace".to_owned());
            return Vec::new();
        }
        if self.own.is_some() {
            self.notice = Some("a command of yours runs already: Esc stops it".to_owned());
            return Vec::new();
        }
        self.recalled = None;
        self.own = Some(Own {
            line: line.to_owned(),
            printed: Printed::default(),
        });
        vec![Wish::Run(line.to_owned())]
    }

    /// Takes in what a command of the person's tells. Gives what to ask of the session because of it.
    pub(crate) fn own_told(&mut self, news: News) -> Option<Op> {
        match news {
            News::Printed(bytes) => {
                if let Some(own) = &mut self.own {
                    own.printed.add(&bytes);
                }
                None
            }
            News::Ended(Err(why), _) => {
                self.own = None;
                self.conversation
                    .warn(&format!("your command was not run: {why}"));
                None
            }
            News::Ended(Ok(end), took_ms) => {
                let own = self.own.take()?;
                let note = note(&own.line, &own.printed.text(), end, took_ms);
                Some(self.say_content(vec![Content::text(note)], Delivery::Note, None))
            }
        }
    }
}

/// What the model is told of a command.
fn note(line: &str, printed: &str, end: CommandEnd, took_ms: u64) -> String {
    let gap = if printed.is_empty() || printed.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let took = duration(took_ms);
    format!("{HEAD}{}\n{printed}{gap}({end}, after {took})", clean(line))
}

/// The command that a note is about, and what follows it.
fn of_command(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(HEAD)?;
    Some(rest.split_once('\n').unwrap_or((rest, "")))
}

/// A note in a few words: the command that it is about, where there is one, as it is typed.
pub(crate) fn title(text: &str) -> String {
    of_command(text).map_or_else(|| text.to_owned(), |(line, _)| format!("! {line}"))
}

/// A note as it is shown where it was made: the command and the ends of what it printed.
pub(crate) fn shown(text: &str) -> Vec<Line<'static>> {
    let mark = if of_command(text).is_some() {
        "! "
    } else {
        "· "
    };
    let whole = || text.split_once('\n').unwrap_or((text, ""));
    let (line, rest) = of_command(text).unwrap_or_else(whole);
    let mut lines = vec![look::mixed([
        (mark.to_owned(), look::MARK),
        (safe(line), look::BOLD),
    ])];
    let rest: Vec<&str> = rest.lines().collect();
    let hidden = rest.len().saturating_sub(SHOWN);
    let (start, end) = if hidden == 0 {
        (rest.len(), rest.len())
    } else {
        (SHOWN / 2, SHOWN / 2 + hidden)
    };
    lines.extend(rest[..start].iter().map(|line| below(line, look::DIM)));
    if hidden > 0 {
        let more = format!("… {}", counted(hidden as u64, "more line"));
        lines.push(below(&more, look::DIM));
    }
    lines.extend(rest[end..].iter().map(|line| below(line, look::DIM)));
    lines
}

/// A running command as rows: what it is, and the last lines that it printed.
pub(crate) fn rows(own: &Own, wide: usize) -> Vec<Line<'static>> {
    let title = format!("! {}  (yours; Esc stops it)", safe(&own.line));
    let mut rows = vec![look::mixed([
        ("● ".to_owned(), look::NOTICE),
        (cut(&title, wide.saturating_sub(2)), look::PLAIN),
    ])];
    let last = match own.printed.end.as_slice() {
        [] => &own.printed.start,
        end => end,
    };
    let text = String::from_utf8_lossy(last);
    let text = clean(end_of(&text, 4_000));
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(OF_OUTPUT);
    rows.extend(lines[from..].iter().map(|line| {
        let line = below(line, look::DIM).to_string();
        look::line(cut(&line, wide), look::DIM)
    }));
    rows
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use quire_protocol::{Event, MessageId, Record, Seq};

    use super::*;

    fn app() -> App {
        App::new(
            "me".to_owned(),
            std::sync::Arc::new(|settings, _| Ok(settings)),
        )
    }

    fn press(app: &mut App, code: KeyCode) -> Vec<Wish> {
        app.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn types(app: &mut App, line: &str) -> Vec<Wish> {
        app.editor.set(line);
        press(app, KeyCode::Enter)
    }

    fn text_of(op: &Op) -> &str {
        let Op::Say {
            delivery: Delivery::Note,
            content,
            ..
        } = op
        else {
            panic!("{op:?} is no note");
        };
        content[0].as_text().unwrap()
    }

    const EXIT_1: CommandEnd = CommandEnd::Exited { code: 1 };

    #[test]
    fn the_model_is_told_what_ran_and_what_it_printed() {
        let mut app = app();
        assert_eq!(
            types(&mut app, "! cargo test"),
            [Wish::Run("cargo test".to_owned())]
        );
        for bytes in [
            &b"one\r\n 1%\r99%\n\x1b[31mr"[..],
            &b"ed\xc3"[..],
            &b"\xb6\n"[..],
        ] {
            assert_eq!(app.own_told(News::Printed(bytes.to_vec())), None);
        }
        let op = app.own_told(News::Ended(Ok(EXIT_1), 1_200)).unwrap();
        assert_eq!(
            text_of(&op),
            "I ran this command myself, outside of the sandbox:\n$ cargo test\none\n99%\nredö\n\
             (exit code 1, after 1.2 s)"
        );
    }

    #[test]
    fn much_output_is_bounded_at_both_ends() {
        let mut app = app();
        types(&mut app, "!yes");
        app.own_told(News::Printed(b"first\n".to_vec()));
        for _ in 0..1_000 {
            app.own_told(News::Printed(b"y\n".repeat(4_096)));
        }
        app.own_told(News::Printed(b"last".to_vec()));
        let op = app.own_told(News::Ended(Ok(EXIT_1), 5)).unwrap();
        let text = text_of(&op);
        assert!(text.len() < OF_START + 2 * OF_END + 200, "{}", text.len());
        assert!(text.contains("$ yes\nfirst\ny\n") && text.contains("last\n(exit code 1"));
        assert!(text.contains(" bytes left out …]"));
    }

    #[test]
    fn one_runs_at_a_time_and_keys_stop_it_first() {
        let mut app = app();
        assert_eq!(types(&mut app, "!"), []);
        assert!(app.notice.as_deref().unwrap().contains("which command?"));
        types(&mut app, "!sleep 9");
        assert_eq!(types(&mut app, "!true"), []);
        assert!(app.notice.as_deref().unwrap().contains("runs already"));
        assert_eq!(app.editor.text(), "!true");
        assert_eq!(press(&mut app, KeyCode::Esc), [Wish::StopOwn]);
        app.editor.take();
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(app.key(control_c), [Wish::StopOwn]);
        assert_eq!(app.own_told(News::Ended(Err("no sh".to_owned()), 0)), None);
        assert_eq!(press(&mut app, KeyCode::Esc), []);
    }

    #[test]
    fn a_note_is_shown_where_it_was_made_and_never_comes_back_as_a_message() {
        let mut app = app();
        let printed: Vec<String> = (1..=60).map(|line| format!("line {line}")).collect();
        let printed = printed.join("\n");
        app.conversation.record(&Record {
            seq: Seq(1),
            at_ms: 0,
            event: Event::MessageAccepted {
                message: MessageId::new("n"),
                delivery: Delivery::Note,
                content: vec![Content::text(note("ls", &printed, EXIT_1, 5))],
                effort: None,
            },
        });
        let lines: Vec<String> = app
            .conversation
            .take_done()
            .iter()
            .map(ToString::to_string)
            .collect();
        let lines = lines.join("\n");
        assert!(lines.contains("! ls\n    line 1\n"), "{lines}");
        assert!(
            lines.contains("line 20\n    … 21 more lines\n    line 42\n"),
            "{lines}"
        );
        assert!(lines.ends_with("(exit code 1, after 0 s)"), "{lines}");
        assert_eq!(press(&mut app, KeyCode::Up), []);
        assert_eq!(app.editor.text(), "! ls");
    }
}
