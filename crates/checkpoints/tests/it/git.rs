//! A real git repository around what is kept: nothing of it is ever touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use quire_protocol::Conflicts;

use crate::world::{World, write};

/// Runs git, with nothing of this machine's own settings.
#[expect(
    clippy::disallowed_methods,
    reason = "the test needs a repository that git made"
)]
fn git(top: &Path, arguments: &[&str]) -> String {
    let ran = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@x"])
        .args(arguments)
        .current_dir(top)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "git {arguments:?}: {told}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A repository with a stash, a second branch, and changes that are staged, unstaged, and both.
fn repository() -> World {
    let world = World::new();
    let top = &world.workspace;
    git(top, &["init", "-q", "-b", "main", "."]);
    for path in ["staged.txt", "unstaged.txt", "both.txt", "deep/gone.txt"] {
        write(top, path, "one\n");
    }
    git(top, &["add", "."]);
    git(top, &["commit", "-q", "-m", "one"]);
    git(top, &["branch", "other"]);
    write(top, "both.txt", "stashed\n");
    git(top, &["stash", "-q"]);
    write(top, "staged.txt", "two\n");
    write(top, "both.txt", "two\n");
    git(top, &["add", "."]);
    write(top, "unstaged.txt", "two\n");
    write(top, "both.txt", "three\n");
    write(top, "untracked.txt", "two\n");
    world
}

/// Every file of the repository itself: its bytes, and when it was written last.
fn insides(top: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![top.join(".git")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let about = entry.metadata().unwrap();
            if about.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap();
            files.insert(entry.path(), (bytes, about.modified().unwrap()));
        }
    }
    for wanted in ["index", "HEAD", "refs/heads/other", "refs/stash"] {
        let wanted = top.join(".git").join(wanted);
        assert!(files.contains_key(&wanted), "{}", wanted.display());
    }
    files
}

fn work(top: &Path) {
    for path in ["staged.txt", "unstaged.txt", "both.txt", "untracked.txt"] {
        write(top, path, "the agent's\n");
    }
    write(top, "new/file.txt", "the agent's\n");
    fs::remove_file(top.join("deep/gone.txt")).unwrap();
}

#[test]
fn neither_a_look_nor_a_way_back_touches_index_head_refs_or_stash() {
    for conflicts in [Conflicts::Merge, Conflicts::Keep, Conflicts::Overwrite] {
        let mut world = repository();
        let top = world.workspace.clone();
        let before = insides(&top);
        let stood = git(&top, &["status", "--porcelain"]);
        let changed = world.agent(work);
        assert_eq!(changed.len(), 6, "{changed:?}");
        assert!(insides(&top) == before, "a look touched the repository");
        // One file that a person changed too, for the way that reads and writes the most.
        let mine = conflicts == Conflicts::Merge;
        if mine {
            write(&top, "both.txt", "the agent's\nand mine\n");
        }
        world.back(conflicts);
        assert!(insides(&top) == before, "a way back touched the repository");
        let stands = git(&top, &["status", "--porcelain"]);
        assert_eq!(stands, stood);
        assert_eq!(world.read("staged.txt"), "two\n");
        assert_eq!(world.read("unstaged.txt"), "two\n");
        assert_eq!(world.read("deep/gone.txt"), "one\n");
        assert_eq!(
            git(&top, &["stash", "show", "-p"])
                .matches("+stashed")
                .count(),
            1
        );
    }
}

#[test]
fn a_commit_that_the_agent_made_stays_and_what_is_staged_with_it() {
    let mut world = repository();
    let top = world.workspace.clone();
    world.agent(|top| {
        work(top);
        git(top, &["commit", "-q", "-a", "-m", "two"]);
        write(top, "staged.txt", "after it\n");
        git(top, &["add", "staged.txt"]);
    });
    let (committed, before) = (git(&top, &["rev-parse", "HEAD"]), insides(&top));
    world.back(Conflicts::Ask);
    assert!(insides(&top) == before, "a way back touched the repository");
    assert_eq!(git(&top, &["rev-parse", "HEAD"]), committed);
    assert_eq!(git(&top, &["show", ":staged.txt"]), "after it\n");
    assert_eq!(world.read("staged.txt"), "two\n");
    assert_eq!(world.read("both.txt"), "three\n");
}
