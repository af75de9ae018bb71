//! `/context`: what fills the model's window, as a picture.

use quire_protocol::thousands;
use ratatui_core::text::Line;

use super::pair;
use crate::app::App;
use crate::look;
use crate::meter::short;
use crate::wish::Wish;

/// Cells of the bar of the whole window.
const CELLS: u64 = 50;
/// Cells of the longest bar of a kind.
const OF_KIND: u64 = 24;

pub(super) fn context(app: &mut App, _: &str) -> Result<Vec<Wish>, String> {
    let settings = app.conversation.settings.as_ref();
    let limits = settings
        .ok_or("the session has not begun yet")?
        .context
        .clone();
    let kinds = app.conversation.makeup.tokens();
    let used: u64 = kinds.iter().map(|(_, tokens)| tokens).sum();
    let window = limits.window.max(1);
    let cells = |tokens: u64| tokens.min(window) * CELLS / window;
    let (full, compacted, room) = (
        cells(used).max(u64::from(used > 0)),
        cells(limits.compact_at),
        cells(limits.room()),
    );
    let bar: String = (0..CELLS)
        .map(|cell| match cell {
            cell if cell < full => '█',
            cell if cell < compacted => '░',
            cell if cell < room => '▒',
            _ => '·',
        })
        .collect();
    let mut lines = vec![
        look::mixed([
            ("Context  ".to_owned(), look::BOLD),
            (bar, look::MARK),
            (format!("  {}%", used * 100 / window), look::BOLD),
        ]),
        pair("█ used (estimated)", &format!("{} tokens", thousands(used))),
    ];
    let most = kinds.iter().map(|(_, tokens)| *tokens).max().unwrap_or(0);
    let there = kinds.iter().filter(|(_, tokens)| *tokens > 0);
    lines.extend(there.map(|(kind, tokens)| of_kind(kind.name(), *tokens, most)));
    lines.extend([
        pair(
            "░ free",
            &format!(
                "{} until it is compacted at {}",
                thousands(limits.compact_at.saturating_sub(used)),
                thousands(limits.compact_at)
            ),
        ),
        pair(
            "▒ a margin",
            &format!("a prompt has at most {}", thousands(limits.room())),
        ),
        pair("· kept for the answer", &thousands(limits.answer)),
        pair(
            "the model's window",
            &format!("{} tokens", short(limits.window)),
        ),
    ]);
    app.conversation.show(lines);
    Ok(Vec::new())
}

/// A kind with a bar as long as its share of the largest one.
fn of_kind(name: &str, tokens: u64, most: u64) -> Line<'static> {
    let cells = (tokens * OF_KIND / most.max(1)).max(1);
    let bar: String = (0..OF_KIND)
        .map(|cell| if cell < cells { '▆' } else { ' ' })
        .collect();
    look::mixed([
        (format!("    {name:<22} "), look::PLAIN),
        (bar, look::MARK),
        (format!(" {:>9}", thousands(tokens)), look::PLAIN),
    ])
}
