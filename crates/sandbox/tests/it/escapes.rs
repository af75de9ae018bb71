//! Ways out. None may work, behind any wall that this machine gives.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::Path;

use quire_protocol::{ProcessEnd, Sandbox, Wall};

use crate::ladder::worlds;
use crate::world::{PROGRAM, World, read, run};

/// Tries an escape behind every wall.
fn refused_everywhere(words: &[&str]) {
    run(async {
        for (wall, world) in worlds() {
            assert!(!world.escapes(words).await, "{wall:?}: {words:?} worked");
        }
    });
}

/// Runs a script behind every wall and looks at the world afterwards.
fn harmless_everywhere(script: &str, unharmed: impl Fn(&World) -> bool) {
    run(async {
        for (wall, world) in worlds() {
            let outcome = world.shell(script).await;
            assert!(unharmed(&world), "{wall:?}: {script}: {}", outcome.text);
            assert!(
                !outcome.text.contains("SECRET"),
                "{wall:?}: {script}: {}",
                outcome.text
            );
        }
    });
}

fn outside_is_untouched(world: &World) -> bool {
    let names = std::fs::read_dir(world.path("outside"))
        .expect("a folder")
        .count();
    names == 1 && read(&world.path("outside/file")) == "outside"
}

#[test]
fn a_secret_that_appears_later_is_hidden_too() {
    run(async {
        for wall in [Wall::Cell, Wall::Bubblewrap, Wall::Landlock] {
            let world = World::with_wall(Some(wall));
            if world.spawner.report(&world.policy).wall != wall {
                continue;
            }
            world.shell("true").await;
            std::fs::write(world.path("home/.token"), "SECRET").expect("a file");
            let outcome = world.shell("cat ../home/.token").await;
            assert!(!outcome.text.contains("SECRET"), "{wall:?}: {outcome:?}");
        }
    });
}

#[test]
fn writing_outside_the_workspace() {
    harmless_everywhere(
        "echo x > ../outside/new; echo x > ../outside/file; rm ../outside/file",
        outside_is_untouched,
    );
    harmless_everywhere(
        "mv ../outside ../elsewhere; chmod 000 ../outside; touch ../new",
        |world| outside_is_untouched(world) && !world.path("new").exists(),
    );
}

#[test]
fn a_symbolic_link_out() {
    harmless_everywhere(
        "ln -s ../outside link; echo x > link/file; echo x > link/new",
        outside_is_untouched,
    );
}

#[test]
fn a_hard_link_out() {
    harmless_everywhere(
        "ln ../outside/file hard && echo x > hard",
        outside_is_untouched,
    );
}

#[test]
fn reading_secrets() {
    harmless_everywhere(
        "cat ../home/.ssh/id ../quire/config.toml; ls -R ../quire",
        |_| true,
    );
    harmless_everywhere(
        "ln -s ../home/.ssh s; cat s/id; cp -r ../quire . ; cat quire/*",
        |_| true,
    );
}

#[test]
fn changing_quire_s_own_folders() {
    harmless_everywhere(
        "echo x > ../quire/config.toml; echo x > ../quire/new; mv ../quire ../q; rm -rf ../quire",
        |world| {
            read(&world.path("quire/config.toml")) == "SECRET" && !world.path("quire/new").exists()
        },
    );
    harmless_everywhere("mkdir -p .quire/a; echo x > .quire/config.toml", |world| {
        !world.workspace().join(".quire/config.toml").exists()
    });
}

#[test]
fn parents_through_proc() {
    let own = std::process::id();
    harmless_everywhere(
        &format!(
            "for p in {own} 1 $PPID; do cat /proc/$p/environ; echo x > /proc/$p/root{0}/outside/file; \
             cat /proc/$p/root{0}/home/.ssh/id; cat /proc/$p/cwd/../home/.ssh/id; done; \
             cat /proc/1/mem; for p in /proc/[0-9]*; do cat $p/root{0}/home/.ssh/id; done",
            "$PWD/.."
        ),
        outside_is_untouched,
    );
}

#[test]
fn the_kernel_s_settings() {
    // Opening them to write would be enough; nothing is written, lest a failure harm the machine.
    harmless_everywhere(
        "for f in /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger \
         /sys/kernel/mm/ksm/run; do (: >> $f) && echo SECRET; done; mkdir /sys/fs/cgroup/quire",
        |_| !Path::new("/sys/fs/cgroup/quire").exists(),
    );
}

#[test]
fn other_processes() {
    let own = std::process::id().to_string();
    for pid in ["1", own.as_str()] {
        refused_everywhere(&["ptrace", pid]);
        refused_everywhere(&["read-memory", pid]);
    }
    run(async {
        for (wall, world) in worlds() {
            // Another process of this machine, which a confined one must not be able to signal.
            let mut outside = World::new();
            outside.policy.sandbox = quire_protocol::SandboxMode::Off;
            let victim = outside
                .spawn(&["sh", "-c", "echo $$; exec sleep 100"])
                .await;
            let victim = victim.expect("starts");
            let quire_protocol::ProcessEvent::Output(pid) = victim.next().await else {
                panic!("no process id");
            };
            let pid = String::from_utf8_lossy(&pid).trim().to_owned();
            assert!(!world.escapes(&["signal", &pid]).await, "{wall:?}");
        }
    });
}

#[test]
fn system_calls() {
    for words in [
        &["io-uring"][..],
        &["keyctl"],
        &["bpf"],
        &["unshare"],
        &["clone-user"],
        &["clone3"],
        &["x32"],
        &["chroot"],
        &["mount"],
        &["remount"],
        &["unmount"],
        &["open-tree"],
        &["type"],
        &["become-root"],
        &["device"],
        &["setns", "/proc/self/ns/mnt"],
        &["setns", "/proc/1/ns/mnt"],
    ] {
        refused_everywhere(words);
    }
}

#[test]
fn unusual_sockets() {
    let families = [
        libc::AF_NETLINK,
        libc::AF_PACKET,
        libc::AF_ALG,
        libc::AF_VSOCK,
        libc::AF_UNIX,
    ];
    for family in families {
        refused_everywhere(&[
            "socket",
            &family.to_string(),
            &libc::SOCK_DGRAM.to_string(),
            "0",
        ]);
    }
    let raw = (libc::SOCK_RAW | libc::SOCK_CLOEXEC).to_string();
    refused_everywhere(&["socket", &libc::AF_INET.to_string(), &raw, "1"]);
}

#[test]
fn the_network() {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    for address in [
        format!("127.0.0.1:{port}"),
        "1.1.1.1:443".to_owned(),
        own_address(port),
    ] {
        refused_everywhere(&["tcp", &address]);
    }
    harmless_everywhere("getent hosts example.org && echo SECRET", |_| true);
}

/// This machine's address on some network, or another one that is unreachable.
fn own_address(port: u16) -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let known = socket
        .connect("192.0.2.1:9")
        .and_then(|()| socket.local_addr());
    known.map_or("192.0.2.1:9".to_owned(), |address| {
        format!("{}:{port}", address.ip())
    })
}

#[test]
fn datagrams() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    let address = socket.local_addr().expect("an address").to_string();
    run(async {
        for (wall, world) in worlds() {
            // In a network of its own a datagram to nobody is sent without an error.
            world.escapes(&["udp", &address]).await;
            assert!(socket.recv(&mut [0; 8]).is_err(), "{wall:?}: it arrived");
            assert!(!world.escapes(&["udp", "1.1.1.1:53"]).await, "{wall:?}");
        }
    });
}

#[test]
fn unix_sockets() {
    let name = format!("quire-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("a listener");
    refused_everywhere(&["unix-abstract", &name]);
    run(async {
        for (wall, world) in worlds() {
            for place in [world.workspace(), world.path("outside"), world.path("home")] {
                let path = place.join("socket");
                let _listener = UnixListener::bind(&path).expect("a listener");
                let path = path.to_string_lossy().into_owned();
                assert!(!world.escapes(&["unix-path", &path]).await, "{wall:?}");
                let path = place.join("datagrams");
                let _receiver = UnixDatagram::bind(&path).expect("a receiver");
                let path = path.to_string_lossy().into_owned();
                assert!(!world.escapes(&["unix-datagram", &path]).await, "{wall:?}");
                for kind in ["datagram", "raw"] {
                    let escape = ["unix-pair", &path, kind];
                    assert!(!world.escapes(&escape).await, "{wall:?} {kind}");
                }
            }
        }
    });
}

#[test]
fn programs_with_more_rights() {
    run(async {
        for (wall, world) in worlds() {
            let shell = world.workspace().join("sh");
            std::fs::copy("/bin/sh", &shell).expect("a copy");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
            std::fs::set_permissions(&shell, mode).expect("its mode");
            let outcome = world
                .shell(
                    "./sh -pc 'grep -E \"^(Cap|NoNewPrivs|Seccomp:)\" /proc/self/status'; \
                     command -v su >/dev/null && su -c 'touch /su' </dev/null; true",
                )
                .await;
            for line in outcome.text.lines().filter(|line| line.starts_with("Cap")) {
                assert!(line.ends_with("\t0000000000000000"), "{wall:?}: {line}");
            }
            assert!(
                outcome.text.contains("NoNewPrivs:\t1"),
                "{wall:?}: {}",
                outcome.text
            );
            assert!(
                outcome.text.contains("Seccomp:\t2"),
                "{wall:?}: {}",
                outcome.text
            );
            assert!(!Path::new("/su").exists());
        }
    });
}

/// What the held main process has: a spawner, and in each of two cells its process, a supervisor
/// with two sleepers, and a spare with its child.
const HELD: usize = 13;

#[test]
fn nothing_outlives_the_main_process() {
    run(async {
        let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        #[expect(
            clippy::disallowed_methods,
            reason = "a main process that can be killed"
        )]
        let mut main = std::process::Command::new(PROGRAM)
            .arg("hold")
            .arg(root.path())
            .arg("3000.333")
            .spawn()
            .expect("starts");
        crate::world::until("a start", || crate::life::count("sleep\x003000.333") == 4).await;
        // With it go the supervisors that wait for a command.
        let mut all = Vec::new();
        crate::world::until("spares", || {
            all = crate::spare::descendants(main.id().cast_signed());
            all.len() >= HELD
        })
        .await;
        main.kill().expect("killed");
        main.wait().expect("dead");
        crate::world::until("the end of everything", || {
            crate::life::count("3000.333") == 0 && !all.iter().any(|pid| crate::spare::lives(*pid))
        })
        .await;
        let left = || std::fs::read_dir(root.path()).expect("a folder").count();
        crate::world::until("a tidy folder", || left() == 0).await;
    });
}

#[test]
fn nothing_outlives_the_spawner() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let pidfile = world.workspace().join("pid");
        let script =
            "(setsid sh -c 'exec sleep 2000.777' &); echo ready > pid; exec sleep 2000.777";
        let process = world.spawn(&["sh", "-c", script]).await.expect("starts");
        crate::world::until("a start", || read(&pidfile) == "ready\n").await;
        // SIGKILL, as the out-of-memory killer would send it.
        let killed = kill(spawner_of(std::process::id(), "2000.777"));
        assert!(killed, "no spawner found");
        crate::world::until("the end of everything", || {
            crate::life::count("2000.777") == 0
        })
        .await;
        assert_eq!(
            crate::world::finish(&*process).await.end,
            ProcessEnd::Signalled(9)
        );
    });
}

/// The spawner that a process with `needle` in its command line descends from.
pub(crate) fn spawner_of(main: u32, needle: &str) -> Option<i32> {
    let mut pid = std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .find_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let found = line
                .windows(needle.len())
                .any(|part| part == needle.as_bytes());
            found.then(|| entry.file_name().to_str()?.parse::<i32>().ok())?
        })?;
    loop {
        let stat = read(Path::new(&format!("/proc/{pid}/stat")));
        let parent: i32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        if parent == main.cast_signed() {
            return Some(pid);
        }
        if parent <= 1 {
            return None;
        }
        pid = parent;
    }
}

/// Kills a process as the out-of-memory killer would.
pub(crate) fn kill(pid: Option<i32>) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a signal needs a program here")]
    let send = |pid: i32| {
        std::process::Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
    };
    pid.is_some_and(|pid| send(pid).is_ok_and(|status| status.success()))
}

#[test]
fn the_trial_program_can_do_what_it_tries() {
    run(async {
        let mut world = World::new();
        world.policy.sandbox = quire_protocol::SandboxMode::Off;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address").to_string();
        assert!(world.escapes(&["tcp", &address]).await);
        let path = world.path("outside/socket");
        let _listener = UnixListener::bind(&path).expect("a listener");
        assert!(world.escapes(&["unix-path", &path.to_string_lossy()]).await);
        assert!(
            world.run(&[&world.program(), "try", "nothing"]).await.end == ProcessEnd::Exited(2)
        );
    });
}
