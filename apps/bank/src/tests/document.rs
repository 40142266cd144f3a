//! The OpenAPI document, as the bank serves it, against the table of operations and against itself.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::Value;

use super::bank::{Answer, Bank};
use super::operations::{Access, Filling, ROWS, Row};
use super::schema::{faults, referred};

/// The statuses that every operation may answer.
const ALWAYS: [&str; 4] = ["429", "500", "503", "504"];
/// Those of an operation that takes a body.
const WITH_A_BODY: [&str; 5] = ["400", "408", "413", "415", "422"];
/// Those of an operation that takes an Idempotency-Key.
const WITH_A_KEY: [&str; 3] = ["400", "409", "422"];

pub struct Document(Value);

/// An operation as the document has it.
pub struct Operation<'a> {
    pub method: Method,
    pub path: &'a str,
    written: &'a Value,
    document: &'a Value,
}

impl Document {
    pub async fn served_by(router: &Router) -> Self {
        let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
        Self(Answer::of("GET /openapi.json".to_owned(), router, request).await.must_be(200).json())
    }

    pub fn operations(&self) -> Vec<Operation<'_>> {
        const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
        let mut operations = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for (member, written) in item.as_object().unwrap() {
                // What else a path may have is shared by its operations; this document has nothing of the kind.
                assert!(METHODS.contains(&member.as_str()), "{path} has {member}");
                let method = member.to_ascii_uppercase().parse().unwrap();
                operations.push(Operation { method, path, written, document: &self.0 });
            }
        }
        operations
    }

    pub fn operation(&self, row: &Row) -> Operation<'_> {
        let mut operations = self.operations().into_iter();
        operations.find(|operation| operation.is(row)).unwrap_or_else(|| panic!("no {}", row.name()))
    }

    /// That an answer is one that the document has for such a request, member for member, if it has the request.
    #[track_caller]
    pub fn assert_knows(&self, method: &Method, path: &str, answer: &Answer) {
        let path = path.split('?').next().unwrap_or_default();
        let mut operations = self.operations();
        operations.retain(|operation| operation.method == *method && matches(operation.path, path));
        // A path without braces goes before one with them, as in the router.
        operations.sort_by_key(|operation| operation.path.contains('{'));
        let Some(operation) = operations.first() else { return };
        let documented = &operation.written["responses"][answer.status.as_str()];
        assert!(documented.is_object(), "{} is answered {}: {}", answer.asked, answer.status, answer.text());
        match (documented["content"].as_object(), answer.media_type()) {
            (None, None) => {}
            (Some(content), Some(media_type)) if content.contains_key(media_type) => {
                let faults = faults(&self.0, &content[media_type]["schema"], &answer.json(), "");
                assert!(faults.is_empty(), "{}: {faults:#?} in {}", answer.asked, answer.text());
            }
            (_, media_type) => panic!("{} is answered {media_type:?}: {documented}", answer.asked),
        }
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(named, given)| named.starts_with('{') || named == given)
}

impl Operation<'_> {
    pub fn is(&self, row: &Row) -> bool {
        self.method == row.method && self.path == row.path
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it takes this parameter, `in` path, query or header.
    pub fn takes(&self, place: &str, name: &str) -> bool {
        self.parameters(place).any(|parameter| parameter["name"] == name)
    }

    fn parameters<'b>(&'b self, place: &'b str) -> impl Iterator<Item = &'b Value> {
        let parameters = self.written["parameters"].as_array().into_iter().flatten();
        parameters.filter(move |parameter| parameter["in"] == place)
    }

    /// The members of its body, if it takes one.
    fn body_members(&self) -> Option<BTreeSet<&str>> {
        let body = self.written.get("requestBody")?;
        let schema = &body["content"]["application/json"]["schema"];
        let schema = schema.get("$ref").map_or(schema, |reference| referred(self.document, reference));
        Some(schema["properties"].as_object().unwrap().keys().map(String::as_str).collect())
    }

    /// The ids that a request names, in path and body.
    fn ids(&self) -> BTreeSet<&str> {
        let in_path = self.parameters("path").filter_map(|parameter| parameter["name"].as_str());
        let named = in_path.chain(self.body_members().into_iter().flatten());
        named.filter(|name| name.ends_with("_id")).collect()
    }

    /// Whether it asks for a token, by itself or because all do.
    fn wants_token(&self) -> bool {
        let own = self.written.get("security");
        let security = own.unwrap_or(&self.document["security"]).as_array().unwrap();
        // One requirement of the list is enough, and an empty one is always met.
        !security.is_empty() && security.iter().all(|requirement| requirement.get("bearer").is_some())
    }
}

#[tokio::test]
async fn every_operation_has_its_row_and_every_row_its_operation() {
    let bank = Bank::open().await;
    let documented: Vec<String> = bank.document.operations().iter().map(Operation::name).collect();
    let mut rows: Vec<String> = ROWS.iter().map(Row::name).collect();
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "an operation has two rows");
    for operation in &documented {
        assert!(rows.contains(operation), "{operation} has no row: say in the table who may ask for it");
    }
    rows.retain(|row| !documented.contains(row));
    assert!(rows.is_empty(), "{rows:?} are not in the document");
    bank.close().await;
}

#[tokio::test]
async fn the_document_says_who_may_ask_and_for_what() {
    let bank = Bank::open().await;
    for row in ROWS {
        let (name, operation) = (row.name(), bank.document.operation(row));
        assert_eq!(operation.wants_token(), row.access != Access::Public, "{name}");
        assert_eq!(operation.ids(), row.ids(), "{name}: what it names");
        assert_eq!(operation.body_members().is_some(), row.body.is_some(), "{name}: whether it takes a body");
        let (own, anybodys) = row.owned();
        let owned: BTreeSet<&str> = own.iter().chain(anybodys).copied().collect();
        match row.access {
            Access::Owner { .. } => assert_eq!(owned, row.ids(), "{name}: whose the things named must be"),
            // Nothing of a person's is named where its owner is not looked at.
            Access::Public | Access::SignedIn => assert_eq!(row.ids(), BTreeSet::new(), "{name}"),
            Access::Operator => {}
        }
    }
    bank.close().await;
}

#[tokio::test]
async fn what_is_asked_in_these_tests_is_as_documented() {
    let bank = Bank::open().await;
    for row in ROWS {
        let Some(body) = row.body else { continue };
        let body = serde_json::from_str(&Filling::invented().fill(body)).unwrap();
        let schema =
            &bank.document.operation(row).written["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(faults(&bank.document.0, schema, &body, ""), [""; 0], "{}", row.name());
    }
    bank.close().await;
}

#[tokio::test]
async fn every_operation_tells_its_answers() {
    let bank = Bank::open().await;
    for row in ROWS {
        let (name, operation) = (row.name(), bank.document.operation(row));
        let has_key = operation.takes("header", "Idempotency-Key");
        let expected = [
            (true, &ALWAYS[..]),
            (row.access != Access::Public, &["401"]),
            (row.access == Access::Operator, &["403"]),
            (!row.ids().is_empty(), &["404"]),
            (operation.parameters("query").next().is_some(), &["400"]),
            (row.body.is_some(), &WITH_A_BODY),
            (has_key, &WITH_A_KEY),
        ];
        let responses = operation.written["responses"].as_object().unwrap();
        for (_, statuses) in expected.iter().filter(|(applies, _)| *applies) {
            for status in *statuses {
                assert!(responses.contains_key(*status), "{name} does not tell of {status}");
            }
        }
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} is never done");
        // Everything that is read as JSON has an entity tag.
        let is_tagged =
            row.method == Method::GET && responses["200"]["content"]["application/json"].is_object();
        assert_eq!(responses.contains_key("304"), is_tagged, "{name}");
        assert_eq!(operation.takes("header", "If-None-Match"), is_tagged, "{name}");
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            let content = response["content"].as_object().unwrap();
            assert_eq!(content.keys().collect::<Vec<_>>(), ["application/problem+json"], "{name}: {status}");
            let schema = &content["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{name}: {status}");
        }
    }
    bank.close().await;
}

#[tokio::test]
async fn every_operation_is_named_and_explained() {
    let bank = Bank::open().await;
    let tags: Vec<&Value> =
        bank.document.0["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = BTreeSet::new();
    for operation in bank.document.operations() {
        let Operation { written, path, .. } = &operation;
        let name = operation.name();
        let operation_id = written["operationId"].as_str().unwrap();
        assert!(names.insert(operation_id.to_owned()), "{name}: {operation_id} names another one too");
        assert!(written["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name}");
        let own_tags = written["tags"].as_array().unwrap();
        assert!(own_tags.len() == 1 && tags.contains(&&own_tags[0]), "{name}: {own_tags:?}");
        let braced =
            path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(braced, _)| braced);
        let named = operation.parameters("path").filter_map(|parameter| parameter["name"].as_str());
        assert_eq!(braced.collect::<BTreeSet<_>>(), named.collect(), "{name}");
    }
    bank.close().await;
}

#[tokio::test]
async fn the_document_is_whole() {
    let bank = Bank::open().await;
    let document = &bank.document.0;
    let version = document["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1."), "{version}");
    let (mut pending, mut found) = (vec![document], 0);
    while let Some(value) = pending.pop() {
        match value {
            Value::Array(items) => pending.extend(items),
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref") {
                    assert!(referred(document, reference).is_object(), "{reference}");
                    found += 1;
                }
                pending.extend(members.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(found > ROWS.len(), "only {found} references");
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    bank.close().await;
}
