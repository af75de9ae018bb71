//! Files that go back, and those that a person changed too.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use proptest::prelude::*;
use quire_protocol::{Checkpoints as _, Conflicts};

use crate::world::{World, write};

#[test]
fn all_that_the_agent_did_goes_back() {
    let mut world = World::new();
    world.write("a.txt", "1\n");
    world.write("run.sh", "1\n");
    world.write("gone/deep/b.txt", "1\n");
    symlink("a.txt", world.workspace.join("link")).unwrap();
    let before = snapshot(&world.workspace);
    world.agent(|top| {
        write(top, "a.txt", "2\n");
        write(top, "new/deep/c.txt", "1\n");
        fs::remove_dir_all(top.join("gone")).unwrap();
        fs::set_permissions(top.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_file(top.join("link")).unwrap();
        write(top, "link", "a file now\n");
    });
    world.agent(|top| write(top, "a.txt", "3\n"));
    let fates = world.back(Conflicts::Ask);
    assert!(
        fates.iter().all(|fate| fate.ends_with(" back")),
        "{fates:?}"
    );
    assert_eq!(fates.len(), 5);
    assert_eq!(snapshot(&world.workspace), before);
    assert!(
        !world.workspace.join("new").exists(),
        "empty folders go too"
    );
}

#[test]
fn a_file_that_a_person_changed_since_is_not_touched_unasked() {
    let mut world = World::new();
    world.write("a.txt", "1\n2\n3\n4\n5\n");
    world.write("b.txt", "1\n");
    world.agent(|top| {
        write(top, "a.txt", "one\n2\n3\n4\n5\n");
        write(top, "b.txt", "2\n");
    });
    world.write("a.txt", "one\n2\n3\n4\nfive\n");
    let conflict = "a.txt conflict: it changed since the agent changed it";
    assert_eq!(world.back(Conflicts::Ask), [conflict, "b.txt back"]);
    assert_eq!(world.read("a.txt"), "one\n2\n3\n4\nfive\n");
    assert_eq!(
        world.read("b.txt"),
        "2\n",
        "nothing is done before it is answered"
    );
    assert_eq!(
        world.back(Conflicts::Merge),
        ["a.txt merged with 0 conflicts", "b.txt back"]
    );
    assert_eq!(world.read("a.txt"), "1\n2\n3\n4\nfive\n");
    assert_eq!(world.read("b.txt"), "1\n");
}

#[test]
fn what_is_to_become_of_a_conflict_is_done() {
    for (conflicts, fate, left) in [
        (Conflicts::Keep, "a.txt left", "mine\n"),
        (Conflicts::Overwrite, "a.txt overwritten", "1\n"),
        (
            Conflicts::Merge,
            "a.txt merged with 1 conflicts",
            "<<<<<<< as it is now\nmine\n=======\n1\n>>>>>>> as it was\n",
        ),
    ] {
        let mut world = World::new();
        world.write("a.txt", "1\n");
        world.agent(|top| write(top, "a.txt", "2\n"));
        world.write("a.txt", "mine\n");
        assert_eq!(world.back(conflicts), [fate]);
        assert_eq!(world.read("a.txt"), left);
    }
}

#[test]
fn what_a_person_did_between_two_changes_of_the_agent_is_a_conflict() {
    let mut world = World::new();
    world.write("a.txt", "1\n");
    world.agent(|top| write(top, "a.txt", "2\n"));
    world.write("a.txt", "mine\n");
    world.agent(|top| write(top, "a.txt", "3\n"));
    assert_eq!(
        world.back(Conflicts::Ask),
        ["a.txt conflict: it changed between two changes of the agent"]
    );
}

#[test]
fn a_file_that_a_person_made_where_the_agent_removed_one_stays() {
    let mut world = World::new();
    world.write("a.txt", "1\n");
    world.agent(|top| fs::remove_file(top.join("a.txt")).unwrap());
    world.write("a.txt", "mine\n");
    assert_eq!(world.back(Conflicts::Merge), ["a.txt left"]);
    assert_eq!(world.read("a.txt"), "mine\n");
}

#[test]
fn a_folder_that_became_a_link_is_not_written_through() {
    let mut world = World::new();
    let outside = world.mirrors.parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    world.write("sub/a.txt", "1\n");
    world.agent(|top| fs::remove_dir_all(top.join("sub")).unwrap());
    symlink(&outside, world.workspace.join("sub")).unwrap();
    let fates = world.back(Conflicts::Overwrite);
    assert!(fates[0].starts_with("sub/a.txt failed"), "{fates:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_file_that_became_a_folder_is_a_file_again() {
    let mut world = World::new();
    world.write("a", "1\n");
    world.agent(|top| {
        fs::remove_file(top.join("a")).unwrap();
        write(top, "a/b/c.txt", "1\n");
    });
    assert_eq!(world.back(Conflicts::Ask), ["a back", "a/b/c.txt back"]);
    assert_eq!(world.read("a"), "1\n");
}

#[test]
fn a_link_to_where_no_text_leads_goes_back() {
    let mut world = World::new();
    let target = std::ffi::OsStr::from_bytes(b"\xff");
    let link = world.workspace.join("link");
    symlink(target, &link).unwrap();
    world.agent(|top| fs::remove_file(top.join("link")).unwrap());
    assert_eq!(world.back(Conflicts::Ask), ["link back"]);
    assert_eq!(fs::read_link(&link).unwrap().as_os_str(), target);
}

#[test]
fn a_secret_that_the_agent_removed_or_opened_to_all_is_closed_again() {
    let mut world = World::new();
    for (name, mode) in [("removed", 0o600), ("opened", 0o600), ("run", 0o700)] {
        world.write(name, "1\n");
        let path = world.workspace.join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    world.agent(|top| {
        fs::remove_file(top.join("removed")).unwrap();
        fs::remove_file(top.join("run")).unwrap();
        let all = fs::Permissions::from_mode(0o644);
        fs::set_permissions(top.join("opened"), all).unwrap();
    });
    assert_eq!(
        world.back(Conflicts::Ask),
        ["opened back", "removed back", "run back"]
    );
    let mode = |name: &str| {
        let found = fs::metadata(world.workspace.join(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!(
        [mode("removed"), mode("opened"), mode("run")],
        [0o600, 0o600, 0o700]
    );
}

#[test]
fn a_file_keeps_who_may_read_it() {
    let mut world = World::new();
    world.write("secret", "1\n");
    let path = world.workspace.join("secret");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    world.agent(|top| write(top, "secret", "2\n"));
    world.back(Conflicts::Ask);
    assert_eq!(world.read("secret"), "1\n");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn what_became_of_files_is_shown() {
    let mut world = World::new();
    world.write("a.txt", "1\n");
    world.agent(|top| {
        write(top, "a.txt", "2\n");
        write(top, "new.txt", "1\n");
    });
    let goals = world.goals();
    let changes = world
        .wait(|keeper| keeper.compare(&world.workspace, goals))
        .unwrap();
    let shown: Vec<String> = changes
        .iter()
        .map(|change| {
            format!(
                "{} {:?} {}",
                change.path.display(),
                change.kind,
                change.diff
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "a.txt Modified @@ -1 +1 @@\n-1\n+2\n",
            "new.txt Added @@ -0,0 +1 @@\n+1\n",
        ]
    );
}

type Files = BTreeMap<String, (Vec<u8>, bool)>;

/// What a workspace holds: names, bytes, and whether they may run.
fn snapshot(top: &Path) -> Files {
    fn visit(top: &Path, folder: &Path, files: &mut Files) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            let found = fs::symlink_metadata(&path).unwrap();
            if found.is_dir() {
                visit(top, &path, files);
            } else if found.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                files.insert(name, (target.to_str().unwrap().as_bytes().to_vec(), false));
            } else {
                let runs = found.permissions().mode() & 0o100 != 0;
                files.insert(name, (fs::read(&path).unwrap(), runs));
            }
        }
    }
    let mut files = Files::new();
    visit(top, top, &mut files);
    files
}

#[derive(Clone, Debug)]
enum Act {
    Write(usize, u8),
    Remove(usize),
}

const NAMES: [&str; 5] = ["a", "b", "sub/a", "sub/b", "sub/deep/c"];

fn act(top: &Path, act: &Act) {
    match act {
        Act::Write(name, content) => write(top, NAMES[*name], &format!("{content}\n")),
        Act::Remove(name) => drop(fs::remove_file(top.join(NAMES[*name]))),
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let name = 0..NAMES.len();
    let one = prop_oneof![
        3 => (name.clone(), 0_u8..4).prop_map(|(name, content)| Act::Write(name, content)),
        1 => name.prop_map(Act::Remove),
    ];
    proptest::collection::vec(one, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the agent did goes back, and whatever a person did to files that the agent let alone
    /// stays as it is.
    #[test]
    fn going_back_undoes_the_agent_and_nobody_else(
        first in acts(),
        rounds in proptest::collection::vec((acts(), acts()), 1..4),
    ) {
        let mut world = World::new();
        for one in &first {
            act(&world.workspace, one);
        }
        let mut person = snapshot(&world.workspace);
        let mut touched = Vec::new();
        for (of_person, of_agent) in &rounds {
            for one in of_person {
                act(&world.workspace, one);
            }
            let before = snapshot(&world.workspace);
            world.agent(|top| {
                for one in of_agent {
                    act(top, one);
                }
            });
            let after = snapshot(&world.workspace);
            for name in NAMES {
                if before.get(name) != after.get(name) {
                    touched.push(name);
                }
                if !touched.contains(&name) {
                    match after.get(name) {
                        Some(file) => drop(person.insert(name.to_owned(), file.clone())),
                        None => drop(person.remove(name)),
                    }
                }
                // What the file was when the agent first changed it.
                if touched.iter().filter(|of| **of == name).count() == 1
                    && before.get(name) != after.get(name)
                {
                    match before.get(name) {
                        Some(file) => drop(person.insert(name.to_owned(), file.clone())),
                        None => drop(person.remove(name)),
                    }
                }
            }
        }
        let now = snapshot(&world.workspace);
        let asked = world.back(Conflicts::Ask);
        if asked.iter().any(|fate| fate.contains("conflict")) {
            prop_assert_eq!(snapshot(&world.workspace), now);
            world.back(Conflicts::Overwrite);
        }
        prop_assert_eq!(snapshot(&world.workspace), person);
    }
}
