//! Files of workspaces.

use quire_depot::{Depot, Error, FileId, FileReader, Page, StoredFile, Upload, WorkspaceId};

const MB: usize = 1024 * 1024;

fn new(id: &str, created_at: i64) -> StoredFile {
    StoredFile {
        id: id.into(),
        filename: "../notes \"1\".txt".to_owned(),
        mime_type: "text/plain".to_owned(),
        purpose: "batch".to_owned(),
        downloadable: true,
        size_bytes: 0,
        created_at,
        expires_at: None,
    }
}

async fn put(
    depot: &Depot,
    workspace: &WorkspaceId,
    file: StoredFile,
    content: &[u8],
) -> StoredFile {
    let mut upload = depot.files().upload(workspace, file, None).await.unwrap();
    // In pieces that fit no chunk.
    for piece in content.chunks(700_001) {
        upload.write(piece).await.unwrap();
    }
    upload.finish().await.unwrap()
}

async fn read(mut reader: FileReader) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        assert!(piece.len() <= MB);
        content.extend(piece);
    }
    content
}

fn noise(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 31 % 251).to_le_bytes()[0])
        .collect()
}

pub(crate) async fn content_comes_back_as_it_went_in(depot: Depot) {
    let workspace = WorkspaceId::from("wrkspc_1");
    for length in [0, 1, MB - 1, MB, MB + 1, 3 * MB + 17] {
        let id = format!("file_{length}");
        let content = noise(length);
        let kept = put(&depot, &workspace, new(&id, 5), &content).await;
        assert_eq!(kept.size_bytes, length as u64);
        let opened = depot.files().open(&workspace, &kept.id).await.unwrap();
        let (found, reader) = opened.unwrap();
        assert_eq!(found, kept);
        assert!(read(reader).await == content, "{length}");
    }
    let twice = depot
        .files()
        .upload(&workspace, new("file_1", 5), None)
        .await;
    assert!(matches!(twice, Err(Error::Exists { .. })));
    for path in ["", "../x", "a/b", ".", "a.part", "ä"] {
        let refused = depot.files().upload(&workspace, new(path, 5), None).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{path}");
    }
}

pub(crate) async fn a_file_is_seen_by_its_workspace_alone(depot: Depot) {
    let (mine, other) = (WorkspaceId::from("wrkspc_1"), WorkspaceId::from("wrkspc_2"));
    let files = depot.files();
    let id = FileId::from("file_1");
    let upload = files.upload(&mine, new("file_1", 5), None).await.unwrap();
    assert!(
        files.get(&mine, &id).await.unwrap().is_none(),
        "it is not whole yet"
    );
    assert!(
        files
            .list(&mine, None, &Page::first(5))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    upload.finish().await.unwrap();
    assert!(files.get(&mine, &id).await.unwrap().is_some());
    assert!(files.get(&other, &id).await.unwrap().is_none());
    assert!(files.open(&other, &id).await.unwrap().is_none());
    assert!(matches!(
        files.delete(&other, &id).await,
        Err(Error::Missing { .. })
    ));
    assert!(
        files
            .list(&other, None, &Page::first(5))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let listed = files
        .list(&mine, Some("batch"), &Page::first(5))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
    assert!(
        files
            .list(&mine, Some("vision"), &Page::first(5))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    files.delete(&mine, &id).await.unwrap();
    assert!(files.open(&mine, &id).await.unwrap().is_none());
}

pub(crate) async fn a_quota_holds_over_uploads_at_once(depot: Depot) {
    let workspace = WorkspaceId::from("wrkspc_1");
    let files = depot.files();
    let quota = Some(3 * MB as u64);
    let begin = async |id: &str| files.upload(&workspace, new(id, 5), quota).await.unwrap();
    let write = async |upload: &mut Upload| upload.write(&noise(2 * MB)).await;
    let (mut one, mut two) = (begin("file_1").await, begin("file_2").await);
    write(&mut one).await.unwrap();
    write(&mut two).await.unwrap();
    let kept = one.finish().await.unwrap();
    let full = two.finish().await.unwrap_err();
    assert!(matches!(full, Error::Full { .. }), "{full}");
    let mut three = begin("file_3").await;
    assert!(matches!(write(&mut three).await, Err(Error::Full { .. })));
    three.abandon().await.unwrap();
    assert_eq!(files.used(&workspace).await.unwrap(), 2 * MB as u64);
    files.delete(&workspace, &kept.id).await.unwrap();
    assert_eq!(files.used(&workspace).await.unwrap(), 0);
    // What was refused has left nothing, its id included.
    put(&depot, &workspace, new("file_2", 6), b"small").await;
}

pub(crate) async fn files_expire_and_leftovers_are_swept(depot: Depot) {
    let workspace = WorkspaceId::from("wrkspc_1");
    let files = depot.files();
    for (id, expires_at) in [
        ("file_1", Some(100)),
        ("file_2", Some(200)),
        ("file_3", None),
    ] {
        let file = StoredFile {
            expires_at,
            ..new(id, 5)
        };
        put(&depot, &workspace, file, b"content").await;
    }
    let mut lost = files
        .upload(&workspace, new("file_4", 50), None)
        .await
        .unwrap();
    lost.write(&noise(2 * MB)).await.unwrap();
    assert_eq!(files.expire(99, 10).await.unwrap(), 0);
    assert_eq!(files.expire(150, 10).await.unwrap(), 1);
    assert_eq!(files.sweep(50, 10).await.unwrap(), 0);
    assert_eq!(files.sweep(51, 10).await.unwrap(), 1);
    let late = lost.finish().await;
    assert!(late.is_err(), "it was swept");
    let listed = files.list(&workspace, None, &Page::first(9)).await.unwrap();
    let ids: Vec<_> = listed.items.iter().map(|file| file.id.as_str()).collect();
    assert_eq!(ids, ["file_3", "file_2"]);
    assert_eq!(files.used(&workspace).await.unwrap(), 14);
}
