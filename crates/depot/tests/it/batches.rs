//! Batches and those who work on them.

use std::collections::HashSet;

use quire_depot::{
    Batch, BatchId, BatchState, Batches, Depot, Error, ItemState, NewBatch, NewItem, Page,
    WorkspaceId,
};

fn new(id: &str) -> NewBatch {
    NewBatch {
        id: id.into(),
        key: "key_1".into(),
        api: "messages".to_owned(),
        details: "{\"a\":1}".to_owned(),
        created_at: 10,
        expires_at: 1_000,
    }
}

fn items(from: u32, to: u32) -> Vec<NewItem> {
    let item = |number| NewItem {
        custom_id: format!("custom {number}"),
        params: format!("{{\"number\":{number}}}"),
    };
    (from..to).map(item).collect()
}

async fn started(batches: &Batches, id: &str, count: u32) -> Batch {
    let workspace = WorkspaceId::from("wrkspc_1");
    let batch = BatchId::from(id);
    batches.begin(&workspace, &new(id)).await.unwrap();
    for from in (0..count).step_by(130) {
        let some = items(from, count.min(from + 130));
        batches.add(&workspace, &batch, &some).await.unwrap();
    }
    batches.start(&workspace, &batch).await.unwrap()
}

pub(crate) async fn each_item_is_worked_on_and_answered_once(depot: Depot) {
    let batches = depot.batches();
    let workspace = WorkspaceId::from("wrkspc_1");
    let batch = started(&batches, "msgbatch_1", 300).await;
    assert_eq!(
        (batch.counts.processing, batch.state),
        (300, BatchState::InProgress)
    );
    let mut seen = HashSet::new();
    let claims = (0..4).map(|worker| {
        let (batches, worker) = (batches.clone(), format!("worker {worker}"));
        async move { batches.claim(80, &worker, 20, 100).await.unwrap() }
    });
    for claimed in futures_util::future::join_all(claims).await {
        for item in claimed {
            assert!(
                seen.insert(item.position),
                "{} was claimed twice",
                item.position
            );
            assert_eq!((item.attempt, item.params.contains("number")), (1, true));
            let state = match item.position % 3 {
                0 => ItemState::Errored,
                _ => ItemState::Succeeded,
            };
            assert!(batches.finish(&item, state, "{}", 30).await.unwrap());
            assert!(!batches.finish(&item, state, "again", 31).await.unwrap());
        }
    }
    // One may have passed over what others had locked.
    for item in batches.claim(500, "last", 20, 100).await.unwrap() {
        assert!(seen.insert(item.position));
        assert!(
            batches
                .finish(&item, ItemState::Succeeded, "{}", 40)
                .await
                .unwrap()
        );
    }
    let batch = batches
        .get(&workspace, &batch.head.id)
        .await
        .unwrap()
        .unwrap();
    let counts = batch.counts;
    assert_eq!((seen.len(), batch.state), (300, BatchState::Ended));
    assert_eq!(
        (counts.succeeded + counts.errored, counts.processing),
        (300, 0)
    );
    assert!(batch.ended_at.is_some());
    results_are_in_order(&batches, &workspace, &batch.head.id).await;
}

async fn results_are_in_order(batches: &Batches, workspace: &WorkspaceId, batch: &BatchId) {
    let first = batches.results(workspace, batch, None, 200).await.unwrap();
    let behind = first.last().map(|last| last.position);
    let rest = batches
        .results(workspace, batch, behind, 200)
        .await
        .unwrap();
    let positions: Vec<_> = first
        .iter()
        .chain(&rest)
        .map(|result| result.position)
        .collect();
    assert_eq!(positions, (0..300).collect::<Vec<_>>());
    assert_eq!(
        (first[7].custom_id.as_str(), first[7].result.as_deref()),
        ("custom 7", Some("{}"))
    );
}

pub(crate) async fn a_lease_that_ran_out_is_claimed_again(depot: Depot) {
    let batches = depot.batches();
    started(&batches, "msgbatch_1", 3).await;
    let first = batches.claim(2, "one", 20, 100).await.unwrap();
    assert_eq!(
        batches.claim(9, "two", 100 - 1, 200).await.unwrap().len(),
        1
    );
    assert!(
        batches
            .claim(9, "two", 100 - 1, 200)
            .await
            .unwrap()
            .is_empty()
    );
    let again = batches.claim(9, "three", 100, 200).await.unwrap();
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|item| item.attempt == 2));
    assert_eq!(batches.renew("three", 300).await.unwrap(), 2);
    assert_eq!(batches.claim(9, "four", 250, 400).await.unwrap().len(), 1);
    // The first to be done is the one that counts, even if it was late.
    assert!(
        batches
            .finish(&first[0], ItemState::Succeeded, "\"one\"", 260)
            .await
            .unwrap()
    );
    assert!(
        !batches
            .finish(&again[0], ItemState::Errored, "\"three\"", 270)
            .await
            .unwrap()
    );
    assert_eq!(batches.release("three").await.unwrap(), 1);
    assert_eq!(batches.claim(9, "five", 251, 400).await.unwrap().len(), 1);
}

pub(crate) async fn a_worker_that_is_late_does_not_claim_its_own_item_again(depot: Depot) {
    let batches = depot.batches();
    started(&batches, "msgbatch_1", 2).await;
    let first = batches.claim(9, "one", 20, 100).await.unwrap();
    assert_eq!(first.len(), 2);
    // Its leases ran out while it was busy: it still works on both.
    assert!(batches.claim(9, "one", 500, 600).await.unwrap().is_empty());
    // What it could not finish it lets go of, and may have again.
    batches.let_go("one", &first[0]).await.unwrap();
    batches.let_go("two", &first[1]).await.unwrap();
    let again = batches.claim(9, "one", 500, 600).await.unwrap();
    assert_eq!(
        (again.len(), again[0].position, again[0].attempt),
        (1, 0, 2)
    );
    // A lease that has not run out protects it even then.
    batches.let_go("one", &again[0]).await.unwrap();
    assert_eq!(batches.renew("one", 700).await.unwrap(), 1);
    assert!(batches.claim(9, "two", 550, 900).await.unwrap().is_empty());
    assert_eq!(batches.claim(9, "two", 600, 900).await.unwrap().len(), 1);
    assert_eq!(batches.claim(9, "two", 700, 900).await.unwrap().len(), 1);
}

pub(crate) async fn cancelled_and_expired_batches_end(depot: Depot) {
    let batches = depot.batches();
    let workspace = WorkspaceId::from("wrkspc_1");
    let id = started(&batches, "msgbatch_1", 3).await.head.id;
    let at_work = batches.claim(1, "one", 20, 100).await.unwrap();
    let batch = batches.cancel(&workspace, &id, 50).await.unwrap();
    assert_eq!(
        (batch.state, batch.counts.cancelled),
        (BatchState::Cancelling, 2)
    );
    assert!(batches.claim(9, "two", 60, 200).await.unwrap().is_empty());
    assert!(matches!(
        batches.delete(&workspace, &id).await,
        Err(Error::Refused(_))
    ));
    assert!(
        batches
            .finish(&at_work[0], ItemState::Succeeded, "{}", 70)
            .await
            .unwrap()
    );
    let batch = batches.cancel(&workspace, &id, 80).await.unwrap();
    assert_eq!((batch.state, batch.ended_at), (BatchState::Ended, Some(70)));
    assert_eq!(batch.cancelled_at, Some(50));

    let id = started(&batches, "msgbatch_2", 3).await.head.id;
    batches.claim(1, "one", 20, 1_100).await.unwrap();
    let empty = started(&batches, "msgbatch_3", 0).await.head.id;
    batches.begin(&workspace, &new("msgbatch_4")).await.unwrap();
    batches.settle(500, 10).await.unwrap();
    let get = async |id: &BatchId| batches.get(&workspace, id).await.unwrap().unwrap();
    assert_eq!(get(&empty).await.ended_at, Some(500));
    assert_eq!(get(&id).await.counts.processing, 3);
    batches.settle(1_000, 10).await.unwrap();
    assert_eq!(
        (get(&id).await.counts.expired, get(&id).await.state),
        (2, BatchState::InProgress)
    );
    batches.settle(1_100, 10).await.unwrap();
    assert_eq!(
        (get(&id).await.counts.expired, get(&id).await.state),
        (3, BatchState::Ended)
    );
    let results = batches.results(&workspace, &id, None, 9).await.unwrap();
    assert!(
        results
            .iter()
            .all(|result| result.state == ItemState::Expired)
    );
    assert_eq!(batches.archive(2_000, 11, 10).await.unwrap(), 3);
    assert_eq!(get(&id).await.archived_at, Some(2_000));
    assert!(
        batches
            .results(&workspace, &id, None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    batches.delete(&workspace, &id).await.unwrap();
    assert!(matches!(
        batches.delete(&workspace, &id).await,
        Err(Error::Missing { .. })
    ));
    // What never started is gone, so its id is free.
    batches.begin(&workspace, &new("msgbatch_4")).await.unwrap();
}

pub(crate) async fn a_custom_id_is_used_once(depot: Depot) {
    let batches = depot.batches();
    let mine = WorkspaceId::from("wrkspc_1");
    let id = BatchId::from("msgbatch_1");
    batches.begin(&mine, &new("msgbatch_1")).await.unwrap();
    batches.add(&mine, &id, &items(0, 2)).await.unwrap();
    let twice = batches.add(&mine, &id, &items(1, 3)).await;
    assert!(matches!(twice, Err(Error::Refused(_))));
    let batch = batches.start(&mine, &id).await.unwrap();
    assert_eq!(batch.counts.processing, 2, "all or none of them");
}

pub(crate) async fn a_batch_is_seen_by_its_workspace_alone(depot: Depot) {
    let batches = depot.batches();
    let (mine, other) = (WorkspaceId::from("wrkspc_1"), WorkspaceId::from("wrkspc_2"));
    let id = BatchId::from("msgbatch_1");
    batches.begin(&mine, &new("msgbatch_1")).await.unwrap();
    assert!(
        batches.get(&mine, &id).await.unwrap().is_none(),
        "it has not started"
    );
    assert!(matches!(
        batches.add(&other, &id, &items(0, 1)).await,
        Err(Error::Missing { .. })
    ));
    batches.add(&mine, &id, &items(0, 2)).await.unwrap();
    assert!(matches!(
        batches.start(&other, &id).await,
        Err(Error::Missing { .. })
    ));
    assert!(batches.claim(9, "early", 1, 2).await.unwrap().is_empty());
    assert_eq!(
        batches.start(&mine, &id).await.unwrap().counts.processing,
        2
    );
    assert!(batches.get(&other, &id).await.unwrap().is_none());
    assert!(matches!(
        batches.cancel(&other, &id, 5).await,
        Err(Error::Missing { .. })
    ));
    assert!(
        batches
            .list(&other, "messages", &Page::first(9))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(
        batches
            .list(&mine, "openai", &Page::first(9))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let item = batches.claim(1, "one", 20, 100).await.unwrap().remove(0);
    assert_eq!(
        (item.workspace.as_str(), item.key.as_str()),
        ("wrkspc_1", "key_1")
    );
    batches
        .finish(&item, ItemState::Succeeded, "{}", 30)
        .await
        .unwrap();
    assert!(
        batches
            .results(&other, &id, None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(matches!(
        batches.delete(&other, &id).await,
        Err(Error::Missing { .. })
    ));
    let listed = batches
        .list(&mine, "messages", &Page::first(9))
        .await
        .unwrap();
    assert_eq!(listed.items[0].head, new("msgbatch_1"));
}
