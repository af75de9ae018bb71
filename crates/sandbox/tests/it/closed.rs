//! Folders that a command closes to their owner hide nothing from Quire. As an ordinary person, for
//! root sees through modes.

use quire_protocol::Wall;

use crate::git::{git, repository};
use crate::world::{World, finish, open, read, run_as_person};

/// A repository with another one in `vendor/lib`, a linked worktree `tree` and a submodule's folder.
fn project() -> World {
    let world = repository(Wall::Cell);
    let workspace = world.workspace();
    let init: [&str; 2] = ["init", "-q"];
    for (place, how) in [("vendor/lib", "."), (".git/modules/sub", "--bare")] {
        let place = workspace.join(place);
        std::fs::create_dir_all(&place).expect("a folder");
        git(&place, &[&init[..], &[how]].concat());
    }
    git(&workspace, &["worktree", "add", "-q", "tree"]);
    world
}

/// Closes a folder with one command, runs a script as the next ones, in this session and in a later
/// one, and opens the folder. Tells what the last one said.
async fn attack(world: &World, closed: &str, mode: &str, script: &str) -> String {
    world.shell(&format!("chmod {mode} {closed}")).await;
    let script = format!("chmod 755 {closed}; {script}");
    if let Ok(process) = world.spawn(&["sh", "-c", &script]).await {
        finish(&*process).await;
    }
    let outcome = world.later(&script).await;
    open(&world.workspace().join(closed));
    outcome.text
}

#[test]
fn a_closed_folder_hides_no_repository_from_the_next_cell() {
    let test = "closed::a_closed_folder_hides_no_repository_from_the_next_cell";
    run_as_person(test, async {
        for closed in ["vendor", "vendor/lib"] {
            for mode in ["0", "300", "600"] {
                let world = project();
                let script = "echo evil >> vendor/lib/.git/config";
                let said = attack(&world, closed, mode, script).await;
                let config = read(&world.workspace().join("vendor/lib/.git/config"));
                assert!(!config.contains("evil"), "{closed} {mode}: {said}");
            }
        }
    });
}

#[test]
fn a_closed_list_of_worktrees_hides_none_from_the_next_cell() {
    let test = "closed::a_closed_list_of_worktrees_hides_none_from_the_next_cell";
    run_as_person(test, async {
        for closed in [".git/worktrees", ".git/worktrees/tree", ".git"] {
            let world = project();
            let script = "echo evil > .git/worktrees/tree/commondir";
            let said = attack(&world, closed, "0", script).await;
            let common = read(&world.workspace().join(".git/worktrees/tree/commondir"));
            assert!(!common.contains("evil"), "{closed}: {said}");
        }
    });
}

#[test]
fn what_a_command_closed_holds_no_later_one_up() {
    let test = "closed::what_a_command_closed_holds_no_later_one_up";
    run_as_person(test, async {
        let (info, objects) = (".git/info", ".git/objects");
        let worktrees = [".git/worktrees", ".git/worktrees/tree"];
        for closed in ["vendor", ".git", info, objects].iter().chain(&worktrees) {
            let world = project();
            world.shell(&format!("chmod 0 {closed}")).await;
            let outcome = world.later("echo later").await;
            open(&world.workspace().join(closed));
            assert!(outcome.text.ends_with("later\n"), "{closed}: {outcome:?}");
        }
    });
}

#[test]
fn a_trap_in_a_closed_folder_is_noticed() {
    run_as_person("closed::a_trap_in_a_closed_folder_is_noticed", async {
        for (place, closed) in [
            (".git", ".git"),
            (".git", "."),
            (".git/modules/sub", ".git"),
            ("vendor/lib/.git", "vendor/lib"),
            ("vendor/lib/.git", "vendor"),
        ] {
            for (mode, then) in [("0", ""), ("600", ""), ("0", "; exec sleep 100")] {
                let world = project();
                let common = world.workspace().join(place).join("commondir");
                let script = format!("echo evil > {place}/commondir; chmod {mode} {closed}{then}");
                let outcome = world.shell(&script).await;
                let told = format!("{place} {closed} {mode}: {outcome:?}");
                assert!(!common.exists(), "{told}");
                assert!(outcome.text.contains("set aside"), "{told}");
                assert_eq!(world.shell("echo next").await.text, "next\n", "{told}");
            }
        }
    });
}
