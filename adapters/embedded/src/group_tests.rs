//! Groups of random transactions, held against a plain map: what is settled, swept or not written in between makes no
//! difference to what they find.

use std::collections::BTreeMap;

use ports::{Record as _, Revision, Subscription};
use serde::{Deserialize, Serialize};

use super::*;
use crate::fixture::NOW;
use crate::overlay::Overlay;
use crate::{reader, settle, upkeep};

const TABLES: [Table; 2] = [Table("items"), Table("others")];

/// An item in one of few places, and whether its time is over.
#[derive(Clone, Serialize, Deserialize)]
struct Cell {
    table: usize,
    partition: u64,
    sort: u64,
    is_over: bool,
}

impl ports::Record for Cell {
    fn key(&self) -> Key {
        Key::new(TABLES[self.table], format!("p{}", self.partition), format!("s{}", self.sort))
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.is_over.then_some(NOW)
    }
}

/// Numbers that are the same for each seed.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn cell(&mut self) -> Cell {
        let table = usize::from(self.roll(4) == 0);
        Cell { table, partition: self.roll(6), sort: self.roll(6), is_over: self.roll(4) == 0 }
    }
}

/// The revision of each item, and whether its time is over.
type Model = BTreeMap<Key, (u64, bool)>;

struct Store {
    schema: Schema,
    database: Connection,
    overlay: Overlay,
    ends: Ends,
    groups: u64,
    /// What there is.
    model: Model,
}

impl Store {
    fn new() -> Self {
        let subscription =
            Subscription { consumer: "reader", outboxes: vec![Table("events")], kinds: vec![] };
        let schema = Schema::new(&TABLES, &[subscription]);
        let database = Connection::open_in_memory().unwrap();
        schema.create(&database).unwrap();
        let overlay = Overlay::new(0, reader::last_partitions(&database, &schema).unwrap());
        Self { schema, database, overlay, ends: Ends::default(), groups: 0, model: BTreeMap::new() }
    }

    /// A transaction of a few writes, and what it does to the model if it holds there.
    fn transaction(&self, dice: &mut Dice) -> (Prepared, Option<Model>) {
        let mut transaction = Transaction::new(Uuid::nil());
        let (mut after, mut holds) = (self.model.clone(), true);
        for _ in 0..=dice.roll(2) {
            let (cell, guess) = (dice.cell(), dice.roll(3) + 1);
            let key = cell.key();
            let found = self.model.get(&key).map(|(revision, _)| *revision);
            let expected = found.filter(|_| dice.roll(4) > 0).unwrap_or(guess);
            let (added, next) = match dice.roll(4) {
                0 => (transaction.create(&cell), found.is_none().then_some(Some(1))),
                1 => {
                    let holds = found == Some(expected);
                    (transaction.replace(Revision(expected), &cell), holds.then_some(Some(expected + 1)))
                }
                2 => {
                    let newer = expected + dice.roll(2);
                    let holds = found.is_none_or(|found| found < newer);
                    (transaction.supersede(&cell, Revision(newer)), holds.then_some(Some(newer)))
                }
                _ => (
                    transaction.delete(key.clone(), Revision(expected)),
                    (found == Some(expected)).then_some(None),
                ),
            };
            if added.is_err() {
                continue;
            }
            holds &= next.is_some();
            match next.flatten() {
                Some(revision) => after.insert(key, (revision, cell.is_over)),
                None => after.remove(&key),
            };
        }
        (Prepared::new(&transaction, &self.schema).unwrap(), holds.then_some(after))
    }

    /// Adds a transaction to a group that has made these changes so far.
    fn apply(
        &self,
        ends: &mut Ends,
        changes: &mut Changes,
        mut prepared: Prepared,
    ) -> rusqlite::Result<Result<(), Key>> {
        let layers = self.overlay.read();
        let mut group = Group {
            schema: &self.schema,
            layers: &layers,
            database: &self.database,
            ends,
            now: NOW,
            numbers: Numbers { sequences: BTreeMap::new(), retry_id: 1 },
            changes: std::mem::take(changes),
            records: Records::new(),
        };
        let applied = group.apply(&mut prepared);
        *changes = group.changes;
        applied
    }

    fn write(&mut self, changes: Changes) {
        self.groups += 1;
        self.overlay.add(self.groups, changes, 0);
    }

    /// A group of transactions, each of which has to find what the model has; written, or else not.
    fn group(&mut self, dice: &mut Dice) {
        let (before, is_written) = (self.model.clone(), dice.roll(8) > 0);
        let mut ends = std::mem::take(&mut self.ends);
        let mut changes = Changes::default();
        for _ in 0..=dice.roll(4) {
            let (prepared, after) = self.transaction(dice);
            let applied = self.apply(&mut ends, &mut changes, prepared).unwrap();
            assert_eq!(applied.is_ok(), after.is_some());
            self.model = after.unwrap_or(std::mem::take(&mut self.model));
        }
        if is_written {
            self.write(changes);
            self.ends = ends;
        } else {
            self.model = before;
        }
    }

    /// A group of one transaction that makes one item. True if there was none.
    fn create(&mut self, cell: &Cell) -> rusqlite::Result<bool> {
        let mut transaction = Transaction::new(Uuid::nil());
        transaction.create(cell).unwrap();
        let prepared = Prepared::new(&transaction, &self.schema).unwrap();
        let mut ends = std::mem::take(&mut self.ends);
        let mut changes = Changes::default();
        let applied = self.apply(&mut ends, &mut changes, prepared);
        self.ends = ends;
        self.write(changes);
        Ok(applied?.is_ok())
    }

    /// Moves what there is into the database, and now and then sweeps there. An item that has changed since stays.
    fn settle(&mut self, dice: &mut Dice) {
        let unsettled = self.overlay.begin_to_settle();
        if dice.roll(2) == 0 {
            self.group(dice);
        }
        let sweeps = dice.roll(2) == 0;
        settle::write(&self.database, &self.schema, &[], &unsettled, |passed| {
            if sweeps { upkeep::tidy(&self.database, &self.schema, passed, NOW) } else { Ok(false) }
        })
        .unwrap();
        self.overlay.settled();
        let layers = self.overlay.read();
        self.model.retain(|key, (_, is_over)| !sweeps || !*is_over || layers.upper.items.get(key).is_some());
    }
}

#[test]
fn whatever_was_settled_swept_or_given_up_each_transaction_finds_what_there_is() {
    for seed in 0..100 {
        let (mut dice, mut store) = (Dice(seed), Store::new());
        for _ in 0..120 {
            if dice.roll(5) == 0 { store.settle(&mut dice) } else { store.group(&mut dice) }
        }
    }
}

#[test]
fn what_would_lie_behind_the_end_is_not_looked_for() {
    let cell = |table, partition, sort| Cell { table, partition, sort, is_over: false };
    let mut store = Store::new();
    for cell in [cell(0, 1, 1), cell(0, 2, 1), cell(0, 3, 1)] {
        assert!(store.create(&cell).unwrap());
    }
    store.settle(&mut Dice(0));
    let last_partitions = reader::last_partitions(&store.database, &store.schema).unwrap();
    assert_eq!(last_partitions, BTreeMap::from([(TABLES[0], "p3".to_owned()), (TABLES[1], String::new())]));
    assert!(!store.create(&cell(0, 1, 1)).unwrap(), "it is looked for, and known from now on");
    store.database.execute_batch("DROP TABLE items; DROP TABLE others").unwrap();
    for behind in [cell(0, 1, 2), cell(0, 1, 3), cell(0, 4, 1), cell(1, 1, 1)] {
        assert!(store.create(&behind).unwrap());
    }
    assert!(!store.create(&cell(0, 1, 3)).unwrap());
    for before in [cell(0, 1, 0), cell(0, 2, 2)] {
        assert!(store.create(&before).is_err(), "nobody can look");
    }
}
