//! Reading and changing real files, and the ways out of the workspace that are closed.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use quire_protocol::{ChangeKind, Content, SandboxMode, ToolStatus};
use serde_json::json;

use crate::world::{World, policy, text};

#[tokio::test]
async fn reading() {
    let world = World::claude();
    world.put("src/main.rs", "fn main() {}\n");
    world.put("data.bin", b"\x7fELF\0\0");
    world.put("wide.txt", b"\xff\xfeh\0i\0\n\0");
    world.put("pixel.png", b"\x89PNG\r\n\x1a\n0");
    assert_eq!(
        world.done("read", json!({"path": "src/main.rs"})).await,
        "1\tfn main() {}\n"
    );
    let absolute = world.at("src/../src/main.rs");
    assert_eq!(
        world.done("read", json!({"path": absolute})).await,
        "1\tfn main() {}\n"
    );
    assert_eq!(
        world.done("read", json!({"path": "wide.txt"})).await,
        "1\thi\n[the file is UTF-16]\n"
    );
    let outcome = world.run("read", json!({"path": "pixel.png"})).await;
    assert!(
        matches!(&outcome.content[1], Content::Image { media_type, data } if media_type == "image/png" && data == "iVBORw0KGgow"),
        "{outcome:?}"
    );
    for (path, said) in [
        (
            "src/mian.rs",
            "src/mian.rs does not exist. Near: src/main.rs",
        ),
        ("main.rs", "main.rs does not exist. Near: src/main.rs"),
        ("zzz", "zzz does not exist"),
        ("src", "cannot read src: it is a folder: use list"),
        (
            "data.bin",
            "cannot read data.bin: it is a binary file (a program, 6 bytes): use a command that understands it",
        ),
        (
            "/dev/zero",
            "cannot read /dev/zero: it is not a regular file",
        ),
        (
            "../secret",
            "../secret holds secrets and is not shown to models",
        ),
    ] {
        assert_eq!(world.failed("read", json!({"path": path})).await, said);
    }
}

#[tokio::test]
async fn a_file_of_two_gigabytes_is_read_in_pages() {
    let world = World::claude();
    world.put("big.txt", "line\n".repeat(3_000));
    let file = std::fs::File::options()
        .write(true)
        .open(world.at("big.txt"))
        .unwrap();
    file.set_len(2 << 30).unwrap();
    let shown = world.done("read", json!({"path": "big.txt"})).await;
    assert!(shown.ends_with("2000\tline\n[there is more: offset 2001]\n"));
    let said = world
        .failed(
            "edit",
            json!({"path": "big.txt", "edits": [{"old": "a", "new": "b"}]}),
        )
        .await;
    assert!(
        said.contains("2.1 GB, too much to change as a whole"),
        "{said}"
    );
}

#[tokio::test]
async fn writing() {
    let world = World::claude();
    let outcome = world
        .run("write", json!({"path": "a/b/c.txt", "content": "one\n"}))
        .await;
    assert_eq!(text(&outcome), "Created a/b/c.txt (1 line)");
    assert_eq!(outcome.changes[0].kind, ChangeKind::Added);
    std::fs::set_permissions(
        world.at("a/b/c.txt"),
        std::fs::Permissions::from_mode(0o751),
    )
    .unwrap();
    let outcome = world
        .run("write", json!({"path": "a/b/c.txt", "content": "two\n"}))
        .await;
    assert_eq!(outcome.changes[0].kind, ChangeKind::Modified);
    assert!(outcome.changes[0].diff.contains("-one\n+two\n"));
    assert_eq!(world.get("a/b/c.txt"), "two\n");
    let mode = world
        .at("a/b/c.txt")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o751);
    let left: Vec<_> = std::fs::read_dir(world.at("a/b")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let said = world
        .failed("write", json!({"path": "a/b/c.txt/d", "content": ""}))
        .await;
    assert!(said.contains("a/b/c.txt/d"), "{said}");
    world
        .failed("write", json!({"path": "a", "content": ""}))
        .await;
    world
        .failed("write", json!({"path": "", "content": ""}))
        .await;
}

#[tokio::test]
async fn ways_out_of_the_workspace_are_closed() {
    let mut world = World::claude();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "safe").unwrap();
    symlink(outside.path(), world.at("way")).unwrap();
    symlink(&victim, world.at("link")).unwrap();
    symlink(outside.path().join("new"), world.at("dangling")).unwrap();
    world.put("inner/file", "x");
    symlink(world.at("inner"), world.at("alias")).unwrap();
    let escapes = [
        victim.to_str().unwrap(),
        "../out",
        "a/../../out",
        "way/victim",
        "way/new/deep",
        "link",
        "dangling",
        "dangling/x",
        ".git/hooks/pre-commit",
        ".git/config",
        ".GIT/config",
        ".git",
        "sub/.git/config",
        ".quire/config.toml",
        "inner/../.git/config",
        "/etc/quire-test",
    ];
    for path in escapes {
        let said = world
            .failed("write", json!({"path": path, "content": "bad"}))
            .await;
        assert!(!said.is_empty(), "{path}");
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "safe");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(!world.at(".git").exists() && !world.at("../out").exists());
    world
        .done("write", json!({"path": "alias/file", "content": "y"}))
        .await;
    assert_eq!(world.get("inner/file"), "y");

    world.policy.writable = vec![outside.path().to_owned()];
    world
        .done("write", json!({"path": "link", "content": "meant"}))
        .await;
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "meant");
    assert!(world.at("link").is_symlink());

    world.policy = policy(SandboxMode::ReadOnly);
    world
        .failed("write", json!({"path": "inner/file", "content": "z"}))
        .await;
    world.policy = policy(SandboxMode::Off);
    world
        .done("write", json!({"path": victim, "content": "off"}))
        .await;
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "off");
}

#[tokio::test]
async fn a_secret_made_later_is_hidden_where_home_is_a_link() {
    let world = World::claude();
    world.put("../people/.config/gh/hosts", "token");
    world.put("../people/.config/other", "open");
    for path in ["../people/.config/gh/hosts", "../home/.config/gh/hosts"] {
        assert_eq!(
            world.failed("read", json!({"path": path})).await,
            format!("{path} holds secrets and is not shown to models")
        );
    }
    world
        .done("read", json!({"path": "../home/.config/other"}))
        .await;
}

#[tokio::test]
async fn no_folder_is_laid_out_as_a_repository() {
    let mut world = World::claude();
    for top in ["", "sub/bare/"] {
        for path in ["objects/a", "refs/heads/a", "config"] {
            let path = format!("{top}{path}");
            world
                .done("write", json!({"path": path, "content": ""}))
                .await;
        }
        for path in ["HEAD", "head"] {
            let head = json!({"path": format!("{top}{path}"), "content": "ref: refs/heads/a"});
            let said = world.failed("write", head).await;
            let told = "for a repository and obey its `config`; use other names, or have git";
            assert!(said.contains(told), "{said}");
        }
    }
    world.put("other/objects/a", "");
    world.put("other/HEAD", "");
    world.put("linked/HEAD", "");
    for path in ["other/refs/heads/a", "linked/commondir"] {
        world
            .failed("write", json!({"path": path, "content": ""}))
            .await;
    }
    assert!(!world.at("other/refs").exists());

    // What was one before may change, and so may what is none.
    world.put("other/refs/a", "");
    for path in ["other/HEAD", "other/refs/b", "HEADER", "sub/HEAD"] {
        world
            .done("write", json!({"path": path, "content": "x"}))
            .await;
    }
    world.policy = policy(SandboxMode::Off);
    world
        .done("write", json!({"path": "HEAD", "content": ""}))
        .await;
}

#[tokio::test]
async fn no_patch_lays_a_folder_out_as_a_repository() {
    let world = World::gpt();
    world.put("b/objects/a", "");
    world.put("b/refs/a", "");
    world.put("start", "ref: refs/heads/a\n");
    for patch in [
        "*** Add File: a/HEAD\n+x\n*** Add File: a/objects/a\n+x\n*** Add File: a/refs/a\n+x\n",
        "*** Update File: start\n*** Move to: b/HEAD\n@@\n-ref: refs/heads/a\n+ref: refs/heads/b\n",
    ] {
        let patch = format!("*** Begin Patch\n{patch}*** End Patch");
        let said = world.failed("apply_patch", patch).await;
        assert!(
            said.contains("for a repository") && said.ends_with("Nothing was changed."),
            "{said}"
        );
    }
    assert!(!world.at("a/HEAD").exists() && !world.at("b/HEAD").exists());
    assert_eq!(world.get("start"), "ref: refs/heads/a\n");
}

#[tokio::test]
async fn a_hard_link_to_something_outside_is_cut_not_followed() {
    let world = World::claude();
    let victim = world.at("../victim");
    std::fs::write(&victim, "safe").unwrap();
    std::fs::hard_link(&victim, world.at("hard")).unwrap();
    world
        .done("write", json!({"path": "hard", "content": "new"}))
        .await;
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "safe");
}

#[tokio::test]
async fn editing() {
    let world = World::claude();
    world.put("a.rs", "let a = 1;\nlet b = 1;\n");
    let edits = json!({"path": "a.rs", "edits": [{"old": "a = 1", "new": "a = 2"}, {"old": "b = 1", "new": "b = 3"}]});
    let outcome = world.run("edit", edits).await;
    assert_eq!(
        text(&outcome),
        "Changed a.rs in 2 places, the first at a.rs:1"
    );
    assert!(outcome.changes[0].diff.contains("+let b = 3;"));
    let failing = json!({"path": "a.rs", "edits": [{"old": "a = 2", "new": "a = 9"}, {"old": "zzz", "new": ""}]});
    assert!(
        world
            .failed("edit", failing)
            .await
            .starts_with("a.rs: edit 2 of 2: ")
    );
    assert_eq!(world.get("a.rs"), "let a = 2;\nlet b = 3;\n");
    let other_names = json!({"file_path": "a.rs", "old_string": "a = 2", "new_string": "a = 4"});
    world.done("edit", other_names).await;
    let missing = json!({"path": "b.rs", "edits": [{"old": "a", "new": "b"}]});
    assert_eq!(
        world.failed("edit", missing).await,
        "b.rs does not exist. Near: a.rs"
    );
    world.put("latin", b"caf\xe9 a");
    let said = world
        .failed(
            "edit",
            json!({"path": "latin", "edits": [{"old": "a", "new": "b"}]}),
        )
        .await;
    assert!(said.contains("not UTF-8 text (byte 3)"), "{said}");
    assert_eq!(std::fs::read(world.at("latin")).unwrap(), b"caf\xe9 a");
}

#[tokio::test]
async fn patching_is_all_or_nothing() {
    let world = World::gpt();
    world.put("a.txt", "one\ntwo\n");
    world.put("b.txt", "x\n");
    let patch = "*** Begin Patch\n*** Update File: a.txt\n*** Move to: moved/a.txt\n@@\n one\n-two\n+2\n*** Delete File: b.txt\n*** Add File: c.txt\n+new\n*** End Patch";
    let outcome = world.run("apply_patch", patch).await;
    assert_eq!(outcome.status, ToolStatus::Done, "{outcome:?}");
    assert_eq!(
        text(&outcome),
        "Patched:\nD a.txt\nD b.txt\nA c.txt\nA moved/a.txt"
    );
    assert_eq!(world.get("moved/a.txt"), "one\n2\n");
    assert!(!world.at("a.txt").exists() && !world.at("b.txt").exists());

    for (patch, says) in [
        (
            "*** Begin Patch\n*** Add File: d.txt\n+d\n*** Update File: c.txt\n@@\n-gone\n+x\n*** End Patch",
            "c.txt: patch line 5: these lines are not in the file",
        ),
        (
            "*** Begin Patch\n*** Add File: d.txt\n+d\n*** Add File: ../out\n+d\n*** End Patch",
            "outside the workspace",
        ),
        (
            "*** Begin Patch\n*** Add File: d.txt\n+d\n*** Add File: /etc/out\n+d\n*** End Patch",
            "outside the workspace",
        ),
        (
            "*** Begin Patch\n*** Add File: d.txt\n+d\n*** Add File: c.txt\n+d\n*** End Patch",
            "already exists",
        ),
        (
            "*** Begin Patch\n*** Add File: d.txt\n+d\n*** Delete File: zzz\n*** End Patch",
            "zzz does not exist",
        ),
        (
            "*** Begin Patch\n*** Add File: d.txt\n+d\n*** Update File: c.txt\n*** Move to: ../c\n@@\n-new\n+x\n*** End Patch",
            "outside the workspace",
        ),
    ] {
        let said = world.failed("apply_patch", patch).await;
        assert!(
            said.contains(says) && said.ends_with("Nothing was changed."),
            "{said}"
        );
        assert!(!world.at("d.txt").exists());
    }
    let said = world.failed("apply_patch", "hello").await;
    assert!(said.contains("a patch begins with"), "{said}");
    let wrapped = json!({"input": "*** Begin Patch\n*** Delete File: c.txt\n*** End Patch"});
    world.done("apply_patch", wrapped).await;
}

#[tokio::test]
async fn a_write_that_fails_is_undone_with_those_before_it() {
    let world = World::gpt();
    world.put("a.txt", "a\n");
    world.put("b.txt", "b\n");
    let locked = std::fs::Permissions::from_mode(0o444);
    std::fs::set_permissions(world.at("b.txt"), locked).unwrap();
    let patch = "*** Begin Patch\n*** Update File: a.txt\n-a\n+A\n*** Update File: b.txt\n-b\n+B\n*** End Patch";
    let said = world.failed("apply_patch", patch).await;
    assert!(
        said.contains("write-protected") && said.ends_with("Nothing was changed."),
        "{said}"
    );
    assert_eq!(world.get("a.txt"), "a\n");
}

/// Nobody is asked about what the tool refuses anyway: its words reach the model at once.
#[test]
fn a_change_that_no_yes_would_allow_is_not_asked_about() {
    use quire_protocol::{ApprovalMode, ToolSet as _, Verdict};
    let mut world = World::claude();
    world.policy.approvals = ApprovalMode::Ask;
    symlink(world.at("."), world.at("../alias")).unwrap();
    symlink("/etc", world.at("out")).unwrap();
    for (path, asked) in [
        ("a", true),
        ("sub/../a", true),
        ("../other", false),
        ("/etc/passwd", false),
        (".git/config", false),
        ("sub/.GIT/hooks/x", false),
        (".quire/config.toml", false),
        // By its name it is elsewhere, but it may be written.
        ("../alias/a", true),
        // A link may lead elsewhere by the time that it is written.
        ("out/a", true),
    ] {
        let call = world.call("write", json!({"path": path, "content": "x"}));
        let verdict = world.tools.plan(&call, &world.policy).verdict;
        assert_eq!(
            matches!(verdict, Verdict::Ask { .. }),
            asked,
            "{path}: {verdict:?}"
        );
    }
    world.policy.sandbox = SandboxMode::Off;
    let call = world.call("write", json!({"path": "../other", "content": "x"}));
    let verdict = world.tools.plan(&call, &world.policy).verdict;
    assert!(matches!(verdict, Verdict::Ask { .. }));
}
