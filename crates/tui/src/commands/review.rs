//! `/review`: the model reads a change and says what is wrong with it.

use quire_protocol::{Delivery, visible};

use crate::app::App;
use crate::wish::Wish;

/// What is asked; `CHANGE` stands for what is to be read.
const ASKED: &str = include_str!("review.txt");

pub(super) fn review(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    let change = match words.split_once(char::is_whitespace) {
        Some(("branch", name)) => format!(
            "the branch `{0}` against the place where it left the branch that it will be merged into. Find that \
             branch (`git symbolic-ref refs/remotes/origin/HEAD`, else main or master), then read \
             `git diff $(git merge-base THAT {0})..{0}` and `git log`",
            one(name)?
        ),
        Some(("commit", id)) => format!(
            "the commit `{0}`: `git show --stat {0}`, then `git show {0}`",
            one(id)?
        ),
        None if matches!(words, "branch" | "commit") => {
            return Err(format!("which one? /review {words} NAME"));
        }
        None if words.is_empty() => {
            "what is not committed yet: `git status`, `git diff HEAD`, and the files that \
                                     git does not know"
                .to_owned()
        }
        _ => visible(words),
    };
    let text = ASKED.trim_end().replace("CHANGE", &change);
    Ok(vec![app.say(text, Delivery::Steer)])
}

/// What a review is of, in a line, if the text asks for one: all else in it is the same every time.
pub(crate) fn title(text: &str) -> Option<String> {
    let (before, after) = ASKED.trim_end().split_once("CHANGE")?;
    let change = text.strip_prefix(before)?.strip_suffix(after)?;
    let ends = [": ", " against the place where"];
    let end = ends.iter().filter_map(|end| change.find(end)).min();
    Some(format!(
        "review of {}",
        &change[..end.unwrap_or(change.len())]
    ))
}

/// A name that can stand in a command as it is.
fn one(name: &str) -> Result<&str, String> {
    let name = name.trim();
    let plain = |char: char| char.is_alphanumeric() || "/._-+@~^".contains(char);
    if name.starts_with('-') || !name.chars().all(plain) {
        return Err(format!(
            "`{}` is no name of a branch or commit",
            visible(name)
        ));
    }
    Ok(name)
}
