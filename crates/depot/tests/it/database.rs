//! The database itself, the same on both.

use std::task::{Context, Poll, Waker};

use quire_depot::{Depot, Error, Row, Statement, Value};

async fn table(depot: &Depot) {
    let create = "CREATE TABLE things (id BIGINT PRIMARY KEY, name TEXT, bytes BYTEA)";
    depot
        .database()
        .execute(Statement::new(create))
        .await
        .unwrap();
}

fn insert(id: i64) -> Statement {
    Statement::new("INSERT INTO things (id) VALUES ($1)").bind(id)
}

async fn ids(depot: &Depot) -> Vec<i64> {
    let asked = Statement::new("SELECT id FROM things ORDER BY id");
    let rows = depot.database().query(asked).await.unwrap();
    rows.iter().map(|row| row.integer(0).unwrap()).collect()
}

pub(crate) async fn values_come_back(depot: Depot) {
    table(&depot).await;
    let row = vec![
        Value::Integer(i64::MIN),
        Value::from("ä\0'\"$1;\n--"),
        Value::from(vec![0, 255, 39]),
    ];
    let insert = Statement::new("INSERT INTO things (id, name, bytes) VALUES ($1, $2, $3)");
    let statement = row.iter().cloned().fold(insert, Statement::bind);
    assert_eq!(depot.database().execute(statement).await.unwrap(), 1);
    let asked = Statement::new("SELECT id, name, bytes FROM things WHERE bytes = $1");
    let rows = depot
        .database()
        .query(asked.bind(vec![0, 255, 39]))
        .await
        .unwrap();
    assert_eq!(rows, [Row(row)]);
    assert_eq!(rows[0].text(1).unwrap(), "ä\u{fffd}'\"$1;\n--");
    assert!(matches!(rows[0].integer(1), Err(Error::Damaged(_))));
    let wrong = depot
        .database()
        .query(Statement::new("SELECT nothing FROM things"))
        .await;
    assert!(matches!(wrong, Err(Error::Statement(_))));
}

pub(crate) async fn what_fails_is_undone_alone(depot: Depot) {
    table(&depot).await;
    let all = (0..30).map(|number| {
        let mut statements = vec![insert(number)];
        match number % 3 {
            0 => {}
            // This one is there already.
            1 => statements.push(insert(number)),
            _ => {
                let none = Statement::new("UPDATE things SET name = 'x' WHERE id = 99");
                statements.push(none.needs_a_row());
            }
        }
        depot.database().transact(statements)
    });
    let outcomes = futures_util::future::join_all(all).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match number % 3 {
            0 => assert_eq!(outcome.unwrap()[0].changed, 1),
            1 => assert!(matches!(outcome, Err(Error::Statement(_)))),
            _ => assert!(matches!(outcome, Err(Error::Unmet(1)))),
        }
    }
    assert_eq!(ids(&depot).await, [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
}

/// A request that is cancelled drops what it was doing with the database at any point.
pub(crate) async fn a_caller_that_goes_away_leaves_nothing_half_done(depot: Depot) {
    table(&depot).await;
    for polls in 0..20 {
        let statements = vec![insert(polls * 2), insert(polls * 2 + 1)];
        let mut doing = Box::pin(depot.database().transact(statements));
        for _ in 0..polls {
            let polled = doing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(done) = polled {
                done.unwrap();
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(doing);
        depot.database().ping().await.unwrap();
    }
    // Behind what was handed in by then.
    depot.database().execute(insert(1_000)).await.unwrap();
    let ids = ids(&depot).await;
    let pairs = ids[..ids.len() - 1].chunks(2);
    for pair in pairs {
        assert_eq!(
            (pair[0] % 2, pair[0] + 1),
            (0, pair[1]),
            "both or none: {ids:?}"
        );
    }
}
