//! Whether a JSON value is of a schema: as much of JSON Schema as the bank's document uses, and a failure for the rest.
//!
//! It is stricter in one thing: a member that the schema does not know is a fault, so that what is answered is told.

use serde_json::{Map, Value, json};

/// What says nothing about which values are of a schema, or nothing that is looked at here.
const REMARKS: [&str; 7] =
    ["description", "example", "examples", "format", "pattern", "minimum", "exclusiveMinimum"];

/// What is wrong with the value at `place`; nothing if it is of the schema.
pub fn faults(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let Some(schema) = schema.as_object() else { return vec![format!("{place} has no schema: {schema}")] };
    let mut found = Vec::new();
    for (keyword, said) in schema {
        match keyword.as_str() {
            "$ref" => found.extend(faults(document, referred(document, said), value, place)),
            "type" if !is_of_type(said, value) => found.push(format!("{place} is {value}, not {said}")),
            "enum" if !said.as_array().is_some_and(|values| values.contains(value)) => {
                found.push(format!("{place} is {value}, not one of {said}"));
            }
            "minLength" if value.is_string() && length(value) < said.as_u64() => {
                found.push(format!("{place} is shorter than {said}"));
            }
            "maxLength" if value.is_string() && length(value) > said.as_u64() => {
                found.push(format!("{place} is longer than {said}"));
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(document, said, item, &format!("{place}/{index}")));
                }
            }
            "properties" => found.extend(member_faults(document, schema, value, place)),
            "minItems" if count(value).is_some_and(|count| Some(count) < said.as_u64()) => {
                found.push(format!("{place} has fewer items than {said}"));
            }
            "maxItems" if count(value).is_some_and(|count| Some(count) > said.as_u64()) => {
                found.push(format!("{place} has more items than {said}"));
            }
            "type"
            | "enum"
            | "required"
            | "additionalProperties"
            | "minLength"
            | "maxLength"
            | "minItems"
            | "maxItems" => {}
            remark if REMARKS.contains(&remark) => {}
            unknown => found.push(format!("{place} has a schema with {unknown}, which is not understood")),
        }
    }
    found
}

/// What a reference within the document stands for.
#[track_caller]
pub fn referred<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
    let found = pointer.and_then(|pointer| document.pointer(pointer));
    found.unwrap_or_else(|| panic!("{reference} leads nowhere in the document"))
}

fn is_of_type(types: &Value, value: &Value) -> bool {
    let is_one = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    };
    types.as_array().map_or_else(|| is_one(types), |types| types.iter().any(is_one))
}

/// How many characters a text has.
fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().fold(0, |count, _| count + 1))
}

/// How many items a list has.
fn count(value: &Value) -> Option<u64> {
    value.as_array().map(|items| items.iter().fold(0, |count, _| count + 1))
}

fn member_faults(document: &Value, schema: &Map<String, Value>, value: &Value, place: &str) -> Vec<String> {
    let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) else {
        return Vec::new();
    };
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let required = required.filter_map(Value::as_str).filter(|name| !members.contains_key(*name));
    let mut found: Vec<String> = required.map(|name| format!("{place}/{name} is missing")).collect();
    for (name, member) in members {
        let place = format!("{place}/{name}");
        match known.get(name) {
            Some(schema) => found.extend(faults(document, schema, member, &place)),
            None => found.push(format!("{place} is not in the document")),
        }
    }
    found
}

#[test]
fn values_are_told_apart() {
    let document = json!({"components": {"schemas": {"Unit": {"type": "string", "enum": ["EUR"]}}}});
    let unit = json!({"$ref": "#/components/schemas/Unit"});
    let sum = json!({
        "type": "object",
        "required": ["unit"],
        "properties": {
            "unit": unit,
            "count": {"type": ["integer", "null"], "format": "int64"},
            "list": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 2}},
            "pair": {"type": "array", "minItems": 1, "maxItems": 2},
        },
    });
    for (value, faulty) in [
        (json!({"unit": "EUR"}), None),
        (json!({"unit": "EUR", "count": 1, "list": []}), None),
        (json!({"unit": "EUR", "count": null, "list": ["a"]}), None),
        (json!({}), Some("sum/unit")),
        (json!({"unit": "USD"}), Some("sum/unit")),
        (json!({"unit": 1}), Some("sum/unit")),
        (json!({"unit": "EUR", "count": 1.5}), Some("sum/count")),
        (json!({"unit": "EUR", "list": ["a", 1]}), Some("sum/list/1")),
        (json!({"unit": "EUR", "list": ["ab", ""]}), Some("sum/list/1")),
        (json!({"unit": "EUR", "list": ["abc"]}), Some("sum/list/0")),
        (json!({"unit": "EUR", "pair": [1, 2]}), None),
        (json!({"unit": "EUR", "pair": []}), Some("sum/pair")),
        (json!({"unit": "EUR", "pair": [1, 2, 3]}), Some("sum/pair")),
        (json!({"unit": "EUR", "more": true}), Some("sum/more")),
        (json!([]), Some("sum")),
    ] {
        let found = faults(&document, &sum, &value, "sum");
        assert_eq!(found.is_empty(), faulty.is_none(), "{value}: {found:?}");
        assert!(found.iter().all(|fault| fault.starts_with(faulty.unwrap_or_default())), "{found:?}");
    }
    assert_eq!(faults(&document, &json!({"not": {}}), &json!(1), "sum").len(), 1, "what is not understood");
}
