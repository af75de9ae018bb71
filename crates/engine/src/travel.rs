//! The fold of a journal that tells which changes of files are in force.

use std::collections::BTreeMap;

use quire_protocol::{Doubt, FileGoal, FileStep, Seq, TravelStep, Whose};

/// The changes of files that were not taken back.
#[derive(Default)]
pub(crate) struct FileHistory {
    steps: Vec<Step>,
    /// What was taken back and can be had again, the last of it last.
    undone: Vec<Undone>,
}

/// What was taken back at once.
struct Undone {
    /// The changes that were in force.
    steps: Vec<Step>,
    /// What that did to files.
    files: Vec<FileStep>,
}

struct Step {
    at: Seq,
    whose: Whose,
    files: Vec<FileStep>,
}

impl FileHistory {
    pub(crate) fn follow(&mut self, at: Seq, step: &TravelStep) {
        match step {
            TravelStep::Kept { files, whose, .. } => {
                self.undone.clear();
                self.steps.push(Step {
                    at,
                    whose: *whose,
                    files: files.clone(),
                });
            }
            TravelStep::TakenBack { to, files, failed } => {
                let steps = self.take_out(*to, failed);
                let files = files.clone();
                self.undone.push(Undone { steps, files });
            }
            TravelStep::Redone { failed, .. } => self.put_back(failed),
            TravelStep::Missed { .. } | TravelStep::Forked { .. } => {}
        }
    }

    /// The changes after a place, which are in force no more but for those of some files.
    fn take_out(&mut self, to: Seq, besides: &[String]) -> Vec<Step> {
        let mut taken = Vec::new();
        for step in self.steps.iter_mut().filter(|step| step.at > to) {
            let stays = |file: &mut FileStep| besides.contains(&file.path);
            let (at, whose) = (step.at, step.whose);
            let files: Vec<FileStep> = step.files.extract_if(.., |file| !stays(file)).collect();
            if !files.is_empty() {
                taken.push(Step { at, whose, files });
            }
        }
        self.steps.retain(|step| !step.files.is_empty());
        taken
    }

    /// What was taken back last is in force again, but for some files.
    fn put_back(&mut self, besides: &[String]) {
        let undone = self.undone.pop();
        for mut step in undone.into_iter().flat_map(|undone| undone.steps) {
            step.files.retain(|file| !besides.contains(&file.path));
            match self.steps.iter_mut().find(|there| there.at == step.at) {
                Some(there) => there.files.append(&mut step.files),
                None => self.steps.push(step),
            }
        }
        self.steps.retain(|step| !step.files.is_empty());
        self.steps.sort_by_key(|step| step.at);
    }

    /// What files are to become so that what was taken back last is there again; nothing where nothing
    /// was, or the session has changed files since.
    pub(crate) fn forth(&self) -> Option<Vec<FileGoal>> {
        let undone = self.undone.last()?;
        let goals = undone.files.iter().map(|file| FileGoal {
            path: file.path.clone(),
            target: file.before.clone(),
            left: file.after.clone(),
            doubt: None,
        });
        Some(goals.collect())
    }

    /// The place before the last change.
    pub(crate) fn before_last(&self) -> Option<Seq> {
        self.steps
            .last()
            .map(|step| Seq(step.at.0.saturating_sub(1)))
    }

    /// Whether a change after a place is in force.
    pub(crate) fn has_after(&self, to: Seq) -> bool {
        self.steps.iter().any(|step| step.at > to)
    }

    /// What files are to become so that nothing is left of the changes after a place.
    pub(crate) fn back_to(&self, to: Seq) -> Vec<FileGoal> {
        let mut goals: BTreeMap<&str, FileGoal> = BTreeMap::new();
        for step in self.steps.iter().filter(|step| step.at > to) {
            for file in &step.files {
                let meanwhile = match step.whose {
                    Whose::Agent => None,
                    Whose::Unclear => Some(Doubt::ChangedMeanwhile),
                };
                let goal = goals.entry(&file.path).or_insert_with(|| FileGoal {
                    path: file.path.clone(),
                    target: file.before.clone(),
                    left: file.before.clone(),
                    doubt: None,
                });
                let between = (goal.left != file.before).then_some(Doubt::ChangedBetween);
                goal.doubt = goal.doubt.or(between).or(meanwhile);
                goal.left.clone_from(&file.after);
            }
        }
        goals
            .into_values()
            .filter(|goal| goal.target != goal.left || goal.doubt.is_some())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use quire_protocol::{BlobId, CallId, FileKind, FileVersion};

    use super::*;

    fn version(name: &str) -> Option<FileVersion> {
        (!name.is_empty()).then(|| FileVersion {
            content: BlobId::new(name),
            bytes: 1,
            kind: FileKind::Plain,
        })
    }

    fn kept(path: &str, before: &str, after: &str, whose: Whose) -> TravelStep {
        TravelStep::Kept {
            call: CallId(1),
            files: vec![FileStep {
                path: path.to_owned(),
                before: version(before),
                after: version(after),
            }],
            whose,
        }
    }

    fn goal(path: &str, target: &str, left: &str, doubt: Option<Doubt>) -> FileGoal {
        FileGoal {
            path: path.to_owned(),
            target: version(target),
            left: version(left),
            doubt,
        }
    }

    #[test]
    fn changes_go_back_to_before_the_first_and_from_after_the_last() {
        let mut history = FileHistory::default();
        history.follow(Seq(3), &kept("a", "1", "2", Whose::Agent));
        history.follow(Seq(5), &kept("a", "2", "3", Whose::Agent));
        history.follow(Seq(7), &kept("new", "", "1", Whose::Agent));
        history.follow(Seq(9), &kept("b", "1", "2", Whose::Unclear));
        history.follow(Seq(11), &kept("c", "1", "2", Whose::Agent));
        history.follow(Seq(13), &kept("c", "9", "3", Whose::Agent));
        assert_eq!(
            history.back_to(Seq(0)),
            [
                goal("a", "1", "3", None),
                goal("b", "1", "2", Some(Doubt::ChangedMeanwhile)),
                goal("c", "1", "3", Some(Doubt::ChangedBetween)),
                goal("new", "", "1", None),
            ]
        );
        assert_eq!(history.back_to(Seq(11)), [goal("c", "9", "3", None)]);
        assert_eq!(history.before_last(), Some(Seq(12)));
    }

    #[test]
    fn what_was_taken_back_is_not_taken_back_again() {
        let mut history = FileHistory::default();
        history.follow(Seq(3), &kept("a", "1", "2", Whose::Agent));
        history.follow(Seq(5), &kept("a", "2", "3", Whose::Agent));
        let back = TravelStep::TakenBack {
            to: Seq(4),
            files: Vec::new(),
            failed: Vec::new(),
        };
        history.follow(Seq(7), &back);
        assert_eq!(history.back_to(Seq(0)), [goal("a", "1", "2", None)]);
        assert_eq!(history.before_last(), Some(Seq(2)));
    }

    #[test]
    fn what_could_not_be_taken_back_still_can() {
        let mut history = FileHistory::default();
        history.follow(Seq(3), &kept("a", "1", "2", Whose::Agent));
        history.follow(Seq(4), &kept("b", "1", "2", Whose::Agent));
        let back = TravelStep::TakenBack {
            to: Seq(0),
            files: Vec::new(),
            failed: vec!["a".to_owned()],
        };
        history.follow(Seq(7), &back);
        assert_eq!(history.back_to(Seq(0)), [goal("a", "1", "2", None)]);
        assert_eq!(history.before_last(), Some(Seq(2)));
    }

    #[test]
    fn what_was_taken_back_can_be_had_again_until_files_change() {
        let mut history = FileHistory::default();
        history.follow(Seq(3), &kept("a", "1", "2", Whose::Agent));
        history.follow(Seq(4), &kept("b", "1", "2", Whose::Agent));
        let step = |path: &str| FileStep {
            path: path.to_owned(),
            before: version("2"),
            after: version("1"),
        };
        let back = |to, path: &str| TravelStep::TakenBack {
            to: Seq(to),
            files: vec![step(path)],
            failed: Vec::new(),
        };
        let again = TravelStep::Redone {
            files: Vec::new(),
            failed: Vec::new(),
        };
        assert_eq!(history.forth(), None);
        history.follow(Seq(6), &back(3, "b"));
        history.follow(Seq(7), &back(0, "a"));
        assert_eq!(history.back_to(Seq(0)), []);
        assert_eq!(history.forth(), Some(vec![goal("a", "2", "1", None)]));
        history.follow(Seq(8), &again);
        assert_eq!(history.back_to(Seq(0)), [goal("a", "1", "2", None)]);
        assert_eq!(history.forth(), Some(vec![goal("b", "2", "1", None)]));
        history.follow(Seq(9), &again);
        let both = [goal("a", "1", "2", None), goal("b", "1", "2", None)];
        assert_eq!(history.back_to(Seq(0)), both);
        assert_eq!(history.back_to(Seq(3)), both[1..]);
        assert_eq!(history.before_last(), Some(Seq(3)));
        history.follow(Seq(10), &back(3, "b"));
        history.follow(Seq(11), &kept("c", "1", "2", Whose::Agent));
        assert_eq!(history.forth(), None);
    }

    #[test]
    fn what_came_to_nothing_is_no_change() {
        let mut history = FileHistory::default();
        history.follow(Seq(3), &kept("a", "1", "2", Whose::Agent));
        history.follow(Seq(5), &kept("a", "2", "1", Whose::Agent));
        assert_eq!(history.back_to(Seq(0)), []);
    }
}
