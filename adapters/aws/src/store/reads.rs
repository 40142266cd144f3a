//! Reading: GetItem for one key, BatchGetItem for many, Query for a range and Scan for a table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures::future::try_join_all;
use ports::{Cursor, Item, Key, Order, Page, Place, Range, Table, Unavailable};

use super::DynamoStore;
use super::attributes::{self, Attributes, Misfit};
use super::failure;

/// The most keys of one BatchGetItem (AWS).
const BATCH_KEYS_MAX: usize = 100;
/// How many answers in a row may bring nothing before a batch is given up.
const EMPTY_ROUNDS_MAX: u32 = 6;
/// The pause behind the first answer that brought nothing; it doubles with each.
const ROUND_PAUSE: Duration = Duration::from_millis(20);

/// What of a partition is read.
struct Condition {
    expression: &'static str,
    values: Attributes,
    /// The sort key to continue behind.
    after: Option<String>,
}

impl DynamoStore {
    /// The items under these keys, in their order.
    pub(super) async fn read_items(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Unavailable> {
        if let [key] = keys {
            return Ok(vec![self.read_item(key).await?]);
        }
        // DynamoDB refuses a batch that names a key twice.
        let distinct: Vec<&Key> = keys.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let batches = distinct.chunks(BATCH_KEYS_MAX).map(|batch| self.read_batch(batch));
        let found = try_join_all(batches).await?.into_iter().flatten();
        let found: BTreeMap<Key, Item> = found.map(|item| (item.key.clone(), item)).collect();
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn read_item(&self, key: &Key) -> Result<Option<Item>, Unavailable> {
        let answer = self
            .client
            .get_item()
            .table_name(self.name_of(key.table))
            .set_key(Some(attributes::key_attributes(&key.partition, &key.sort)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable(key.table, &error))?;
        answer.item.map(|found| item(key.table, found)).transpose()
    }

    /// One batch, asked for again as long as some of its keys were left unprocessed: all items of an answer together
    /// have at most 16 MB (AWS), and a busy table processes what it can.
    async fn read_batch(&self, keys: &[&Key]) -> Result<Vec<Item>, Unavailable> {
        let tables: HashMap<String, Table> =
            keys.iter().map(|key| (self.name_of(key.table), key.table)).collect();
        let mut wanted = self.batch_request(keys)?;
        let mut items = Vec::with_capacity(keys.len());
        let mut empty_rounds = 0;
        while !wanted.is_empty() {
            let request = self.client.batch_get_item().set_request_items(Some(wanted));
            let answer = request.send().await.map_err(|error| unavailable(keys[0].table, &error))?;
            let before = items.len();
            for (name, found) in answer.responses.unwrap_or_default() {
                let Some(table) = tables.get(&name) else {
                    return Err(Unavailable(format!("items came of {name}, which was not asked for")));
                };
                for attributes in found {
                    items.push(item(*table, attributes)?);
                }
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if !wanted.is_empty() && items.len() == before {
                empty_rounds += 1;
                if empty_rounds == EMPTY_ROUNDS_MAX {
                    return Err(Unavailable(format!("{:?} is too busy to be read", keys[0].table)));
                }
                tokio::time::sleep(ROUND_PAUSE * 2_u32.pow(empty_rounds - 1)).await;
            }
        }
        Ok(items)
    }

    fn batch_request(&self, keys: &[&Key]) -> Result<HashMap<String, KeysAndAttributes>, Unavailable> {
        let mut tables: BTreeMap<Table, Vec<Attributes>> = BTreeMap::new();
        for key in keys {
            let attributes = attributes::key_attributes(&key.partition, &key.sort);
            tables.entry(key.table).or_default().push(attributes);
        }
        let request = |(table, keys)| {
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            Ok((self.name_of(table), keys.map_err(|error| Unavailable(error.to_string()))?))
        };
        tables.into_iter().map(request).collect()
    }

    /// One page of a range. DynamoDB ends a page at 1 MB too, so it may have fewer items than its limit and still
    /// not be the last one.
    pub(super) async fn read_range(&self, range: &Range) -> Result<Page<Cursor>, Unavailable> {
        let Some(Condition { expression, values, after }) = condition(range) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let answer = self
            .client
            .query()
            .table_name(self.name_of(range.table))
            .key_condition_expression(expression)
            .set_expression_attribute_values(Some(values))
            .set_exclusive_start_key(after.map(|after| attributes::key_attributes(&range.partition, &after)))
            .scan_index_forward(range.order == Order::Ascending)
            .consistent_read(true)
            .limit(page_limit(range.limit))
            .send()
            .await
            .map_err(|error| unavailable(range.table, &error))?;
        let next = answer.last_evaluated_key.as_ref().map(|key| place(range.table, key)).transpose()?;
        Ok(Page { items: items(range.table, answer.items)?, next: next.map(|(_, sort)| sort) })
    }

    /// One page of a table, which may be shorter than its limit as that of a range.
    pub(super) async fn read_table(
        &self,
        table: Table,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Page<Place>, Unavailable> {
        let after = after.map(|(partition, sort)| attributes::key_attributes(partition, sort));
        let answer = self
            .client
            .scan()
            .table_name(self.name_of(table))
            .set_exclusive_start_key(after)
            .consistent_read(true)
            .limit(page_limit(limit))
            .send()
            .await
            .map_err(|error| unavailable(table, &error))?;
        let next = answer.last_evaluated_key.as_ref().map(|key| place(table, key)).transpose()?;
        Ok(Page { items: items(table, answer.items)?, next })
    }
}

/// What DynamoDB is asked for a range; `None` where nothing can be in it. DynamoDB refuses a range whose ends are the
/// wrong way round, an end that is the empty text, and a start outside of the range.
fn condition(range: &Range) -> Option<Condition> {
    let Range { first, last, .. } = range;
    if first > last || last.is_empty() {
        return None;
    }
    let after = match (range.order, &range.after) {
        (Order::Ascending, Some(after)) if after >= last => return None,
        (Order::Descending, Some(after)) if after <= first => return None,
        (Order::Ascending, Some(after)) if after >= first => Some(after.clone()),
        (Order::Descending, Some(after)) if after <= last => Some(after.clone()),
        // In front of the range, so all of it is still to be read.
        _ => None,
    };
    let text = |text: &String| AttributeValue::S(text.clone());
    let mut values = Attributes::from([
        (":partition".to_owned(), text(&range.partition)),
        (":last".to_owned(), text(last)),
    ]);
    if first.is_empty() {
        return Some(Condition { expression: "pk = :partition AND sk <= :last", values, after });
    }
    values.insert(":first".to_owned(), text(first));
    Some(Condition { expression: "pk = :partition AND sk BETWEEN :first AND :last", values, after })
}

/// The most that DynamoDB can be asked for; a page of 1 MB has fewer items in any case.
fn page_limit(limit: usize) -> i32 {
    i32::try_from(limit.max(1)).unwrap_or(i32::MAX)
}

fn items(table: Table, found: Option<Vec<Attributes>>) -> Result<Vec<Item>, Unavailable> {
    found.unwrap_or_default().into_iter().map(|attributes| item(table, attributes)).collect()
}

fn item(table: Table, attributes: Attributes) -> Result<Item, Unavailable> {
    attributes::read_item(table, attributes).map_err(|misfit| unreadable(table, &misfit))
}

fn place(table: Table, key: &Attributes) -> Result<Place, Unavailable> {
    attributes::read_place(key).map_err(|misfit| unreadable(table, &misfit))
}

fn unreadable(table: Table, misfit: &Misfit) -> Unavailable {
    Unavailable(format!("an item of {table:?} is unreadable: {misfit}"))
}

fn unavailable<E>(table: Table, error: &SdkError<E>) -> Unavailable
where
    E: ProvideErrorMetadata + Error + 'static,
{
    Unavailable(format!("{table:?} could not be read: {}", failure::text(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_config::SdkConfig;
    use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_types::body::SdkBody;
    use serde_json::{Value, json};

    use super::*;
    use crate::Connection;

    /// A DynamoDB that processes at most this many keys of a batch, and none of every other batch.
    #[derive(Clone, Debug)]
    struct Slow {
        keys_max: usize,
        asked: Arc<AtomicUsize>,
    }

    impl HttpConnector for Slow {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let request: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let keys = request["RequestItems"]["test-things"]["Keys"].as_array().unwrap();
            let is_idle = self.asked.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            let (now, later) = keys.split_at(if is_idle { 0 } else { self.keys_max.min(keys.len()) });
            let item = |key: &Value| json!({ "pk": key["pk"], "sk": key["sk"], "rev": { "N": "1" } });
            let unprocessed = json!({ "test-things": { "Keys": later, "ConsistentRead": true } });
            let answer = json!({
                "Responses": { "test-things": now.iter().map(item).collect::<Vec<_>>() },
                "UnprocessedKeys": if later.is_empty() { json!({}) } else { unprocessed },
            });
            let body = SdkBody::from(answer.to_string());
            HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
        }
    }

    fn slow_store(keys_max: usize) -> DynamoStore {
        let slow = SharedHttpConnector::new(Slow { keys_max, asked: Arc::default() });
        let credentials = Credentials::new("test", "test", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client_fn(move |_, _| slow.clone()))
            .build();
        DynamoStore::new(&Connection { sdk, prefix: "test-".to_owned() }, &[])
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_were_left_unprocessed_are_asked_for_again() {
        let keys: Vec<Key> = (0..90).map(|sort| Key::new(Table("things"), "p", format!("{sort}"))).collect();
        let items = slow_store(17).read_items(&keys).await.unwrap();
        let found: Vec<Key> = items.into_iter().flatten().map(|item| item.key).collect();
        assert_eq!(found, keys);
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_that_processes_nothing_is_given_up() {
        let keys = ["a", "b"].map(|sort| Key::new(Table("things"), "p", sort));
        assert!(slow_store(0).read_items(&keys).await.is_err());
    }

    fn asked(
        (first, last): (&str, &str),
        order: Order,
        after: Option<&str>,
    ) -> Option<(bool, Option<String>)> {
        let range = Range {
            table: Table("things"),
            partition: "p".to_owned(),
            first: first.to_owned(),
            last: last.to_owned(),
            order,
            after: after.map(str::to_owned),
            limit: 10,
        };
        condition(&range).map(|condition| (condition.values.contains_key(":first"), condition.after))
    }

    #[test]
    fn a_range_is_never_asked_for_in_a_way_that_dynamodb_refuses() {
        use Order::{Ascending, Descending};
        let behind = |after: &str| Some((true, Some(after.to_owned())));
        let whole = Some((true, None));
        let told = [
            (("d", "b"), Ascending, None, None),
            (("", ""), Ascending, None, None),
            (("", "d"), Ascending, None, Some((false, None))),
            (("b", "d"), Ascending, None, whole.clone()),
            (("b", "d"), Ascending, Some("a"), whole.clone()),
            (("b", "d"), Ascending, Some("b"), behind("b")),
            (("b", "d"), Ascending, Some("d"), None),
            (("b", "d"), Ascending, Some("e"), None),
            (("b", "d"), Descending, Some("e"), whole),
            (("b", "d"), Descending, Some("d"), behind("d")),
            (("b", "d"), Descending, Some("b"), None),
            (("b", "d"), Descending, Some("a"), None),
        ];
        for (ends, order, after, expected) in told {
            assert_eq!(asked(ends, order, after), expected, "{ends:?} {order:?} {after:?}");
        }
    }
}
