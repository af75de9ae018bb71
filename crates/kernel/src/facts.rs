//! The ledger as an item of the context: with what else it shows, and as much of what people said as fits.

use std::sync::Arc;

use quire_protocol::{Item, Span};

use crate::draft::Draft;
use crate::ledger::{Besides, MESSAGE_KEPT};
use crate::weight;

impl Draft<'_> {
    pub(crate) fn ledger_item(&self) -> Item {
        self.ledger_with(MESSAGE_KEPT)
    }

    /// The ledger with so many bytes of the newest message.
    fn ledger_with(&self, newest: usize) -> Item {
        let limits = self.limits_of_context();
        let most = self.state.scale.weight(limits.room() / 8);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let text = self.state.ledger.render(&self.besides(), most, newest);
        Item::Ledger { text }
    }

    /// What stands for items that are left out: where the newest message is one of them, and the model
    /// has not seen it, with as much of it as fits.
    pub(crate) fn ledger_for_cut(&self, replaced: Span) -> Item {
        let ledger = self.ledger_item();
        let from = usize::try_from(replaced.to).unwrap_or(usize::MAX);
        let items = self.context().items();
        let mut stays = items.iter().skip(from);
        let is_newest = |item: &&Arc<Item>| match item.as_ref() {
            Item::User { message, .. } => self.state.ledger.ends_with(message),
            _ => false,
        };
        if !self.state.mail.is_unread() || stays.any(is_newest) {
            return ledger;
        }
        let set = self.state.set_limits().room();
        let (room, scale) = (self.limits_of_context().room().min(set), &self.state.scale);
        let after = self.weight() - self.weight_of(replaced) + weight::of(&ledger);
        let more = (room / 10 * 9).saturating_sub(scale.request_afresh(after));
        let more = usize::try_from(scale.weight(more)).unwrap_or(usize::MAX);
        self.ledger_with(MESSAGE_KEPT.saturating_add(more))
    }

    fn besides(&self) -> Besides<'_> {
        Besides {
            goal: self.state.goal.text(),
            plan: self.state.plan.iter().map(plan_line).collect(),
            jobs: self
                .state
                .jobs
                .running()
                .map(|job| format!("- job {job}"))
                .collect(),
        }
    }
}

fn plan_line(step: &quire_protocol::PlanStep) -> String {
    use quire_protocol::PlanStatus::{Completed, InProgress, Pending};
    let mark = match step.status {
        Pending => "[ ]",
        InProgress => "[>]",
        Completed => "[x]",
    };
    format!("{mark} {}", step.text)
}
