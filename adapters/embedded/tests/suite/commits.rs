use std::collections::BTreeSet;
use std::time::Duration;

use embedded::{Access, EmbeddedStore, Health, Options};
use metrics_exporter_prometheus::PrometheusBuilder;
use ports::{Clock, CommitError, Expect, Revision, Sources, Store};

use crate::support::*;

/// The commits of each value of a counter must come one after the other, however many try at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_replace_one_item_at_once_one_succeeds() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("a"))).await.unwrap();
    for round in 1..=20 {
        let attempts: Vec<_> = (0..16)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut transaction = transaction();
                    transaction.replace(Revision(round), &thing("a")).unwrap();
                    store.commit(&transaction).await
                })
            })
            .collect();
        let mut successes = 0;
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(()) => successes += 1,
                Err(CommitError::Conflict { key: conflicting }) => assert_eq!(conflicting, key("a")),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(successes, 1, "round {round}");
    }
    assert_eq!(store.get(&[key("a")]).await.unwrap()[0].as_ref().unwrap().revision, Revision(21));
}

#[tokio::test]
async fn a_transaction_of_which_one_expectation_fails_leaves_nothing() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("there"))).await.unwrap();
    // The conflict is the first, a middle, and the last item.
    for names in [["there", "x", "y"], ["x", "there", "y"], ["x", "y", "there"]] {
        let mut transaction = emit(&["COMMON"]);
        for name in names {
            transaction.create(&thing(name)).unwrap();
        }
        let conflict = store.commit(&transaction).await;
        assert!(
            matches!(&conflict, Err(CommitError::Conflict { key: found }) if *found == key("there")),
            "{conflict:?}"
        );
    }
    assert_eq!(store.scan(ITEMS, None, 100).await.unwrap().items.len(), 1);
    receive_nothing(&store, "all").await;
}

#[tokio::test]
async fn the_first_conflict_is_named() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("a"))).await.unwrap();
    store.commit(&create(&thing("b"))).await.unwrap();
    let mut transaction = create(&thing("a"));
    transaction.create(&thing("b")).unwrap();
    assert_eq!(transaction.writes()[0].expect, Expect::Absent);
    let conflict = store.commit(&transaction).await;
    assert!(
        matches!(&conflict, Err(CommitError::Conflict { key: found }) if *found == key("a")),
        "{conflict:?}"
    );
}

/// All items but the last are looked at before anything is written, and the last one is not.
#[tokio::test]
async fn what_is_newer_is_written_wherever_it_stands_in_its_transaction() {
    let directory = Directory::new();
    let store = open(&directory.data());
    for (round, (stored, offered, is_newer)) in
        [(None, 1, true), (Some(2), 1, false), (Some(2), 2, false), (Some(2), 3, true)]
            .into_iter()
            .enumerate()
    {
        for is_last in [false, true] {
            let (projection, other) =
                (thing(format!("{round} {is_last}")), thing(format!("{round} {is_last} other")));
            if let Some(revision) = stored {
                let mut before = transaction();
                before.supersede(&projection, Revision(revision)).unwrap();
                store.commit(&before).await.unwrap();
            }
            let mut attempt = transaction();
            if is_last {
                attempt.create(&other).unwrap();
            }
            attempt.supersede(&projection, Revision(offered)).unwrap();
            if !is_last {
                attempt.create(&other).unwrap();
            }
            match store.commit(&attempt).await {
                Ok(()) => assert!(is_newer, "{offered} over {stored:?}"),
                Err(CommitError::Conflict { key: found }) if found == key(&projection.name) => {
                    assert!(!is_newer, "{offered} over {stored:?}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commits_share_few_syncs() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let directory = Directory::new();
    let store = open(&directory.data());
    let commits: Vec<_> = (0..2_000)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(&create(&thing(format!("{number}")))).await })
        })
        .collect();
    for commit in commits {
        commit.await.unwrap().unwrap();
    }
    // A group is measured once its commits are answered; a closed store has measured them all.
    store.close().await;
    let text = metrics.render();
    let value = |name: &str| -> u64 {
        let line =
            text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(value("store_commit_batch_size_sum"), 2_000);
    let groups = value("store_commit_batch_size_count");
    assert!(groups < 500, "{groups} groups");
}

/// More at once than may wait. Whether any is refused depends on the disk; that a full queue refuses is held by the
/// committer's own tests.
#[tokio::test]
async fn what_is_refused_is_not_there_and_the_rest_is() {
    const COMMITS: usize = 20_000;
    let directory = Directory::new();
    let store = open(&directory.data());
    let mut commits = tokio::task::JoinSet::new();
    for number in 0..COMMITS {
        let store = store.clone();
        let thing = Thing { text: "x".repeat(4_000), ..thing(format!("{number:05}")) };
        commits.spawn(async move { (number, store.commit(&create(&thing)).await) });
    }
    let mut written = BTreeSet::new();
    while let Some(result) = commits.join_next().await {
        match result.unwrap() {
            (number, Ok(())) => _ = written.insert(number),
            (_, Err(CommitError::Busy { .. })) => {}
            (_, Err(error)) => panic!("{error}"),
        }
    }
    assert!(written.len() >= 4_000, "{}", written.len());
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let page = store.scan(ITEMS, after.as_ref(), 5_000).await.unwrap();
        found.extend(page.items.iter().map(|item| item.key.partition.parse::<usize>().unwrap()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, written);
}

/// A foreign key that is checked at COMMIT stands for a sync that fails there.
#[tokio::test]
async fn after_the_database_failed_nothing_is_acknowledged() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&create(&thing("a"))).await.unwrap();
    store.flush().await;
    let other = rusqlite::Connection::open(directory.data().join("bank.sqlite3")).unwrap();
    other
        .execute_batch(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER break_commit AFTER INSERT ON items BEGIN INSERT INTO child VALUES (1); END;",
        )
        .unwrap();
    store.commit(&create(&thing("b"))).await.unwrap();
    let reason = tokio::time::timeout(Duration::from_secs(10), store.failed()).await.unwrap();
    assert!(reason.contains("FOREIGN KEY"), "{reason}");
    assert_eq!(store.health(), Health::Failed(reason));
    assert!(matches!(store.commit(&create(&thing("c"))).await, Err(CommitError::Busy { .. })));
    assert_eq!(store.scan(ITEMS, None, 10).await.unwrap().items.len(), 2, "reads go on");
}

/// As somebody does who looks at the file with `sqlite3` and forgets to come to an end.
#[tokio::test]
async fn commits_go_on_while_somebody_has_the_database_locked() {
    let directory = Directory::new();
    let store = open(&directory.data());
    let other = rusqlite::Connection::open(directory.data().join("bank.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..20 {
        store.commit(&create(&thing(format!("{number}")))).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(store.health(), Health::Serving);
    assert_eq!(sqlite(&directory.data(), "SELECT count(*) FROM items"), 0);
    other.execute_batch("ROLLBACK").unwrap();
    store.flush().await;
    assert_eq!(sqlite(&directory.data(), "SELECT count(*) FROM items"), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_stays_bounded_under_load() {
    let directory = Directory::new();
    let store = open(&directory.data());
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                // The text changes every time: SQLite does not write again what is already there.
                let thing = |round: u64| Thing {
                    name: format!("{writer}"),
                    text: format!("{round:06}").repeat(50_000),
                    expires_at: None,
                };
                store.commit(&create(&thing(0))).await.unwrap();
                for round in 1..=150 {
                    let mut transaction = transaction();
                    transaction.replace(Revision(round), &thing(round)).unwrap();
                    store.commit(&transaction).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    // 720 MB were written. The log starts over at 256 MiB, and grows a little while the checkpoint before that runs.
    let length = std::fs::metadata(directory.data().join("bank.sqlite3-wal")).unwrap().len();
    assert!(length < 400 * 1024 * 1024, "{length} bytes");
}

#[tokio::test]
async fn expired_items_are_swept_and_others_are_not() {
    let directory = Directory::new();
    let clock = TestClock::default();
    let sources = Sources::new(clock.clone(), TestIds);
    let options = Options { sources, ..options(&directory.data(), Access::Exclusive) };
    let store = EmbeddedStore::open(options).unwrap();
    let expires_at = Some(clock.now() + Duration::from_secs(60));
    for number in 0..700 {
        store.commit(&create(&Thing { expires_at, ..thing(format!("{number}")) })).await.unwrap();
    }
    store.commit(&create(&thing("kept"))).await.unwrap();
    clock.advance(Duration::from_secs(61));
    until("only what does not expire is left", || {
        sqlite(&directory.data(), "SELECT count(*) FROM items") == 1
    })
    .await;
    assert!(store.get(&[key("kept")]).await.unwrap()[0].is_some());
}
