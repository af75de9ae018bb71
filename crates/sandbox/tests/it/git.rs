//! What configures git stays as it is, and git works.

use quire_protocol::{ProcessEnd, Sandbox, Wall};

use crate::world::{World, finish, read, run};

#[expect(
    clippy::disallowed_methods,
    reason = "the person's own git, outside the sandbox"
)]
pub(crate) fn git(folder: &std::path::Path, arguments: &[&str]) {
    let done = std::process::Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("git runs");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

pub(crate) fn repository(wall: Wall) -> World {
    let world = World::with_wall(Some(wall));
    let workspace = world.workspace();
    git(&workspace, &["init", "-q", "-b", "main"]);
    std::fs::write(workspace.join("file"), "one\n").expect("a file");
    git(&workspace, &["add", "."]);
    git(&workspace, &["commit", "-q", "-m", "one"]);
    world
}

const COMMIT: &str = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a \
    GIT_COMMITTER_EMAIL=a@b; git status --short && echo two >> file && git add file && \
    git commit -q -m two && git checkout -q -b branch && git log --oneline | wc -l";

#[test]
fn commands_commit_and_branch() {
    run(async {
        let world = repository(Wall::Cell);
        let outcome = world.shell(COMMIT).await;
        assert_eq!(outcome.text, "2\n");
        assert_eq!(outcome.end, ProcessEnd::Exited(0));
    });
}

/// Every way that comes to mind to have the person's git run something later.
const ATTACKS: [&str; 12] = [
    "echo evil > .git/hooks/pre-commit",
    "echo evil > .git/config",
    "git config core.hooksPath evil",
    "mv .git old; cp -r old .git; echo evil > .git/config; echo evil > .git/hooks/pre-commit",
    "rm -rf .git; git init -q; echo evil > .git/hooks/pre-commit; git config a.b evil",
    "mv .git/hooks .git/h; mkdir .git/hooks; echo evil > .git/hooks/pre-commit",
    "rm -rf .git/hooks; ln -s ../evil .git/hooks",
    "mv .git/config .git/c; echo evil > .git/config",
    "ln -s hooks .git/h; echo evil > .git/h/pre-commit; ln .git/config c; echo evil > c",
    "mkdir evil; echo evil > evil/config; echo ../evil > .git/commondir",
    "cp .git/config c; echo evil >> c; mv -f c .git/config",
    "rm -rf .git/modules; echo evil > .git/info/attributes; exec 3<>.git/config; echo evil >&3",
];

#[test]
fn what_git_runs_or_obeys_cannot_be_changed() {
    run(async {
        for wall in [Wall::Cell, Wall::Bubblewrap, Wall::Landlock] {
            let world = repository(wall);
            let place = world.workspace().join(".git");
            let config = read(&place.join("config"));
            if world.spawner.report(&world.policy).wall != wall {
                continue;
            }
            for attack in ATTACKS {
                world.shell(attack).await;
                assert_eq!(read(&place.join("config")), config, "{wall:?}: {attack}");
                assert!(
                    !place.join("hooks/pre-commit").exists(),
                    "{wall:?}: {attack}"
                );
                assert!(!place.join("commondir").exists(), "{wall:?}: {attack}");
                assert!(!place.join("hooks").is_symlink(), "{wall:?}: {attack}");
            }
        }
    });
}

#[test]
fn a_workspace_without_a_repository_gets_none_and_keeps_no_trace() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let outcome = world
            .shell("git init -q; mkdir -p .git/hooks; echo evil > .git/config")
            .await;
        assert_ne!(outcome.end, ProcessEnd::Exited(0));
        let workspace = world.workspace();
        assert_eq!(
            std::fs::read_dir(workspace.join(".git"))
                .expect("held")
                .count(),
            0
        );
        let root = world.close();
        assert!(!workspace.join(".git").exists());
        assert!(!workspace.join(".quire").exists());
        drop(root);
    });
}

#[test]
fn hooks_that_are_missing_stay_missing() {
    run(async {
        let world = repository(Wall::Cell);
        let hooks = world.workspace().join(".git/hooks");
        std::fs::remove_dir_all(&hooks).expect("removed");
        world
            .shell("mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit")
            .await;
        assert!(!hooks.join("pre-commit").exists());
    });
}

#[test]
fn a_linked_worktree_commits_and_its_repository_is_protected() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let main = world.path("outside/main");
        std::fs::create_dir(&main).expect("a folder");
        git(&main, &["init", "-q", "-b", "main"]);
        git(&main, &["commit", "-q", "--allow-empty", "-m", "one"]);
        let workspace = world.workspace();
        git(
            &main,
            &[
                "worktree",
                "add",
                "-q",
                "-b",
                "tree",
                &workspace.to_string_lossy(),
            ],
        );
        let outcome = world.shell(COMMIT).await;
        assert_eq!(outcome.text, "2\n");
        let config = read(&main.join(".git/config"));
        let back = read(&main.join(".git/worktrees/workspace/commondir"));
        world
            .shell(
                "d=$(git rev-parse --git-common-dir); echo evil > $d/config; \
                 echo evil > $d/hooks/pre-commit; echo evil > $d/../file; echo gitdir: evil > .git; \
                 echo evil > $d/worktrees/workspace/commondir",
            )
            .await;
        assert_eq!(read(&main.join(".git/config")), config);
        assert_eq!(read(&main.join(".git/worktrees/workspace/commondir")), back);
        assert!(!main.join(".git/hooks/pre-commit").exists());
        assert!(!main.join("file").exists());
        assert!(!read(&workspace.join(".git")).contains("evil"));
    });
}

#[test]
fn a_forged_git_file_opens_no_other_folder() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let other = world.path("outside/other");
        std::fs::create_dir(&other).expect("a folder");
        git(&other, &["init", "-q"]);
        let forged = format!("gitdir: {}/.git\n", other.display());
        std::fs::write(world.workspace().join(".git"), forged).expect("a file");
        world
            .shell("echo evil > ../outside/other/.git/description")
            .await;
        assert!(!read(&other.join(".git/description")).contains("evil"));
    });
}

#[test]
fn nested_repositories_are_protected_too() {
    run(async {
        let world = repository(Wall::Cell);
        let nested = world.workspace().join("vendor/lib");
        std::fs::create_dir_all(&nested).expect("a folder");
        git(&nested, &["init", "-q"]);
        world
            .shell("cd vendor/lib; git config a.b evil; echo evil > .git/hooks/pre-commit")
            .await;
        assert!(!read(&nested.join(".git/config")).contains("evil"));
        assert!(!nested.join(".git/hooks/pre-commit").exists());
    });
}

#[test]
fn a_nested_repository_s_folder_cannot_be_replaced() {
    run(async {
        for wall in [Wall::Cell, Wall::Bubblewrap, Wall::Landlock] {
            let world = repository(wall);
            if world.spawner.report(&world.policy).wall != wall {
                continue;
            }
            let nested = world.workspace().join("vendor/lib");
            std::fs::create_dir_all(&nested).expect("a folder");
            git(&nested, &["init", "-q"]);
            let outcome = world
                .shell(
                    "mv vendor/lib vendor/old && cp -r vendor/old vendor/lib; \
                     mv vendor old && cp -r old vendor; echo evil >> vendor/lib/.git/config; \
                     echo evil > vendor/lib/.git/hooks/pre-commit; \
                     rm -rf vendor; mkdir -p vendor/lib/.git; echo evil > vendor/lib/.git/config",
                )
                .await;
            let config = read(&nested.join(".git/config"));
            assert!(!config.contains("evil"), "{wall:?}: {config}");
            assert!(!nested.join(".git/hooks/pre-commit").exists(), "{wall:?}");
            assert!(!world.workspace().join("old").exists(), "{outcome:?}");
        }
    });
}

#[test]
fn what_the_person_changes_meanwhile_is_protected_again() {
    run(async {
        let world = repository(Wall::Cell);
        let workspace = world.workspace();
        world.shell("true").await;
        git(&workspace, &["config", "a.b", "person"]);
        world.shell("echo evil > .git/config").await;
        let config = read(&workspace.join(".git/config"));
        assert!(
            config.contains("person") && !config.contains("evil"),
            "{config}"
        );
        std::fs::remove_dir_all(workspace.join(".git")).expect("removed");
        world.shell("mkdir .git; echo evil > .git/config").await;
        assert!(!workspace.join(".git/config").exists());
        git(&workspace, &["init", "-q"]);
        world
            .shell("echo evil > .git/config; git status > seen")
            .await;
        assert!(!read(&workspace.join(".git/config")).contains("evil"));
        assert!(read(&workspace.join("seen")).contains("No commits yet"));
    });
}

#[test]
fn one_cell_s_end_does_not_undo_another_s_protection() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let other = World::with_wall(Some(Wall::Cell));
        let workspace = world.workspace();
        let first = world.spawn(&["sleep", "100"]).await.expect("starts");
        let mut command = other.command(&["sh", "-c", "read line < go; mkdir .git/hooks .quire/x"]);
        command.directory.clone_from(&workspace);
        command.workspace.clone_from(&workspace);
        let fifo = world.run(&["mkfifo", "go"]).await;
        assert_eq!(fifo.end, ProcessEnd::Exited(0), "{}", fifo.text);
        let second = other.spawner.spawn(command).await.expect("starts");
        drop(first);
        let root = world.close();
        std::fs::write(workspace.join("go"), "go\n").expect("the other waits");
        finish(&*second).await;
        assert!(!workspace.join(".git/hooks").exists());
        assert!(!workspace.join(".quire/x").exists());
        drop(second);
        drop(other.close());
        assert!(!workspace.join(".git").exists());
        drop(root);
    });
}

#[test]
fn a_submodule_s_git_folder_cannot_be_replaced() {
    run(async {
        let world = repository(Wall::Cell);
        let module = world.workspace().join(".git/modules/sub");
        std::fs::create_dir_all(&module).expect("a folder");
        git(&module, &["init", "-q", "--bare", "."]);
        let before = read(&module.join("config"));
        let script = "cd .git/modules && mv sub old; cp -r old sub; echo evil >> sub/config; \
            cd ..; mv modules other; mkdir -p modules/sub; echo evil > modules/sub/config";
        world.shell(script).await;
        assert_eq!(read(&module.join("config")), before);
    });
}

/// A `.git` file that a command wrote opens nothing outside, however well it is forged.
#[test]
fn a_forged_worktree_opens_no_folder_above() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let place = world.path("outside/worktrees/w");
        std::fs::create_dir_all(&place).expect("a folder");
        let run_there = |script: &str| {
            let mut command = world.command(&["sh", "-c", script]);
            command.directory.clone_from(&place);
            command.workspace.clone_from(&place);
            async { finish(&*world.spawner.spawn(command).await.expect("starts")).await }
        };
        let forge = "mkdir -p x fake; W=$PWD; echo gitdir: $W/fake > x/.git; \
             echo $W/x/.git > fake/gitdir; echo ${W%/worktrees/*} > fake/commondir";
        run_there(forge).await;
        let second = world.path("outside/worktrees/second");
        std::fs::create_dir_all(&second).expect("a folder");
        std::fs::rename(place.join("x"), second.join("x")).expect("moved");
        let outcome = run_there("echo pwned > ../../pwned").await;
        assert!(!world.path("outside/pwned").exists(), "{outcome:?}");
    });
}

#[test]
fn a_git_folder_elsewhere_in_the_workspace_is_protected_too() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let workspace = world.workspace();
        std::fs::create_dir(workspace.join("deep")).expect("a folder");
        git(
            &workspace,
            &["init", "-q", "--separate-git-dir", "deep/store"],
        );
        let config = read(&workspace.join("deep/store/config"));
        let outcome = world
            .shell(
                "echo evil >> deep/store/config; echo evil > deep/store/hooks/pre-commit; \
                 mv deep old; cp -r old deep; echo evil >> deep/store/config; git status --short",
            )
            .await;
        assert_eq!(outcome.end, ProcessEnd::Exited(0), "{outcome:?}");
        assert_eq!(read(&workspace.join("deep/store/config")), config);
        assert!(!workspace.join("deep/store/hooks/pre-commit").exists());
    });
}

#[test]
fn a_linked_worktree_gets_no_configuration_of_its_own() {
    run(async {
        let world = repository(Wall::Cell);
        let workspace = world.workspace();
        git(&workspace, &["config", "extensions.worktreeConfig", "true"]);
        git(&workspace, &["worktree", "add", "-q", "tree"]);
        world
            .shell(
                "echo evil > .git/worktrees/tree/config.worktree; echo evil > .git/config.worktree",
            )
            .await;
        for name in ["worktrees/tree/config.worktree", "config.worktree"] {
            assert!(!read(&workspace.join(".git").join(name)).contains("evil"));
        }
    });
}

/// What a command leaves must not keep later commands from running.
#[test]
fn strange_things_called_git_hold_nothing_up() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let outcome = world
            .shell("mkdir a b; mkfifo a/.git; ln -s nowhere b/.git; mkdir -p c/.git; mkfifo c/.git/config")
            .await;
        assert_eq!(outcome.end, ProcessEnd::Exited(0), "{outcome:?}");
        let mut later = World::with_wall(Some(Wall::Cell));
        let mut command = later.command(&["echo", "later"]);
        command.workspace = world.workspace();
        command.directory = world.workspace();
        let process = later.spawner.spawn(command).await.expect("starts");
        assert_eq!(finish(&*process).await.text, "later\n");
        later.policy.writable.clear();
    });
}

#[test]
fn a_placeholder_that_somebody_locks_is_told_and_does_not_hang() {
    run(async {
        let world = repository(Wall::Cell);
        let hooks = world.workspace().join(".git/hooks");
        std::fs::remove_dir_all(&hooks).expect("removed");
        std::fs::create_dir(&hooks).expect("an empty one");
        let lock = std::fs::File::open(&hooks).expect("opens");
        lock.lock().expect("locked");
        let refused = world.spawn(&["true"]).await.err().expect("it is refused");
        let told = refused.to_string();
        assert!(told.contains("hooks") && told.contains("locked"), "{told}");
        drop(lock);
        assert_eq!(world.run(&["true"]).await.end, ProcessEnd::Exited(0));
    });
}

#[test]
fn hundreds_of_repositories_are_protected() {
    run(async {
        let world = repository(Wall::Cell);
        for number in 0..300 {
            let folder = world.workspace().join(format!("modules/{number:04}"));
            std::fs::create_dir_all(folder.join(".git/hooks")).expect("a folder");
            std::fs::write(folder.join(".git/config"), "").expect("a file");
        }
        let outcome = world
            .shell("echo evil > modules/0299/.git/config; echo ran")
            .await;
        assert!(outcome.text.contains("ran"), "{outcome:?}");
        let config = world.workspace().join("modules/0299/.git/config");
        assert_eq!(read(&config), "");
    });
}

/// Another cell's commands may change the workspace while this one is built.
#[test]
fn a_folder_that_becomes_a_link_while_a_cell_is_built_opens_nothing_outside() {
    run(async {
        let world = repository(Wall::Cell);
        let (workspace, outside) = (world.workspace(), world.path("outside"));
        for place in [&workspace.join("x"), &outside] {
            std::fs::create_dir_all(place.join("proj")).expect("a folder");
            git(&place.join("proj"), &["init", "-q"]);
        }
        let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
        let (x, y, to) = (workspace.join("x"), workspace.join("y"), outside.clone());
        let swapping = std::thread::spawn(move || {
            while std::time::Instant::now() < end {
                // Mount points of a cell that stands cannot be renamed; then it is tried again.
                if std::fs::rename(&x, &y).is_ok() {
                    std::os::unix::fs::symlink(&to, &x).expect("a link");
                    std::fs::remove_file(&x).expect("it is a link");
                    std::fs::rename(&y, &x).expect("back");
                }
            }
        });
        while !swapping.is_finished() {
            let other = World::with_wall(Some(Wall::Cell));
            let script = "echo pwned > x/proj/pwned; echo pwned > x/proj/.git/pwned";
            let mut command = other.command(&["sh", "-c", script]);
            command.workspace.clone_from(&workspace);
            command.directory.clone_from(&workspace);
            // It may be refused: what it was to protect was not there.
            if let Ok(process) = other.spawner.spawn(command).await {
                finish(&*process).await;
            }
        }
        swapping.join().expect("it swapped to the end");
        for path in ["proj/pwned", "proj/.git/pwned"] {
            assert!(!outside.join(path).exists(), "{path}");
        }
    });
}

#[test]
fn a_submodule_that_is_not_there_yet_cannot_be_prepared() {
    run(async {
        let world = repository(Wall::Cell);
        let workspace = world.workspace();
        world
            .shell(
                "git init -q --bare .git/modules/sub; echo evil > .git/remotes/origin; \
                    echo evil > .git/branches/origin; echo evil > .git/config.worktree; \
                    echo evil > .git/info/attributes",
            )
            .await;
        for name in ["modules/sub", "remotes/origin", "branches/origin"] {
            assert!(!workspace.join(".git").join(name).exists(), "{name}");
        }
        for name in ["config.worktree", "info/attributes"] {
            assert_eq!(read(&workspace.join(".git").join(name)), "", "{name}");
        }
    });
}

#[test]
fn a_bare_repository_of_the_person_s_is_protected_as_workspace_and_below() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let workspace = world.workspace();
        for place in [workspace.clone(), workspace.join("store/x.git")] {
            std::fs::create_dir_all(&place).expect("a folder");
            git(&place, &["init", "-q", "--bare", "."]);
        }
        world
            .shell("for d in . store/x.git; do echo evil > $d/hooks/post-update; echo evil >> $d/config; done")
            .await;
        for place in [workspace.clone(), workspace.join("store/x.git")] {
            assert!(!place.join("hooks/post-update").exists());
            assert!(!read(&place.join("config")).contains("evil"));
        }
        assert!(workspace.join("HEAD").exists(), "it is the person's own");
    });
}

#[test]
fn worktrees_that_the_person_adds_meanwhile_are_protected() {
    run(async {
        let world = repository(Wall::Cell);
        let workspace = world.workspace();
        world.shell("true").await;
        git(&workspace, &["worktree", "add", "-q", "tree"]);
        world
            .shell("echo evil > .git/worktrees/tree/commondir")
            .await;
        let common = read(&workspace.join(".git/worktrees/tree/commondir"));
        assert!(!common.contains("evil"), "{common}");
    });
}
