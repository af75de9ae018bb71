//! How the board is drawn: the list, what is seen of the chosen session, what is typed, and the keys.

use quire_protocol::{Agent, Answer, Standing, age};
use ratatui_core::text::Line;

use super::board::{Board, Question, Typing};
use super::peek::Peek;
use crate::look;
use crate::rows::{cut, safe, width, wrap};
use crate::view::{Picture, begins_so, progress, request};

/// Rows of what is typed.
const OF_INPUT: usize = 5;
/// Columns of an age.
const OF_AGE: usize = 6;
/// Rows of the list that are always seen, where there are so many.
const OF_LIST: usize = 3;

const KEYS: &str = "↑ ↓ choose · Enter opens · r reply · y a n answer · s stop · p pause · q leave";

/// How many rows each part gets.
struct Rooms {
    list: usize,
    peek: usize,
}

/// Draws all of the board; `now_ms` is in milliseconds since the Unix epoch.
pub(crate) fn picture(board: &Board, now_ms: u64) -> Picture {
    let wide = usize::from(board.size.0);
    let (list, chosen) = list(board, now_ms, wide);
    let (input, (column, row)) = input(board, wide);
    let rooms = rooms(board, list.len(), input.len());
    let from = chosen
        .saturating_sub(rooms.list / 2)
        .min(list.len().saturating_sub(rooms.list));
    let mut rows = vec![heading(board, wide)];
    rows.extend(list.into_iter().skip(from).take(rooms.list));
    let mut cursor = (0, 1 + chosen.saturating_sub(from));
    rows.extend(peek(board, rooms.peek));
    let all = usize::from(board.size.1);
    let below = all.saturating_sub(input.len() + footer(board).len());
    rows.resize(below.max(rows.len()), Line::default());
    if board.typing.is_some() {
        cursor = (column, rows.len() + row);
    }
    rows.extend(input);
    rows.extend(footer(board));
    rows.truncate(all);
    let place = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    Picture {
        rows,
        cursor: (place(cursor.0), place(cursor.1.min(all.saturating_sub(1)))),
    }
}

/// Whether all of the open question is seen.
pub(crate) fn shows_question(board: &Board) -> bool {
    let wide = usize::from(board.size.0);
    let (list, _) = list(board, 0, wide);
    let rooms = rooms(board, list.len(), input(board, wide).0.len());
    let asked = question(board).len();
    asked > 0 && asked < rooms.peek
}

/// The list gets what it needs, but no more than half; a question comes before it.
fn rooms(board: &Board, list: usize, input: usize) -> Rooms {
    let around = 1 + input + footer(board).len();
    let room = usize::from(board.size.1).saturating_sub(around);
    let asked = question(board).len() + 1;
    let least = OF_LIST.min(list).min(room);
    let most = (room / 2).min(room.saturating_sub(asked)).max(least);
    let list = list.min(most);
    Rooms {
        list,
        peek: room - list,
    }
}

fn heading(board: &Board, wide: usize) -> Line<'static> {
    let facts: Vec<String> = [
        (Standing::NeedsYou, "waits for you", "wait for you"),
        (Standing::Working, "works", "work"),
    ]
    .into_iter()
    .filter_map(|(standing, one, more)| match board.count(standing) {
        0 => None,
        1 => Some(format!("1 {one}")),
        many => Some(format!("{many} {more}")),
    })
    .collect();
    let words = match (&board.agents, facts.is_empty()) {
        (None, _) => "looking".to_owned(),
        (Some(agents), true) if agents.is_empty() => {
            "none yet: `quire agents start TASK` starts one".to_owned()
        }
        (Some(_), true) => "nothing works".to_owned(),
        (Some(_), false) => facts.join(" · "),
    };
    look::mixed([
        ("Agents  ".to_owned(), look::BOLD),
        (cut(&words, wide.saturating_sub(8)), look::DIM),
    ])
}

/// The rows of the list, and the place of the chosen one.
fn list(board: &Board, now_ms: u64, wide: usize) -> (Vec<Line<'static>>, usize) {
    let mut rows = Vec::new();
    let mut chosen = 0;
    let mut above = None;
    for agent in board.list() {
        if above != Some(agent.standing) {
            above = Some(agent.standing);
            rows.push(look::line(agent.standing.heading(), look::BOLD));
        }
        let here = Some(&agent.head.session) == board.chosen.as_ref();
        if here {
            chosen = rows.len();
        }
        rows.push(row(agent, here, now_ms, wide));
    }
    (rows, chosen)
}

/// Title, folder, age and what it does, of a session that may be the chosen one.
fn row(agent: &Agent, here: bool, now_ms: u64, wide: usize) -> Line<'static> {
    let (mark, style) = match (here, agent.standing) {
        (true, _) => ("› ", look::MARK),
        (false, Standing::NeedsYou) => ("  ", look::NOTICE),
        (false, Standing::Failed) => ("  ", look::BAD),
        (false, Standing::Working | Standing::Paused | Standing::Done) => ("  ", look::PLAIN),
    };
    let head = &agent.head;
    let folder = head.workspace.rsplit('/').next().unwrap_or_default();
    let title = match safe(&head.title) {
        untitled if untitled.trim().is_empty() => "(nothing said yet)".to_owned(),
        title => title,
    };
    let facts = [
        padded(&title, (wide / 3).min(36)),
        padded(&safe(folder), (wide / 6).min(16)),
        padded(&age(now_ms.saturating_sub(head.updated_ms)), OF_AGE),
    ]
    .join("  ");
    let left = wide.saturating_sub(width(mark) + width(&facts) + 2);
    look::mixed([
        (mark.to_owned(), look::MARK),
        (cut(&facts, wide.saturating_sub(width(mark))), style),
        (format!("  {}", cut(&safe(&agent.detail), left)), look::DIM),
    ])
}

fn padded(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let missing = columns.saturating_sub(width(&text));
    text + &" ".repeat(missing)
}

/// The end of what the chosen session said and does, in so many rows.
fn peek(board: &Board, room: usize) -> Vec<Line<'static>> {
    let columns = board.size.0;
    let wide = usize::from(columns);
    let Some(agent) = board.agent().filter(|_| room > 1) else {
        return Vec::new();
    };
    let about = format!(
        "── {} · {} · {} ",
        agent.head.session,
        safe(&agent.model),
        safe(&agent.head.workspace)
    );
    let about = cut(&about, wide);
    let line = "─".repeat(wide.saturating_sub(width(&about)));
    let title = look::line(about + &line, look::DIM);
    let mut below = Vec::new();
    match board.peek() {
        Some(peek) => {
            below.extend(progress(&peek.conversation, columns));
            below.extend(question(board));
            if let Some(trouble) = &peek.trouble {
                below.extend(wrap(&look::line(safe(trouble), look::NOTICE), columns));
            }
        }
        None => below.extend(wrap(&look::line(safe(&agent.detail), look::PLAIN), columns)),
    }
    let mut rows: Vec<Line<'static>> = Vec::new();
    // From the last row up, as far as there is room.
    let done = board.peek().into_iter().flat_map(Peek::lines).rev();
    for line in done {
        if below.len() + rows.len() >= room {
            break;
        }
        rows.extend(wrap(line, columns).into_iter().rev());
    }
    rows.reverse();
    rows.extend(below);
    let hidden = rows.len().saturating_sub(room - 1);
    rows.drain(..hidden);
    rows.insert(0, title);
    rows
}

/// The open question, and how to answer it once there was time to see it.
fn question(board: &Board) -> Vec<Line<'static>> {
    let Some((peek, (call, approval))) =
        board.peek().and_then(|peek| Some((peek, peek.question()?)))
    else {
        return Vec::new();
    };
    let about = peek.conversation.about(call);
    let mut rows = request(&about, approval, board.size.0, usize::MAX);
    let rule = begins_so(approval);
    let is_of = |asked: &Question| asked.1 == call && asked.2 == *approval;
    let choices = match &board.in_hand {
        _ if board.is_surprised() => look::line("  …", look::DIM),
        Some((asked, Answer::AllowOnce)) if is_of(asked) => {
            look::line("  Enter allows it, this once", look::MARK)
        }
        Some((asked, Answer::AllowAlways)) if is_of(asked) => {
            let all = format!("  Enter allows whatever begins with {rule}, for this session");
            look::line(all, look::MARK)
        }
        _ if rule.is_empty() => look::line("  y once, then Enter · n no", look::MARK),
        _ => {
            let keys = format!("  y once · a {rule} for this session, then Enter · n no");
            look::line(keys, look::MARK)
        }
    };
    rows.extend(wrap(&choices, board.size.0));
    rows
}

/// What is typed, and where the cursor is in it.
fn input(board: &Board, wide: usize) -> (Vec<Line<'static>>, (usize, usize)) {
    let mark = match board.typing {
        None => return (Vec::new(), (0, 0)),
        Some(Typing::Reply) => "reply › ",
        Some(Typing::Reason(_)) => "no, because › ",
    };
    let indent = width(mark).min(wide / 2);
    let layout = board.editor.layout(wide.saturating_sub(indent));
    let first = layout
        .row
        .saturating_sub(OF_INPUT - 1)
        .min(layout.rows.len().saturating_sub(OF_INPUT));
    let mut rows = vec![look::line("─".repeat(wide), look::DIM)];
    let seen = layout.rows.iter().enumerate().skip(first).take(OF_INPUT);
    rows.extend(seen.map(|(number, text)| {
        let mark = if number == 0 { mark } else { "" };
        look::mixed([
            (padded(mark, indent), look::MARK),
            (text.clone(), look::PLAIN),
        ])
    }));
    (rows, (indent + layout.column, 1 + layout.row - first))
}

/// A word about the last key, and what keys do.
fn footer(board: &Board) -> Vec<Line<'static>> {
    let wide = usize::from(board.size.0);
    let keys = match board.typing {
        None => KEYS,
        Some(Typing::Reply) => "Enter: heard at the next step · Tab: after the turn · Esc back",
        Some(Typing::Reason(_)) => "Enter says no · Esc goes back",
    };
    let notice = board.notice.iter();
    let mut rows: Vec<Line<'static>> = notice
        .map(|notice| look::line(cut(&safe(notice), wide), look::NOTICE))
        .collect();
    rows.push(look::line(cut(keys, wide), look::DIM));
    rows
}
