//! The spool while its process lives.

use std::path::Path;

use quire_depot::{Depot, Error, Metering, Place, Rates, Scope, Spool, UsageRow};
use quire_protocol::{Money, Usage};

use crate::{in_folder, used, wait};

fn rates() -> Rates {
    Rates {
        input: Money::from_picos(5),
        output: Money::from_picos(25),
        ..Rates::default()
    }
}

fn output(output: u64) -> Usage {
    Usage {
        input: 10,
        output,
        ..Usage::default()
    }
}

fn files(folder: &Path) -> usize {
    let rows = |entry: &std::io::Result<std::fs::DirEntry>| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".rows")
    };
    std::fs::read_dir(folder).unwrap().filter(rows).count()
}

async fn spent(metering: &Metering) -> i64 {
    let spent = metering.spent(&Scope::Key("key_1".into()), None).await;
    spent.unwrap().picos()
}

#[test]
fn what_ended_is_moved_once_and_files_are_let_go() {
    let folder = tempfile::tempdir().unwrap();
    wait(async {
        let metering = in_folder(folder.path()).await.metering();
        let path = folder.path().join("spool");
        let spool = Spool::open(&path).unwrap();
        let slow = spool.begin(used("slow", 1), rates()).unwrap();
        let row = |number: usize| UsageRow {
            cost: Money::from_picos(1),
            model_asked: "m".repeat(900),
            ..used(&format!("req_{number}"), 1)
        };
        for number in 0..4_000 {
            let mut ticket = spool.begin(row(number), rates()).unwrap();
            ticket.progress(&output(1)).unwrap();
            ticket.close(&row(number)).unwrap();
        }
        assert!(files(&path) > 2);
        assert_eq!(spool.drain(&metering).await.unwrap(), 4_000);
        assert_eq!(spool.drain(&metering).await.unwrap(), 0);
        assert_eq!(spent(&metering).await, 4_000);
        // The first and the last: one has a request under way, one is written.
        assert_eq!(files(&path), 2);
        slow.close(&row(4_000)).unwrap();
        assert_eq!(spool.finish(&metering).await.unwrap(), 1);
        assert_eq!((files(&path), spent(&metering).await), (0, 4_001));
        let left = std::fs::read_dir(&path).unwrap().count();
        assert_eq!(left, 1, "nothing but the file that owners are made under");
    });
}

/// A task that panics or is cancelled drops its ticket.
#[test]
fn a_ticket_that_is_dropped_is_billed_by_its_progress() {
    let folder = tempfile::tempdir().unwrap();
    wait(async {
        let metering = in_folder(folder.path()).await.metering();
        let spool = Spool::open(&folder.path().join("spool")).unwrap();
        let mut begun = used("req_1", 1);
        begun.usage = output(0);
        let mut ticket = spool.begin(begun.clone(), rates()).unwrap();
        ticket.progress(&output(3)).unwrap();
        ticket.progress(&output(4)).unwrap();
        drop(ticket);
        begun.request = "req_2".into();
        drop(spool.begin(begun, rates()).unwrap());
        assert_eq!(spool.drain(&metering).await.unwrap(), 2);
        assert_eq!(spent(&metering).await, (50 + 100) + 50);
    });
}

#[test]
fn a_living_process_is_not_recovered_and_a_dead_one_is() {
    let folder = tempfile::tempdir().unwrap();
    wait(async {
        let metering = in_folder(folder.path()).await.metering();
        let path = folder.path().join("spool");
        let (one, two) = (Spool::open(&path).unwrap(), Spool::open(&path).unwrap());
        let ticket = one.begin(used("req_1", 1), rates()).unwrap();
        let found = two.recover(&metering).await.unwrap();
        assert_eq!(found, quire_depot::Recovered::default());
        // A ticket that nobody ever drops keeps its process, so to say, alive.
        std::mem::forget(ticket);
        let row = UsageRow {
            cost: Money::from_picos(7),
            ..used("req_2", 1)
        };
        two.begin(row.clone(), rates())
            .unwrap()
            .close(&row)
            .unwrap();
        drop((one, two));
        let three = Spool::open(&path).unwrap();
        let found = three.recover(&metering).await.unwrap();
        assert_eq!((found.ended, found.estimated, found.torn_bytes), (1, 0, 0));
        assert_eq!(spent(&metering).await, 7);
    });
}

/// The database is away for a while: nothing is lost, and nothing waits for it.
#[test]
fn rows_wait_on_disk_for_the_database() {
    let folder = tempfile::tempdir().unwrap();
    wait(async {
        let depot = in_folder(folder.path()).await;
        let metering = depot.metering();
        let spool = Spool::open(&folder.path().join("spool")).unwrap();
        let row = used("req_1", 1);
        spool
            .begin(row.clone(), rates())
            .unwrap()
            .close(&row)
            .unwrap();
        let hide = |there: &str| quire_depot::Statement::new(there.to_owned());
        depot
            .database()
            .execute(hide("ALTER TABLE usage RENAME TO away"))
            .await
            .unwrap();
        let away = spool.drain(&metering).await.unwrap_err();
        assert!(matches!(away, Error::Statement(_)), "{away}");
        depot
            .database()
            .execute(hide("ALTER TABLE away RENAME TO usage"))
            .await
            .unwrap();
        assert_eq!(spool.drain(&metering).await.unwrap(), 1);
        assert_eq!(spent(&metering).await, row.cost.picos());
    });
}

/// A folder is opened by a newer program first.
#[test]
fn a_newer_schema_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    wait(async {
        let depot = in_folder(folder.path()).await;
        let newer = "UPDATE versions SET version = 999 WHERE name = 'schema'";
        depot
            .database()
            .execute(quire_depot::Statement::new(newer))
            .await
            .unwrap();
        let refused = Depot::open(&Place::Folder(folder.path().to_owned())).await;
        assert!(matches!(refused, Err(Error::Newer { found: 999, .. })));
    });
}
