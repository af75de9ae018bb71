//! What the person replaces while commands run is not open to them: a mount vanishes then.

use quire_protocol::{ProcessEnd, Sandbox as _, Wall};

use crate::git::{git, repository};
use crate::world::{World, finish, read, run, until};

/// Runs a script that first says that it is there, once it runs long enough to be watched.
async fn beside(world: &World, script: &str, meanwhile: impl FnOnce()) -> crate::world::Outcome {
    let ready = world.workspace().join("ready");
    let script = format!("sleep 0.3; touch ready; {script}");
    let job = world.spawn(&["sh", "-c", &script]).await.expect("starts");
    until("it runs", || ready.exists()).await;
    meanwhile();
    finish(&*job).await
}

/// The two walls with mounts.
fn worlds() -> Vec<World> {
    let worlds = [Wall::Cell, Wall::Bubblewrap].map(|wall| (wall, repository(wall)));
    let stands = |(wall, world): &(Wall, World)| world.spawner.report(&world.policy).wall == *wall;
    let worlds = worlds.into_iter().filter(stands);
    worlds.map(|(_, world)| world).collect()
}

#[test]
fn a_configuration_that_the_person_changes_is_not_open_to_what_runs() {
    run(async {
        for world in worlds() {
            let workspace = world.workspace();
            let change = || git(&workspace, &["config", "a.b", "person"]);
            let attack = "while :; do echo evil 2>/dev/null >> .git/config; done";
            let outcome = beside(&world, attack, change).await;
            assert_eq!(outcome.end, ProcessEnd::Signalled(9), "{outcome:?}");
            assert!(
                outcome.text.contains("replaced from outside"),
                "{outcome:?}"
            );
            let config = read(&workspace.join(".git/config"));
            assert!(!config.contains("evil"), "{outcome:?}");
            assert_eq!(world.shell("echo next").await.text, "next\n");
        }
    });
}

#[test]
fn a_configuration_that_the_person_changes_stays_where_nobody_wrote_it() {
    run(async {
        for world in worlds() {
            let workspace = world.workspace();
            let change = || git(&workspace, &["config", "a.b", "person"]);
            let outcome = beside(&world, "exec sleep 100", change).await;
            assert_eq!(outcome.end, ProcessEnd::Signalled(9), "{outcome:?}");
            assert!(
                outcome.text.contains("replaced from outside"),
                "{outcome:?}"
            );
            assert!(read(&workspace.join(".git/config")).contains("person"));
        }
    });
}

#[test]
fn a_secret_that_is_replaced_ends_what_could_read_it() {
    run(async {
        let mut world = World::with_wall(Some(Wall::Cell));
        let token = world.path("home/.token");
        std::fs::write(&token, "OLD").expect("a file");
        // So that it is the real folder also where the test lies below `/tmp`.
        world.policy.writable.push(world.path("home"));
        let change = || {
            std::fs::write(world.path("home/new"), "NEW").expect("a file");
            std::fs::rename(world.path("home/new"), &token).expect("replaced");
        };
        let outcome = beside(&world, "exec sleep 100", change).await;
        assert_eq!(outcome.end, ProcessEnd::Signalled(9), "{outcome:?}");
        assert_eq!(world.shell("cat ../home/.token").await.text, "");
    });
}

/// What the person does with git in between changes nothing that is mounted over.
#[test]
fn what_runs_goes_on_while_the_person_commits() {
    run(async {
        for world in worlds() {
            let workspace = world.workspace();
            let work = || {
                git(&workspace, &["commit", "-q", "--allow-empty", "-m", "two"]);
                git(&workspace, &["checkout", "-q", "-b", "other"]);
                git(&workspace, &["gc", "-q"]);
                std::fs::write(workspace.join("go"), "").expect("a file");
            };
            let waits = "while ! [ -e go ]; do sleep 0.05; done; echo done";
            let outcome = beside(&world, waits, work).await;
            assert_eq!(outcome.text, "done\n");
        }
    });
}
