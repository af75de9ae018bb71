//! What is drawn anew below the conversation: the answer as it comes, running tools, the plan,
//! messages on their way, the question, what it does now, the input and the status.

use std::fmt::Write as _;
use std::time::Duration;

use quire_protocol::{
    Approval, ApprovalMode, CallId, Delivery, PlanStatus, duration, first_line, visible,
};
use ratatui_core::text::{Line, Span};

use crate::answers::ONCE_ONLY;
use crate::app::App;
use crate::calls::below;
use crate::commands::plan::is_planning;
use crate::conversation::{Conversation, Doing, asks_to, is_long, whole};
use crate::keys::{Mode, Reply};
use crate::look;
use crate::meter::short;
use crate::rows::{cut, safe, width, wrap};
use crate::shell;
use crate::words;

/// Rows of a word about the last key.
const OF_NOTICE: usize = 3;
/// Last lines of a running tool's output.
const OF_OUTPUT: usize = 3;
/// Steps of the plan.
const OF_PLAN: usize = 8;
/// Rows of a question's command, where all of it stands above.
const OF_QUESTION: usize = 4;

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Its rows, each no wider than the screen.
    pub(crate) rows: Vec<Line<'static>>,
    /// Column and row of the cursor.
    pub(crate) cursor: (u16, u16),
}

/// Draws for a screen of that size. `working` is for how long something has been done.
pub(crate) fn picture(app: &App, (columns, rows): (u16, u16), working: Duration) -> Picture {
    let wide = usize::from(columns);
    let most = usize::from(rows.saturating_sub(1)).max(1);
    let mut above = progress(&app.conversation, columns);
    if let Some(own) = &app.own {
        above.extend(shell::rows(own, wide));
    }
    let mut fixed: Vec<_> = activity(&app.conversation, working, wide)
        .into_iter()
        .collect();
    if let Some(notice) = &app.notice {
        let notice = look::line(safe(notice), look::NOTICE);
        fixed.extend(wrap(&notice, columns).into_iter().take(OF_NOTICE));
    }
    let (mut input, (column, mut row)) = input(app, wide, most);
    let mut below = app.list_rows(wide);
    if below.is_empty() {
        below = offered(app, wide);
    }
    below.push(status(app, wide));
    // The input comes first where there is little room, then what is asked, then what goes on.
    let mut room = most.saturating_sub(input.len());
    let mut asked = asked(app, columns, room);
    if room == 0 && !asked.is_empty() {
        let only = std::mem::take(&mut asked);
        if app.editor.is_empty() || app.in_hand().is_some() {
            (input, row) = (only, 0);
        }
    }
    room -= asked.len().min(room);
    below.truncate(room);
    room -= below.len();
    let hidden = fixed.len().saturating_sub(room);
    fixed.drain(..hidden);
    room -= fixed.len();
    let hidden = above.len().saturating_sub(room);
    above.drain(..hidden);
    fixed.splice(..0, asked);
    let before = above.len() + fixed.len();
    let rows = [above, fixed, input, below].concat();
    let place = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    Picture {
        rows,
        cursor: (place(column), place(before + row)),
    }
}

/// What goes on: the answer's last line, tools, plan, messages on their way.
pub(crate) fn progress(conversation: &Conversation, columns: u16) -> Vec<Line<'static>> {
    let wide = usize::from(columns);
    let mut rows = Vec::new();
    for tail in conversation.stream.tail() {
        rows.extend(wrap(&tail, columns));
    }
    for running in conversation.running.values() {
        let title = format!("{} {}", running.shown.name, safe(&running.shown.detail));
        rows.push(look::mixed([
            ("● ".to_owned(), look::NOTICE),
            (cut(&title, wide.saturating_sub(2)), look::PLAIN),
        ]));
        let lines: Vec<&str> = running.output.lines().collect();
        let said = lines.iter().filter(|line| !line.trim().is_empty());
        let last: Vec<_> = said.rev().take(OF_OUTPUT).collect();
        for line in last.into_iter().rev() {
            let line = below(line, look::DIM).to_string();
            rows.push(look::line(cut(&line, wide), look::DIM));
        }
    }
    if conversation.works() {
        rows.extend(plan(conversation, wide));
    }
    for pending in &conversation.pending {
        let class = pending.class(conversation.has_turn());
        let title = pending.title();
        let (text, _) = first_line(&title);
        rows.push(look::line(
            cut(&format!("↳ {text}  ({class})"), wide),
            look::MARK,
        ));
    }
    if !rows.is_empty() || conversation.doing() != Doing::Nothing {
        rows.insert(0, Line::default());
    }
    rows
}

fn plan(conversation: &Conversation, wide: usize) -> Vec<Line<'static>> {
    let steps = &conversation.plan;
    let current = steps
        .iter()
        .position(|step| step.status != PlanStatus::Completed);
    let from = current
        .unwrap_or(0)
        .saturating_sub(2)
        .min(steps.len().saturating_sub(OF_PLAN));
    let shown = steps.iter().skip(from).take(OF_PLAN);
    shown
        .map(|step| {
            let (mark, style) = match step.status {
                PlanStatus::Pending => ("☐", look::PLAIN),
                PlanStatus::InProgress => ("▸", look::BOLD),
                PlanStatus::Completed => ("☑", look::DIM),
            };
            let (text, _) = first_line(&step.text);
            look::line(cut(&format!("  {mark} {text}"), wide), style)
        })
        .collect()
}

/// The first open question in at most so many rows, but one at least.
fn asked(app: &App, columns: u16, room: usize) -> Vec<Line<'static>> {
    let Some((call, approval)) = app.conversation.asked.first() else {
        return Vec::new();
    };
    let rows = question(app, *call, approval, columns);
    if rows.len() <= room {
        return rows;
    }
    small_question(app, approval, columns, room.max(1))
}

/// A question where there is no room for more than what would run and how to answer it.
fn small_question(app: &App, approval: &Approval, columns: u16, room: usize) -> Vec<Line<'static>> {
    let wide = usize::from(columns);
    let action = visible(approval.action.trim()).replace(['\n', '\t'], " ");
    let session = match approval.prefix.as_slice() {
        [] => "",
        _ => "/s/a",
    };
    let keys = match app.mode() {
        Mode::Reason => "Enter/Esc".to_owned(),
        Mode::Asked => format!("y{session}/n"),
        Mode::Answer(Reply::Once) => "Enter: once".to_owned(),
        Mode::Answer(Reply::Session | Reply::Always) if session.is_empty() => {
            "once only".to_owned()
        }
        Mode::Answer(Reply::Always) => "Enter: always".to_owned(),
        Mode::Answer(Reply::Session) => "Enter: session".to_owned(),
        Mode::Answer(Reply::No) => "Enter: no".to_owned(),
        Mode::Typing | Mode::Command | Mode::Path | Mode::Search | Mode::Picking | Mode::Listed => {
            format!("Alt+y{session}/n")
        }
    };
    if room == 1 {
        let action = cut(&action, wide.saturating_sub(width(&keys) + 2));
        return vec![look::mixed([
            (format!("{keys}? "), look::NOTICE),
            (action, look::BOLD),
        ])];
    }
    let mut rows = wrap(&look::line(format!("? {action}"), look::BOLD), columns);
    if rows.len() > room - 1 {
        rows.truncate(room - 1);
        if let Some(last) = rows.last_mut() {
            let text = format!("{}…", cut(&last.to_string(), wide.saturating_sub(1)));
            *last = look::line(text, look::BOLD);
        }
    }
    rows.push(look::line(cut(&keys, wide), look::MARK));
    rows
}

/// A question with everything in it visible, and how to answer it.
fn question(app: &App, call: CallId, approval: &Approval, columns: u16) -> Vec<Line<'static>> {
    let most = if is_long(approval) {
        OF_QUESTION
    } else {
        usize::MAX
    };
    let mut rows = request(&app.conversation.about(call), approval, columns, most);
    let choices = choices(app, &begins_so(approval));
    let waiting = app.conversation.asked.len() - 1;
    let more = match waiting {
        0 => String::new(),
        waiting => format!(" · {waiting} more to answer"),
    };
    rows.extend(wrap(&look::line(choices + &more, look::MARK), columns));
    rows
}

/// What a rule of the question's would allow; nothing where none can be made.
pub(crate) fn begins_so(approval: &Approval) -> String {
    match approval.prefix.as_slice() {
        [] => String::new(),
        prefix => format!("`{} …`", visible(&prefix.join(" "))),
    }
}

/// What keys do to a question, of which a rule would allow this.
fn choices(app: &App, rule: &str) -> String {
    let with = |alt: &str| match rule {
        "" => String::new(),
        rule => format!(" · {alt}s {rule} for this session · {alt}a always"),
    };
    let settings = app.conversation.settings.as_ref();
    let beyond = match settings.map(|settings| settings.policy.approvals) {
        // To leave the sandbox is asked about each time then.
        None | Some(ApprovalMode::Ask) => "",
        Some(ApprovalMode::Auto | ApprovalMode::Never) => ", outside the sandbox too",
    };
    match app.mode() {
        Mode::Reason => "  Enter says no · Esc goes back".to_owned(),
        Mode::Asked => {
            let rules = with("");
            format!("  y once{rules} · n no, n WHY · then Enter")
        }
        Mode::Answer(Reply::Once) => "  Enter allows it, this once".to_owned(),
        Mode::Answer(Reply::Session | Reply::Always) if rule.is_empty() => {
            format!("  {ONCE_ONLY}")
        }
        Mode::Answer(Reply::Session) => {
            format!("  Enter allows whatever begins with {rule}, for this session{beyond}")
        }
        Mode::Answer(Reply::Always) => {
            let file = safe(&app.rules_file);
            format!(
                "  Enter allows whatever begins with {rule}, always and in all folders{beyond}: a \
                 rule in {file}"
            )
        }
        Mode::Answer(Reply::No) => "  Enter says no · Space, then why".to_owned(),
        Mode::Typing | Mode::Command | Mode::Path | Mode::Search | Mode::Picking | Mode::Listed => {
            format!("  Alt+y once{} · Alt+n no", with("Alt+"))
        }
    }
}

/// What is asked, with everything in it visible and at most so many rows of what would run.
pub(crate) fn request(
    about: &str,
    approval: &Approval,
    columns: u16,
    most: usize,
) -> Vec<Line<'static>> {
    let name = about.split(' ').next().unwrap_or_default();
    let mut rows = vec![look::mixed([
        ("? ".to_owned(), look::NOTICE),
        (format!("{name} asks to {}:", asks_to(approval)), look::BOLD),
    ])];
    let mut lines: Vec<Line<'static>> = whole(approval, most)
        .iter()
        .flat_map(|line| wrap(line, columns))
        .collect();
    if lines.len() > most {
        lines.truncate(most);
        lines.push(below("… all of it stands above", look::NOTICE));
    }
    rows.extend(lines);
    for line in facts(approval) {
        rows.extend(wrap(&look::line(format!("  {line}"), look::PLAIN), columns));
    }
    rows
}

/// What it would touch, and why it is asked.
pub(crate) fn facts(approval: &Approval) -> Vec<String> {
    let one_line = |text: &str| visible(text.trim()).replace(['\n', '\t'], " ");
    let touches = one_line(&approval.touches.join("; "));
    let mut facts = vec![format!("why: {}", one_line(&approval.reason))];
    if !touches.is_empty() {
        facts.insert(0, format!("touches: {touches}"));
    }
    facts
}

/// What it does now, in words, while something is done.
pub(crate) fn doing(conversation: &Conversation) -> Option<String> {
    Some(match conversation.doing() {
        Doing::Nothing | Doing::Waits => return None,
        Doing::Waiting => "waiting for the model".to_owned(),
        Doing::Thinking => {
            let thinking = conversation.stream.thinking().trim_end();
            let last = thinking.lines().next_back().unwrap_or_default();
            format!("thinking: {}", safe(&last.replace("**", "")))
        }
        Doing::Answering => "answering".to_owned(),
        Doing::Writing(name, bytes) => {
            let what = format!("writing a call of {} ({} bytes)", safe(&name), short(bytes));
            because(what, &conversation.stream.why())
        }
        Doing::Running => {
            let what = match conversation.running.len() {
                1 => "running".to_owned(),
                many => format!("running {many} tools"),
            };
            because(what, &conversation.why)
        }
        Doing::Asking => "waiting for your answer".to_owned(),
        Doing::Stopping => "stopping".to_owned(),
        Doing::Compacting => "summarising the context".to_owned(),
        Doing::Judging => "judging whether the goal is met".to_owned(),
    })
}

/// For how long, in whole seconds.
pub(crate) fn elapsed(working: Duration) -> String {
    duration(working.as_secs().saturating_mul(1000))
}

/// What it does now, for how long, and how to stop it.
fn activity(conversation: &Conversation, working: Duration, wide: usize) -> Option<Line<'static>> {
    if conversation.doing() == Doing::Waits {
        return Some(look::line(
            cut("the last turn is not finished: Enter goes on with it", wide),
            look::NOTICE,
        ));
    }
    let words = doing(conversation)?;
    let mut facts = format!(" · {}", elapsed(working));
    if conversation.meter.turn_output() > 0 {
        let tokens = short(conversation.meter.turn_output());
        let _ = write!(facts, " · {tokens} tokens");
    }
    facts.push_str(if conversation.pausing {
        " · pauses after this step · Esc stops"
    } else {
        " · Esc stops"
    });
    let words = cut(&words, wide.saturating_sub(width(&facts) + 2).max(8));
    Some(look::mixed([
        ("◦ ".to_owned(), look::MARK),
        (words, look::PLAIN),
        (facts, look::DIM),
    ]))
}

/// What is done, and why in the model's own words.
fn because(what: String, why: &str) -> String {
    match why.trim_end_matches([':', '.', ' ']) {
        "" => what,
        why => format!("{what}: {}", safe(why)),
    }
}

/// The input, with at most a third of the screen's rows, and where the cursor is in it.
fn input(app: &App, wide: usize, most: usize) -> (Vec<Line<'static>>, (usize, usize)) {
    let mark = if app.search.is_some() {
        "said before › "
    } else if app.refusing.is_some() {
        "no, because › "
    } else {
        "› "
    };
    let indent = width(mark).min(wide / 2);
    let layout = app.editor.layout(wide.saturating_sub(indent));
    let room = (most / 3).clamp(1, 12);
    let first = layout
        .row
        .saturating_sub(room - 1)
        .min(layout.rows.len().saturating_sub(room));
    let mut rows = vec![look::line("─".repeat(wide), look::DIM)];
    for (number, text) in layout.rows.iter().enumerate().skip(first).take(room) {
        let mark = if number == 0 {
            mark.to_owned()
        } else {
            " ".repeat(indent)
        };
        rows.push(look::mixed([
            (mark, look::MARK),
            (text.clone(), look::PLAIN),
        ]));
    }
    if app.editor.is_empty() && app.refusing.is_none() {
        let hint = match app.mode() {
            Mode::Asked => "",
            Mode::Search => "words of it · Ctrl+R older · Enter takes it · Esc leaves",
            _ if app.last_said().is_some() && !app.conversation.works() => {
                "say what to do · Up takes back"
            }
            _ if app.last_said().is_some() => match app.follow_up {
                Delivery::Queue => "Enter queues · Tab steers · Up takes back",
                Delivery::Steer | Delivery::Note => "Enter steers · Tab queues · Up takes back",
            },
            _ if app.conversation.works() => match app.follow_up {
                Delivery::Queue => "Enter queues · Tab steers",
                Delivery::Steer | Delivery::Note => "Enter steers · Tab queues",
            },
            _ if is_planning(&app.conversation) => "say what to plan · /plan accept carries it out",
            _ => "say what to do · / for commands",
        };
        rows[1].push_span(Span::styled(
            cut(hint, wide.saturating_sub(indent)),
            look::DIM,
        ));
    }
    let mut row = 1 + layout.row - first;
    if most < 5 {
        rows.remove(0);
        row -= 1;
    }
    (rows, (indent + layout.column, row))
}

fn offered(app: &App, wide: usize) -> Vec<Line<'static>> {
    if let Some(search) = &app.search {
        return search.rows(wide);
    }
    if app.mode() == Mode::Path {
        return app.paths.rows(wide);
    }
    app.menu_rows(wide)
}

/// Model, effort, context, cost, sandbox, branch: as much as fits.
fn status(app: &App, wide: usize) -> Line<'static> {
    let conversation = &app.conversation;
    let Some(settings) = &conversation.settings else {
        return Line::default();
    };
    let window = settings.context.window.max(1);
    let meter = &conversation.meter;
    let mut facts = vec![
        safe(&settings.model),
        settings.effort.name().to_owned(),
        format!(
            "context {}% of {}",
            meter.context * 100 / window,
            short(settings.context.window)
        ),
        match meter.bill.in_words(|cost| cost.rounded(2)) {
            unknown if unknown == "unknown" => "cost unknown".to_owned(),
            cost => cost,
        },
        match words::sandbox(settings.policy.in_force().sandbox) {
            "off" => "NO SANDBOX".to_owned(),
            name => name.to_owned(),
        },
    ];
    facts.extend(app.branch.as_deref().map(safe));
    // That nothing is changed stays, however little room there is.
    let plans = if is_planning(conversation) {
        "PLAN · "
    } else {
        ""
    };
    let others = match app.others {
        0 => String::new(),
        1 => "1 other waits for you (F2) · ".to_owned(),
        many => format!("{many} others wait for you (F2) · "),
    };
    let first = cut(&format!("{plans}{others}"), wide);
    let wide = wide.saturating_sub(width(&first));
    // Where there is little room, the provider goes first, then what stands last.
    if let Some((_, model)) = settings.model.split_once('/')
        && width(&facts.join(" · ")) > wide
    {
        facts[0] = safe(model);
    }
    while facts.len() > 1 && width(&facts.join(" · ")) > wide {
        facts.pop();
    }
    let line = cut(&facts.join(" · "), wide);
    look::mixed([(first, look::NOTICE), (line, look::DIM)])
}
