//! What searching and listing leave out, and that no ignore file holds them up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use crate::world::World;

/// The files that are found beneath a folder of the workspace.
async fn files(world: &World, path: &str) -> Vec<String> {
    let listed = world.done("list", json!({"path": path, "glob": "*"})).await;
    listed.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_nearest_ignore_file_decides_and_negation_shows_again() {
    let world = World::claude();
    world.put(".git/info/exclude", "*.one\n*.two\n*.three\n");
    world.put(".gitignore", "*.log\n!*.two\n*.four\n!keep.log\n");
    world.put(".ignore", "!*.four\n");
    world.put("sub/.gitignore", "!*.three\n*.four\n*.five\nnot\u{e9}\n");
    for name in ["one", "two", "three", "four", "five", "log"] {
        world.put(&format!("a.{name}"), "");
        world.put(&format!("sub/a.{name}"), "");
    }
    world.put("keep.log", "");
    assert_eq!(
        files(&world, ".").await,
        [
            ".gitignore",
            ".ignore",
            "a.five",
            "a.four",
            "a.two",
            "keep.log",
            "sub/.gitignore",
            "sub/a.three",
            "sub/a.two"
        ]
    );
}

#[tokio::test]
async fn anchored_patterns_mean_their_own_folder_and_ignored_folders_are_not_entered() {
    let world = World::claude();
    world.put(
        ".gitignore",
        "\u{feff}/only-here\nbuilt/\n!built/kept\ndeep/*/x\n# no\n\\#yes\n",
    );
    for path in [
        "only-here",
        "sub/only-here",
        "built/kept",
        "sub/built/kept",
        "other/built",
        "deep/a/x",
        "deep/a/y",
        "#yes",
    ] {
        world.put(path, "");
    }
    assert_eq!(
        files(&world, ".").await,
        [".gitignore", "deep/a/y", "other/built", "sub/only-here"]
    );
}

#[tokio::test]
async fn ignore_files_above_count_up_to_the_top_of_the_repository() {
    let world = World::claude();
    world.put(".gitignore", "*.above\n");
    world.put("repo/.git/info/exclude", "*.excluded\n");
    world.put("repo/.gitignore", "*.log\n/sub/deep/anchored\n");
    world.put("repo/sub/.gitignore", "!keep.log\n");
    for name in ["a.above", "a.excluded", "a.log", "keep.log", "anchored"] {
        world.put(&format!("repo/sub/deep/{name}"), "");
    }
    let found = ["repo/sub/deep/a.above", "repo/sub/deep/keep.log"];
    assert_eq!(files(&world, "repo/sub/deep").await, found);
    let from_the_top = files(&world, ".").await;
    for path in found {
        assert!(from_the_top.iter().any(|shown| shown == path), "{path}");
    }
    let searched = json!({"pattern": "x", "path": "repo/sub/deep/a.log"});
    world.put("repo/sub/deep/a.log", "x");
    assert!(world.done("search", searched).await.contains("a.log"));
}

#[tokio::test]
async fn ignore_files_of_what_is_no_text_spoil_nothing_else() {
    let world = World::claude();
    let mut strange = b"\xff\xfe\n".to_vec();
    strange.extend("{".repeat(1 << 19).bytes());
    strange.extend(b"\n*.log\n");
    world.put(".gitignore", &strange);
    for name in ["a.log", "b"] {
        world.put(name, "");
    }
    assert_eq!(files(&world, ".").await, [".gitignore", "b"]);
}

#[expect(clippy::disallowed_methods, reason = "a test makes a pipe")]
fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// Does work in a workspace of its own, and fails when it is held up.
fn unhindered(work: impl AsyncFnOnce(World) + Send + 'static) {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work(World::claude()));
        done.send(()).unwrap();
    });
    ended
        .recv_timeout(Duration::from_mins(1))
        .expect("the work failed, or was held up");
}

#[test]
fn a_pipe_for_an_ignore_file_holds_nothing_up() {
    unhindered(async |world| {
        world.put("a/inner.rs", "todo");
        world.put("b/.git/info/x", "");
        world.put("b/inner.rs", "todo");
        pipe(&world.at("a/.gitignore"));
        pipe(&world.at("a/.ignore"));
        pipe(&world.at("b/.git/info/exclude"));
        let search = json!({"pattern": "todo", "mode": "files"});
        assert_eq!(
            world.done("search", search).await,
            "a/inner.rs\nb/inner.rs\n"
        );
        let within = json!({"pattern": "todo", "mode": "files", "path": "a"});
        assert_eq!(world.done("search", within).await, "a/inner.rs\n");
    });
}

#[test]
fn a_pipe_where_a_worktree_leads_holds_nothing_up() {
    unhindered(async |world| {
        world.put("tree/inner.rs", "");
        world.put("elsewhere/x", "");
        let git_folder = world.at("elsewhere");
        pipe(&git_folder.join("commondir"));
        world.put("tree/.git", format!("gitdir: {}\n", git_folder.display()));
        assert_eq!(files(&world, "tree").await, ["tree/inner.rs"]);
        std::fs::remove_file(world.at("tree/.git")).unwrap();
        pipe(&world.at("tree/.git"));
        assert_eq!(files(&world, "tree").await, ["tree/inner.rs"]);
    });
}

#[test]
fn a_pipe_swapped_for_an_ignore_file_holds_nothing_up() {
    unhindered(async |world| {
        world.put("inner.rs", "");
        world.put("file", "*.log\n");
        pipe(&world.at("pipe"));
        let over = Arc::new(AtomicBool::new(false));
        let swapping = std::thread::spawn({
            let (over, folder) = (Arc::clone(&over), world.at(""));
            move || {
                let marked = folder.join(".gitignore");
                while !over.load(Ordering::Relaxed) {
                    for name in ["file", "pipe"] {
                        std::fs::rename(folder.join(name), &marked).unwrap();
                        std::fs::rename(&marked, folder.join(name)).unwrap();
                    }
                }
            }
        });
        for _ in 0..50 {
            let shown = world.done("list", json!({})).await;
            assert!(shown.contains("inner.rs"), "{shown}");
        }
        over.store(true, Ordering::Relaxed);
        swapping.join().unwrap();
    });
}

#[test]
fn an_ignore_file_that_is_a_link_is_not_followed() {
    unhindered(async |world| {
        world.put("a.log", "");
        world.put("patterns", "*.log\n");
        std::os::unix::fs::symlink("patterns", world.at(".gitignore")).unwrap();
        assert!(files(&world, ".").await.contains(&"a.log".to_owned()));
        // Only root may read it; a reader then waits for the kernel to say something.
        let kernel = Path::new("/proc/kmsg");
        if std::fs::File::open(kernel).is_ok() {
            std::fs::remove_file(world.at(".gitignore")).unwrap();
            std::os::unix::fs::symlink(kernel, world.at(".gitignore")).unwrap();
            assert!(files(&world, ".").await.contains(&"a.log".to_owned()));
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_ignore_file_of_four_gigabytes_is_not_read_whole() {
    unhindered(async |world| {
        world.put("a.log", "");
        world.put(".gitignore", "*.log\n");
        let file = std::fs::File::options()
            .write(true)
            .open(world.at(".gitignore"))
            .unwrap();
        file.set_len(4 << 30).unwrap();
        let before = crate::world::peak_memory();
        let found = files(&world, ".").await;
        let grown = crate::world::peak_memory() - before;
        assert!(grown < 200_000_000, "memory grew by {grown} bytes");
        assert_eq!(found, [".gitignore"]);
    });
}
