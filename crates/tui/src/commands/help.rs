//! `/help`: the keys and the commands.

use ratatui_core::text::Line;

use super::{COMMANDS, pair};
use crate::app::App;
use crate::look;
use crate::wish::Wish;

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
        "take back what waits to be heard; what you said before; choose what is offered",
    ),
    ("@PATH", "offer paths of the workspace"),
    ("/NAME", "offer commands, and what they take; Tab completes"),
    (
        "! COMMAND",
        "run a command of your own, and tell the model of it",
    ),
    ("Ctrl+R", "search what you said in this folder"),
    ("Ctrl+G", "write in $VISUAL or $EDITOR"),
    ("Ctrl+V", "attach the image in the clipboard"),
    (
        "Ctrl+O",
        "show the last call in full; again, the one before (full screen: fold it)",
    ),
    (
        "y, s, a, n and Enter",
        "answer a question: yes, for this session, always, no (at once with Alt)",
    ),
    ("F2", "go over to the next session that waits for you"),
    ("Ctrl+C", "clear the input; twice, leave"),
    ("Ctrl+Z", "leave the terminal to the shell, until `fg`"),
    ("Ctrl+D", "leave, when the input is empty"),
];

pub(super) fn help(app: &mut App, _: &str) -> Result<Vec<Wish>, String> {
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
