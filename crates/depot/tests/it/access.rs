//! Organisations, workspaces and keys.

use quire_depot::{ApiKey, Budget, Depot, Error, KeyFilter, Limits, Order, Page, Period};
use quire_protocol::Money;

use crate::{key, organisation, workspace};

async fn filled(depot: &Depot) {
    let access = depot.access();
    for number in 1..=2 {
        let organisation = organisation(&format!("org_{number}"));
        access.add_organisation(&organisation).await.unwrap();
        let owner = organisation.id.as_str();
        for letter in ["a", "b"] {
            let id = format!("wrkspc_{number}{letter}");
            access
                .add_workspace(&workspace(owner, &id, 2_000))
                .await
                .unwrap();
        }
    }
}

fn full_key() -> ApiKey {
    ApiKey {
        expires_at: Some(9_000),
        models: vec!["claude-*".to_owned(), "a \"b\", c".to_owned()],
        regions: vec!["us".to_owned()],
        limits: Limits {
            requests_per_minute: Some(60),
            input_tokens_per_minute: None,
            output_tokens_per_minute: Some(u64::from(u32::MAX)),
        },
        budget: Some(Budget {
            amount: Money::from_picos(2_500_000_000_001),
            period: Period::Month,
        }),
        ..key("org_1", "wrkspc_1a", "key_full", 3_000)
    }
}

pub(crate) async fn what_is_added_is_found_and_changed(depot: Depot) {
    filled(&depot).await;
    let access = depot.access();
    let mut key = full_key();
    access.add_key(&key).await.unwrap();
    assert_eq!(
        access.key_by_hash(&key.hash).await.unwrap(),
        Some(key.clone())
    );
    assert_eq!(
        access.key(&key.organisation, &key.id).await.unwrap(),
        Some(key.clone())
    );
    key.revoked_at = Some(4_000);
    key.budget = None;
    "no more".clone_into(&mut key.name);
    access.update_key(&key).await.unwrap();
    assert_eq!(
        access.key_by_hash(&key.hash).await.unwrap(),
        Some(key.clone())
    );

    let mut workspace = workspace("org_1", "wrkspc_1a", 2_000);
    workspace.archived_at = Some(5_000);
    workspace.file_quota = Some(1 << 40);
    access.update_workspace(&workspace).await.unwrap();
    let found = access
        .workspace(&workspace.organisation, &workspace.id)
        .await;
    assert_eq!(found.unwrap(), Some(workspace));

    let twice = access.add_key(&key).await.unwrap_err();
    assert!(
        matches!(twice, Error::Exists { kind: "key", .. }),
        "{twice}"
    );
    let nowhere = crate::key("org_1", "wrkspc_none", "key_x", 1);
    let nowhere = access.add_key(&nowhere).await.unwrap_err();
    assert!(
        matches!(
            nowhere,
            Error::Missing {
                kind: "workspace",
                ..
            }
        ),
        "{nowhere}"
    );
    let unknown = access
        .update_organisation(&organisation("org_none"))
        .await
        .unwrap_err();
    assert!(matches!(unknown, Error::Missing { .. }), "{unknown}");
    depot.database().ping().await.unwrap();
}

pub(crate) async fn lists_are_read_in_pages_from_both_ends(depot: Depot) {
    filled(&depot).await;
    let access = depot.access();
    let owner = "org_1".into();
    // Two were made in the same millisecond.
    for (id, at) in [
        ("key_1", 1),
        ("key_2", 2),
        ("key_B", 2),
        ("key_a", 2),
        ("key_5", 5),
    ] {
        access
            .add_key(&key("org_1", "wrkspc_1a", id, at))
            .await
            .unwrap();
    }
    access
        .add_key(&key("org_1", "wrkspc_1b", "key_6", 6))
        .await
        .unwrap();
    let all = KeyFilter::default();
    let of_a = KeyFilter {
        workspace: Some("wrkspc_1a".into()),
    };
    let read = async |filter: &KeyFilter, page: Page| {
        let listed = access.keys(&owner, filter, &page).await.unwrap();
        let ids: Vec<_> = listed.items.iter().map(|key| key.id.to_string()).collect();
        (ids.join(" "), listed.more)
    };
    let oldest = Page {
        order: Order::OldestFirst,
        ..Page::first(4)
    };
    let before = Page {
        before: Some("key_2".to_owned()),
        ..Page::first(2)
    };
    for (filter, page, ids, more) in [
        (&all, Page::first(3), "key_6 key_5 key_a", true),
        (&all, Page::after("key_a", 3), "key_B key_2 key_1", false),
        (
            &of_a,
            Page::first(10),
            "key_5 key_a key_B key_2 key_1",
            false,
        ),
        (&all, oldest, "key_1 key_2 key_B key_a", true),
        (&all, before, "key_a key_B", true),
        (&all, Page::after("key_1", 3), "", false),
    ] {
        assert_eq!(
            read(filter, page.clone()).await,
            (ids.to_owned(), more),
            "{page:?}"
        );
    }
    let wrong = Page::after("key_none", 3);
    let wrong = access.keys(&owner, &all, &wrong).await.unwrap_err();
    assert!(matches!(wrong, Error::Missing { .. }), "{wrong}");
}

pub(crate) async fn another_organisation_sees_nothing(depot: Depot) {
    filled(&depot).await;
    let access = depot.access();
    let mut key = full_key();
    access.add_key(&key).await.unwrap();
    let other = "org_2".into();
    assert_eq!(access.key(&other, &key.id).await.unwrap(), None);
    assert_eq!(
        access.workspace(&other, &"wrkspc_1a".into()).await.unwrap(),
        None
    );
    let listed = access
        .keys(&other, &KeyFilter::default(), &Page::first(9))
        .await;
    assert!(listed.unwrap().items.is_empty());
    let listed = access.workspaces(&other, &Page::first(9)).await.unwrap();
    assert!(
        listed
            .items
            .iter()
            .all(|workspace| workspace.organisation == other)
    );
    // Nor can it be changed or given away, nor is its id a place in another's list.
    key.organisation = other.clone();
    assert!(matches!(
        access.update_key(&key).await,
        Err(Error::Missing { .. })
    ));
    let page = Page::after("key_full", 3);
    let listed = access.keys(&other, &KeyFilter::default(), &page).await;
    assert!(matches!(listed, Err(Error::Missing { .. })));
    let foreign = crate::key("org_2", "wrkspc_1a", "key_y", 1);
    assert!(matches!(
        access.add_key(&foreign).await,
        Err(Error::Missing { .. })
    ));
}

pub(crate) async fn servers_learn_of_changes_and_of_nothing_else(depot: Depot) {
    filled(&depot).await;
    let access = depot.access();
    let all = access.changed_since(0).await.unwrap();
    assert_eq!(
        (
            all.organisations.len(),
            all.workspaces.len(),
            all.keys.len()
        ),
        (2, 4, 0)
    );
    let none = access.changed_since(all.version).await.unwrap();
    assert_eq!(none.version, all.version);
    assert!(none.organisations.is_empty() && none.workspaces.is_empty() && none.keys.is_empty());
    let mut key = full_key();
    access.add_key(&key).await.unwrap();
    let refused = access.add_key(&key).await;
    assert!(refused.is_err());
    let one = access.changed_since(all.version).await.unwrap();
    assert_eq!(
        (one.version, one.keys),
        (all.version + 1, vec![key.clone()])
    );
    key.revoked_at = Some(1);
    access.update_key(&key).await.unwrap();
    let revoked = access.changed_since(one.version).await.unwrap();
    assert_eq!(revoked.keys, [key]);
    assert!(revoked.workspaces.is_empty());
}
