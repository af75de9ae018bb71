//! Planning: the model is told when it begins and when it is over. What is refused meanwhile is the
//! policy's business.

use quire_protocol::{Event, Phase};

use crate::draft::Draft;

/// What a model is told while it is to plan.
const PLAN: &str = "Plan mode: look and think, and change nothing. Until the person accepts the plan, \
                    tools that change files are refused, and commands run read-only: searching, reading \
                    and looking at the history work. Look at what the plan depends on, ask what is \
                    unclear, set the steps out with `plan`, then end your turn with the plan in words: \
                    what will be changed where, and how it will be checked.";
/// What it is told once that is over.
const WORK: &str =
    "Plan mode is over: what changes files works again, as far as the sandbox lets it.";

/// What the model knows of whether it is to plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    phase: Phase,
    /// Whether the notice may have left the context since.
    faded: bool,
}

impl Told {
    /// The model was told something.
    pub(crate) fn noticed(&mut self, text: &str) {
        let phase = match text {
            PLAN => Phase::Plan,
            WORK => Phase::Work,
            _ => return,
        };
        *self = Self {
            phase,
            faded: false,
        };
    }

    /// The context is another one.
    pub(crate) fn compacted(&mut self) {
        self.faded = true;
    }

    /// What the model is to be told in this phase, if anything.
    fn due(self, phase: Phase) -> Option<&'static str> {
        match phase {
            Phase::Plan if self.phase == Phase::Work || self.faded => Some(PLAN),
            Phase::Work | Phase::Look if self.phase == Phase::Plan => Some(WORK),
            Phase::Plan | Phase::Work | Phase::Look => None,
        }
    }
}

impl Draft<'_> {
    /// Whether the person wants a plan first.
    pub(crate) fn is_planning(&self) -> bool {
        self.phase() == Phase::Plan
    }

    /// Tells the model that planning begins or is over, if it does not know.
    pub(crate) fn tell_phase(&mut self) {
        if let Some(text) = self.state.planning.due(self.phase()) {
            let text = text.to_owned();
            self.record(Event::Noticed { text });
        }
    }

    fn phase(&self) -> Phase {
        let settings = self.state.settings.as_ref();
        settings.map_or(Phase::Work, |settings| settings.policy.phase)
    }
}
