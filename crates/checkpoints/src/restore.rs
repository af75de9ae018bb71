//! Making files what they were: each is judged by what it holds now, and none that a person changed is
//! replaced without a word.

use std::path::Path;

use quire_protocol::{
    ChangeKind, Conflicts, Doubt, Fate, FileChange, FileFate, FileGoal, FileVersion, TakenBack,
};

use crate::files::{Content, Spot, remove_empty};
use crate::merge::{self, Merged, Room};
use crate::mirror::Change;
use crate::scan::LARGEST;

/// Finds what versions hold.
pub(crate) type Recall<'a> = dyn Fn(&FileVersion) -> Result<Content, String> + 'a;

/// What is to be done with a file.
struct Task {
    path: String,
    now: Option<Content>,
    step: Step,
}

enum Step {
    /// It is so already.
    Nothing,
    Write(Option<Content>),
    /// A person changed it too.
    Conflict {
        reason: &'static str,
        target: Option<Content>,
        merged: Option<Merged>,
    },
    Fail(String),
}

/// How files differ from what they would become.
pub(crate) fn compare(
    workspace: &Path,
    goals: Vec<FileGoal>,
    recall: &Recall<'_>,
) -> Vec<FileChange> {
    let mut room = Room::new();
    let change = |goal: FileGoal| {
        let now = now(workspace, &goal.path).ok()?;
        if version(now.as_ref()) == goal.target {
            return None;
        }
        let then = goal.target.as_ref().map(recall).transpose();
        let (kind, diff) = match then {
            Ok(then) => {
                let kind = match (&then, &now) {
                    (None, _) => ChangeKind::Added,
                    (_, None) => ChangeKind::Deleted,
                    _ => ChangeKind::Modified,
                };
                (kind, room.diff(then.as_ref(), now.as_ref()))
            }
            Err(why) => (ChangeKind::Modified, format!("{why}\n")),
        };
        let path = goal.path.into();
        Some(FileChange { path, kind, diff })
    };
    goals.into_iter().filter_map(change).collect()
}

/// Makes files what they were. Every change is handed to `keep` before it is made.
pub(crate) fn take_back(
    workspace: &Path,
    goals: Vec<FileGoal>,
    conflicts: Conflicts,
    recall: &Recall<'_>,
    keep: &mut dyn FnMut(&Change) -> Result<(), String>,
) -> Result<TakenBack, String> {
    let tasks: Vec<Task> = goals
        .into_iter()
        .map(|goal| judge(workspace, goal, recall))
        .filter(|task| !matches!(task.step, Step::Nothing))
        .collect();
    let is_asked = conflicts == Conflicts::Ask
        && tasks
            .iter()
            .any(|task| matches!(task.step, Step::Conflict { .. }));
    let mut files = Vec::with_capacity(tasks.len());
    let (mut changes, mut room) = (Vec::new(), Room::new());
    for Task { path, now, step } in tasks {
        let (content, fate) = outcome(now.as_ref(), step, conflicts, &mut room);
        if let Becomes::Other(after) = content
            && !is_asked
        {
            let path = path.clone();
            changes.push(Change {
                path,
                before: now,
                after,
                at_ns: None,
            });
        }
        files.push(FileFate { path, fate });
    }
    // What goes makes room first: a folder may be where a file was.
    changes.sort_by_key(|change| change.after.is_some());
    for change in changes {
        if let Some(reason) = carry_out(workspace, &change, keep)?
            && let Some(file) = files.iter_mut().find(|file| file.path == change.path)
        {
            file.fate = Fate::Failed { reason };
        }
    }
    Ok(TakenBack {
        done: !is_asked,
        files,
    })
}

/// Makes a change that was judged before; why that failed, if it did. The outer error is that it could
/// not be kept.
fn carry_out(
    workspace: &Path,
    change: &Change,
    keep: &mut dyn FnMut(&Change) -> Result<(), String>,
) -> Result<Option<String>, String> {
    match now(workspace, &change.path) {
        Ok(now) if now == change.before => {}
        Ok(_) => return Ok(Some("it changed just now, and was let alone".to_owned())),
        Err(error) => return Ok(Some(error.to_string())),
    }
    keep(change)?;
    Ok(make(workspace, change).err().map(|error| error.to_string()))
}

/// What a file is to hold.
enum Becomes {
    /// What it holds.
    Same,
    /// This, or nothing: then it is to go.
    Other(Option<Content>),
}

/// What a file is to hold, and what that is called.
fn outcome(
    now: Option<&Content>,
    step: Step,
    conflicts: Conflicts,
    room: &mut Room,
) -> (Becomes, Fate) {
    match step {
        // Sorted out before.
        Step::Nothing => (Becomes::Same, Fate::Back),
        Step::Write(target) => (Becomes::Other(target), Fate::Back),
        Step::Fail(reason) => (Becomes::Same, Fate::Failed { reason }),
        Step::Conflict {
            reason,
            target,
            merged,
        } => match (conflicts, merged) {
            (Conflicts::Ask, merged) => {
                let merge =
                    merged.map_or_else(String::new, |merged| room.diff(now, Some(&merged.content)));
                let reason = reason.to_owned();
                (Becomes::Same, Fate::Conflict { reason, merge })
            }
            (Conflicts::Overwrite, _) => (Becomes::Other(target), Fate::Overwritten),
            (Conflicts::Merge, Some(Merged { content, conflicts })) => {
                (Becomes::Other(Some(content)), Fate::Merged { conflicts })
            }
            // What has no lines is not merged.
            (Conflicts::Keep | Conflicts::Merge, _) => (Becomes::Same, Fate::Left),
        },
    }
}

fn judge(workspace: &Path, goal: FileGoal, recall: &Recall<'_>) -> Task {
    let FileGoal {
        path,
        target,
        left,
        doubt,
    } = goal;
    let now = match now(workspace, &path) {
        Ok(now) => now,
        Err(error) => {
            let step = Step::Fail(format!("it cannot be read: {error}"));
            return Task {
                path,
                now: None,
                step,
            };
        }
    };
    let step = step(now.as_ref(), target.as_ref(), left.as_ref(), doubt, recall);
    Task {
        path,
        now,
        step: step.unwrap_or_else(Step::Fail),
    }
}

fn step(
    now: Option<&Content>,
    target: Option<&FileVersion>,
    left: Option<&FileVersion>,
    doubt: Option<Doubt>,
    recall: &Recall<'_>,
) -> Result<Step, String> {
    let current = version(now);
    if current.as_ref() == target {
        return Ok(Step::Nothing);
    }
    let reason = match doubt {
        _ if current.as_ref() != left => "it changed since the agent changed it",
        Some(Doubt::ChangedBetween) => "it changed between two changes of the agent",
        Some(Doubt::ChangedMeanwhile) => {
            "it changed while something ran for long: by that, or by somebody else"
        }
        None => return Ok(Step::Write(target.map(recall).transpose()?)),
    };
    let target = target.map(recall).transpose()?;
    // A version that cannot be found leaves nothing to merge with.
    let left = left.and_then(|left| recall(left).ok());
    let merged = merge::take_out(left.as_ref(), now, target.as_ref());
    Ok(Step::Conflict {
        reason,
        target,
        merged,
    })
}

fn now(workspace: &Path, path: &str) -> std::io::Result<Option<Content>> {
    match Spot::find(workspace, path)? {
        Some(spot) => spot.read(LARGEST),
        None => Ok(None),
    }
}

fn version(content: Option<&Content>) -> Option<FileVersion> {
    content.map(Content::version)
}

fn make(workspace: &Path, change: &Change) -> std::io::Result<()> {
    if let Some(content) = &change.after {
        return Spot::make(workspace, &change.path)?.write(content);
    }
    if let Some(spot) = Spot::find(workspace, &change.path)? {
        spot.remove()?;
    }
    remove_empty(workspace, &change.path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use quire_protocol::FileKind;

    use super::*;

    #[test]
    fn what_a_person_writes_while_files_go_back_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "left\n").unwrap();
        let kept = |text: &str| Content {
            kind: FileKind::Plain,
            bytes: text.as_bytes().to_vec(),
        };
        let goal = FileGoal {
            path: "a".to_owned(),
            target: Some(kept("target\n").version()),
            left: Some(kept("left\n").version()),
            doubt: None,
        };
        // It was judged by what it held, and is to be written.
        let recall = |_: &FileVersion| {
            fs::write(&file, "mine\n").unwrap();
            Ok(kept("target\n"))
        };
        let mut keep = |_: &Change| Ok(());
        let goals = vec![goal];
        let taken = take_back(folder.path(), goals, Conflicts::Ask, &recall, &mut keep).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
        assert_eq!(taken.failed().collect::<Vec<_>>(), ["a"]);
    }
}
