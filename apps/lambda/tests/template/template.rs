//! `template.yaml`, read as CloudFormation reads it: its loops unrolled, its mappings looked up.
//!
//! What is left of the other functions is the plainest text that still tells what is meant: a reference is the name of
//! what it refers to (`LedgerTable`, `LedgerTable.Arn`), a text with pseudo parameters is that text
//! (`${AWS::StackName}-ledger`), and of two alternatives the one is taken that holds where the condition does: what is
//! allowed at most, and what protects prod. Deliberately absent: what SAM makes of the resources, which its own linter
//! checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use yaml_serde::value::TaggedValue;

/// What all names begin with.
pub const PREFIX: &str = "${AWS::StackName}-";

/// The template.
pub struct Template {
    resources: BTreeMap<String, Value>,
    function_defaults: Value,
}

/// A resource, with the name that the others call it by.
#[derive(Clone, Copy)]
pub struct Resource<'a> {
    pub id: &'a str,
    pub value: &'a Value,
}

impl Template {
    /// The template of this repository.
    pub fn read() -> Self {
        let text = fs::read_to_string(root().join("template.yaml")).unwrap();
        let document = plain(yaml_serde::from_str(&text).unwrap());
        let unrolled = unroll(&document["Resources"]);
        let resources = unrolled.into_iter().map(|(id, value)| (id, resolve(value, &document["Mappings"])));
        Self {
            resources: resources.collect(),
            function_defaults: resolve(document["Globals"]["Function"].clone(), &document["Mappings"]),
        }
    }

    /// The resources of a type, such as `AWS::SQS::Queue`.
    pub fn of_type(&self, kind: &str) -> Vec<Resource<'_>> {
        let all = self.resources.iter().map(|(id, value)| Resource { id, value });
        all.filter(|resource| resource.value["Type"] == kind).collect()
    }

    /// The one resource of a type whose property has this value.
    pub fn only(&self, kind: &str, property: &str, wanted: &str) -> Resource<'_> {
        let found: Vec<_> =
            self.of_type(kind).into_iter().filter(|resource| resource.property(property) == wanted).collect();
        assert_eq!(found.len(), 1, "{kind} with {property} {wanted}");
        found[0]
    }

    /// A resource by its name.
    pub fn resource(&self, id: &str) -> Resource<'_> {
        let (id, value) = self.resources.get_key_value(id).unwrap_or_else(|| panic!("there is no {id}"));
        Resource { id, value }
    }

    /// A property of a function, or what all functions have.
    pub fn function_property<'a>(&'a self, function: Resource<'a>, property: &str) -> &'a Value {
        match function.property(property) {
            Value::Null => &self.function_defaults[property],
            own => own,
        }
    }
}

impl<'a> Resource<'a> {
    /// A property, by its path with dots between; null where there is none.
    pub fn property(self, path: &str) -> &'a Value {
        path.split('.').fold(&self.value["Properties"], |value, name| &value[name])
    }

    /// A property that is a text.
    pub fn text(self, path: &str) -> &'a str {
        self.property(path).as_str().unwrap_or_else(|| panic!("{}: {path} is no text", self.id))
    }

    /// A property that is a number.
    pub fn number(self, path: &str) -> u64 {
        self.property(path).as_u64().unwrap_or_else(|| panic!("{}: {path} is no number", self.id))
    }

    /// How others refer to an attribute of it.
    pub fn attribute(self, name: &str) -> String {
        format!("{}.{name}", self.id)
    }

    /// The statements of a function's rights.
    pub fn statements(self) -> Vec<Statement<'a>> {
        let policies = self.property("Policies").as_array().map(Vec::as_slice).unwrap_or_default();
        let statements = policies.iter().flat_map(|policy| policy["Statement"].as_array().unwrap());
        statements.map(|value| Statement { value }).collect()
    }

    /// What a function may do these actions on.
    pub fn allowed(self, action: &str) -> Vec<&'a str> {
        let statements = self.statements();
        let with_action = statements.iter().filter(|statement| statement.actions().contains(&action));
        let mut resources: Vec<_> = with_action.flat_map(|statement| statement.resources()).collect();
        resources.sort_unstable();
        resources
    }
}

/// A statement of a function's rights.
pub struct Statement<'a> {
    value: &'a Value,
}

impl<'a> Statement<'a> {
    pub fn actions(&self) -> Vec<&'a str> {
        texts(&self.value["Action"])
    }

    pub fn resources(&self) -> Vec<&'a str> {
        texts(&self.value["Resource"])
    }

    /// Whether it allows anything with this service of AWS, such as `sqs`.
    pub fn is_about(&self, service: &str) -> bool {
        self.actions().iter().any(|action| action.split(':').next() == Some(service))
    }
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        value => value.as_str().into_iter().collect(),
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The document with the short forms of functions written out: `!Sub x` is `{"Fn::Sub": "x"}`.
fn plain(value: yaml_serde::Value) -> Value {
    match value {
        yaml_serde::Value::Tagged(tagged) => {
            let TaggedValue { tag, value } = *tagged;
            let name = tag.to_string().trim_start_matches('!').to_owned();
            let name = if name == "Ref" { name } else { format!("Fn::{name}") };
            let value = match plain(value) {
                // `!GetAtt Table.Arn` is short for a list of both.
                Value::String(path) if name == "Fn::GetAtt" => {
                    json!(path.split_once('.').map(|(id, attribute)| [id, attribute]))
                }
                value => value,
            };
            json!({ name: value })
        }
        yaml_serde::Value::Mapping(entries) => {
            let name = |key: yaml_serde::Value| key.as_str().expect("names are texts").to_owned();
            entries.into_iter().map(|(key, value)| (name(key), plain(value))).collect::<Map<_, _>>().into()
        }
        yaml_serde::Value::Sequence(values) => values.into_iter().map(plain).collect(),
        scalar => serde_json::to_value(scalar).unwrap(),
    }
}

/// The resources with every `Fn::ForEach` replaced by what it stands for.
fn unroll(resources: &Value) -> Map<String, Value> {
    let mut unrolled = Map::new();
    for (id, value) in resources.as_object().unwrap() {
        if !id.starts_with("Fn::ForEach::") {
            unrolled.insert(id.clone(), value.clone());
            continue;
        }
        let (identifier, fragment) = (value[0].as_str().unwrap(), value[2].to_string());
        for item in texts(&value[1]) {
            let reference = json!({ "Ref": identifier }).to_string();
            let repeated = fragment
                .replace(&reference, &json!(item).to_string())
                .replace(&format!("${{{identifier}}}"), item);
            let repeated: Map<String, Value> = serde_json::from_str(&repeated).unwrap();
            unrolled.extend(repeated);
        }
    }
    unrolled
}

fn resolve(value: Value, mappings: &Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(|value| resolve(value, mappings)).collect(),
        Value::Object(entries) => {
            let entries: Map<String, Value> =
                entries.into_iter().map(|(name, value)| (name, resolve(value, mappings))).collect();
            match entries.iter().next() {
                Some((name, argument)) if entries.len() == 1 => {
                    call(name, argument, mappings).unwrap_or_else(|| entries.clone().into())
                }
                _ => entries.into(),
            }
        }
        scalar => scalar,
    }
}

/// What a function of the template comes to; nothing if it is none of those that matter here.
fn call(name: &str, argument: &Value, mappings: &Value) -> Option<Value> {
    Some(match name {
        "Ref" => argument.clone(),
        "Fn::GetAtt" => json!(texts(argument).join(".")),
        "Fn::If" => argument[1].clone(),
        "Fn::FindInMap" => match texts(argument)[..] {
            [map, row, column] => mappings.get(map)?.get(row)?.get(column)?.clone(),
            _ => return None,
        },
        "Fn::Sub" => match argument {
            Value::Array(_) => {
                let names = argument[1].as_object()?;
                let replaced = names.iter().fold(argument[0].as_str()?.to_owned(), |text, (name, value)| {
                    text.replace(&format!("${{{name}}}"), value.as_str().unwrap_or_default())
                });
                json!(replaced)
            }
            text => text.clone(),
        },
        _ => return None,
    })
}
