//! Every measure the code records is in the table, with its kind: the table is what operators are told.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use telemetry::{Kind, MEASURES};

const FOLDERS: [&str; 4] = ["adapters", "apps", "services", "shared"];

fn kind_matches(kind: Kind, called: &str) -> bool {
    match kind {
        Kind::Counter(_) => called == "counter",
        Kind::Gauge => called == "gauge",
        Kind::Histogram(_) => called == "histogram",
    }
}

/// The measures a text records by name: which macro is called, and with what name.
fn recorded(text: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for called in ["counter", "gauge", "histogram"] {
        let opening = format!("{called}!(");
        for (start, _) in text.match_indices(&opening) {
            let before = text[..start].chars().next_back();
            let is_part_of_a_word =
                before.is_some_and(|character| character.is_alphanumeric() || character == '_');
            let arguments = text[start + opening.len()..].trim_start();
            if let Some(name) = arguments.strip_prefix('"').and_then(|rest| rest.split('"').next())
                && !is_part_of_a_word
            {
                found.push((called, name.to_owned()));
            }
        }
    }
    found
}

fn faults(text: &str) -> Vec<String> {
    let is_told = |called: &str, name: &str| {
        MEASURES.iter().any(|measure| measure.name == name && kind_matches(measure.kind, called))
    };
    recorded(text)
        .into_iter()
        .filter(|(called, name)| !is_told(called, name))
        .map(|(called, name)| format!("{called} {name}"))
        .collect()
}

fn sources_under(folder: &Path, sources: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources_under(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.insert(path);
        }
    }
    Ok(())
}

/// Every source of the bank but those of this crate: what its tests record is recorded by nobody else.
fn sources() -> io::Result<Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = BTreeSet::new();
    for folder in FOLDERS {
        sources_under(&root.join(folder), &mut sources)?;
    }
    sources.retain(|path| !path.starts_with(root.join("shared/telemetry")));
    sources.into_iter().map(|path| fs::read_to_string(&path).map(|text| (path, text))).collect()
}

#[test]
fn every_measure_recorded_is_in_the_table() {
    for (path, text) in sources().unwrap() {
        let faults = faults(&text);
        let path = path.display();
        assert!(
            faults.is_empty(),
            "{path} records what shared/telemetry/src/measures.rs does not tell: {faults:?}"
        );
    }
}

#[test]
fn every_measure_in_the_table_is_recorded() {
    let recorded: BTreeSet<_> =
        sources().unwrap().iter().flat_map(|(_, text)| recorded(text)).map(|(_, name)| name).collect();
    let missing: Vec<_> =
        MEASURES.iter().map(|measure| measure.name).filter(|name| !recorded.contains(*name)).collect();
    assert!(missing.is_empty(), "the table tells of what nobody records: {missing:?}");
}

#[test]
fn an_unknown_name_and_a_wrong_kind_are_found() {
    let text = r#"metrics::counter!("coffees_total").increment(1); gauge!(
        "http_requests_total", "route" => "/"); histogram!("store_fsync_seconds").record(1.0);"#;
    assert_eq!(faults(text), ["counter coffees_total", "gauge http_requests_total"]);
}
