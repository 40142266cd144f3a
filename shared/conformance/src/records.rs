//! What every kind of stored record holds to, and everything else that is read from JSON: it is read back as it was
//! written, and whatever else lies in its place is refused, not misread and not a panic.
//!
//! [`damaged`] makes what may lie there: JSON of the right shape with one place of it changed, or any JSON at all.
//! Absent on purpose: texts that are no JSON, which no decoder here comes to see.

use std::fmt::Debug;

use ports::{Held, Item, Key, Record, Revision, Unavailable};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value};

/// How many damaged bodies each record is read from.
const DAMAGED_BODIES: u32 = 1_024;

/// Holds a kind of record to its layout, which is a contract with the data on disk: it is written as `layout` and read
/// from it, a field of a newer version is passed over, and a damaged body is either refused or is a record that is
/// written and read like any other.
pub fn check_record<R: Record + PartialEq + Debug>(record: &R, layout: &Value) {
    assert_eq!(serde_json::to_value(record).ok().as_ref(), Some(layout), "it is written otherwise");
    assert_eq!(read(&record.key(), layout).as_ref().ok(), Some(record), "it is not read from its layout");
    if let Value::Object(fields) = layout {
        let mut newer = fields.clone();
        newer.insert("a_field_of_tomorrow".to_owned(), Value::Array(vec![Value::Null]));
        let newer = read(&record.key(), &Value::Object(newer));
        assert_eq!(newer.as_ref().ok(), Some(record), "a field of tomorrow is not passed over");
    }
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(DAMAGED_BODIES) });
    let checked = runner.run(&damaged(layout), |damaged| {
        if let Ok(found) = read::<R>(&record.key(), &damaged) {
            let written =
                serde_json::to_value(&found).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(read(&found.key(), &written).ok(), Some(found));
        }
        Ok(())
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
}

fn read<R: Record>(key: &Key, body: &Value) -> Result<R, Unavailable> {
    let item = Item { key: key.clone(), revision: Revision::FIRST, expires_at: None, body: body.to_string() };
    Held::from_item(&item).map(|held| held.record)
}

/// Any JSON, a few levels deep. Its texts are any text, or one that some decoder takes for something.
pub fn any_json() -> impl Strategy<Value = Value> {
    const MEANINGFUL: [&str; 10] = [
        "",
        "EUR",
        "12.50",
        "-0.00",
        "92233720368547758.07",
        "2026-11-22T10:00:00.125Z",
        "01890a5d-ac96-774b-bcce-b302099a8001",
        "ada@example.org",
        "OPEN",
        "POSTED",
    ];
    // Read and written again they are the same: serde does not promise that of every float.
    const FRACTIONS: [f64; 5] = [0.5, -0.25, 12.5, 1e30, -1e-7];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::sample::select(&FRACTIONS[..]).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        proptest::sample::select(&MEANINGFUL[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

/// What may lie in the place of `sound`: the same with one place of it changed, or any JSON at all.
pub fn damaged(sound: &Value) -> impl Strategy<Value = Value> + use<> {
    let sound = sound.clone();
    let change = prop_oneof![
        any_json().prop_map(Change::Replace),
        Just(Change::Remove),
        ("[a-z_]{1,12}", any_json()).prop_map(|(name, value)| Change::Add(name, value)),
    ];
    let changed = (any::<Index>(), change).prop_map(move |(place, change)| changed(&sound, place, change));
    prop_oneof![1 => any_json(), 15 => changed]
}

#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Remove,
    /// Another field, where there are fields.
    Add(String, Value),
}

fn changed(sound: &Value, place: Index, change: Change) -> Value {
    let mut value = sound.clone();
    let mut places = Vec::new();
    list_places(sound, &mut String::new(), &mut places);
    let place = place.get(&places);
    match change {
        Change::Replace(other) => {
            if let Some(there) = value.pointer_mut(place) {
                *there = other;
            }
        }
        Change::Remove => {
            let (parent, name) = place.rsplit_once('/').unwrap_or_default();
            match value.pointer_mut(parent) {
                Some(Value::Object(fields)) => _ = fields.remove(name),
                Some(Value::Array(items)) => _ = items.pop(),
                _ => {}
            }
        }
        Change::Add(name, other) => {
            if let Some(Value::Object(fields)) = value.pointer_mut(place) {
                fields.insert(name, other);
            }
        }
    }
    value
}

/// Every place of a value as a JSON pointer (RFC 6901). No field of this bank has a `/` or a `~` in its name.
fn list_places(value: &Value, place: &mut String, places: &mut Vec<String>) {
    places.push(place.clone());
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, child)| (name.clone(), child)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect()
        }
        _ => Vec::new(),
    };
    for (name, child) in children {
        let length = place.len();
        place.push('/');
        place.push_str(&name);
        list_places(child, place, places);
        place.truncate(length);
    }
}
