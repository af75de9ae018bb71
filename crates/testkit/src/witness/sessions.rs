//! The session after each decision is what the journal says, and what it says runs is what runs.

use std::collections::BTreeSet;

use quire_kernel::Session;
use quire_protocol::Pause;

use super::{Checked, Witness, ensure};
use crate::flight::Flight;

impl Witness {
    /// What the journal says is running is what runs.
    pub(super) fn check_flight(&self, flight: &Flight) -> Checked {
        ensure!(
            self.turns.request.iter().eq(flight.requests.iter()),
            "request {:?} is open, {:?} in flight",
            self.turns.request,
            flight.requests
        );
        let running: BTreeSet<_> = self.calls.running().collect();
        ensure!(
            running == flight.calls,
            "{running:?} run, {:?} in flight",
            flight.calls
        );
        ensure!(
            self.jobs.is_subset(&flight.jobs),
            "jobs {:?} run, {:?} in flight",
            self.jobs,
            flight.jobs
        );
        Ok(())
    }

    pub(super) fn check_session(&self, session: &Session) -> Checked {
        ensure!(session.usage() == self.usage, "the usage is wrong");
        ensure!(session.cost() == self.cost, "the cost is wrong");
        ensure!(
            session.has_unpriced() == (self.unpriced.all > 0),
            "what had no price is wrong"
        );
        ensure!(
            session.settings() == self.settings.as_ref(),
            "the settings are wrong"
        );
        ensure!(session.plan() == self.plan, "the plan is wrong");
        ensure!(
            session.turn().is_some() == self.turns.open,
            "the turn is wrong"
        );
        ensure!(
            session.is_stopping() == self.turns.stopping,
            "stopping is wrong"
        );
        ensure!(
            session.is_dormant() == self.turns.dormant,
            "dormant is wrong"
        );
        ensure!(
            session.asked().eq(self.calls.questions()),
            "the questions are wrong"
        );
        let goes_on = self.turns.stopping
            || self.turns.request.is_some()
            || self.calls.running().any(|call| !self.calls.is_asked(call));
        let waits = !goes_on && self.calls.asked().next().is_some();
        ensure!(
            session.waits_for_person() == waits,
            "waiting for a person is wrong"
        );
        ensure!(
            session
                .queued()
                .map(|(message, _)| message)
                .eq(self.mail.waiting()),
            "the waiting messages are wrong"
        );
        for call in self.calls.running() {
            let named = session.call(call).map(|call| call.call);
            ensure!(named == Some(call), "call {call} cannot be looked up");
        }
        let idle = self.turns.request.is_none()
            && self.calls.running().next().is_none()
            && self.calls.asked().next().is_none()
            && self.jobs.is_empty();
        ensure!(session.is_idle() == idle, "idle is wrong");
        ensure!(
            session.is_at_limit() == self.turns.paused,
            "being at a limit is wrong"
        );
        ensure!(
            (session.pause() == Some(Pause::Person)) == self.turns.paused_by_person,
            "being paused is wrong"
        );
        ensure!(
            (session.pause() == Some(Pause::Asked)) == self.turns.pausing,
            "being about to pause is wrong"
        );
        self.check_request(session)
    }
}
