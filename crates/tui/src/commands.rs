//! What can be said to the screen itself: a table of commands, each begun with `/`.

#![expect(
    clippy::unnecessary_wraps,
    reason = "all commands are functions of one type"
)]

mod budget;
mod context;
mod jobs;
mod permissions;
pub(crate) mod plan;
mod review;

use std::fmt::Write as _;

use quire_protocol::{ContextPart, Effort, Goal, Op, Point, Settings, thousands};
use ratatui_core::text::Line;

use crate::app::{App, Wish};
use crate::conversation::Doing;
use crate::folded;
use crate::images;
use crate::look;
use crate::others::Seek;
use crate::outbox;
use crate::resume;
use crate::theme;
use crate::travel::{self, Journey};

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its name, without the slash.
    pub(crate) name: &'static str,
    /// What stands behind it, for the help; empty when nothing does.
    pub(crate) arguments: &'static str,
    /// What it does, in a few words.
    pub(crate) what: &'static str,
    /// Does it, with what stands behind its name; fails with what to tell the person.
    pub(crate) run: fn(&mut App, &str) -> Result<Vec<Wish>, String>,
}

/// All of them.
const COMMANDS: &[Command] = &[
    Command {
        name: "help",
        arguments: "",
        what: "list keys and commands",
        run: help,
    },
    Command {
        name: "model",
        arguments: "NAME",
        what: "use another model from the next request on",
        run: model,
    },
    Command {
        name: "effort",
        arguments: "LEVEL",
        what: "think less or more: low, medium, high, xhigh, max",
        run: effort,
    },
    Command {
        name: "plan",
        arguments: "[WORDS | accept | off]",
        what: "plan first: nothing is changed until you accept",
        run: plan::plan,
    },
    Command {
        name: "compact",
        arguments: "[FOCUS]",
        what: "summarise the older part of the context",
        run: compact,
    },
    Command {
        name: "undo-compaction",
        arguments: "",
        what: "take the last compaction back",
        run: undo_compaction,
    },
    Command {
        name: "goal",
        arguments: "[WORDS | drop]",
        what: "show, set or drop the goal",
        run: goal,
    },
    Command {
        name: "cost",
        arguments: "",
        what: "show what the session used",
        run: cost,
    },
    Command {
        name: "context",
        arguments: "",
        what: "show what fills the context",
        run: context::context,
    },
    Command {
        name: "budget",
        arguments: "[MONEY | LIMIT=N …]",
        what: "show or set how much the session may use",
        run: budget::budget,
    },
    Command {
        name: "jobs",
        arguments: "",
        what: "show what runs in the background",
        run: jobs::jobs,
    },
    Command {
        name: "permissions",
        arguments: "[drop N]",
        what: "show what commands may do, or take a permission back",
        run: permissions::permissions,
    },
    Command {
        name: "review",
        arguments: "[branch NAME | commit ID | WORDS]",
        what: "have a change read, with findings by severity",
        run: review::review,
    },
    Command {
        name: "doctor",
        arguments: "",
        what: "check key, endpoint, sandbox, git and disk",
        run: doctor,
    },
    Command {
        name: "sessions",
        arguments: "",
        what: "list the sessions of this folder",
        run: |_, _| Ok(vec![Wish::List]),
    },
    Command {
        name: "resume",
        arguments: "[ID | WORDS]",
        what: "go over to another session of this folder",
        run: resume::resume,
    },
    Command {
        name: "agents",
        arguments: "",
        what: "list all sessions of the host, and go over to one",
        run: |_, _| Ok(vec![Wish::Seek(Seek::All)]),
    },
    Command {
        name: "next",
        arguments: "",
        what: "go over to the next session that waits for you",
        run: |_, _| Ok(vec![Wish::Seek(Seek::Next)]),
    },
    Command {
        name: "rewind",
        arguments: "[N [both | conversation | files]]",
        what: "go back to before a message",
        run: App::rewind,
    },
    Command {
        name: "undo",
        arguments: "[keep | merge | overwrite]",
        what: "take the agent's last change of files back",
        run: travel::undo,
    },
    Command {
        name: "redo",
        arguments: "[keep | merge | overwrite]",
        what: "have again what was taken back last",
        run: travel::redo,
    },
    Command {
        name: "diff",
        arguments: "[last]",
        what: "show what became of files in this session, or with its last change",
        run: diff,
    },
    Command {
        name: "fork",
        arguments: "",
        what: "go on in a copy of this session",
        run: |_, _| Ok(vec![Wish::Travel(Journey::Fork(None))]),
    },
    Command {
        name: "tree",
        arguments: "",
        what: "list what was forked from what, and go there",
        run: |_, _| Ok(vec![Wish::Travel(Journey::Tree)]),
    },
    Command {
        name: "queue",
        arguments: "[WORDS | edit N | drop N | up N]",
        what: "say something for after the turn; list or change what waits",
        run: outbox::queue,
    },
    Command {
        name: "image",
        arguments: "PATH",
        what: "attach an image; a pasted path of one is attached too",
        run: images::image,
    },
    Command {
        name: "show",
        arguments: "[N | always | folded]",
        what: "show the last calls in full, or all that follow",
        run: folded::show,
    },
    Command {
        name: "thinking",
        arguments: "[on | off]",
        what: "show what was thought last, or all that follows",
        run: folded::thinking,
    },
    Command {
        name: "find",
        arguments: "WORDS",
        what: "look for words above; again without words (full screen)",
        run: |_, words| Ok(vec![Wish::Find(words.to_owned())]),
    },
    Command {
        name: "theme",
        arguments: "NAME",
        what: "use other colours: auto, dark, light, ansi16, none",
        run: theme,
    },
    Command {
        name: "pause",
        arguments: "",
        what: "let it end its step, then wait; again takes that back",
        run: pause,
    },
    Command {
        name: "stop",
        arguments: "",
        what: "stop what it does",
        run: |app, _| Ok(app.interrupt()),
    },
    Command {
        name: "quit",
        arguments: "",
        what: "close the session and leave",
        run: |_, _| Ok(vec![Wish::Quit]),
    },
];

/// What the keys do, for the help.
const KEYS: &[(&str, &str)] = &[
    (
        "Enter",
        "send; while it works, it is heard at the next step (or see --follow-up)",
    ),
    (
        "Tab, Alt+Enter",
        "send, to be heard after the turn (or the other way round)",
    ),
    (
        "Esc",
        "stop what it does; twice, when nothing is done, go back in time",
    ),
    ("Ctrl+J, Shift+Enter, \\ Enter", "a new line"),
    (
        "Up, Down",
        "take back what waits to be heard; what you said before",
    ),
    ("@PATH", "offer paths of the workspace"),
    (
        "! COMMAND",
        "run a command of your own, and tell the model of it",
    ),
    ("Ctrl+R", "search what you said in this folder"),
    ("Ctrl+G", "write in $VISUAL or $EDITOR"),
    ("Ctrl+V", "attach the image in the clipboard"),
    ("Ctrl+O", "show or fold what tools print"),
    ("Up, Down", "what you said before"),
    (
        "Ctrl+O",
        "show the last call in full; again, the one before",
    ),
    (
        "y, s, a, n and Enter",
        "answer a question: yes, for this session, always, no (at once with Alt)",
    ),
    ("F2", "go over to the next session that waits for you"),
    ("Ctrl+C", "clear the input; twice, leave"),
    ("Ctrl+D", "leave, when the input is empty"),
];

/// The command and the words behind it, if the input is a command; a path is none.
pub(crate) fn read(input: &str) -> Option<(String, String)> {
    let input = input.trim();
    let (name, words) = input.split_once(char::is_whitespace).unwrap_or((input, ""));
    let name = name.strip_prefix('/')?;
    let word = |char: char| char.is_ascii_alphanumeric() || char == '-';
    (!name.is_empty() && name.chars().all(word)).then(|| (name.to_owned(), words.trim().to_owned()))
}

/// A command by its name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The commands whose name begins as the input does; none once a name is complete.
pub(crate) fn starting_with(input: &str) -> Vec<&'static Command> {
    let Some(start) = input.strip_prefix('/') else {
        return Vec::new();
    };
    COMMANDS
        .iter()
        .filter(|command| command.name.starts_with(start) && command.name != start)
        .collect()
}

fn help(app: &mut App, _: &str) -> Result<Vec<Wish>, String> {
    let mut lines = vec![look::line("Keys", look::BOLD)];
    lines.extend(KEYS.iter().map(|(key, what)| pair(key, what)));
    lines.push(Line::default());
    lines.push(look::line("Commands", look::BOLD));
    lines.extend(COMMANDS.iter().map(|command| {
        let usage = format!("/{} {}", command.name, command.arguments);
        pair(usage.trim_end(), command.what)
    }));
    app.conversation.show(lines);
    Ok(Vec::new())
}

/// A line with a name and what it is about.
pub(crate) fn pair(name: &str, what: &str) -> Line<'static> {
    look::mixed([
        (format!("  {name:<30} "), look::MARK),
        (what.to_owned(), look::PLAIN),
    ])
}

/// The settings with a change in them.
fn configured(app: &App, change: impl FnOnce(&mut Settings)) -> Result<Vec<Wish>, String> {
    let settings = app.conversation.settings.clone();
    let mut settings = settings.ok_or("the session has not begun yet")?;
    change(&mut settings);
    Ok(vec![Wish::Ask(Op::Configure { settings })])
}

fn model(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    if words.is_empty() {
        return Err("which one? /model PROVIDER/NAME; `quire models` lists them".to_owned());
    }
    let name = words.to_owned();
    app.refitted(&[("model", name)])
}

fn effort(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    let effort: Effort = words.parse()?;
    app.refitted(&[("effort", effort.name().to_owned())])
}

fn doctor(app: &mut App, _: &str) -> Result<Vec<Wish>, String> {
    app.notice = Some("checking; this may take some seconds".to_owned());
    Ok(vec![Wish::Check])
}

fn theme(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    let names = theme::NAMES.join(", ");
    let theme = app.colours.theme(words);
    let theme = theme.ok_or_else(|| format!("which one? /theme NAME, of {names}"))?;
    app.notice = Some(format!("`quire config set theme {words}` keeps it"));
    Ok(vec![Wish::Wear(theme)])
}

fn compact(_: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    Ok(vec![Wish::Ask(Op::Compact {
        focus: words.to_owned(),
        part: ContextPart::Older,
    })])
}

fn undo_compaction(app: &mut App, _: &str) -> Result<Vec<Wish>, String> {
    if app.conversation.has_turn() {
        return Err("only while nothing works: wait, or stop it with Esc".to_owned());
    }
    if app.conversation.compactions == 0 {
        return Err("there is no compaction to take back".to_owned());
    }
    Ok(vec![Wish::Ask(Op::UndoCompaction)])
}

fn goal(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    let goal = match words {
        "" => {
            let words = match &app.conversation.goal {
                Some(goal) => format!("the goal is: {goal}"),
                None => "there is no goal; /goal WORDS sets one".to_owned(),
            };
            app.conversation.note(&words);
            return Ok(Vec::new());
        }
        "drop" if app.conversation.goal.is_none() => {
            return Err("there is no goal".to_owned());
        }
        "drop" => None,
        words => Some(Goal::new(words, Vec::new())),
    };
    let idle = matches!(app.conversation.doing(), Doing::Nothing);
    if goal.is_some() && idle {
        app.notice = Some("it is worked for from your next message on".to_owned());
    }
    Ok(vec![Wish::Ask(Op::SetGoal { goal })])
}

fn pause(app: &mut App, _: &str) -> Result<Vec<Wish>, String> {
    let why = match app.conversation.doing() {
        Doing::Nothing => "nothing works",
        Doing::Waits => "it waits already: Enter goes on with it",
        Doing::Stopping => "it is stopping already",
        _ if app.conversation.pausing => return Ok(vec![Wish::Ask(Op::Resume)]),
        _ => return Ok(vec![Wish::Ask(Op::Pause)]),
    };
    Err(why.to_owned())
}

fn diff(_: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    let since = match words {
        "" => Point::Start,
        "last" => Point::LastChange,
        other => return Err(format!("`{other}` is not known: /diff, or /diff last")),
    };
    Ok(vec![Wish::Travel(Journey::Changes(since))])
}

fn cost(app: &mut App, _: &str) -> Result<Vec<Wish>, String> {
    let meter = &app.conversation.meter;
    let usage = meter.usage;
    let mut money = meter.bill.in_words(|cost| cost.rounded(4));
    if meter.bill.unpriced > 0 {
        let _ = write!(
            money,
            "; {} requests without a known price",
            meter.bill.unpriced
        );
    }
    let lines = vec![
        look::line("Cost of this session", look::BOLD),
        pair("money", &money),
        pair("requests", &thousands(meter.requests.into())),
        pair("prompt, not cached", &thousands(usage.input)),
        pair("prompt, read from cache", &thousands(usage.cache_read)),
        pair(
            "prompt, written to cache",
            &thousands(usage.cache_write_5m + usage.cache_write_1h),
        ),
        pair("answers", &thousands(usage.output)),
        pair("of them, thinking", &thousands(usage.thinking)),
    ];
    app.conversation.show(lines);
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_what_only_looks_like_one() {
        for (input, expected) in [
            ("/help", Some(("help", ""))),
            (" /goal  all green ", Some(("goal", "all green"))),
            ("/undo-compaction", Some(("undo-compaction", ""))),
            ("/usr/bin/env is missing", None),
            ("/", None),
            ("a /help", None),
            ("// comment", None),
        ] {
            let read = read(input);
            let read = read.as_ref().map(|(name, words)| (&**name, &**words));
            assert_eq!(read, expected, "{input:?}");
        }
        let names = |input| -> Vec<_> { starting_with(input).iter().map(|c| c.name).collect() };
        assert_eq!(names("/co"), ["compact", "cost", "context"]);
        assert_eq!(names("/cost"), Vec::<&str>::new());
        assert_eq!(names("/").len(), COMMANDS.len());
        assert_eq!(names("co"), Vec::<&str>::new());
        assert!(find("nope").is_none());
    }
}
