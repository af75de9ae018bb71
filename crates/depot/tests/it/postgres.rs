//! A PostgreSQL server of the tests' own, in a temporary folder, and what is peculiar to it.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts the server that it needs"
)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use quire_depot::{Database, Depot, Error, Place, Statement};
use tempfile::TempDir;

use crate::{organisation, wait};

/// PostgreSQL does not run as root; this one can do nothing.
const NOBODY: u32 = 65_534;

pub(crate) struct Server {
    folder: TempDir,
    process: Child,
    port: u16,
}

/// Starts a server. Where PostgreSQL is not installed there is none, and this says so.
pub(crate) fn start() -> Option<Server> {
    let Some(programs) = programs() else {
        // Not by a macro: the test runner would keep that to itself.
        let note = "NOTE: PostgreSQL IS NOT INSTALLED: NOTHING IS TESTED ON IT HERE. Install the \
                    package `postgresql` to test all.";
        let mut out = std::io::stderr();
        writeln!(out, "{note}").unwrap();
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures");
    for file in ["server.pem", "server.key"] {
        let copy = folder.path().join(file);
        std::fs::copy(fixtures.join(file), &copy).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&copy, mode).unwrap();
        own(&copy);
    }
    own(folder.path());
    own(&data);
    let made = as_nobody(&programs.join("initdb"))
        .args(["--auth=trust", "--username=postgres", "--encoding=UTF8"])
        .args(["--locale=C", "--no-sync", "--pgdata"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(made.status.success(), "initdb: {made:?}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    Some(launch(folder, &programs, port))
}

fn launch(folder: TempDir, programs: &Path, port: u16) -> Server {
    let root = folder.path().to_str().unwrap();
    let settings = [
        format!("port={port}"),
        format!("unix_socket_directories={root}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={root}/server.pem"),
        format!("ssl_key_file={root}/server.key"),
        "fsync=off".to_owned(),
        "full_page_writes=off".to_owned(),
        "shared_buffers=16MB".to_owned(),
        "max_connections=60".to_owned(),
    ];
    let mut command = as_nobody(&programs.join("postgres"));
    for setting in settings {
        command.args(["-c", &setting]);
    }
    let mut process = command
        .arg("-D")
        .arg(folder.path().join("data"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(process.stderr.take().unwrap());
    while !said.contains("ready to accept connections") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "postgres: {said}");
    }
    // What it says from now on is read, lest it waits for that.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Server {
        folder,
        process,
        port,
    }
}

/// Debian keeps the server's programs out of the path.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    for version in std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
    {
        folders.push(version.unwrap().path().join("bin"));
    }
    let has = |folder: &PathBuf, name| folder.join(name).exists();
    folders
        .into_iter()
        .find(|folder| has(folder, "initdb") && has(folder, "postgres"))
}

fn is_root() -> bool {
    let own = tempfile::tempfile().unwrap().metadata().unwrap();
    std::os::unix::fs::MetadataExt::uid(&own) == 0
}

fn own(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// The program dies with the tests, even if they are killed, where the system can see to that.
fn as_nobody(program: &Path) -> Command {
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if is_root() {
            let nobody = NOBODY.to_string();
            command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
        }
        command.arg("--").arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

impl Server {
    /// Makes a place that holds nothing yet and says its address. It is a schema: a database of its own
    /// would take a second.
    pub(crate) fn make_place(&self, name: &str) -> String {
        let socket = self.folder.path().to_str().unwrap().replace('/', "%2F");
        let url = format!("postgres://postgres@{socket}:{}/postgres", self.port);
        wait(async {
            let connected = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
            let (client, connection) = connected.unwrap();
            let driven = tokio::spawn(connection);
            let sql = format!("CREATE SCHEMA {name}");
            client.batch_execute(&sql).await.unwrap();
            drop(client);
            driven.await.unwrap().unwrap();
        });
        format!("{url}?options=-csearch_path%3D{name}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its quickest way to go down in order; killed outright it would leave shared memory behind.
        let process = self.process.id().to_string();
        let asked = Command::new("kill").args(["-QUIT", &process]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// Several servers that start at once bring the schema up to date together, and see the same.
#[test]
fn servers_may_start_at_once() {
    let Some(server) = start() else {
        return;
    };
    let place = Place::Postgres(server.make_place("shared"));
    wait(async {
        let opening = (0..6).map(|_| Depot::open(&place));
        let depots = futures_util::future::join_all(opening).await;
        let depots: Vec<_> = depots.into_iter().map(Result::unwrap).collect();
        let adding = depots.iter().enumerate().map(async |(number, depot)| {
            let organisation = organisation(&format!("org_{number}"));
            depot.access().add_organisation(&organisation).await
        });
        for added in futures_util::future::join_all(adding).await {
            added.unwrap();
        }
        for depot in &depots {
            let changes = depot.access().changed_since(0).await.unwrap();
            assert_eq!((changes.version, changes.organisations.len()), (6, 6));
        }
    });
    connections_that_the_server_closed_are_replaced(&server);
    tls_checks_the_server(&server);
}

fn connections_that_the_server_closed_are_replaced(server: &Server) {
    let place = Place::Postgres(server.make_place("restarted"));
    wait(async {
        let depot = Depot::open(&place).await.unwrap();
        let pings = || futures_util::future::join_all((0..8).map(|_| depot.database().ping()));
        for number in 0..10 {
            for ping in pings().await {
                ping.unwrap();
            }
            let end = "SELECT CAST(COUNT(pg_terminate_backend(pid)) AS BIGINT) \
                       FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL";
            depot.database().query(Statement::new(end)).await.unwrap();
            let organisation = organisation(&format!("org_{number}"));
            depot
                .access()
                .add_organisation(&organisation)
                .await
                .unwrap();
        }
    });
}

fn tls_checks_the_server(server: &Server) {
    let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/ca.pem");
    let url = format!(
        "postgres://postgres@localhost:{}/postgres?sslmode=",
        server.port
    );
    wait(async {
        let open = async |rest: &str| Database::connect_postgres(&format!("{url}{rest}")).await;
        let database = open(&format!("verify-full&sslrootcert={roots}"))
            .await
            .unwrap();
        let asked = "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_stat_ssl \
                     WHERE pid = pg_backend_pid() AND ssl";
        let rows = database.query(Statement::new(asked)).await.unwrap();
        assert_eq!(rows[0].integer(0).unwrap(), 1);
        let untrusted = open("require").await.unwrap_err();
        assert!(matches!(untrusted, Error::Unavailable(_)), "{untrusted}");
    });
}

/// A password is not sent in the clear because nobody thought of TLS.
#[test]
fn a_database_elsewhere_needs_a_word_about_tls() {
    wait(async {
        let url = "postgres://quire:secret@db.example.com/quire";
        let error = Depot::open(&Place::Postgres(url.to_owned()))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Address(_)));
        assert!(error.to_string().contains("sslmode=require"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    });
}
