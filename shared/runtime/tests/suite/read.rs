//! Records are read as they were asked for.

use ports::{Held, Order, Range, Record, Revision, Store, TRANSACTION_ITEMS_MAX, Transaction};
use runtime::{Fault, get, get_many, query, scan_all};

use crate::{NOTES, Note, World, world};

impl World {
    /// Writes notes under numbers of four digits.
    async fn write_notes(&self, count: usize) {
        let notes: Vec<_> = (0..count).map(|number| Note::new(format!("{number:04}"))).collect();
        for some in notes.chunks(TRANSACTION_ITEMS_MAX) {
            let mut transaction = Transaction::new(self.sources.fresh_id());
            for note in some {
                transaction.create(note).unwrap();
            }
            self.store.commit(&transaction).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_found_and_what_is_not_is_not() {
    let world = world();
    world.write_notes(2).await;
    let held = |name: &str| Some(Held { record: Note::new(name), revision: Revision::FIRST });
    let key = |name: &str| Note::new(name).key();
    assert_eq!(get(&world.store, key("0001")).await.unwrap(), held("0001"));
    assert_eq!(get::<_, Note>(&world.store, key("0002")).await.unwrap(), None);
    let keys = ["0001", "0002", "0000"].map(key);
    assert_eq!(get_many(&world.store, &keys).await.unwrap(), [held("0001"), None, held("0000")]);
    assert_eq!(get_many::<_, Note>(&world.store, &[]).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn pages_follow_each_other() {
    let world = world();
    world.write_notes(5).await;
    let range = |after| {
        let range = Range::prefix(NOTES, "notes", "note#", Order::Descending, 3);
        Range { after, ..range }
    };
    let names = |notes: Vec<Note>| notes.into_iter().map(|note| note.name).collect::<Vec<_>>();
    let (first, next) = query::<_, Note>(&world.store, &range(None)).await.unwrap();
    assert_eq!(names(first), ["0004", "0003", "0002"]);
    assert!(next.is_some());
    let (second, next) = query::<_, Note>(&world.store, &range(next)).await.unwrap();
    assert_eq!((names(second), next), (vec!["0001".to_owned(), "0000".to_owned()], None));
}

#[tokio::test(start_paused = true)]
async fn a_scan_sees_every_item_once_and_ends_with_the_first_error() {
    let world = world();
    // More than are read at once.
    world.write_notes(2_300).await;
    let mut seen = Vec::new();
    let visit = |item: ports::Item| {
        seen.push(item.key.sort);
        Ok::<_, Fault>(())
    };
    scan_all(&world.store, NOTES, visit).await.unwrap();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2_300);

    let mut visited = 0;
    let refused = scan_all(&world.store, NOTES, |_| {
        visited += 1;
        if visited == 1_500 { Err(Fault::Internal("enough".to_owned())) } else { Ok(()) }
    });
    assert!(matches!(refused.await, Err(Fault::Internal(_))));
    assert_eq!(visited, 1_500);
}
