//! Debts that servers share.

use quire_depot::{Debt, Depot, MINUTE_MS, MOST_DEBT, Used};

fn used(name: &str, units: i64, since: i64) -> Used {
    Used {
        name: name.to_owned(),
        capacity: 60,
        units: units * MINUTE_MS,
        since,
    }
}

fn debt(name: &str, units: i64, at: i64) -> Debt {
    Debt {
        name: name.to_owned(),
        units: units * MINUTE_MS,
        at,
    }
}

pub(crate) async fn debts_are_added_up_and_paid_off(depot: Depot) {
    let debts = depot.debts();
    let first = debts.exchange(&[used("a", 10, 1_000)], 0).await.unwrap();
    assert_eq!(first.debts, [debt("a", 10, 1_000)]);
    // Another server, two seconds later: two units are paid off, and five are new.
    let both = [used("a", 5, 3_000), used("b", 1, 3_000)];
    let mut second = debts.exchange(&both, first.version).await.unwrap();
    second.debts.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(second.debts, [debt("a", 13, 3_000), debt("b", 1, 3_000)]);
    // Who used nothing learns of it as well, and of nothing twice.
    let read = debts.exchange(&[], first.version).await.unwrap();
    assert_eq!((read.debts.len(), read.version), (2, second.version));
    let again = debts.exchange(&[], second.version).await.unwrap();
    assert_eq!((again.debts, again.version), (Vec::new(), second.version));
    // A clock that is behind pays nothing off, and neither does it turn the other back.
    let behind = debts.exchange(&[used("a", 1, 500)], second.version).await;
    assert_eq!(behind.unwrap().debts, [debt("a", 14, 3_000)]);
    // What was given back beyond all debt is no credit.
    for (units, at, left) in [(-9, 3_000, 0), (2, 4_000, 2)] {
        let given = [used("b", units, at)];
        let came = debts.exchange(&given, second.version).await.unwrap();
        assert!(came.debts.contains(&debt("b", left, at)));
    }
}

pub(crate) async fn debts_beyond_all_sense_stay_debts(depot: Depot) {
    let debts = depot.debts();
    let absurd = |since| Used {
        capacity: i64::MAX,
        units: i64::MAX,
        ..used("a", 0, since)
    };
    for since in [0, i64::MAX, i64::MIN] {
        let some = debts.exchange(&[absurd(since)], 0).await.unwrap();
        assert_eq!(some.debts[0].units, MOST_DEBT);
    }
    let many: Vec<_> = (0..3_000).map(|n| used(&format!("n{n}"), n, 5)).collect();
    let some = debts.exchange(&many, 0).await.unwrap();
    assert_eq!(some.debts.len(), 3_001);
}

/// No two servers keep each other waiting, and none misses what another added.
pub(crate) async fn servers_exchange_debts_at_once(depot: Depot) {
    let debts = depot.debts();
    let servers = (0..8).map(|server| {
        let debts = debts.clone();
        async move {
            let (mut version, mut last) = (0, 0);
            for round in 0..5 {
                let mut some = vec![used("a", 1, 7), used("b", 1, 7)];
                if (server + round) % 2 == 0 {
                    some.reverse();
                }
                let exchanged = debts.exchange(&some, version).await.unwrap();
                let seen = exchanged.debts.iter().find(|debt| debt.name == "a");
                let seen = seen.unwrap().units;
                assert!(seen > last && exchanged.version > version);
                (version, last) = (exchanged.version, seen);
            }
        }
    });
    futures_util::future::join_all(servers).await;
    let all = debts.exchange(&[], 0).await.unwrap().debts;
    assert!(all.contains(&debt("a", 40, 7)) && all.contains(&debt("b", 40, 7)));
}
