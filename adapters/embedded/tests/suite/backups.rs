use embedded::{Access, BackupError, OpenError, back_up};
use ports::{QueueAdmin as _, Store as _};

use crate::support::*;

fn copy(directory: &Directory, name: &str) -> Result<std::path::PathBuf, BackupError> {
    let to = directory.data().with_file_name(name);
    back_up(&directory.data(), &to, &[ITEMS], &subscriptions()).map(|()| to)
}

#[tokio::test]
async fn a_copy_has_all_that_was_answered_and_nothing_that_came_later() {
    let directory = Directory::new();
    let store = open(&directory.data());
    // Some of it is in the file, and some of it in the journal only.
    for number in 0..20 {
        store.commit(&create(&thing(format!("early {number}")))).await.unwrap();
    }
    store.flush().await;
    for number in 0..20 {
        store.commit(&create(&thing(format!("late {number}")))).await.unwrap();
    }
    let to = copy(&directory, "copy").unwrap();
    store.commit(&create(&thing("later"))).await.unwrap();
    store.close().await;

    let mut files: Vec<_> = std::fs::read_dir(&to)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["LOCK", "bank.sqlite3"]);
    let copied = open(&to);
    assert_eq!(copied.scan(ITEMS, None, 100).await.unwrap().items.len(), 40);
    assert!(copied.get(&[key("late 19")]).await.unwrap()[0].is_some());
    assert_eq!(copied.depths().await.unwrap().len(), subscriptions().len());
    copied.commit(&create(&thing("of the copy's own"))).await.unwrap();
    copied.close().await;
    assert_eq!(open(&to).scan(ITEMS, None, 100).await.unwrap().items.len(), 41);
}

#[tokio::test]
async fn a_copy_overwrites_nothing_and_is_of_something() {
    let directory = Directory::new();
    let missing = copy(&directory, "copy").unwrap_err();
    assert!(matches!(missing, BackupError::Store(OpenError::Missing { .. })), "{missing}");
    open(&directory.data()).close().await;
    let itself = copy(&directory, "data").unwrap_err();
    assert!(matches!(itself, BackupError::NotEmpty(_)), "{itself}");
    assert_eq!(itself.to_string(), format!("the directory {} is not empty", directory.data().display()));
    std::fs::write(directory.data().with_file_name("file"), "").unwrap();
    let file = copy(&directory, "file").unwrap_err();
    assert!(matches!(file, BackupError::Store(OpenError::NotWritable { .. })), "{file}");
}

#[tokio::test]
async fn a_file_that_was_copied_halfway_without_its_journal_is_not_taken_for_a_store() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("a"))).await.unwrap();
    store.close().await;
    let file = directory.data().join("bank.sqlite3");
    let half = |up_to: &str| {
        let sql = format!("UPDATE moving SET up_to = {up_to}");
        rusqlite::Connection::open(&file).unwrap().execute_batch(&sql).unwrap();
    };
    half("(SELECT settled + 1 FROM journal)");
    for access in [Access::Exclusive, Access::ReadOnly] {
        let error = open_error(options(&directory.data(), access));
        assert!(matches!(error, OpenError::Corrupted { .. }), "{error}");
        assert!(
            error.to_string().contains("bank.sqlite3 is corrupted: it has a part of group 2,"),
            "{error}"
        );
    }
    half("(SELECT settled FROM journal)");
    open(&directory.data()).close().await;
}
