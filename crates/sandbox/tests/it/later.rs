//! What one command leaves opens nothing to a later one, whose cell is built anew.

use quire_protocol::Wall;

use crate::git::{git, repository};
use crate::world::{World, read, run};

#[test]
fn folders_without_number_hide_no_repository() {
    run(async {
        let world = repository(Wall::Cell);
        let nested = world.workspace().join("vendor/deep/lib");
        std::fs::create_dir_all(&nested).expect("a folder");
        git(&nested, &["init", "-q"]);
        world
            .shell("for n in $(seq 3000); do echo $n; done | xargs mkdir")
            .await;
        let outcome = world
            .later("echo evil >> vendor/deep/lib/.git/config")
            .await;
        assert!(
            !read(&nested.join(".git/config")).contains("evil"),
            "{outcome:?}"
        );
    });
}

#[test]
fn a_bare_repository_that_was_broken_stays_protected() {
    run(async {
        for part in ["HEAD", "refs", "objects"] {
            let world = repository(Wall::Cell);
            let bare = world.workspace().join("store/x.git");
            std::fs::create_dir_all(&bare).expect("a folder");
            git(&bare, &["init", "-q", "--bare", "."]);
            world
                .shell(&format!("mv store/x.git/{part} store/x.git/gone"))
                .await;
            let script = format!(
                "cd store/x.git; echo evil >> config; echo evil > hooks/post-update; mv gone {part}"
            );
            let outcome = world.later(&script).await;
            assert!(
                !read(&bare.join("config")).contains("evil"),
                "{part}: {outcome:?}"
            );
            assert!(
                !bare.join("hooks/post-update").exists(),
                "{part}: {outcome:?}"
            );
        }
    });
}

#[test]
fn a_bare_repository_gets_none_inside_it() {
    run(async {
        let world = repository(Wall::Cell);
        let bare = world.workspace().join("store/x.git");
        std::fs::create_dir_all(&bare).expect("a folder");
        git(&bare, &["init", "-q", "--bare", "."]);
        world
            .shell("mkdir store/x.git/.git; echo evil > store/x.git/.git/config")
            .await;
        assert_eq!(read(&bare.join(".git/config")), "");
    });
}

#[test]
fn a_git_folder_elsewhere_that_was_broken_stays_protected() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let workspace = world.workspace();
        std::fs::create_dir(workspace.join("deep")).expect("a folder");
        git(
            &workspace,
            &["init", "-q", "--separate-git-dir", "deep/store"],
        );
        world.shell("mv deep/store/objects deep/store/gone").await;
        let outcome = world
            .later("echo evil >> deep/store/config; mv deep/store/gone deep/store/objects")
            .await;
        assert!(
            !read(&workspace.join("deep/store/config")).contains("evil"),
            "{outcome:?}"
        );
    });
}

#[test]
fn a_submodule_s_submodule_that_is_not_there_yet_cannot_be_prepared() {
    run(async {
        let world = repository(Wall::Cell);
        let module = world.workspace().join(".git/modules/sub");
        std::fs::create_dir_all(&module).expect("a folder");
        git(&module, &["init", "-q", "--bare", "."]);
        let outcome = world
            .shell("git init -q --bare .git/modules/sub/modules/evil")
            .await;
        assert!(!module.join("modules/evil").exists(), "{outcome:?}");
    });
}

/// Mounts above what is guarded must not open what is closed.
#[test]
fn beside_a_submodule_no_other_can_be_prepared() {
    run(async {
        let world = repository(Wall::Cell);
        let modules = world.workspace().join(".git/modules");
        for name in ["sub", "deep/sub"] {
            std::fs::create_dir_all(modules.join(name)).expect("a folder");
            git(&modules.join(name), &["init", "-q", "--bare", "."]);
        }
        let outcome = world
            .shell("cd .git/modules; git init -q --bare evil; git init -q --bare deep/evil")
            .await;
        for name in ["evil", "deep/evil"] {
            assert!(!modules.join(name).exists(), "{name}: {outcome:?}");
        }
        let commits = "echo more > .git/modules/sub/packed-refs && echo done";
        assert_eq!(world.shell(commits).await.text, "done\n");
    });
}

#[test]
fn a_configuration_that_is_missing_stays_missing() {
    run(async {
        let world = repository(Wall::Cell);
        let config = world.workspace().join(".git/config");
        std::fs::remove_file(&config).expect("removed");
        world.shell("echo evil > .git/config").await;
        assert!(!read(&config).contains("evil"));
    });
}

#[test]
fn links_where_lists_are_expected_hold_nothing_up() {
    run(async {
        for script in [
            "mkdir -p d/x; touch d/x/commondir d/x/gitdir; ln -s ../d .git/worktrees",
            "mkdir d; ln -s ../d .git/info",
            "mkdir -p .git/worktrees/x/commondir; ln -s nowhere .git/worktrees/x/gitdir",
        ] {
            let world = repository(Wall::Cell);
            std::fs::remove_dir_all(world.workspace().join(".git/info")).expect("removed");
            world.shell(script).await;
            let outcome = world.later("echo later > file; git add file; git -c user.name=a -c user.email=a@b commit -qm x && echo later").await;
            assert_eq!(outcome.text, "later\n", "{script}: {outcome:?}");
        }
    });
}

#[test]
fn repositories_in_other_writable_folders_are_protected() {
    run(async {
        let mut world = repository(Wall::Cell);
        let nested = world.path("outside/lib");
        std::fs::create_dir_all(&nested).expect("a folder");
        git(&nested, &["init", "-q"]);
        world.policy.writable.push(world.path("outside"));
        world.shell("echo evil >> ../outside/lib/.git/config; mkdir ../outside/.git; echo evil > ../outside/.git/config").await;
        assert!(!read(&nested.join(".git/config")).contains("evil"));
    });
}

#[test]
fn bare_and_separate_repositories_are_protected_by_every_wall() {
    run(async {
        for wall in [Wall::Bubblewrap, Wall::Landlock] {
            let world = repository(wall);
            let workspace = world.workspace();
            let bare = workspace.join("store/x.git");
            std::fs::create_dir_all(&bare).expect("a folder");
            git(&bare, &["init", "-q", "--bare", "."]);
            std::fs::create_dir_all(workspace.join("other")).expect("a folder");
            git(
                &workspace.join("other"),
                &["init", "-q", "--separate-git-dir", "../deep"],
            );
            let outcome = world.shell("for d in store/x.git deep; do echo evil >> $d/config; echo evil > $d/hooks/post-update; done").await;
            for place in [&bare, &workspace.join("deep")] {
                assert!(
                    !read(&place.join("config")).contains("evil"),
                    "{wall:?} {outcome:?}"
                );
                assert!(
                    !place.join("hooks/post-update").exists(),
                    "{wall:?} {outcome:?}"
                );
            }
        }
    });
}
