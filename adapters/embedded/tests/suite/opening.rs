use std::path::Path;

use embedded::{Access, EmbeddedStore, Health, OpenError};
use kernel::Timestamp;
use ports::{CommitError, QueueAdmin, Queues, Store, Verdict};

use crate::support::*;

fn one_line_with_path(error: &OpenError, path: &Path) {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(path.to_str().unwrap()), "{text}");
}

#[tokio::test]
async fn a_directory_in_use_says_by_whom() {
    let directory = Directory::new();
    let store = open(&directory.data());
    let error = open_error(options(&directory.data(), Access::Exclusive));
    assert!(matches!(error, OpenError::InUse { announced: None, .. }), "{error}");
    one_line_with_path(&error, &directory.data());

    store.announce("http://127.0.0.1:8080\n").unwrap();
    let error = open_error(options(&directory.data(), Access::Exclusive));
    assert!(error.to_string().ends_with("another process, which serves on http://127.0.0.1:8080"), "{error}");

    store.close().await;
    // Whoever comes next is not taken for the one that is gone.
    let _next = open(&directory.data());
    let error = open_error(options(&directory.data(), Access::Exclusive));
    assert!(matches!(error, OpenError::InUse { announced: None, .. }), "{error}");
}

#[tokio::test]
async fn a_file_in_place_of_the_directory_cannot_be_written() {
    let directory = Directory::new();
    std::fs::write(directory.data(), "a file").unwrap();
    let error = open_error(options(&directory.data(), Access::Exclusive));
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    one_line_with_path(&error, &directory.data());
}

#[tokio::test]
async fn a_newer_layout_is_left_alone() {
    let directory = Directory::new();
    open(&directory.data()).close().await;
    let file = directory.data().join("bank.sqlite3");
    rusqlite::Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    for access in [Access::Exclusive, Access::ReadOnly] {
        let error = open_error(options(&directory.data(), access));
        assert!(matches!(error, OpenError::Newer { found: 7, .. }), "{error}");
        one_line_with_path(&error, &file);
    }
}

#[tokio::test]
async fn a_store_of_the_layout_before_is_read_and_becomes_one_of_this() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("a"))).await.unwrap();
    store.close().await;
    let file = directory.data().join("bank.sqlite3");
    let before = "DROP TABLE moving; PRAGMA user_version = 2";
    rusqlite::Connection::open(&file).unwrap().execute_batch(before).unwrap();
    for access in [Access::ReadOnly, Access::Exclusive] {
        let store = EmbeddedStore::open(options(&directory.data(), access)).unwrap();
        assert!(store.get(&[key("a")]).await.unwrap()[0].is_some());
        store.close().await;
    }
    assert_eq!(sqlite(&directory.data(), "SELECT user_version FROM pragma_user_version"), 3);
    assert_eq!(sqlite(&directory.data(), "SELECT count(*) FROM moving"), 1);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_corrupted() {
    let directory = Directory::new();
    std::fs::create_dir(directory.data()).unwrap();
    let file = directory.data().join("bank.sqlite3");
    std::fs::write(&file, "garbage ".repeat(1_000)).unwrap();
    for access in [Access::Exclusive, Access::ReadOnly] {
        let error = open_error(options(&directory.data(), access));
        assert!(matches!(error, OpenError::Corrupted { .. }), "{error}");
        one_line_with_path(&error, &file);
    }
}

#[tokio::test]
async fn a_damaged_page_is_found_at_the_start() {
    let directory = Directory::new();
    let store = open(&directory.data());
    for number in 0..200 {
        store.commit(&create(&thing(format!("{number}")))).await.unwrap();
    }
    store.close().await;
    let file = directory.data().join("bank.sqlite3");
    let root = sqlite(&directory.data(), "SELECT rootpage FROM sqlite_schema WHERE name = 'items'") as usize;
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[(root - 1) * 4_096..root * 4_096].fill(0x5A);
    std::fs::write(&file, bytes).unwrap();
    let error = open_error(options(&directory.data(), Access::Exclusive));
    assert!(matches!(error, OpenError::Corrupted { .. }), "{error}");
    one_line_with_path(&error, &file);
}

#[tokio::test]
async fn there_is_nothing_to_read_where_nothing_was_written() {
    let directory = Directory::new();
    let error = open_error(options(&directory.data(), Access::ReadOnly));
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    one_line_with_path(&error, &directory.data());
    assert!(!directory.data().exists());
}

#[cfg(unix)]
#[tokio::test]
async fn everything_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("a"))).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory.data()), 0o700);
    let files: Vec<_> =
        std::fs::read_dir(directory.data()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_others_may_read_are_taken_from_them() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("a"))).await.unwrap();
    let restored = directory.crashed("restored");
    store.close().await;
    std::fs::write(restored.join("LOCK"), "").unwrap();
    for file in ["LOCK", "bank.sqlite3", "bank.sqlite3-wal", "journal-0"] {
        std::fs::set_permissions(restored.join(file), std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    let store = open(&restored);
    store.commit(&create(&thing("b"))).await.unwrap();
    for entry in std::fs::read_dir(&restored).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_anybody_can_write_into_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    std::fs::create_dir(directory.data()).unwrap();
    for mode in [0o777, 0o1777, 0o702] {
        std::fs::set_permissions(directory.data(), std::fs::Permissions::from_mode(mode)).unwrap();
        let error = open_error(options(&directory.data(), Access::Exclusive));
        assert!(matches!(error, OpenError::Exposed { .. }), "{mode:o}: {error}");
        one_line_with_path(&error, &directory.data());
        assert_eq!(std::fs::read_dir(directory.data()).unwrap().count(), 0, "nothing is made there");
    }
    std::fs::set_permissions(directory.data(), std::fs::Permissions::from_mode(0o2770)).unwrap();
    open(&directory.data()).close().await;
}

#[tokio::test]
async fn a_reader_beside_a_server_sees_one_moment() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("before"))).await.unwrap();
    let elsewhere = EmbeddedStore::open(options(&directory.data(), Access::ReadOnly)).unwrap();
    let of_its_own = store.snapshot().unwrap();
    store.commit(&create(&thing("after"))).await.unwrap();
    assert_eq!(store.scan(ITEMS, None, 100).await.unwrap().items.len(), 2);

    for reader in [elsewhere, of_its_own] {
        let found = reader.get(&[key("before"), key("after")]).await.unwrap();
        assert!(found[0].is_some() && found[1].is_none());
        assert_eq!(reader.scan(ITEMS, None, 100).await.unwrap().items.len(), 1);

        assert_eq!(reader.health(), Health::ReadOnly);
        assert!(matches!(reader.commit(&create(&thing("x"))).await, Err(CommitError::Busy { .. })));
        assert!(reader.receive("all", 1).await.is_err());
        assert!(reader.redrive("x").await.is_err());
        assert!(reader.dead_letters(None, 10).await.unwrap().is_empty());
        reader.close().await;
    }
    store.commit(&create(&thing("later"))).await.unwrap();
}

#[tokio::test]
async fn a_closed_store_refuses_and_can_be_opened_again() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("a"))).await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.receive("all", 1).await.is_err() }
    });
    store.close().await;
    store.close().await;
    assert!(waiting.await.unwrap(), "who waits is told");
    assert_eq!(store.health(), Health::Closed);
    assert!(matches!(store.commit(&create(&thing("b"))).await, Err(CommitError::Busy { .. })));
    assert!(store.get(&[key("a")]).await.is_err());
    assert!(!directory.data().join("bank.sqlite3-wal").exists(), "the write-ahead log is in the file");
    assert!(open(&directory.data()).get(&[key("a")]).await.unwrap()[0].is_some());
}

#[tokio::test]
async fn what_was_answered_outlives_a_crash() {
    let directory = Directory::new();
    let store = open(&directory.data());
    for number in 0..50 {
        store.commit(&create(&thing(format!("{number}")))).await.unwrap();
    }
    let crashed = directory.crashed("crashed");
    let recovered = open(&crashed);
    assert_eq!(recovered.scan(ITEMS, None, 100).await.unwrap().items.len(), 50);
    // It was taken over into memory, and goes from there into the file.
    recovered.flush().await;
    assert_eq!(sqlite(&crashed, "SELECT count(*) FROM items"), 50);
    store.close().await;
}

#[tokio::test]
async fn what_was_answered_outlives_crashes_one_after_the_other() {
    let directory = Directory::new();
    let mut data_dir = directory.data();
    for round in 0..8_usize {
        let store = open(&data_dir);
        for number in 0..10 {
            store.commit(&create(&thing(format!("{round}-{number}")))).await.unwrap();
        }
        store.commit(&emit(&["COMMON"; 2])).await.unwrap();
        // What was put off before comes again, and is put off again with what is new.
        let mut received = Vec::new();
        while received.len() < (round + 1) * 2 {
            received.extend(receive(&store, "all", 100).await);
        }
        let again = Verdict::Again { at: Timestamp::EPOCH, reason: "not now".to_owned() };
        settle(&store, "all", &received, &again).await;
        assert_eq!(store.scan(ITEMS, None, 100).await.unwrap().items.len(), (round + 1) * 10);
        let depths = store.depths().await.unwrap();
        assert_eq!(depths[0].retrying as usize, (round + 1) * 2);
        data_dir = directory.crashed_at(&data_dir, &format!("crashed-{round}"));
        store.close().await;
    }
}
