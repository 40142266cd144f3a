//! What operators are given beside the code: the tables of `docs/observability.md`, the alerts and the dashboard. They name
//! what there is, and leave nothing out.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use serde_json::Value;
use telemetry::{Kind, MEASURES};

const DOCUMENT: &str = "docs/observability.md";

/// What Prometheus itself knows of whom it asks.
const UP: &str = "up";

fn text(path: &str) -> io::Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path))
}

fn yaml(path: &str) -> io::Result<Value> {
    yaml_serde::from_str(&text(path)?).map_err(io::Error::other)
}

/// The cells of every row of the document's tables.
fn rows(document: &str) -> Vec<Vec<&str>> {
    document.lines().filter_map(cells).collect()
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// A name that is written as code.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// What a heading is called in a link, as far as headings here need it.
fn anchor(heading: &str) -> String {
    heading.replace('`', "").to_lowercase().replace(' ', "-")
}

/// The text without what stands between two marks.
fn without(text: &str, open: &str, close: char) -> String {
    let mut parts = text.split(open);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + part.split_once(close).map_or("", |(_, behind)| behind))
}

/// The measures that a query of Prometheus names.
fn named(query: &str) -> BTreeSet<String> {
    let mut bare = without(query, "{", '}');
    for (open, close) in [("[", ']'), ("by (", ')')] {
        bare = without(&bare, open, close);
    }
    let is_of_a_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut named = BTreeSet::new();
    let mut rest = bare.as_str();
    while let Some(start) = rest.find(|character: char| character.is_alphabetic()) {
        let word = &rest[start..];
        let (word, behind) = word.split_at(word.find(|other| !is_of_a_word(other)).unwrap_or(word.len()));
        if word != "or" && !behind.trim_start().starts_with('(') {
            named.insert(word.to_owned());
        }
        rest = behind;
    }
    named
}

fn is_measured(name: &str) -> bool {
    let of = |name: &str, is_kind: fn(Kind) -> bool| {
        MEASURES.iter().any(|measure| measure.name == name && is_kind(measure.kind))
    };
    let is_histogram: fn(Kind) -> bool = |kind| matches!(kind, Kind::Histogram(_));
    let parts = ["_bucket", "_sum", "_count"];
    name == UP
        || of(name, |kind| !matches!(kind, Kind::Histogram(_)))
        || parts.iter().any(|part| name.strip_suffix(part).is_some_and(|name| of(name, is_histogram)))
}

/// Every query of the dashboard, with the title of its panel.
fn dashboard() -> io::Result<Vec<(String, String)>> {
    let dashboard: Value = serde_json::from_str(&text("observability/grafana-dashboard.json")?)?;
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let queries = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| {
            (panel["title"].to_string(), target["expr"].as_str().unwrap_or_default().to_owned())
        })
    });
    Ok(queries.collect())
}

fn alerts() -> io::Result<Vec<Value>> {
    let groups = yaml("observability/alerts.yaml")?["groups"].as_array().cloned().unwrap_or_default();
    Ok(groups.iter().filter_map(|group| group["rules"].as_array().cloned()).flatten().collect())
}

#[test]
fn every_measure_is_in_the_document_as_it_is() {
    let document = text(DOCUMENT).unwrap();
    let kinds = ["counter", "gauge", "histogram"];
    let told: Vec<_> =
        rows(&document).into_iter().filter(|row| row.len() == 3 && kinds.contains(&row[1])).collect();
    let name_of = |kind| match kind {
        Kind::Counter(_) => kinds[0],
        Kind::Gauge => kinds[1],
        Kind::Histogram(_) => kinds[2],
    };
    let quoted: Vec<String> = MEASURES.iter().map(|measure| format!("`{}`", measure.name)).collect();
    let measured: Vec<_> = MEASURES
        .iter()
        .zip(&quoted)
        .map(|(measure, name)| vec![name.as_str(), name_of(measure.kind), measure.meaning])
        .collect();
    assert_eq!(told, measured);
}

#[test]
fn every_query_names_measures_that_there_are() {
    let mut queries = dashboard().unwrap();
    queries.extend(
        alerts()
            .unwrap()
            .iter()
            .map(|alert| (alert["alert"].to_string(), alert["expr"].as_str().unwrap_or_default().to_owned())),
    );
    assert!(queries.len() > 20, "{queries:?}");
    for (place, query) in &queries {
        let named = named(query);
        assert!(!named.is_empty(), "{place}: {query}");
        let unknown: Vec<_> = named.iter().filter(|name| !is_measured(name)).collect();
        assert!(unknown.is_empty(), "{place}: {unknown:?} of {query}");
    }
    let shown: BTreeSet<String> = dashboard().unwrap().iter().flat_map(|(_, query)| named(query)).collect();
    for alert in alerts().unwrap() {
        let watched = named(alert["expr"].as_str().unwrap());
        assert!(watched.iter().all(|name| name == UP || shown.contains(name)), "{watched:?} is not shown");
    }
}

/// The chapters of the runbook are the alarms on AWS: the tests of the template hold it to that.
#[test]
fn every_alarm_on_aws_has_an_alert_here_or_a_reason_and_every_alert_its_chapter() {
    let (document, runbook) = (text(DOCUMENT).unwrap(), text("docs/runbook.md").unwrap());
    let chapters: BTreeSet<&str> =
        runbook.lines().filter_map(|line| code(line.strip_prefix("## ")?)).collect();
    let table: Vec<_> = rows(&document)
        .into_iter()
        .filter_map(|row| Some((code(row.first()?)?, *row.get(1)?, *row.get(2)?)))
        .filter(|(alarm, ..)| chapters.contains(alarm))
        .collect();
    let explained: BTreeSet<&str> = table.iter().map(|(alarm, ..)| *alarm).collect();
    assert_eq!(explained, chapters);

    let links = |alert: &Value| alert["annotations"]["runbook"].as_str().unwrap_or_default().to_owned();
    let given: BTreeSet<(String, String)> = alerts()
        .unwrap()
        .iter()
        .map(|alert| (alert["alert"].as_str().unwrap().to_owned(), links(alert)))
        .collect();
    let mut told = BTreeSet::new();
    for (alarm, alert, reason) in &table {
        match code(alert) {
            Some(alert) => {
                told.insert((alert.to_owned(), format!("docs/runbook.md#{}", anchor(alarm))));
            }
            None => assert!(*alert == "none" && !reason.is_empty(), "{alarm} has neither alert nor reason"),
        }
    }
    assert_eq!(given, told);
}

#[test]
fn what_asks_the_bank_reads_the_alerts_by_the_name_they_use() {
    let scraping = yaml("observability/prometheus.yaml").unwrap();
    assert_eq!(scraping["rule_files"], serde_json::json!(["alerts.yaml"]));
    assert_eq!(scraping["scrape_configs"][0]["job_name"], "bank");
    assert!(alerts().unwrap().iter().any(|alert| alert["expr"] == r#"up{job="bank"} == 0"#));
}

#[test]
fn the_names_in_a_query_are_found() {
    let query =
        r#"sum by (le, route) (rate(a_bucket{x="y z"}[1m])) / (sum(b_total) or vector(0)) + c > 0.01"#;
    assert_eq!(named(query), ["a_bucket", "b_total", "c"].map(str::to_owned).into());
    for (name, is_one) in [
        ("http_request_seconds_bucket", true),
        ("store_commit_batch_size_sum", true),
        ("http_request_seconds", false),
        ("queue_depth", true),
        ("queue_depth_bucket", false),
        ("coffees_total", false),
        ("up", true),
    ] {
        assert_eq!(is_measured(name), is_one, "{name}");
    }
}
