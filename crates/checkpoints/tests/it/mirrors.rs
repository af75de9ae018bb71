//! What a look finds.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use quire_protocol::{Checkpoints as _, Conflicts, SessionId, Whose};

use crate::world::{World, session, write};

#[test]
fn every_kind_of_change_is_found() {
    let mut world = World::new();
    world.write("a.txt", "1\n");
    world.write("deep/in/b.txt", "1\n");
    world.write("run.sh", "1\n");
    world.write("gone.txt", "1\n");
    symlink("a.txt", world.workspace.join("link")).unwrap();
    let found = world.agent(|top| {
        write(top, "a.txt", "2\n");
        write(top, "new/c.txt", "1\n");
        fs::remove_file(top.join("gone.txt")).unwrap();
        fs::rename(top.join("deep"), top.join("moved")).unwrap();
        fs::set_permissions(top.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_file(top.join("link")).unwrap();
        symlink("run.sh", top.join("link")).unwrap();
    });
    assert_eq!(
        found,
        [
            "Modified a.txt",
            "Deleted deep/in/b.txt",
            "Deleted gone.txt",
            "Modified link",
            "Added moved/in/b.txt",
            "Added new/c.txt",
            "Modified run.sh",
        ]
    );
    assert_eq!(world.agent(|_| {}), [""; 0]);
}

#[test]
fn what_a_person_changed_before_is_not_the_agents() {
    let mut world = World::new();
    world.write("a.txt", "1\n");
    world.agent(|_| {});
    world.write("a.txt", "2\n");
    world.write("b.txt", "1\n");
    assert_eq!(
        world.agent(|top| write(top, "b.txt", "2\n")),
        ["Modified b.txt"]
    );
}

#[test]
fn a_change_that_keeps_size_and_time_is_found() {
    let mut world = World::new();
    world.write("a.txt", "1\n");
    let path = world.workspace.join("a.txt");
    let times = fs::metadata(&path).unwrap().modified().unwrap();
    let found = world.agent(|top| {
        write(top, "a.txt", "2\n");
        let file = fs::File::options()
            .write(true)
            .open(top.join("a.txt"))
            .unwrap();
        file.set_modified(times).unwrap();
    });
    assert_eq!(found, ["Modified a.txt"]);
}

#[test]
fn what_git_ignores_is_left_out_but_for_small_files() {
    let mut world = World::new();
    world.write(".gitignore", "target/\n*.env\n*.bin\n");
    world.write("sub/.gitignore", "/built\n");
    world.write(".git/config", "1\n");
    let found = world.agent(|top| {
        write(top, "target/debug/a.o", "1\n");
        write(top, "sub/built/a.o", "1\n");
        write(top, "sub/kept/a.c", "1\n");
        write(top, "some.env", "1\n");
        write(top, "large.bin", &"x".repeat(2 << 20));
        write(top, ".git/config", "2\n");
        write(top, ".quire/config.toml", "2\n");
    });
    assert_eq!(found, ["Added some.env", "Added sub/kept/a.c"]);
    // What becomes ignored stays known.
    let found = world.agent(|top| {
        write(top, ".gitignore", "target/\n*.env\n*.bin\nsub/\n");
        write(top, "sub/kept/a.c", "2\n");
    });
    assert_eq!(found, ["Modified .gitignore", "Modified sub/kept/a.c"]);
    world.restart();
    assert_eq!(world.agent(|_| {}), [""; 0]);
    assert_eq!(
        world.agent(|top| write(top, "sub/kept/a.c", "3\n")),
        ["Modified sub/kept/a.c"]
    );
}

#[test]
fn a_look_that_is_not_noted_is_found_again_by_the_next_process() {
    let mut world = World::new();
    world.write("a.txt", "1\n");
    world.agent(|_| {});
    world.write("a.txt", "2\n");
    let of = session("one");
    let looked = world
        .wait(|keeper| keeper.look(&of, &world.workspace))
        .unwrap();
    assert_eq!(looked.files.len(), 1);
    world.restart();
    let again = world
        .wait(|keeper| keeper.look(&of, &world.workspace))
        .unwrap();
    assert_eq!(again.files, looked.files);
    world
        .wait(|keeper| keeper.note(&of, &world.workspace))
        .unwrap();
    let none = world
        .wait(|keeper| keeper.look(&of, &world.workspace))
        .unwrap();
    assert_eq!(none.files, []);
}

/// Two sessions in one folder.
struct Pair {
    world: World,
    one: SessionId,
    two: SessionId,
}

impl Pair {
    fn new() -> Self {
        let world = World::new();
        world.write("a.txt", "1\n");
        let (one, two) = (session("one"), session("two"));
        Self { world, one, two }
    }

    fn settle(&self, of: &SessionId) {
        let world = &self.world;
        world
            .wait(|keeper| keeper.settle(of, &world.workspace))
            .unwrap();
    }

    fn look(&self, of: &SessionId) -> (Vec<String>, Whose) {
        let world = &self.world;
        let looked = world
            .wait(|keeper| keeper.look(of, &world.workspace))
            .unwrap();
        world
            .wait(|keeper| keeper.note(of, &world.workspace))
            .unwrap();
        let paths = looked.files.into_iter().map(|step| step.path).collect();
        (paths, looked.whose)
    }
}

fn unclear(paths: &[&str]) -> (Vec<String>, Whose) {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    (paths, Whose::Unclear)
}

#[test]
fn two_sessions_at_work_in_one_folder_each_have_what_changed_while_they_did() {
    let pair = Pair::new();
    pair.settle(&pair.one);
    pair.world.write("first.txt", "1\n");
    pair.settle(&pair.two);
    pair.world.write("second.txt", "1\n");
    assert_eq!(pair.look(&pair.two), unclear(&["second.txt"]));
    pair.world.write("third.txt", "1\n");
    assert_eq!(
        pair.look(&pair.one),
        unclear(&["first.txt", "second.txt", "third.txt"])
    );
    pair.settle(&pair.one);
    assert_eq!(pair.look(&pair.one), (Vec::new(), Whose::Agent));
}

#[test]
fn what_a_session_changes_while_another_one_goes_back_stays_its_own() {
    let pair = Pair::new();
    pair.settle(&pair.one);
    pair.world.write("by-one.txt", "1\n");
    let (world, of) = (&pair.world, &pair.two);
    let taken =
        world.wait(|keeper| keeper.take_back(of, &world.workspace, Vec::new(), Conflicts::Ask));
    assert!(taken.unwrap().0.done);
    assert_eq!(pair.look(&pair.one), unclear(&["by-one.txt"]));
}

#[test]
fn what_two_sessions_at_work_changed_by_a_crash_is_told_to_both_after_it() {
    let mut pair = Pair::new();
    pair.settle(&pair.one);
    pair.world.write("first.txt", "1\n");
    pair.settle(&pair.two);
    pair.world.write("a.txt", "2\n");
    pair.world.write("first.txt", "2\n");
    pair.world.restart();
    // One that has nothing to do with it begins before they are open again.
    let third = session("three");
    pair.settle(&third);
    pair.world.write("third.txt", "1\n");
    assert_eq!(pair.look(&third).0, ["third.txt"]);
    assert_eq!(pair.look(&pair.one), unclear(&["a.txt", "first.txt"]));
    assert_eq!(pair.look(&pair.two), unclear(&["a.txt", "first.txt"]));
    pair.world.restart();
    assert_eq!(pair.look(&pair.one), unclear(&[]));
    assert_eq!(pair.look(&pair.two), unclear(&[]));
}

#[test]
fn what_one_of_two_recorded_before_a_crash_is_still_told_to_the_other() {
    let mut pair = Pair::new();
    pair.settle(&pair.one);
    pair.settle(&pair.two);
    pair.world.write("a.txt", "2\n");
    assert_eq!(pair.look(&pair.two), unclear(&["a.txt"]));
    pair.world.restart();
    let world = &pair.world;
    let looked = world.wait(|keeper| keeper.look(&pair.one, &world.workspace));
    let [step] = looked.unwrap().files.try_into().unwrap();
    assert_eq!(step.path, "a.txt");
    assert_eq!(step.before.unwrap().bytes, 2);
    assert_eq!(pair.look(&pair.two), unclear(&[]));
}

#[test]
fn what_is_found_but_not_recorded_yet_outlives_another_session_that_begins_and_a_crash() {
    let mut pair = Pair::new();
    pair.settle(&pair.one);
    pair.world.write("a.txt", "2\n");
    let (world, of) = (&pair.world, &pair.one);
    let looked = world.wait(|keeper| keeper.look(of, &world.workspace));
    assert_eq!(looked.unwrap().whose, Whose::Agent);
    pair.settle(&pair.two);
    pair.world.restart();
    assert_eq!(pair.look(&pair.one), unclear(&["a.txt"]));
    assert_eq!(pair.look(&pair.two), unclear(&[]));
}

#[test]
fn what_a_person_changes_after_all_was_recorded_is_nobodys_after_a_restart() {
    let mut pair = Pair::new();
    pair.settle(&pair.one);
    pair.settle(&pair.two);
    pair.world.write("a.txt", "2\n");
    pair.look(&pair.one);
    pair.look(&pair.two);
    pair.world.write("a.txt", "3\n");
    pair.world.restart();
    pair.settle(&pair.one);
    assert_eq!(pair.look(&pair.one), (Vec::new(), Whose::Agent));
}

#[test]
fn a_damaged_mirror_is_begun_anew() {
    let mut world = World::new();
    world.write("a.txt", "1\n");
    world.agent(|_| {});
    for entry in fs::read_dir(&world.mirrors).unwrap() {
        fs::write(entry.unwrap().path(), "no database").unwrap();
    }
    world.restart();
    assert_eq!(
        world.agent(|top| write(top, "a.txt", "2\n")),
        ["Modified a.txt"]
    );
}

#[test]
fn only_its_owner_can_read_a_mirror() {
    let mut world = World::new();
    world.agent(|_| {});
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.mirrors), 0o700);
    for entry in fs::read_dir(&world.mirrors).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    let mut world = World::new();
    let outside = world.mirrors.parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "s").unwrap();
    let found = world.agent(|top| {
        symlink(&outside, top.join("out")).unwrap();
    });
    assert_eq!(found, ["Added out"]);
    fs::write(outside.join("secret"), "t").unwrap();
    assert_eq!(world.agent(|_| {}), [""; 0]);
}

#[test]
fn what_was_noted_a_moment_before_is_not_noted_again_and_nothing_is_missed() {
    let mut world = World::new();
    world.write("deep/a.txt", "1\n");
    for content in ["2\n", "3\n"] {
        world
            .wait(|keeper| keeper.prepare(&world.workspace))
            .unwrap();
        let found = world.agent(|top| write(top, "deep/a.txt", content));
        assert_eq!(found, ["Modified deep/a.txt"]);
    }
    world
        .wait(|keeper| keeper.prepare(&world.workspace))
        .unwrap();
    let found = world.agent(|top| fs::rename(top.join("deep"), top.join("moved")).unwrap());
    assert_eq!(found, ["Deleted deep/a.txt", "Added moved/a.txt"]);
}
