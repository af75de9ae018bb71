//! Going back in time, on the screen: what is asked about the past, and what is shown of what came of
//! it.

use quire_protocol::{
    ChangeKind, ClientError, Conflicts, Content, Fate, FileChange, MessageId, Point, SessionHead,
    SessionId, TakenBack, counted, first_line, unique_length,
};
use ratatui_core::style::Style;
use ratatui_core::text::Line;

use crate::app::App;
use crate::diff;
use crate::look;
use crate::picker::{Choice, Picker, Row};
use crate::rows::safe;
use crate::talk::aged;
use crate::wish::Wish;

/// Lines of a merge that are shown for a conflict.
const OF_MERGE: usize = 12;

/// A message that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) message: MessageId,
    pub(crate) text: String,
    /// All of it, as it was said.
    pub(crate) content: Vec<Content>,
}

/// What is asked about the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Journey {
    /// Go on in another session that begins before a message, or with all of this one.
    Fork(Option<Said>),
    /// Take files back; then go on before a message, where one is named.
    TakeBack {
        to: Point,
        conflicts: Conflicts,
        then: Option<Said>,
    },
    /// Show what became of files.
    Changes(Point),
    /// List the sessions that were forked from each other.
    Tree,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Arrived {
    Forked {
        session: SessionId,
        content: Vec<Content>,
    },
    TakenBack {
        taken: TakenBack,
        to: Point,
        then: Option<Said>,
    },
    Changed(Vec<FileChange>),
    Tree {
        heads: Vec<SessionHead>,
        here: SessionId,
    },
    Refused(ClientError),
}

impl App {
    /// Offers the messages that one can go back to.
    pub(crate) fn rewind(&mut self, words: &str) -> Result<Vec<Wish>, String> {
        let messages = &self.conversation.messages;
        if messages.is_empty() {
            return Err("nothing was said yet".to_owned());
        }
        let (number, what) = words.split_once(' ').unwrap_or((words, ""));
        if number.is_empty() {
            let rows = messages.iter().map(|said| Row {
                words: first_line(&said.text).0,
                choice: Choice::Pick(ways(said)),
            });
            let picker = Picker::new("Go back to before which message?", rows.collect());
            self.picker = Some(picker.at_the_end());
            return Ok(Vec::new());
        }
        let place = number
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1));
        let said = place.and_then(|place| messages.get(place)).cloned();
        let said =
            said.ok_or_else(|| format!("there is no message {number}: /rewind lists them"))?;
        match what {
            "" => {
                self.picker = Some(ways(&said));
                Ok(Vec::new())
            }
            "both" => Ok(both(&said)),
            "conversation" => Ok(conversation(&said)),
            "files" => Ok(files(&said)),
            other => Err(format!("`{other}` is none of both, conversation and files")),
        }
    }

    /// Takes in what came of a journey.
    pub(crate) fn arrived(&mut self, arrived: Arrived) -> Vec<Wish> {
        match arrived {
            Arrived::Forked { session, content } => vec![Wish::Switch { session, content }],
            Arrived::TakenBack { taken, to, then } => self.taken_back(&taken, &to, then.as_ref()),
            Arrived::Changed(changes) => {
                let lines = changed(&changes, self.conversation.columns);
                self.conversation.show(lines);
                Vec::new()
            }
            Arrived::Tree { heads, here } => {
                self.picker = Some(tree(&heads, &here, (self.now_ms)()).by_itself());
                Vec::new()
            }
            Arrived::Refused(error) => {
                self.conversation.warn(&error.to_string());
                Vec::new()
            }
        }
    }

    fn taken_back(&mut self, taken: &TakenBack, to: &Point, then: Option<&Said>) -> Vec<Wish> {
        let columns = self.conversation.columns;
        let lines = taken.files.iter().flat_map(|file| match file.fate {
            Fate::Back if !taken.done => told(&file.path, "·", "would be as it was", look::DIM),
            _ => fate(&file.path, &file.fate, columns),
        });
        let lines: Vec<Line<'static>> = lines.collect();
        let nothing = lines.is_empty();
        if nothing && then.is_none() {
            self.conversation.note("no file had to change back");
        } else if !nothing {
            self.conversation.show(lines);
        }
        if taken.done {
            let fork = |said: &Said| Wish::Travel(Journey::Fork(Some(said.clone())));
            return then.map(fork).into_iter().collect();
        }
        let row = |words: &str, conflicts| Row {
            words: words.to_owned(),
            choice: Choice::Wish(vec![Wish::Travel(Journey::TakeBack {
                to: to.clone(),
                conflicts,
                then: then.cloned(),
            })]),
        };
        let (merge, keep) = match to {
            Point::LastBack => (
                "merge: put only the agent's changes into them",
                "keep them as they are, change the others again",
            ),
            Point::Start | Point::Before(_) | Point::LastChange => (
                "merge: take only the agent's changes out of them",
                "keep them as they are, take the others back",
            ),
        };
        let list = Picker::new(
            "Files that you changed too: nothing was done yet",
            vec![
                row(merge, Conflicts::Merge),
                row(keep, Conflicts::Keep),
                row("overwrite them with what they were", Conflicts::Overwrite),
            ],
        );
        self.picker = Some(list.by_itself());
        Vec::new()
    }
}

/// Takes the agent's last change of files back.
pub(crate) fn undo(_: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    take_back_to(Point::LastChange, words)
}

/// Has again what was taken back last.
pub(crate) fn redo(_: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    take_back_to(Point::LastBack, words)
}

fn take_back_to(to: Point, words: &str) -> Result<Vec<Wish>, String> {
    let conflicts = match words {
        "" => Conflicts::Ask,
        "keep" => Conflicts::Keep,
        "merge" => Conflicts::Merge,
        "overwrite" => Conflicts::Overwrite,
        other => return Err(format!("`{other}` is none of keep, merge and overwrite")),
    };
    Ok(vec![Wish::Travel(Journey::TakeBack {
        to,
        conflicts,
        then: None,
    })])
}

/// The ways to go back to before a message.
fn ways(said: &Said) -> Picker {
    let row = |words: &str, wishes| Row {
        words: words.to_owned(),
        choice: Choice::Wish(wishes),
    };
    Picker::new(
        format!("Go back to before “{}”: what?", first_line(&said.text).0),
        vec![
            row("conversation and files", both(said)),
            row(
                "conversation only; files stay as they are",
                conversation(said),
            ),
            row("files only; the conversation goes on", files(said)),
        ],
    )
}

fn both(said: &Said) -> Vec<Wish> {
    take_back(said, Some(said.clone()))
}

fn files(said: &Said) -> Vec<Wish> {
    take_back(said, None)
}

fn take_back(said: &Said, then: Option<Said>) -> Vec<Wish> {
    vec![Wish::Travel(Journey::TakeBack {
        to: Point::Before(said.message.clone()),
        conflicts: Conflicts::Ask,
        then,
    })]
}

fn conversation(said: &Said) -> Vec<Wish> {
    vec![Wish::Travel(Journey::Fork(Some(said.clone())))]
}

/// A line about a file.
fn told(path: &str, mark: &str, words: &str, style: Style) -> Vec<Line<'static>> {
    vec![look::mixed([
        (format!("{mark} "), style),
        (format!("{}  ", safe(path)), look::PLAIN),
        (safe(words), look::DIM),
    ])]
}

/// What became of a file.
fn fate(path: &str, fate: &Fate, columns: u16) -> Vec<Line<'static>> {
    let line = |mark, words: &str, style| told(path, mark, words, style);
    match fate {
        Fate::Back => line("↶", "as it was", look::GOOD),
        Fate::Left => line("·", "left as you have it", look::NOTICE),
        Fate::Merged { conflicts: 0 } => line("↶", "merged: your changes stay", look::GOOD),
        Fate::Merged { conflicts } => {
            let places = counted(u64::from(*conflicts), "place");
            let words = format!("merged; in {places} both stand between marks");
            line("!", &words, look::NOTICE)
        }
        Fate::Overwritten => line("↶", "as it was; yours is in the journal only", look::NOTICE),
        Fate::Failed { reason } => line("✗", reason, look::BAD),
        Fate::Conflict { reason, merge } => {
            let mut lines = line("!", reason, look::NOTICE);
            let change = FileChange {
                path: path.into(),
                kind: ChangeKind::Modified,
                diff: merge.clone(),
            };
            lines.extend(diff::lines(&change, OF_MERGE, columns));
            lines
        }
    }
}

/// What became of files, as diffs.
fn changed(changes: &[FileChange], columns: u16) -> Vec<Line<'static>> {
    if changes.is_empty() {
        return vec![look::line("· no file differs from what it was", look::DIM)];
    }
    let mut lines = Vec::new();
    for change in changes {
        let kind = match change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Modified => "changed",
            ChangeKind::Deleted => "deleted",
        };
        lines.push(look::mixed([
            (safe(&change.path.to_string_lossy()), look::BOLD),
            (format!("  {kind}"), look::DIM),
        ]));
        lines.extend(diff::lines(change, usize::MAX, columns));
    }
    lines
}

/// The sessions that were forked from each other, each below the one it came from.
fn tree(heads: &[SessionHead], here: &SessionId, now_ms: u64) -> Picker {
    let find = |id: &SessionId| heads.iter().find(|head| head.session == *id);
    let mut root = here;
    while let Some(parent) = find(root)
        .and_then(|head| head.parent.as_ref())
        .filter(|id| find(id).is_some())
    {
        root = parent;
    }
    let mut rows = Vec::new();
    let ids: Vec<&str> = heads.iter().map(|head| head.session.as_str()).collect();
    let short = unique_length(&ids);
    add_branch(heads, root, (here, now_ms, short), 0, &mut rows);
    let at = rows.iter().position(|(is_here, _)| *is_here).unwrap_or(0);
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    let mut picker = Picker::new("Sessions forked from each other: go on with which?", rows);
    for _ in 0..at {
        picker.down();
    }
    picker
}

fn add_branch(
    heads: &[SessionHead],
    at: &SessionId,
    (here, now_ms, short): (&SessionId, u64, usize),
    depth: usize,
    rows: &mut Vec<(bool, Row)>,
) {
    let Some(head) = heads.iter().find(|head| head.session == *at) else {
        return;
    };
    let is_here = at == here;
    let mark = if is_here { "  ← here" } else { "" };
    let indent = "  ".repeat(depth);
    let id: String = head.session.as_str().chars().take(short).collect();
    let words = format!("{indent}{id}  {}{mark}", aged(head, now_ms));
    let wishes = if is_here {
        Vec::new()
    } else {
        vec![Wish::Switch {
            session: at.clone(),
            content: Vec::new(),
        }]
    };
    rows.push((
        is_here,
        Row {
            words,
            choice: Choice::Wish(wishes),
        },
    ));
    let mut children: Vec<&SessionHead> = heads
        .iter()
        .filter(|head| head.parent.as_ref() == Some(at))
        .collect();
    children.sort_by(|a, b| a.session.cmp(&b.session));
    for child in children {
        add_branch(
            heads,
            &child.session,
            (here, now_ms, short),
            depth + 1,
            rows,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn head(id: &str, parent: Option<&str>) -> SessionHead {
        SessionHead {
            session: SessionId::new(id),
            created_ms: 0,
            updated_ms: 0,
            workspace: String::new(),
            title: format!("title of {id}"),
            events: 3,
            parent: parent.map(SessionId::new),
        }
    }

    #[test]
    fn one_place_is_no_places() {
        for (conflicts, words) in [(1, "in 1 place both"), (2, "in 2 places both")] {
            let told = fate("a", &Fate::Merged { conflicts }, 80);
            assert!(told[0].to_string().contains(words), "{told:?}");
        }
    }

    #[test]
    fn a_tree_shows_each_session_below_the_one_it_came_from() {
        let heads = [
            head("c", Some("a")),
            head("b", Some("a")),
            head("d", Some("b")),
            head("a", None),
            head("other", None),
        ];
        let picker = tree(&heads, &SessionId::new("d"), 200_000);
        let lines: Vec<String> = picker.plain().into_iter().skip(1).collect();
        assert_eq!(
            lines,
            [
                "  1  a  3 min   title of a",
                "  2    b  3 min   title of b",
                "  3      d  3 min   title of d  ← here",
                "  4    c  3 min   title of c",
            ]
        );
    }

    #[test]
    fn a_tree_shows_of_ids_what_tells_them_apart() {
        let ids = [
            "019a0f3c-7b21-7000-8000-0000000000a1",
            "019a0f3c-7b21-7000-8000-0000000000b2",
            "019a0f3c-9d44-7000-8000-0000000000c3",
        ];
        let heads = [
            head(ids[0], None),
            head(ids[1], Some(ids[0])),
            head(ids[2], Some(ids[0])),
        ];
        let lines = tree(&heads, &SessionId::new(ids[0]), 0).plain();
        let shown: HashSet<&str> = lines[1..]
            .iter()
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        assert_eq!(shown.len(), 3, "{lines:?}");
        assert!(shown.iter().all(|id| id.len() < ids[0].len()), "{lines:?}");
    }
}
