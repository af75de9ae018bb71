//! What there is to say in plain lines, and what was said already.

use std::collections::BTreeSet;

use quire_protocol::{Approval, CallId};

use crate::app::App;
use crate::conversation::{asks_to, whole};
use crate::view::{self, begins_so, facts};

/// What was said already.
#[derive(Debug, Default)]
pub(crate) struct Told {
    asked: BTreeSet<CallId>,
    running: BTreeSet<CallId>,
    pending: usize,
    /// What is to be said of what is done.
    due: Vec<String>,
    /// The list from which something is being chosen.
    picked: Vec<String>,
}

impl Told {
    /// Something is done for so long that a word on it is due.
    pub(crate) fn doing(&mut self, app: &App) {
        let words = view::doing(&app.conversation);
        let took = view::elapsed(app.working());
        self.due
            .extend(words.map(|words| format!("{words} · {took}")));
    }

    /// What there is to say that was not said yet.
    pub(crate) fn news(&mut self, app: &mut App) -> String {
        let mut lines: Vec<String> = app
            .conversation
            .take_done()
            .iter()
            .map(|line| line.to_string().trim_end().to_owned())
            .collect();
        for (call, running) in &app.conversation.running {
            if self.running.insert(*call) {
                let shown = &running.shown;
                lines.push(format!("running {} {}", shown.name, shown.detail));
            }
        }
        for pending in app.conversation.pending.iter().skip(self.pending) {
            if pending.joins {
                lines.push(pending.class(app.conversation.has_turn()).to_owned());
            }
        }
        self.pending = app.conversation.pending.len();
        if let Some((call, approval)) = app.conversation.asked.first()
            && self.asked.insert(*call)
        {
            lines.extend(question(app, *call, approval));
        }
        match &app.picker {
            Some(picker) => {
                let rows = picker.plain();
                if rows != self.picked {
                    lines.extend(rows.iter().cloned());
                    self.picked = rows;
                }
            }
            None => self.picked.clear(),
        }
        lines.append(&mut self.due);
        lines.extend(app.notice.take());
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

fn question(app: &App, call: CallId, approval: &Approval) -> Vec<String> {
    let about = app.conversation.about(call);
    let name = about.split(' ').next().unwrap_or_default();
    let session = match begins_so(approval) {
        rule if rule.is_empty() => rule,
        rule => format!(
            ", s {rule} for this session, a the same always (a rule in {})",
            app.rules_file
        ),
    };
    let mut lines = vec![format!("? {name} asks to {}:", asks_to(approval))];
    lines.extend(whole(approval, usize::MAX).iter().map(ToString::to_string));
    lines.extend(facts(approval));
    lines.push(format!("y once{session}, n no, n WHY no and why"));
    lines
}
