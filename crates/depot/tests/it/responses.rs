//! Stored responses, conversations and the replay log.

use quire_depot::{
    Conversation, ConversationId, Depot, Error, Growth, KeptHead, KeptRequest, Order, Page, Put,
    ResponseId, ResponseStatus, Room, StoredItem, StoredResponse, WorkspaceId,
};

fn new(id: &str, previous: Option<&str>) -> StoredResponse {
    StoredResponse {
        id: id.into(),
        key: "key_1".into(),
        created_at: 10,
        expires_at: Some(1_000),
        previous: previous.map(ResponseId::from),
        conversation: None,
        background: false,
        status: ResponseStatus::Completed,
        request: "{\"model\":\"x\"}".to_owned(),
        response: "{}".to_owned(),
    }
}

fn items(ids: &[&str]) -> Vec<StoredItem> {
    let item = |id: &&str| StoredItem {
        id: (*id).to_owned(),
        item: format!("{{\"id\":\"{id}\"}}"),
    };
    ids.iter().map(item).collect()
}

fn ids(items: &[StoredItem]) -> String {
    items
        .iter()
        .map(|item| item.id.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn conversation() -> Conversation {
    Conversation {
        id: "conv_1".into(),
        created_at: 10,
        metadata: "{}".to_owned(),
    }
}

fn spaces() -> (WorkspaceId, WorkspaceId) {
    ("wrkspc_1".into(), "wrkspc_2".into())
}

pub(crate) async fn responses_are_found_by_their_workspace_alone(depot: Depot) {
    let (mine, other) = spaces();
    let responses = depot.responses();
    let first = new("resp_1", None);
    responses
        .add(&mine, &first, &items(&["c", "a", "b"]))
        .await
        .unwrap();
    assert!(matches!(
        responses.add(&other, &first, &[]).await,
        Err(Error::Exists { .. })
    ));
    assert_eq!(
        responses.get(&mine, &first.id).await.unwrap(),
        Some(first.clone())
    );
    assert_eq!(responses.get(&other, &first.id).await.unwrap(), None);
    let page = Page {
        order: Order::OldestFirst,
        ..Page::after("c", 9)
    };
    let listed = responses
        .input_items(&mine, &first.id, &page)
        .await
        .unwrap();
    assert_eq!(ids(&listed.items), "a b");
    let newest = responses
        .input_items(&mine, &first.id, &Page::first(2))
        .await
        .unwrap();
    assert_eq!((ids(&newest.items).as_str(), newest.more), ("b a", true));
    let hidden = responses
        .input_items(&other, &first.id, &Page::first(9))
        .await
        .unwrap();
    assert!(hidden.items.is_empty());
    assert!(matches!(
        responses.delete(&other, &first.id).await,
        Err(Error::Missing { .. })
    ));
    responses.delete(&mine, &first.id).await.unwrap();
    assert_eq!(responses.get(&mine, &first.id).await.unwrap(), None);
    responses.add(&mine, &first, &items(&["a"])).await.unwrap();
    assert_eq!(responses.expire(999, 9).await.unwrap(), 0);
    assert_eq!(responses.expire(1_000, 9).await.unwrap(), 1);
    let gone = responses
        .input_items(&mine, &first.id, &Page::first(9))
        .await
        .unwrap();
    assert!(gone.items.is_empty());
}

pub(crate) async fn a_chain_is_followed_within_its_workspace(depot: Depot) {
    let (mine, other) = spaces();
    let responses = depot.responses();
    responses
        .add(&other, &new("resp_0", None), &[])
        .await
        .unwrap();
    for (id, previous) in [
        ("resp_1", "resp_0"),
        ("resp_2", "resp_1"),
        ("resp_3", "resp_2"),
    ] {
        responses
            .add(&mine, &new(id, Some(previous)), &[])
            .await
            .unwrap();
    }
    let chain = async |workspace: &WorkspaceId, id: &str, most| {
        let chain = responses.chain(workspace, &id.into(), most).await.unwrap();
        let ids: Vec<_> = chain
            .iter()
            .map(|response| response.id.to_string())
            .collect();
        ids.join(" ")
    };
    assert_eq!(chain(&mine, "resp_3", 9).await, "resp_1 resp_2 resp_3");
    assert_eq!(chain(&mine, "resp_3", 2).await, "resp_2 resp_3");
    assert_eq!(chain(&other, "resp_3", 9).await, "");
    assert_eq!(chain(&mine, "resp_0", 9).await, "");
}

pub(crate) async fn a_background_response_outlives_its_worker(depot: Depot) {
    let (mine, other) = spaces();
    let responses = depot.responses();
    for id in ["resp_1", "resp_2"] {
        let queued = StoredResponse {
            background: true,
            status: ResponseStatus::Queued,
            ..new(id, None)
        };
        responses.add(&mine, &queued, &[]).await.unwrap();
    }
    responses
        .add(&mine, &new("resp_3", None), &[])
        .await
        .unwrap();
    let claimed = responses.claim(1, "one", 20, 100).await.unwrap();
    let (workspace, id) = (&claimed[0].workspace, &claimed[0].response.id);
    assert_eq!(
        (workspace, id.as_str(), claimed[0].attempt),
        (&mine, "resp_1", 1)
    );
    assert_eq!(claimed[0].response.status, ResponseStatus::InProgress);
    assert_eq!(responses.renew("one", 150).await.unwrap(), 1);
    let both = responses.claim(9, "two", 150, 200).await.unwrap();
    assert_eq!((both.len(), both[0].attempt, both[1].attempt), (2, 2, 1));
    let done = ResponseStatus::Completed;
    assert!(
        responses
            .update(&mine, id, done, "{\"done\":1}")
            .await
            .unwrap()
    );
    assert!(!responses.update(&mine, id, done, "late").await.unwrap());
    let stays = responses.cancel(&mine, id, "cancelled").await.unwrap();
    assert_eq!(
        (stays.status, stays.response.as_str()),
        (done, "{\"done\":1}")
    );
    let second = both[1].response.id.clone();
    assert!(
        !responses
            .update(&other, &second, done, "foreign")
            .await
            .unwrap()
    );
    let cancelled = responses.cancel(&mine, &second, "{}").await.unwrap();
    assert_eq!(cancelled.status, ResponseStatus::Cancelled);
    assert!(
        !responses
            .update(&mine, &second, done, "late")
            .await
            .unwrap()
    );
    let waited_for = responses.cancel(&mine, &"resp_3".into(), "{}").await;
    assert!(matches!(waited_for, Err(Error::Refused(_))));
    assert!(
        responses
            .claim(9, "three", 900, 950)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn a_worker_that_is_late_does_not_claim_its_own_response_again(depot: Depot) {
    let (mine, _) = spaces();
    let responses = depot.responses();
    let queued = StoredResponse {
        background: true,
        status: ResponseStatus::Queued,
        ..new("resp_1", None)
    };
    responses.add(&mine, &queued, &[]).await.unwrap();
    let first = responses.claim(9, "one", 20, 100).await.unwrap();
    assert_eq!(first.len(), 1);
    // Its lease ran out while it was busy: it still works on it.
    assert!(
        responses
            .claim(9, "one", 500, 600)
            .await
            .unwrap()
            .is_empty()
    );
    // What it could not finish it lets go of, and may have again.
    responses.let_go("two", &first[0]).await.unwrap();
    assert!(
        responses
            .claim(9, "one", 500, 600)
            .await
            .unwrap()
            .is_empty()
    );
    responses.let_go("one", &first[0]).await.unwrap();
    assert_eq!(responses.renew("one", 900).await.unwrap(), 0);
    let again = responses.claim(9, "one", 500, 600).await.unwrap();
    assert_eq!((again.len(), again[0].attempt), (1, 2));
    // Another worker takes over whatever is late.
    assert_eq!(responses.claim(9, "two", 600, 700).await.unwrap().len(), 1);
    responses.let_go("one", &again[0]).await.unwrap();
    assert_eq!(responses.renew("two", 800).await.unwrap(), 1);
}

pub(crate) async fn an_end_and_what_a_conversation_grows_by_are_one(depot: Depot) {
    let (mine, other) = spaces();
    let (responses, conversations) = (depot.responses(), depot.conversations());
    let open = StoredResponse {
        background: true,
        status: ResponseStatus::InProgress,
        ..new("resp_1", None)
    };
    responses.add(&mine, &open, &[]).await.unwrap();
    let (there, gone) = (
        ConversationId::from("conv_1"),
        ConversationId::from("conv_2"),
    );
    conversations
        .add(&mine, &conversation(), &items(&["m1"]))
        .await
        .unwrap();
    let both = async || {
        let found = responses.get(&mine, &open.id).await.unwrap().unwrap();
        let oldest = Page {
            order: Order::OldestFirst,
            ..Page::first(9)
        };
        let listed = conversations.items(&mine, &there, &oldest).await.unwrap();
        (found.status.is_open(), ids(&listed.items))
    };
    let end = async |workspace: &WorkspaceId, conversation: &ConversationId, new: &[&str]| {
        let items = items(new);
        let growth = Growth {
            conversation,
            items: &items,
        };
        let done = ResponseStatus::Completed;
        responses.end(workspace, &open.id, done, "{}", growth).await
    };
    // An item that is there already, and a conversation that is not: neither is changed.
    let twice = end(&mine, &there, &["m2", "m1"]).await.unwrap_err();
    assert!(
        matches!(&twice, Error::Exists { kind: "item", id } if id == "m1"),
        "{twice}"
    );
    let nowhere = end(&mine, &gone, &["m2"]).await.unwrap_err();
    assert!(
        matches!(&nowhere, Error::Missing { kind: "conversation", id } if id == "conv_2"),
        "{nowhere}"
    );
    assert!(!end(&other, &there, &["m2"]).await.unwrap());
    assert_eq!(both().await, (true, "m1".to_owned()));
    assert!(end(&mine, &there, &["m2", "m3"]).await.unwrap());
    assert_eq!(both().await, (false, "m1 m2 m3".to_owned()));
    // One that has ended adds nothing again.
    assert!(!end(&mine, &there, &["m4"]).await.unwrap());
    assert_eq!(both().await, (false, "m1 m2 m3".to_owned()));
    the_same_for_one_that_was_not_there(&depot, &mine, &there).await;
}

async fn the_same_for_one_that_was_not_there(
    depot: &Depot,
    mine: &WorkspaceId,
    conversation: &ConversationId,
) {
    let (responses, conversations) = (depot.responses(), depot.conversations());
    let add = async |id: &str, item: &str| {
        let items = items(&["m5", item]);
        let growth = Growth {
            conversation,
            items: &items,
        };
        responses.add_ended(mine, &new(id, None), growth).await
    };
    let found = async |id: &str| {
        let response = responses.get(mine, &id.into()).await.unwrap();
        let item = conversations.item(mine, conversation, "m5").await.unwrap();
        (response.is_some(), item.is_some())
    };
    let twice = add("resp_2", "m1").await.unwrap_err();
    assert!(
        matches!(twice, Error::Exists { kind: "item", .. }),
        "{twice}"
    );
    assert_eq!(found("resp_2").await, (false, false));
    let taken = add("resp_1", "m6").await.unwrap_err();
    assert!(
        matches!(
            taken,
            Error::Exists {
                kind: "response",
                ..
            }
        ),
        "{taken}"
    );
    assert_eq!(found("resp_1").await, (true, false));
    add("resp_2", "m6").await.unwrap();
    assert_eq!(found("resp_2").await, (true, true));
}

pub(crate) async fn events_are_kept_by_their_numbers(depot: Depot) {
    let (mine, other) = spaces();
    let responses = depot.responses();
    let id = ResponseId::from("resp_1");
    responses
        .add(&mine, &new("resp_1", None), &[])
        .await
        .unwrap();
    let event = |number: u64| (number, format!("event {number}"));
    responses
        .add_events(&mine, &id, &[event(0), event(1)])
        .await
        .unwrap();
    responses
        .add_events(&mine, &id, &[(1, "other".to_owned()), event(2)])
        .await
        .unwrap();
    let kept = responses.events(&mine, &id, Some(0), 9).await.unwrap();
    assert_eq!(kept, [event(1), event(2)]);
    assert_eq!(
        responses.events(&mine, &id, None, 1).await.unwrap(),
        [event(0)]
    );
    assert!(
        responses
            .events(&other, &id, None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(matches!(
        responses.add_events(&other, &id, &[event(9)]).await,
        Err(Error::Missing { .. })
    ));
    responses.delete(&mine, &id).await.unwrap();
    assert!(
        responses
            .events(&mine, &id, None, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn conversations_keep_their_order(depot: Depot) {
    let (mine, _) = spaces();
    let conversations = depot.conversations();
    let id = ConversationId::from("conv_1");
    conversations
        .add(&mine, &conversation(), &items(&["m1", "m2"]))
        .await
        .unwrap();
    let put =
        async |place: Put, new: &[&str]| conversations.put(&mine, &id, &place, &items(new)).await;
    put(Put::Last, &["m5", "m6"]).await.unwrap();
    put(Put::Behind("m2".to_owned()), &["m3", "m4"])
        .await
        .unwrap();
    put(Put::Last, &["m7"]).await.unwrap();
    let twice = put(Put::Last, &["m8", "m3"]).await.unwrap_err();
    assert!(
        matches!(&twice, Error::Exists { id, .. } if id == "m3"),
        "{twice}"
    );
    let twice = put(Put::Behind("m1".to_owned()), &["m1"])
        .await
        .unwrap_err();
    assert!(
        matches!(&twice, Error::Exists { id, .. } if id == "m1"),
        "{twice}"
    );
    let nowhere = put(Put::Behind("m9".to_owned()), &["m8"])
        .await
        .unwrap_err();
    assert!(
        matches!(nowhere, Error::Missing { kind: "item", .. }),
        "{nowhere}"
    );
    conversations.delete_item(&mine, &id, "m6").await.unwrap();
    let oldest = Page {
        order: Order::OldestFirst,
        ..Page::first(9)
    };
    let listed = conversations.items(&mine, &id, &oldest).await.unwrap();
    assert_eq!(ids(&listed.items), "m1 m2 m3 m4 m5 m7");
    let newest = conversations
        .items(&mine, &id, &Page::after("m5", 2))
        .await
        .unwrap();
    assert_eq!((ids(&newest.items).as_str(), newest.more), ("m4 m3", true));
}

pub(crate) async fn a_conversation_is_seen_by_its_workspace_alone(depot: Depot) {
    let (mine, other) = spaces();
    let conversations = depot.conversations();
    let id = ConversationId::from("conv_1");
    let first = items(&["m1"]);
    conversations
        .add(&mine, &conversation(), &first)
        .await
        .unwrap();
    conversations
        .set_metadata(&mine, &id, "{\"a\":\"b\"}")
        .await
        .unwrap();
    let found = conversations.get(&mine, &id).await.unwrap().unwrap();
    assert_eq!(found.metadata, "{\"a\":\"b\"}");
    // Another workspace finds none of it and changes none of it.
    assert!(conversations.get(&other, &id).await.unwrap().is_none());
    assert!(
        conversations
            .item(&other, &id, "m1")
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        conversations
            .items(&other, &id, &Page::first(9))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(conversations.set_metadata(&other, &id, "{}").await.is_err());
    assert!(
        conversations
            .put(&other, &id, &Put::Last, &items(&["x"]))
            .await
            .is_err()
    );
    assert!(conversations.delete_item(&other, &id, "m1").await.is_err());
    assert!(conversations.delete(&other, &id).await.is_err());
    conversations.delete(&mine, &id).await.unwrap();
    assert!(
        conversations
            .item(&mine, &id, "m1")
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn appends_at_once_lose_nothing(depot: Depot) {
    let (mine, _) = spaces();
    let conversations = depot.conversations();
    let id = ConversationId::from("conv_1");
    conversations
        .add(&mine, &conversation(), &[])
        .await
        .unwrap();
    let appends = (0..20).map(|number| {
        let (one, two) = (format!("a{number}"), format!("b{number}"));
        let (conversations, mine, id) = (&conversations, &mine, &id);
        async move {
            let items = items(&[one.as_str(), two.as_str()]);
            conversations
                .put(mine, id, &Put::Last, &items)
                .await
                .unwrap();
        }
    });
    futures_util::future::join_all(appends).await;
    let listed = conversations
        .items(&mine, &id, &Page::first(99))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 40);
    for pair in listed.items.chunks(2) {
        assert_eq!(pair[0].id[1..], pair[1].id[1..], "pairs stay together");
        assert!(pair[0].id.starts_with('b'));
    }
}

pub(crate) async fn the_replay_log_forgets_the_oldest(depot: Depot) {
    let (mine, _) = spaces();
    let replay = depot.replay();
    let kept = |number: i64| KeptRequest {
        head: KeptHead {
            id: format!("req_{number}").into(),
            created_at: number,
            workspace: mine.clone(),
            key: "key_1".into(),
            api: "messages".to_owned(),
            model: "m".to_owned(),
            body_bytes: 60,
        },
        path: (number == 9).then(|| "/elsewhere".to_owned()),
        headers: "[]".to_owned(),
        body: vec![0xff; 60],
    };
    let all: Vec<_> = (0..20).map(kept).collect();
    replay.add(&all).await.unwrap();
    replay.add(&all[..3]).await.unwrap();
    let each = all[0].bytes();
    let room = Room {
        bytes: 100 * each,
        count: 100,
        since: 0,
    };
    assert_eq!(replay.trim(room).await.unwrap(), 0);
    let newest = |room: Room| {
        let replay = replay.clone();
        async move {
            replay.trim(room).await.unwrap();
            let heads = replay.newest(100).await.unwrap();
            heads.len()
        }
    };
    assert_eq!(newest(Room { since: 5, ..room }).await, 15);
    assert_eq!(newest(Room { count: 13, ..room }).await, 13);
    let bytes = 12 * each - 1;
    assert_eq!(newest(Room { bytes, ..room }).await, 11);
    let heads = replay.newest(2).await.unwrap();
    assert_eq!(heads, [kept(19).head, kept(18).head]);
    let one = replay.get(&"req_9".into()).await.unwrap();
    assert_eq!(one, Some(kept(9)));
    assert_eq!(replay.get(&"req_8".into()).await.unwrap(), None);
    assert_eq!(newest(Room::NONE).await, 0);
}
