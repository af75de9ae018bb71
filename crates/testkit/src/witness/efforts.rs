//! How hard the model is asked to think.

use quire_kernel::Session;
use quire_protocol::{ChosenEffort, Effort, EffortChoice, Purpose, SessionId};

use super::{Checked, Witness, ensure};

impl Witness {
    /// What was chosen for a request, as far as can be said without the rule itself.
    pub(super) fn check_effort(&self, purpose: &Purpose, chosen: Option<&ChosenEffort>) -> Checked {
        let Some(settings) = self.settings.as_ref().filter(|_| purpose.is_work()) else {
            ensure!(chosen.is_none(), "an effort is chosen for what is no work");
            return Ok(());
        };
        let base = self.turns.effort.unwrap_or(settings.effort);
        if settings.effort_choice == EffortChoice::Fixed {
            let wanted = (base != settings.effort).then_some(base);
            let chosen = chosen.map(|chosen| chosen.effort);
            ensure!(chosen == wanted, "{chosen:?} is chosen for {wanted:?}");
            return Ok(());
        }
        let chosen = chosen.ok_or("no effort is chosen")?;
        ensure!(!chosen.reason.is_empty(), "an effort without a reason");
        let most = match settings.effort_choice {
            EffortChoice::ByTurn => {
                let before = self.turns.raised;
                ensure!(before <= Some(chosen.effort), "an effort falls in a turn");
                before.unwrap_or(base).max(base)
            }
            EffortChoice::ByStep | EffortChoice::Fixed => base,
        };
        ensure!(
            chosen.effort <= most.max(Effort::Xhigh),
            "{:?} is more than anybody asked for",
            chosen.effort
        );
        Ok(())
    }

    /// The open request is there to be sent, with what was chosen for it.
    pub(super) fn check_request(&self, session: &Session) -> Checked {
        let id = SessionId::new("s");
        let request = session.model_request(&id);
        let judged = session.judge_request(&id, &[], "");
        let (work, judge) = match self.turns.request {
            None => (false, false),
            Some(_) => (
                self.turns.purpose != Purpose::Judge,
                self.turns.purpose == Purpose::Judge,
            ),
        };
        ensure!(
            request.is_some() == work && judged.is_some() == judge,
            "another request is open"
        );
        let Some((request, settings)) = request.or(judged).zip(self.settings.as_ref()) else {
            return Ok(());
        };
        let effort = self.turns.chosen.or(self.turns.effort);
        ensure!(
            request.effort == effort.unwrap_or(settings.effort),
            "the effort is another"
        );
        let items = session.transcript().items();
        let sent = request.transcript.items();
        let same = match self.turns.purpose {
            Purpose::Work | Purpose::Compact { .. } => sent == items,
            // What is summarised, and the words that ask for it.
            Purpose::Summary => sent
                .split_last()
                .is_some_and(|(_, sent)| !sent.is_empty() && items.starts_with(sent)),
            Purpose::Judge => {
                ensure!(request.transcript.len() == 1, "a judgement sees the work");
                return Ok(());
            }
        };
        ensure!(same, "the request carries another context");
        Ok(())
    }
}
