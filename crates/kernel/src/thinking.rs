//! How hard to think at the next step, for models that do not decide it by themselves: a rule over
//! cheap signals. Its choices are recorded with the requests.

use quire_protocol::{
    ChosenEffort, CommandEnd, Effort, EffortChoice, FileChange, ToolOutcome, ToolStatus,
};

/// A change of so many lines is worth a second thought.
const LONG_CHANGE: u32 = 120;

/// What the last steps were like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    /// Whether the turn has made a request.
    begun: bool,
    /// Steps in a row in which something failed.
    failures: u32,
    /// What the open step has been like so far.
    step: Step,
    /// What the last whole step was like.
    last: Step,
    /// The highest effort chosen in this turn, where a change is dear.
    raised: Option<Effort>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    calls: u32,
    failed: bool,
    /// Lines changed in files.
    changed: u32,
    /// Whether something ran or was changed.
    acted: bool,
}

impl Signals {
    pub(crate) fn turn_started(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn tool_ended(&mut self, outcome: &ToolOutcome) {
        let step = &mut self.step;
        step.calls += 1;
        step.failed |= outcome.status == ToolStatus::Failed
            || outcome
                .end
                .is_some_and(|end| end != CommandEnd::Exited { code: 0 });
        step.acted |= outcome.end.is_some() || !outcome.changes.is_empty();
        step.changed += outcome.changes.iter().map(lines).sum::<u32>();
    }

    pub(crate) fn step_done(&mut self) {
        self.last = std::mem::take(&mut self.step);
        self.failures = if self.last.failed {
            self.failures + 1
        } else {
            0
        };
    }

    pub(crate) fn asked(&mut self, chosen: Option<&ChosenEffort>) {
        self.begun = true;
        if let Some(chosen) = chosen {
            self.raised = self.raised.max(Some(chosen.effort));
        }
    }

    /// The effort for the next request, where it is not simply the session's.
    pub(crate) fn choose(&self, base: Effort, choice: EffortChoice) -> Option<ChosenEffort> {
        let (steps, reason) = match () {
            () if choice == EffortChoice::Fixed => return None,
            () if !self.begun => (0, "a new task"),
            () if self.failures >= 3 => (2, "it failed again and again"),
            () if self.failures > 0 => (1, "something failed"),
            () if self.last.changed >= LONG_CHANGE => (1, "a long change"),
            () if self.last.calls > 0 && !self.last.acted => (-1, "it only looked things up"),
            () => (0, "ordinary work"),
        };
        let effort = moved(base, steps);
        let raised = self.raised.filter(|raised| *raised > effort);
        let (effort, reason) = match (choice, raised) {
            (EffortChoice::ByTurn, Some(raised)) => (raised, "raised earlier in this turn"),
            _ => (effort, reason),
        };
        Some(ChosenEffort {
            effort,
            reason: reason.to_owned(),
        })
    }
}

/// The effort so many levels above or below; never the highest, which only a person chooses.
fn moved(base: Effort, steps: i32) -> Effort {
    let place = i32::from(base as u8) + steps;
    let most = i32::from(Effort::Xhigh.max(base) as u8);
    let place = usize::try_from(place.clamp(0, most)).unwrap_or(0);
    Effort::ALL.get(place).copied().unwrap_or(base)
}

fn lines(change: &FileChange) -> u32 {
    let changed = change
        .diff
        .lines()
        .filter(|line| line.starts_with(['+', '-']));
    u32::try_from(changed.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use quire_protocol::ChangeKind;

    use super::*;

    #[derive(Clone, Copy)]
    enum Did {
        Look,
        Pass,
        Fail,
        Change(usize),
    }

    fn after(steps: &[Did]) -> Signals {
        let mut signals = Signals::default();
        signals.asked(None);
        for did in steps {
            let mut outcome = ToolOutcome::text(ToolStatus::Done, "");
            match did {
                Did::Look => {}
                Did::Pass => outcome.end = Some(CommandEnd::Exited { code: 0 }),
                Did::Fail => outcome.end = Some(CommandEnd::Exited { code: 1 }),
                Did::Change(lines) => outcome.changes.push(FileChange {
                    path: "a".into(),
                    kind: ChangeKind::Modified,
                    diff: "+x\n".repeat(*lines),
                }),
            }
            signals.tool_ended(&outcome);
            signals.step_done();
        }
        signals
    }

    #[test]
    fn the_rule() {
        use Did::{Change, Fail, Look, Pass};
        use Effort::{High, Low, Max, Medium, Xhigh};
        for (steps, base, chosen) in [
            (&[][..], High, High),
            (&[Look], High, Medium),
            (&[Look], Low, Low),
            (&[Pass], High, High),
            (&[Fail], High, Xhigh),
            (&[Fail], Medium, High),
            (&[Fail, Fail, Fail], Low, High),
            (&[Fail, Fail, Fail], High, Xhigh),
            (&[Fail], Max, Max),
            (&[Fail, Pass], High, High),
            (&[Change(3)], High, High),
            (&[Change(200)], High, Xhigh),
        ] {
            let choice = after(steps).choose(base, EffortChoice::ByStep);
            assert_eq!(
                choice.unwrap().effort,
                chosen,
                "{base:?} after {}",
                steps.len()
            );
        }
        assert_eq!(after(&[Look]).choose(High, EffortChoice::Fixed), None);
        let first = Signals::default()
            .choose(High, EffortChoice::ByStep)
            .unwrap();
        assert_eq!((first.effort, first.reason.as_str()), (High, "a new task"));
    }

    #[test]
    fn where_a_change_is_dear_it_only_rises_within_a_turn() {
        let mut signals = after(&[Did::Fail]);
        let raised = signals.choose(Effort::Medium, EffortChoice::ByTurn);
        signals.asked(raised.as_ref());
        signals.tool_ended(&ToolOutcome::text(ToolStatus::Done, ""));
        signals.step_done();
        let next = signals
            .choose(Effort::Medium, EffortChoice::ByTurn)
            .unwrap();
        let told = (next.effort, next.reason.as_str());
        assert_eq!(told, (Effort::High, "raised earlier in this turn"));
        signals.turn_started();
        let next = signals
            .choose(Effort::Medium, EffortChoice::ByTurn)
            .unwrap();
        assert_eq!(next.effort, Effort::Medium);
    }
}
