//! A function for each program of `src/bin`, each with what its service needs and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use contracts::topology::Sender;

use crate::tables::TABLES;
use crate::template::{PREFIX, Resource, Template, root};

pub const FUNCTION: &str = "AWS::Serverless::Function";

/// The name of a function's program.
pub fn program(function: Resource<'_>) -> &str {
    function.value["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap()
}

/// The service that a function belongs to: what its name begins with.
pub fn service(function: Resource<'_>) -> &str {
    program(function).split('_').next().unwrap()
}

#[test]
fn every_program_is_one_function_and_every_function_a_program() {
    let template = Template::read();
    let made: Vec<&str> = template.of_type(FUNCTION).into_iter().map(program).collect();
    let programs: BTreeSet<String> = fs::read_dir(root().join("apps/lambda/src/bin"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(made.len(), programs.len());
    assert_eq!(made.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), programs);
    for function in template.of_type(FUNCTION) {
        assert_eq!(function.text("FunctionName"), format!("{PREFIX}{}", program(function)));
        assert_eq!(function.value["Metadata"]["BuildMethod"], "rust-cargolambda", "{}", function.id);
    }
}

#[test]
fn every_function_is_deployed_by_an_alias_and_rolled_back_by_its_own_failures() {
    let template = Template::read();
    for function in template.of_type(FUNCTION) {
        assert_eq!(template.function_property(function, "AutoPublishAlias"), "live");
        let own = function.id.replace("Function", "ErrorsAlarm");
        assert_eq!(function.property("DeploymentPreference.Alarms"), &serde_json::json!([own]));
    }
}

#[test]
fn no_right_is_given_on_everything() {
    for function in Template::read().of_type(FUNCTION) {
        assert!(function.property("Role").is_null(), "{}: rights stand beside their function", function.id);
        for statement in function.statements() {
            let all = statement.actions().into_iter().chain(statement.resources());
            let wild: Vec<_> = all.filter(|name| name.contains('*')).collect();
            assert_eq!(wild, [""; 0], "{}", function.id);
            assert!(!statement.actions().is_empty(), "{}", function.id);
            assert!(!statement.resources().is_empty(), "{}", function.id);
        }
    }
}

#[test]
fn no_service_touches_the_tables_of_another() {
    let template = Template::read();
    let owners = owners(&template);
    for function in template.of_type(FUNCTION) {
        let statements = function.statements().into_iter();
        let of_tables = statements.filter(|statement| statement.is_about("dynamodb"));
        for resource in of_tables.flat_map(|statement| statement.resources()) {
            let table = resource.split('.').next().unwrap();
            assert_eq!(owners.get(table), Some(&service(function)), "{} touches {resource}", function.id);
        }
    }
}

#[test]
fn every_table_is_written_by_somebody_and_an_outbox_is_only_ever_added_to() {
    let template = Template::read();
    let functions = template.of_type(FUNCTION);
    let outboxes: Vec<String> =
        Sender::ALL.iter().map(|sender| format!("{PREFIX}{}", sender.outbox())).collect();
    for table in template.of_type("AWS::DynamoDB::Table") {
        let arn = table.attribute("Arn");
        let actions: BTreeSet<&str> = functions
            .iter()
            .flat_map(|function| function.statements())
            .filter(|statement| statement.resources().contains(&arn.as_str()))
            .flat_map(|statement| statement.actions())
            .collect();
        assert!(actions.contains("dynamodb:PutItem"), "{}", table.id);
        if outboxes.iter().any(|outbox| outbox == table.text("TableName")) {
            assert_eq!(actions, BTreeSet::from(["dynamodb:PutItem"]), "{}", table.id);
        } else {
            let is_read = actions.contains("dynamodb:GetItem") || actions.contains("dynamodb:Query");
            assert!(is_read, "{}", table.id);
        }
    }
}

/// The service that each table and outbox belongs to.
fn owners(template: &Template) -> BTreeMap<&str, &'static str> {
    let sender = |sender: &Sender| match sender {
        Sender::Accounts => "accounts",
        Sender::Banking => "banking",
        Sender::Ledger => "ledger",
    };
    let tables = TABLES.iter().flat_map(|(service, tables)| tables.iter().map(|table| (table.0, *service)));
    let outboxes = Sender::ALL.iter().map(|outbox| (outbox.outbox(), sender(outbox)));
    let id = |name| template.only("AWS::DynamoDB::Table", "TableName", &format!("{PREFIX}{name}")).id;
    tables.chain(outboxes).map(|(name, service)| (id(name), service)).collect()
}
