//! What no mount can prevent is noticed: who makes git obey another configuration is stopped.

use quire_protocol::{ProcessEnd, Sandbox, Wall};

use crate::git::{git, repository};
use crate::world::{World, finish, read, run, until};

/// Makes the folder it runs in a bare repository whose configuration runs a program.
const BARE: &str = "mkdir -p objects refs && \
    printf '[core]\\n\\trepositoryformatversion = 0\\n\\tfsmonitor = \"touch pwned\"\\n\
    \\tworktree = .\\n' > config && printf 'ref: refs/heads/main\\n' > HEAD";

#[test]
fn a_workspace_does_not_become_a_bare_repository() {
    run(async {
        for wall in [Wall::Cell, Wall::Bubblewrap, Wall::Landlock] {
            for breach in [
                "rm .git/HEAD",
                "rm -rf .git/refs",
                "printf 'ref:\\013refs/heads/main\\n' > .git/HEAD",
                "chmod 0 .git/objects",
            ] {
                let world = repository(wall);
                if world.spawner.report(&world.policy).wall != wall {
                    continue;
                }
                let workspace = world.workspace();
                let outcome = world.shell(&format!("{breach}; {BARE}")).await;
                // To root a folder of mode 0 is as good as another.
                if wall != Wall::Landlock && !breach.starts_with("chmod") {
                    assert!(!workspace.join("HEAD").exists(), "{outcome:?}");
                    assert!(outcome.text.contains("set aside"), "{wall:?}: {outcome:?}");
                    let set_aside = |name: &str| name.starts_with("HEAD.set-aside-");
                    assert!(names(&workspace).iter().any(|name| set_aside(name)));
                }
                status(&workspace);
                assert!(!workspace.join("pwned").exists(), "{wall:?}: {breach}");
            }
        }
        // Where there is no repository none comes to be either.
        let world = World::with_wall(Some(Wall::Cell));
        let outcome = world.shell(BARE).await;
        assert!(outcome.text.contains("set aside"), "{outcome:?}");
        status(&world.workspace());
        assert!(!world.workspace().join("pwned").exists());
    });
}

/// The attack is one: without the sandbox it works.
#[test]
fn a_broken_repository_lets_git_obey_its_folder() {
    run(async {
        let mut world = repository(Wall::Cell);
        world.policy.sandbox = quire_protocol::SandboxMode::Off;
        world.shell(&format!("rm .git/HEAD; {BARE}")).await;
        status(&world.workspace());
        assert!(world.workspace().join("pwned").exists());
    });
}

/// The person's own `git status`, whatever comes of it.
#[expect(
    clippy::disallowed_methods,
    reason = "the person's own git, outside the sandbox"
)]
fn status(folder: &std::path::Path) {
    std::process::Command::new("git")
        .arg("status")
        .current_dir(folder)
        .output()
        .expect("git runs");
}

#[test]
fn who_redirects_git_while_it_runs_is_stopped() {
    run(async {
        for wall in [Wall::Cell, Wall::Bubblewrap] {
            let world = repository(wall);
            if world.spawner.report(&world.policy).wall != wall {
                continue;
            }
            for script in [
                "echo evil > .git/commondir; sleep 100".to_owned(),
                format!("rm .git/HEAD; {BARE}; sleep 100"),
                // However many children end, it is looked.
                "(while :; do (true &); done) & echo evil > .git/commondir; sleep 100".to_owned(),
            ] {
                let outcome = world.shell(&script).await;
                assert_eq!(outcome.end, ProcessEnd::Signalled(9), "{wall:?}: {script}");
                assert!(outcome.text.contains("[quire: "), "{wall:?}: {outcome:?}");
                assert!(!world.workspace().join(".git/commondir").exists());
                assert!(!world.workspace().join("HEAD").exists());
            }
        }
    });
}

#[test]
fn what_redirects_git_does_not_outlive_the_sandbox() {
    run(async {
        let world = repository(Wall::Cell);
        let common = world.workspace().join(".git/commondir");
        let script = "echo evil > .git/commondir; sleep 100";
        let unheard = world.spawn(&["sh", "-c", script]).await.expect("starts");
        crate::world::until("the file", || common.exists()).await;
        let root = world.close();
        drop(unheard);
        assert!(!common.exists());
        drop(root);
    });
}

#[test]
fn a_common_folder_is_left_behind_in_no_form() {
    run(async {
        let world = repository(Wall::Cell);
        world
            .shell("mkdir .git/commondir; touch .git/commondir/x")
            .await;
        assert!(!world.workspace().join(".git/commondir").exists());
    });
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Who did it cannot be told, so nobody gets away with it, and everybody is told.
#[test]
fn all_commands_beside_one_that_redirects_git_end_and_the_next_one_runs() {
    run(async {
        for wall in [Wall::Cell, Wall::Bubblewrap] {
            let world = repository(wall);
            if world.spawner.report(&world.policy).wall != wall {
                continue;
            }
            let beside = world.spawn(&["sleep", "100"]).await.expect("starts");
            let script = "echo evil > .git/commondir; sleep 100";
            let culprit = world.spawn(&["sh", "-c", script]).await.expect("starts");
            for process in [beside, culprit] {
                let outcome = finish(&*process).await;
                assert_eq!(outcome.end, ProcessEnd::Signalled(9), "{wall:?}");
                assert!(outcome.text.contains("commondir"), "{wall:?}: {outcome:?}");
            }
            assert_eq!(world.shell("echo next").await.text, "next\n", "{wall:?}");
        }
    });
}

/// Whoever watches the supervisor could act between two looks. A short command is looked at only.
#[test]
fn what_redirects_git_for_a_moment_is_noticed_too() {
    run(async {
        for wall in [Wall::Cell, Wall::Bubblewrap] {
            let world = repository(wall);
            if world.spawner.report(&world.policy).wall != wall {
                continue;
            }
            let script = "sleep 0.5; echo evil > .git/c; mv .git/c .git/commondir; rm .git/commondir; sleep 100";
            let outcome = world.shell(script).await;
            assert_eq!(outcome.end, ProcessEnd::Signalled(9), "{wall:?}");
            // It may be caught before it is gone again.
            assert!(
                outcome.text.starts_with("[quire: "),
                "{wall:?}: {outcome:?}"
            );
        }
    });
}

/// Git follows links there, and what it writes is what a command's commit says.
#[test]
fn the_person_s_git_writes_through_no_link_in_its_folder() {
    run(async {
        for wall in [Wall::Cell, Wall::Bubblewrap] {
            let world = repository(wall);
            if world.spawner.report(&world.policy).wall != wall {
                continue;
            }
            let outside = world.path("outside/file");
            for (link, then) in [
                ("COMMIT_EDITMSG", ""),
                ("logs/HEAD", ""),
                ("COMMIT_EDITMSG", "; exec sleep 100"),
                ("logs/refs/heads/main", "; exec sleep 100"),
            ] {
                let to = outside.display();
                let outcome = world.shell(&format!("ln -sf {to} .git/{link}{then}")).await;
                assert!(outcome.text.contains("led git to write"), "{outcome:?}");
                git(
                    &world.workspace(),
                    &["commit", "-q", "--allow-empty", "-m", "x"],
                );
                assert_eq!(read(&outside), "outside", "{wall:?}: {link}");
            }
        }
    });
}

/// Between two looks: `HEAD` comes and goes, or `.git` is broken and mended again.
#[test]
fn a_bare_repository_of_a_moment_is_noticed_too() {
    run(async {
        for flicker in [
            "rm .git/HEAD; mv H HEAD; rm HEAD",
            "cp .git/HEAD h; mv H HEAD; : > .git/HEAD; cat h > .git/HEAD",
            "mv H HEAD; mv .git/refs .git/r; mv .git/r .git/refs",
        ] {
            let world = repository(Wall::Cell);
            let script = format!("{BARE}; mv HEAD H; sleep 0.4; {flicker}; exec sleep 100");
            let script = script.replace("> HEAD; mv HEAD H", "> H");
            let outcome = world.shell(&script).await;
            assert_eq!(
                outcome.end,
                ProcessEnd::Signalled(9),
                "{flicker}: {outcome:?}"
            );
        }
    });
}

/// A repository in a folder of the workspace that runs a program when git looks into it.
const EVIL: &str = "git init -q sub && git -C sub -c user.name=a -c user.email=a@b commit -q \
    --allow-empty -m evil && git -C sub config core.fsmonitor 'touch \"$PWD/pwned\"'";

#[test]
fn git_looks_into_no_submodule_that_a_command_made() {
    run(async {
        for (way, then) in [
            ("git add sub", ""),
            ("git add sub", "exec sleep 100"),
            ("git update-index --index-version 4 && git add sub", ""),
            ("git update-index --split-index && git add sub", ""),
            ("git add sub && git update-index --split-index", ""),
        ] {
            let world = repository(Wall::Cell);
            let workspace = world.workspace();
            let script = format!("{EVIL}; {way} 2>/dev/null; rm -f pwned; {then}");
            let outcome = world
                .shell(&script.replace("$PWD", &workspace.to_string_lossy()))
                .await;
            assert!(
                outcome.text.contains("set aside as .git"),
                "{way}: {outcome:?}"
            );
            let _ = std::fs::remove_file(workspace.join("pwned"));
            status(&workspace);
            assert!(!workspace.join("pwned").exists(), "{way}: {outcome:?}");
        }
    });
}

/// The folder of a submodule that was not fetched is empty, and anybody's.
#[test]
fn git_looks_into_no_submodule_that_a_command_filled() {
    run(async {
        for later in [false, true] {
            let world = submodule();
            let workspace = world.workspace();
            git(&workspace, &["submodule", "deinit", "-q", "-f", "sub"]);
            let script = EVIL.replace("$PWD", &workspace.to_string_lossy());
            let outcome = if later {
                world.later(&script).await
            } else {
                world.shell(&script).await
            };
            assert!(outcome.text.contains("set aside as .git"), "{outcome:?}");
            let _ = std::fs::remove_file(workspace.join("pwned"));
            status(&workspace);
            assert!(!workspace.join("pwned").exists(), "{outcome:?}");
        }
    });
}

#[test]
fn a_submodule_s_git_folder_hides_no_other() {
    run(async {
        let world = submodule();
        let workspace = world.workspace();
        let place = workspace.to_string_lossy();
        let hide = "mv sub2/.git .git/modules/sub/evil && \
            echo gitdir: ../.git/modules/sub/evil > sub2/.git && git add sub2";
        let script = format!("{}; {hide}", EVIL.replace("sub", "sub2"));
        let outcome = world.shell(&script.replace("$PWD", &place)).await;
        assert!(outcome.text.contains("set aside as .git"), "{outcome:?}");
    });
}

#[test]
fn the_person_s_submodules_stay_and_can_be_fetched_meanwhile() {
    run(async {
        let world = submodule();
        let workspace = world.workspace();
        let marker = workspace.join("sub/.git");
        assert_eq!(world.shell("git status --short").await.text, "");
        git(&workspace, &["submodule", "deinit", "-q", "-f", "sub"]);
        assert_eq!(world.shell("ls -A sub").await.text, "");
        let fetch = [
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "update",
            "-q",
            "--init",
        ];
        git(&workspace, &fetch);
        assert_eq!(world.shell("echo still").await.text, "still\n");
        assert!(marker.exists());
    });
}

/// A repository with a submodule in `sub`.
fn submodule() -> World {
    let world = repository(Wall::Cell);
    let (workspace, origin) = (world.workspace(), world.path("outside/origin"));
    std::fs::create_dir(&origin).expect("a folder");
    git(&origin, &["init", "-q"]);
    git(&origin, &["commit", "-q", "--allow-empty", "-m", "one"]);
    let from = origin.to_string_lossy();
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        &from,
        "sub",
    ];
    git(&workspace, &add);
    git(&workspace, &["commit", "-q", "-m", "sub"]);
    world
}

/// Whoever is in `src` and says `git status` means the repository above.
#[test]
fn a_folder_of_the_project_becomes_no_repository() {
    run(async {
        for then in ["", "; git rm -q -r --cached src", "; exec sleep 100"] {
            let world = repository(Wall::Cell);
            let workspace = world.workspace();
            let folder = workspace.join("src/deep");
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("file"), "").expect("a file");
            git(&workspace, &["add", "."]);
            let script = EVIL
                .replace("sub", "src")
                .replace("$PWD", &workspace.to_string_lossy());
            let outcome = world.shell(&format!("{script}{then}")).await;
            assert!(
                outcome.text.contains("set aside as .git"),
                "{then}: {outcome:?}"
            );
            let _ = std::fs::remove_file(workspace.join("pwned"));
            status(&workspace.join("src"));
            assert!(!workspace.join("pwned").exists(), "{then}: {outcome:?}");
        }
    });
}

#[test]
fn a_new_folder_may_become_a_repository() {
    run(async {
        let world = repository(Wall::Cell);
        let script = "mkdir new; git init -q new; git -C new status --short; echo done";
        assert_eq!(world.shell(script).await.text, "done\n");
        assert_eq!(
            world
                .later("git -C new status --short; echo done")
                .await
                .text,
            "done\n"
        );
    });
}

/// Looking at them all takes longer than a short command.
#[test]
fn a_folder_among_many_becomes_no_repository_either() {
    run(async {
        let world = repository(Wall::Cell);
        let workspace = world.workspace();
        for number in 0..600 {
            let folder = workspace.join(format!("src/{number}"));
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("file"), "").expect("a file");
        }
        git(&workspace, &["add", "."]);
        world.shell("git init -q src/300").await;
        let marker = workspace.join("src/300/.git");
        until("it is set aside", || !marker.exists()).await;
        // The cell may be given up just when a command starts in it.
        let mut told = String::new();
        for _ in 0..100 {
            if let Ok(process) = world.spawn(&["true"]).await {
                told += &finish(&*process).await.text;
            }
            if !told.is_empty() {
                break;
            }
        }
        assert!(told.contains("set aside"), "{told}");
        assert_eq!(world.shell("echo next").await.text, "next\n");
    });
}
