//! What can be said to the screen itself: a table of commands, each begun with `/`.

#![expect(
    clippy::unnecessary_wraps,
    reason = "all commands are functions of one type"
)]

mod budget;
mod context;
mod help;
mod jobs;
pub(crate) mod model;
mod permissions;
pub(crate) mod plan;
pub(crate) mod review;

use std::fmt::Write as _;

use quire_protocol::{ContextPart, Effort, Goal, Op, Point, Settings, counted, thousands, visible};
use ratatui_core::text::Line;

use crate::app::App;
use crate::conversation::Doing;
use crate::folded;
use crate::images;
use crate::look;
use crate::menu::Behind;
use crate::others::Seek;
use crate::outbox;
use crate::resume;
use crate::theme;
use crate::travel::{self, Journey};
use crate::wish::Wish;

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its name, without the slash.
    pub(crate) name: &'static str,
    /// What stands behind it, for the help and for what is offered: ways to go on, a `|` between them. Small
    /// words are written as they are, large ones stand for something; brackets are around what may be
    /// left out. Empty when nothing stands there.
    pub(crate) arguments: &'static str,
    /// What it does, in a few words.
    pub(crate) what: &'static str,
    /// Does it, with what stands behind its name; fails with what to tell the person.
    pub(crate) run: fn(&mut App, &str) -> Result<Vec<Wish>, String>,
}

impl Command {
    /// What stands behind its name.
    pub(crate) fn behind(&self) -> Behind {
        match self.arguments.chars().next() {
            None => Behind::Nothing,
            Some('[') => Behind::Perhaps,
            Some(_) => Behind::More,
        }
    }

    /// The words that are known to stand at that place behind its name, and whether no other can.
    pub(crate) fn words(&self, place: usize, models: &[String]) -> (Vec<(String, Behind)>, bool) {
        let mut level = self.arguments;
        for _ in 0..place {
            level = inside(level).split_once('[').map_or("", |(_, rest)| rest);
        }
        let level = inside(level);
        let (ways, rest) = level.split_once('[').unwrap_or((level, ""));
        let mut words = Vec::new();
        let mut closed = true;
        for way in ways.split('|').map(str::trim) {
            let (word, more) = way.split_once(' ').unwrap_or((way, ""));
            match word {
                "" => {}
                "MODEL" => {
                    words.extend(models.iter().map(|model| (model.clone(), Behind::Nothing)));
                    closed = false;
                }
                word if word.starts_with(char::is_uppercase) => closed = false,
                word => {
                    let behind = match (more, rest) {
                        ("", "") => Behind::Nothing,
                        ("", _) => Behind::Perhaps,
                        _ => Behind::More,
                    };
                    words.push((word.to_owned(), behind));
                }
            }
        }
        (words, closed)
    }
}

/// What stands in brackets, without them.
fn inside(arguments: &str) -> &str {
    arguments.trim_start_matches('[').trim_end_matches(']')
}

/// All of them.
const COMMANDS: &[Command] = &[
    Command {
        name: "help",
        arguments: "",
        what: "list keys and commands",
        run: help::help,
    },
    Command {
        name: "model",
        arguments: "MODEL",
        what: "use another model, while it works from the next turn on; alone, list them",
        run: model::model,
    },
    Command {
        name: "effort",
        arguments: "low | medium | high | xhigh | max",
        what: "think less or more",
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
        arguments: "auto | dark | light | ansi16 | none",
        what: "use other colours",
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

/// The command and the words behind it, if the input is a command; a path is none, and behind a space
/// only what there is.
pub(crate) fn read(input: &str) -> Option<(String, String)> {
    let begins = input.starts_with('/');
    let input = input.trim();
    let (name, words) = input.split_once(char::is_whitespace).unwrap_or((input, ""));
    let name = name.strip_prefix('/')?;
    let word = |char: char| char.is_ascii_alphanumeric() || char == '-';
    let named = !name.is_empty() && name.chars().all(word);
    let meant = named && (begins || find(name).is_some());
    meant.then(|| (name.to_owned(), words.trim().to_owned()))
}

/// Why an input that begins as commands do is neither one nor words. A path is words where it does not
/// begin with the name of a command, and so is a comment.
pub(crate) fn mistaken(input: &str) -> Option<String> {
    let rest = input.strip_prefix('/')?;
    if rest.starts_with(['/', '*']) {
        return None;
    }
    let word = rest.split(char::is_whitespace).next().unwrap_or(rest);
    let is_path = word
        .split_once('/')
        .is_some_and(|(first, _)| find(first).is_none());
    (!is_path).then(|| unknown(&format!("/{word}")))
}

/// What is said of a command that there is not.
pub(crate) fn unknown(name: &str) -> String {
    format!(
        "there is no command {}: /help lists them; with a space before it, it is said to the model",
        visible(name)
    )
}

/// An answer in words, which is all that comes of a command.
pub(crate) fn answer(app: &mut App, words: &str) -> Vec<Wish> {
    app.notice = Some(words.to_owned());
    Vec::new()
}

/// A command by its name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The commands whose name begins as the input does; none once a name can be nothing else.
pub(crate) fn starting_with(input: &str) -> Vec<&'static Command> {
    let Some(start) = input.strip_prefix('/') else {
        return Vec::new();
    };
    let begins = |command: &&Command| command.name.starts_with(start);
    let mut named: Vec<_> = COMMANDS.iter().filter(begins).collect();
    named.sort_by_key(|command| command.name != start);
    match named.as_slice() {
        [only] if only.name == start => Vec::new(),
        _ => named,
    }
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

fn effort(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    if words.is_empty() {
        let settings = app.conversation.settings.as_ref();
        let now = settings.map_or("not known", |settings| settings.effort.name());
        let all = Effort::ALL.map(Effort::name).join(", ");
        return Ok(answer(
            app,
            &format!("the effort is {now}, of {all}: /effort LEVEL"),
        ));
    }
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
            return Ok(answer(app, "there is no goal"));
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
        let requests = counted(meter.bill.unpriced, "request");
        let _ = write!(money, "; {requests} without a known price");
    }
    let mut lines = vec![
        look::line("Cost of this session", look::BOLD),
        pair("money", &money),
    ];
    if meter.agents.requests > 0 {
        let cost = meter.agents.bill().in_words(|cost| cost.rounded(4));
        let requests = counted(meter.agents.requests.into(), "request");
        lines.push(pair("of it, by agents", &format!("{cost}, {requests}")));
    }
    lines.extend([
        pair("requests", &thousands(meter.requests.into())),
        pair("prompt, not cached", &thousands(usage.input)),
        pair("prompt, read from cache", &thousands(usage.cache_read)),
        pair(
            "prompt, written to cache",
            &thousands(usage.cache_write_5m + usage.cache_write_1h),
        ),
        pair("answers", &thousands(usage.output)),
        pair("of them, thinking", &thousands(usage.thinking)),
    ]);
    app.conversation.show(lines);
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_is_no_requests() {
        let mut app = App::new(
            "me".to_owned(),
            std::sync::Arc::new(|settings, _| Ok(settings)),
        );
        app.conversation.meter.bill.unpriced = 1;
        assert_eq!(cost(&mut app, ""), Ok(Vec::new()));
        let told = format!("{:?}", app.conversation.take_done());
        assert!(told.contains("1 request without a known price"), "{told}");
    }

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
            ("/tmp is full", Some(("tmp", "is full"))),
            (" /tmp is full", None),
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
        assert_eq!(
            names("/undo"),
            ["undo", "undo-compaction"],
            "both can be meant"
        );
        assert!(find("nope").is_none());
    }

    #[test]
    fn what_was_meant_as_a_command_is_not_said_and_a_path_is() {
        for (input, is_mistaken) in [
            ("/jobs/sessions", true),
            ("/jobs.", true),
            ("/?", true),
            ("/", true),
            ("/usr/bin/x is broken", false),
            ("/etc/hosts", false),
            (" /jobs/sessions is no page", false),
            ("// comment", false),
            ("/** doc */", false),
            ("a /jobs.", false),
        ] {
            assert_eq!(mistaken(input).is_some(), is_mistaken, "{input:?}");
        }
    }

    #[test]
    fn what_can_stand_behind_a_name_is_read_from_the_help() {
        let models = ["a/b".to_owned()];
        for (name, place, expected, closed) in [
            ("help", 0, &[][..], true),
            ("model", 0, &["a/b"], false),
            ("plan", 0, &["accept", "off"], false),
            ("plan", 1, &[], true),
            ("thinking", 0, &["on", "off"], true),
            ("queue", 0, &["edit +", "drop +", "up +"], false),
            ("rewind", 0, &[], false),
            ("rewind", 1, &["both", "conversation", "files"], true),
            ("show", 0, &["always", "folded"], false),
        ] {
            let (words, is_closed) = find(name).unwrap().words(place, &models);
            let words: Vec<String> = words
                .into_iter()
                .map(|(word, behind)| match behind {
                    Behind::Nothing => word,
                    Behind::Perhaps => word + " ?",
                    Behind::More => word + " +",
                })
                .collect();
            assert_eq!(
                (
                    &*words.iter().map(String::as_str).collect::<Vec<_>>(),
                    is_closed
                ),
                (expected, closed),
                "{name} {place}"
            );
        }
        let of = |name| -> Vec<String> {
            let (words, _) = find(name).unwrap().words(0, &[]);
            words.into_iter().map(|(word, _)| word).collect()
        };
        assert_eq!(of("theme"), theme::NAMES);
        assert_eq!(of("effort"), Effort::ALL.map(Effort::name));
    }
}
