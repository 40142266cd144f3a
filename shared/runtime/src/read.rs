//! Reading records through the store port.

use ports::{Cursor, Held, Item, Key, Page, Range, Record, Store, Table};

use crate::Fault;

/// How many items are read at once where a whole table is.
const SCAN_ITEMS: usize = 1_000;

/// The record under a key, if there is one.
pub async fn get<S: Store, R: Record>(store: &S, key: Key) -> Result<Option<Held<R>>, Fault> {
    Ok(get_many(store, &[key]).await?.pop().flatten())
}

/// The records under these keys, in their order.
pub async fn get_many<S: Store, R: Record>(store: &S, keys: &[Key]) -> Result<Vec<Option<Held<R>>>, Fault> {
    let items = store.get(keys).await?;
    items.iter().map(|item| Ok(item.as_ref().map(Held::from_item).transpose()?)).collect()
}

/// One page of records of one kind, and where the next one begins.
pub async fn query<S: Store, R: Record>(store: &S, range: &Range) -> Result<(Vec<R>, Option<Cursor>), Fault> {
    let Page { items, next } = store.query(range).await?;
    let records: Result<Vec<R>, _> =
        items.iter().map(|item| Held::from_item(item).map(|held| held.record)).collect();
    Ok((records?, next))
}

/// Shows `visit` every item of a table, a page at a time.
///
/// # Errors
/// Those of the store, and the first error of `visit`, which ends the scan.
pub async fn scan_all<S: Store, E: From<Fault>>(
    store: &S,
    table: Table,
    mut visit: impl FnMut(Item) -> Result<(), E>,
) -> Result<(), E> {
    let mut after = None;
    loop {
        let page = store.scan(table, after.as_ref(), SCAN_ITEMS).await.map_err(Fault::from)?;
        for item in page.items {
            visit(item)?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
