//! The cache never goes back to what is older.

use std::time::Duration;

use ports::{Held, Revision};
use runtime::{Caching, Fault, RecordCache};

use crate::Note;

fn held(name: &str, revision: u64) -> Held<Note> {
    Held { record: Note::new(name), revision: Revision(revision) }
}

/// What the cache answers for key 1, and nothing where it asks the store.
async fn cached(cache: &RecordCache<u32, Note>) -> Option<String> {
    let found = cache.get_or_load(1, async { Ok(None) }).await.unwrap();
    found.map(|held| held.record.name)
}

#[tokio::test]
async fn the_newest_revision_is_kept_in_whatever_order_they_come() {
    let cache = RecordCache::new("test", Caching::heard(100));
    for (offered, kept) in [(3, "3"), (1, "3"), (2, "3"), (4, "4"), (3, "4"), (7, "7")] {
        cache.offer(&1, held(&offered.to_string(), offered));
        assert_eq!(cached(&cache).await.as_deref(), Some(kept));
    }
    cache.offer(&1, held("7 again", 7));
    assert_eq!(cached(&cache).await.as_deref(), Some("7"));
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_and_kept() {
    let cache = RecordCache::new("test", Caching::heard(100));
    // Absence is not kept.
    assert_eq!(cached(&cache).await, None);
    let loaded = cache.get_or_load(1, async { Ok(Some(held("loaded", 2))) }).await.unwrap();
    assert_eq!(loaded, Some(held("loaded", 2)));
    assert_eq!(cached(&cache).await.as_deref(), Some("loaded"));
}

#[tokio::test]
async fn a_slow_reader_does_not_put_back_what_is_older() {
    let cache = RecordCache::new("test", Caching::heard(100));
    let slow = async {
        cache.offer(&1, held("from the event", 2));
        Ok(Some(held("from the store", 1)))
    };
    cache.get_or_load(1, slow).await.unwrap();
    assert_eq!(cached(&cache).await.as_deref(), Some("from the event"));
}

#[tokio::test]
async fn a_fault_is_passed_on_and_not_kept() {
    let cache: RecordCache<u32, Note> = RecordCache::new("test", Caching::heard(100));
    let fault = async { Err(Fault::Unavailable("away".to_owned())) };
    assert!(matches!(cache.get_or_load(1, fault).await, Err(Fault::Unavailable(_))));
    assert_eq!(cached(&cache).await, None);
}

#[tokio::test]
async fn nothing_is_kept_after_it_was_cleared_nor_without_room() {
    let cache = RecordCache::new("test", Caching::heard(100));
    cache.offer(&1, held("old", 9));
    cache.clear();
    assert_eq!(cached(&cache).await, None);
    cache.offer(&1, held("rebuilt", 1));
    assert_eq!(cached(&cache).await.as_deref(), Some("rebuilt"));

    let without_room = RecordCache::new("test", Caching::heard(0));
    without_room.offer(&1, held("any", 1));
    assert_eq!(cached(&without_room).await, None);
}

#[tokio::test]
async fn what_is_not_believed_any_more_is_asked_for_again() {
    let believed_for = Duration::from_millis(20);
    let cache = RecordCache::new("test", Caching { records: 100, believed_for });
    cache.offer(&1, held("believed", 2));
    std::thread::sleep(believed_for);
    assert_eq!(cached(&cache).await, None);

    let patient = RecordCache::new("test", Caching { records: 100, believed_for: Duration::from_secs(600) });
    patient.offer(&1, held("believed", 2));
    std::thread::sleep(believed_for);
    assert_eq!(cached(&patient).await.as_deref(), Some("believed"));
}

#[tokio::test]
async fn a_cache_is_bounded() {
    let cache = RecordCache::new("test", Caching::heard(10));
    for key in 0..1_000 {
        cache.offer(&key, held("any", 1));
    }
    let mut misses = 0;
    for key in 0..1_000 {
        let absent = async {
            misses += 1;
            Ok(None)
        };
        cache.get_or_load(key, absent).await.unwrap();
    }
    assert!(misses > 500, "{misses} of 1000");
}

#[tokio::test]
async fn what_is_asked_for_stays_while_others_come_and_go() {
    let cache = RecordCache::new("test", Caching::heard(1_000));
    cache.offer(&1, held("asked for", 1));
    for key in 10..10_000 {
        cache.offer(&key, held("any", 1));
        assert_eq!(cached(&cache).await.as_deref(), Some("asked for"), "{key}");
    }
}
