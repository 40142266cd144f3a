//! How an item lies in DynamoDB: every field of its body is an attribute of its own, so that a person can read it in
//! the console, beside those that are the store's.
//!
//! | attribute | type | what it is |
//! |---|---|---|
//! | `pk`, `sk` | S | the key of the table: partition and sort key |
//! | `rev` | N | the revision, which conditions compare |
//! | `ttl` | N | where the item expires: the second since the epoch from which DynamoDB may delete it |
//! | `messages`, `sent_by` | L, S | the messages that leave with the item, and the transaction that sends them |
//! | a field | S, N, BOOL, NULL, L, M | the field, with the type that JSON gives it |
//!
//! Numbers are integers of 64 bits, which DynamoDB keeps exactly. A fraction is refused: no record has one, money
//! least of all. The order of fields is lost, as DynamoDB's maps have none: a body comes back with its fields in the
//! order of their names. Absent on purpose: sets and binaries, which JSON does not have.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use kernel::Timestamp;
use ports::{Envelope, Item, Key, Place, Revision, Table};
use serde_json::{Map, Number, Value};
use uuid::Uuid;

/// An item, or a key, as DynamoDB has it.
pub type Attributes = HashMap<String, AttributeValue>;

/// The partition key of every table.
const PARTITION: &str = "pk";
/// The sort key of every table.
const SORT: &str = "sk";
const REVISION: &str = "rev";
const EXPIRY: &str = "ttl";
/// What leaves with an item, and the sort key of every outbox record.
const MESSAGES: &str = "messages";
/// The transaction whose messages an item carries.
const SENT_BY: &str = "sent_by";
const STORES_OWN: [&str; 6] = [PARTITION, SORT, REVISION, EXPIRY, MESSAGES, SENT_BY];

/// How long an outbox record is kept, in seconds: for three days an operator can see what was sent. A stream keeps
/// it for one, and a transaction is recognised by it when it is committed again after its token was forgotten.
const MESSAGES_KEPT_SECONDS: i64 = 3 * 24 * 60 * 60;

/// Why an item is not what this store writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The body is no JSON object.
    #[error("the body is no JSON object")]
    NoObject,
    /// A field of the body has the name of one of the store's own attributes.
    #[error("the field {0:?} has the name of an attribute of the store")]
    StoresOwn(String),
    /// A number is not an integer of 64 bits.
    #[error("{0} is not an integer of 64 bits")]
    Number(String),
    /// An attribute of the store's own is missing or of another type.
    #[error("the attribute {0:?} is missing or of another type")]
    Attribute(&'static str),
    /// An attribute has a type that no item is written with.
    #[error("an attribute is a set or a binary")]
    Type,
}

/// The key of an item.
pub fn key_attributes(partition: &str, sort: &str) -> Attributes {
    HashMap::from([
        (PARTITION.to_owned(), AttributeValue::S(partition.to_owned())),
        (SORT.to_owned(), AttributeValue::S(sort.to_owned())),
    ])
}

/// A revision, for an item and for a condition.
pub fn revision_attribute(revision: Revision) -> AttributeValue {
    AttributeValue::N(revision.0.to_string())
}

/// The item of a record.
pub fn item_attributes(
    key: &Key,
    revision: Revision,
    expires_at: Option<Timestamp>,
    body: &str,
) -> Result<Attributes, Misfit> {
    let fields: Map<String, Value> = serde_json::from_str(body).map_err(|_| Misfit::NoObject)?;
    if let Some(name) = fields.keys().find(|name| STORES_OWN.contains(&name.as_str())) {
        return Err(Misfit::StoresOwn(name.clone()));
    }
    let mut attributes = map_attributes(fields)?;
    attributes.extend(key_attributes(&key.partition, &key.sort));
    attributes.insert(REVISION.to_owned(), revision_attribute(revision));
    if let Some(expires_at) = expires_at {
        let seconds = seconds_rounded_up(expires_at).to_string();
        attributes.insert(EXPIRY.to_owned(), AttributeValue::N(seconds));
    }
    Ok(attributes)
}

/// The outbox record of a transaction. It is made of the transaction alone, without a look at the clock, so that the
/// same transaction committed again is the same request, as its token demands.
pub fn outbox_attributes(transaction_id: Uuid, messages: &[Envelope]) -> Result<Attributes, Misfit> {
    let mut attributes = key_attributes(&transaction_id.to_string(), MESSAGES);
    let sent_at = messages.iter().map(|message| message.occurred_at).max().unwrap_or(Timestamp::EPOCH);
    let kept_until = sent_at.as_seconds() + MESSAGES_KEPT_SECONDS;
    attributes.insert(EXPIRY.to_owned(), AttributeValue::N(kept_until.to_string()));
    attributes.insert(MESSAGES.to_owned(), messages_attribute(messages)?);
    Ok(attributes)
}

/// Lets an item carry the messages of the transaction that writes it.
pub fn carry(item: &mut Attributes, transaction_id: Uuid, messages: &[Envelope]) -> Result<(), Misfit> {
    item.insert(MESSAGES.to_owned(), messages_attribute(messages)?);
    item.insert(SENT_BY.to_owned(), transaction_attribute(transaction_id));
    Ok(())
}

/// A transaction's id, for an item and for a condition.
pub fn transaction_attribute(transaction_id: Uuid) -> AttributeValue {
    AttributeValue::S(transaction_id.to_string())
}

fn messages_attribute(messages: &[Envelope]) -> Result<AttributeValue, Misfit> {
    let envelope = |message| serde_json::to_value(message).map_err(|_| Misfit::NoObject);
    let list = messages.iter().map(|message| attribute(envelope(message)?)).collect::<Result<_, _>>()?;
    Ok(AttributeValue::L(list))
}

/// The partition and sort key of an item.
pub fn read_place(attributes: &Attributes) -> Result<Place, Misfit> {
    let text = |name| match attributes.get(name) {
        Some(AttributeValue::S(text)) => Ok(text.clone()),
        _ => Err(Misfit::Attribute(name)),
    };
    Ok((text(PARTITION)?, text(SORT)?))
}

/// The item that a table holds.
pub fn read_item(table: Table, mut attributes: Attributes) -> Result<Item, Misfit> {
    let (partition, sort) = read_place(&attributes)?;
    attributes.retain(|name, _| ![PARTITION, SORT, MESSAGES, SENT_BY].contains(&name.as_str()));
    let revision = match attributes.remove(REVISION) {
        Some(AttributeValue::N(digits)) => digits.parse().map_err(|_| Misfit::Attribute(REVISION))?,
        _ => return Err(Misfit::Attribute(REVISION)),
    };
    let expires_at = match attributes.remove(EXPIRY) {
        Some(AttributeValue::N(digits)) => {
            let seconds: i64 = digits.parse().map_err(|_| Misfit::Attribute(EXPIRY))?;
            Some(Timestamp::from_millis(seconds.saturating_mul(1_000)))
        }
        None => None,
        Some(_) => return Err(Misfit::Attribute(EXPIRY)),
    };
    let body = Value::Object(map_value(attributes)?).to_string();
    Ok(Item { key: Key { table, partition, sort }, revision: Revision(revision), expires_at, body })
}

/// DynamoDB counts in seconds and may delete late, but must not delete early.
fn seconds_rounded_up(instant: Timestamp) -> i64 {
    instant.as_seconds() + i64::from(instant.as_millis() % 1_000 > 0)
}

fn attribute(value: Value) -> Result<AttributeValue, Misfit> {
    Ok(match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(is_so) => AttributeValue::Bool(is_so),
        Value::Number(number) if number.is_i64() || number.is_u64() => AttributeValue::N(number.to_string()),
        Value::Number(number) => return Err(Misfit::Number(number.to_string())),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => {
            AttributeValue::L(values.into_iter().map(attribute).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => AttributeValue::M(map_attributes(fields)?),
    })
}

fn map_attributes(fields: Map<String, Value>) -> Result<Attributes, Misfit> {
    fields.into_iter().map(|(name, value)| Ok((name, attribute(value)?))).collect()
}

fn value(attribute: AttributeValue) -> Result<Value, Misfit> {
    Ok(match attribute {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(is_so) => Value::Bool(is_so),
        AttributeValue::N(digits) => Value::Number(number(digits)?),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(attributes) => {
            Value::Array(attributes.into_iter().map(value).collect::<Result<_, _>>()?)
        }
        AttributeValue::M(attributes) => Value::Object(map_value(attributes)?),
        _ => return Err(Misfit::Type),
    })
}

fn map_value(attributes: Attributes) -> Result<Map<String, Value>, Misfit> {
    let sorted: BTreeMap<String, AttributeValue> = attributes.into_iter().collect();
    sorted.into_iter().map(|(name, attribute)| Ok((name, value(attribute)?))).collect()
}

fn number(digits: String) -> Result<Number, Misfit> {
    let signed = digits.parse::<i64>().map(Number::from);
    signed.or_else(|_| digits.parse::<u64>().map(Number::from)).map_err(|_| Misfit::Number(digits))
}

#[cfg(test)]
mod tests {
    use kernel::{CorrelationId, MessageId};

    use super::*;

    const THINGS: Table = Table("things");

    fn stored(body: &str) -> Result<Item, Misfit> {
        let key = Key::new(THINGS, "p", "s");
        read_item(THINGS, item_attributes(&key, Revision(7), None, body)?)
    }

    #[test]
    fn a_body_comes_back_as_it_was_with_its_fields_in_order() {
        let body = format!(
            r#"{{"z":{},"y":{},"x":[null,true,"",[],{{}}],"w":{{"b":"12.50","a":0}},"v":"1"}}"#,
            u64::MAX,
            i64::MIN
        );
        let found = stored(&body).unwrap();
        let (found, expected): (Value, Value) =
            (serde_json::from_str(&found.body).unwrap(), serde_json::from_str(&body).unwrap());
        assert_eq!(found, expected);
        assert_eq!(stored(r#"{"b":{"d":1,"c":2},"a":3}"#).unwrap().body, r#"{"a":3,"b":{"c":2,"d":1}}"#);
    }

    #[test]
    fn fields_are_attributes_that_a_person_can_read() {
        let key = Key::new(THINGS, "p", "s");
        let expires_at = Some(Timestamp::from_millis(1_500));
        let attributes = item_attributes(&key, Revision(7), expires_at, r#"{"name":"Rent","minor":1250}"#);
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |digits: &str| AttributeValue::N(digits.to_owned());
        let expected = [
            ("pk", text("p")),
            ("sk", text("s")),
            ("rev", number("7")),
            ("ttl", number("2")),
            ("name", text("Rent")),
            ("minor", number("1250")),
        ];
        assert_eq!(attributes.unwrap(), expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for name in STORES_OWN {
            let misfit = stored(&format!(r#"{{"{name}":1}}"#));
            assert_eq!(misfit, Err(Misfit::StoresOwn(name.to_owned())));
            assert!(stored(&format!(r#"{{"inner":{{"{name}":1}}}}"#)).is_ok(), "only the top is the store's");
        }
        assert_eq!(stored("[1]"), Err(Misfit::NoObject));
        assert_eq!(stored(r#"{"amount":12.5}"#), Err(Misfit::Number("12.5".to_owned())));
        assert!(matches!(stored(r#"{"amount":18446744073709551616}"#), Err(Misfit::Number(_))));
    }

    #[test]
    fn what_another_wrote_is_not_read() {
        let whole = item_attributes(&Key::new(THINGS, "p", "s"), Revision(7), None, r#"{"a":1}"#).unwrap();
        let with = |name: &str, attribute: AttributeValue| {
            let mut attributes = whole.clone();
            attributes.insert(name.to_owned(), attribute);
            read_item(THINGS, attributes)
        };
        let number = |digits: &str| AttributeValue::N(digits.to_owned());
        assert_eq!(with("rev", number("1.5")), Err(Misfit::Attribute("rev")));
        assert_eq!(with("pk", number("1")), Err(Misfit::Attribute("pk")));
        assert_eq!(with("ttl", AttributeValue::Null(true)), Err(Misfit::Attribute("ttl")));
        assert_eq!(with("a", number("1.5")), Err(Misfit::Number("1.5".to_owned())));
        assert_eq!(with("a", AttributeValue::Ss(vec!["x".to_owned()])), Err(Misfit::Type));
    }

    #[test]
    fn an_outbox_record_depends_on_its_transaction_alone() {
        let message = |occurred_at| Envelope {
            message_id: MessageId::new(Uuid::from_u128(1)),
            kind: "PLACED_EVENT".to_owned(),
            version: 1,
            group: "account".to_owned(),
            correlation_id: CorrelationId::new(Uuid::from_u128(2)),
            causation_id: None,
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            occurred_at: Timestamp::from_millis(occurred_at),
            body: serde_json::value::to_raw_value(&serde_json::json!({"amount": "12.50"})).unwrap(),
        };
        let record = outbox_attributes(Uuid::from_u128(3), &[message(5_999), message(1_000)]).unwrap();
        assert_eq!(record["pk"], AttributeValue::S(Uuid::from_u128(3).to_string()));
        assert_eq!(record["sk"], AttributeValue::S("messages".to_owned()));
        assert_eq!(record["ttl"], AttributeValue::N("259205".to_owned()));
        let messages = record["messages"].as_l().unwrap();
        assert_eq!(messages.len(), 2);
        let body = messages[0].as_m().unwrap()["body"].as_m().unwrap();
        assert_eq!(body["amount"], AttributeValue::S("12.50".to_owned()));
    }
}
