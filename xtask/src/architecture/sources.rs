//! What the sources themselves must hold to.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Crate, Fault};

/// The longest a source file may be: what is longer holds two things.
pub const SOURCE_LINES_MAX: usize = 500;

/// The pure module of a service: one file, or a folder of the same name.
pub const DOMAIN_MODULE: &str = "domain";

/// What each service's `src` holds.
const SERVICE_FILES: [&str; 6] = ["lib", DOMAIN_MODULE, "records", "consumers", "http", "problems"];

/// What some do without: the service, the file and the reason. One that is there after all is a fault as well.
const SERVICE_FILES_ABSENT: [(&str, &str, &str); 3] = [
    ("identity", "consumers", "it receives no message"),
    ("ledger", "http", "it is reached by commands only"),
    ("ledger", "problems", "its rejections leave as events"),
];

/// Words a pure domain does not name, and why. A word that ends with `::` is the beginning of a path.
const IMPURE: [(&str, &str); 19] = [
    ("async", "it is synchronous"),
    ("await", "it is synchronous"),
    ("tokio", "it is synchronous"),
    ("ports::", "it neither reads nor writes"),
    ("runtime::", "it neither reads nor writes"),
    ("web::", "it knows of no request"),
    ("axum", "it knows of no request"),
    ("std::fs", "it neither reads nor writes"),
    ("std::io", "it neither reads nor writes"),
    ("std::net", "it neither reads nor writes"),
    ("std::env", "it neither reads nor writes"),
    ("std::thread", "it is synchronous"),
    ("SystemTime", "time is its argument"),
    ("Instant", "time is its argument"),
    ("Uuid::new", "identifiers are its argument"),
    ("Uuid::now", "identifiers are its argument"),
    ("rand", "it has no randomness"),
    ("f32", "money and all that touches it is exact"),
    ("f64", "money and all that touches it is exact"),
];

/// What a pure module names and may not, with the line. Comments and the tests at its end are not looked at.
pub fn domain_faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in without_tests(&without_comments(text)).lines().enumerate() {
        for (word, reason) in IMPURE {
            if names(line, word) {
                faults.push(format!("{name}:{}: a domain does not name `{word}`: {reason}", index + 1));
            }
        }
    }
    faults
}

/// What the auditor of the simulation names of the bank that it audits, with the line: any crate of the workspace, and
/// anything of the simulation itself but the record of a run.
pub fn auditor_faults(name: &str, text: &str, crates: &[Crate]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut words: Vec<String> = crates.iter().map(|member| format!("{}::", member.name)).collect();
    words.push("crate::".to_owned());
    for (index, line) in without_tests(&without_comments(text)).lines().enumerate() {
        let line = line.replace("crate::record::", "");
        for word in words.iter().filter(|word| names(&line, word)) {
            faults
                .push(format!("{name}:{}: the auditor does not name `{word}`: it shares no code", index + 1));
        }
    }
    faults
}

/// The files that a service lacks or has against the table of exceptions, told by the modules in its `src`.
pub fn service_file_faults(service: &str, modules: &[String]) -> Vec<String> {
    SERVICE_FILES.iter().filter_map(|file| service_file_fault(service, file, modules)).collect()
}

fn service_file_fault(service: &str, file: &str, modules: &[String]) -> Option<String> {
    let is_there = modules.iter().any(|module| module == file);
    let exception = SERVICE_FILES_ABSENT.iter().find(|(name, absent, _)| *name == service && *absent == file);
    match (is_there, exception) {
        (false, None) => Some(format!("services/{service} has no {file}.rs, which every service has")),
        (true, Some((_, _, reason))) => {
            Some(format!("services/{service} has {file}.rs, though the table of exceptions says {reason}"))
        }
        (true, None) | (false, Some(_)) => None,
    }
}

/// Whether a file is too long.
pub fn length_faults(name: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > SOURCE_LINES_MAX).then(|| format!("{name} has {lines} lines, more than {SOURCE_LINES_MAX}"))
}

/// Every Rust source under a folder, in order.
///
/// # Errors
/// A folder cannot be read.
pub fn sources_under(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut sources = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Fault::file(&folder))? {
            let path = entry.map_err(Fault::file(&folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(path);
            }
        }
    }
    sources.sort();
    Ok(sources)
}

/// Whether the line names the word: not as a part of a longer one, and not at the end of a longer path's part.
fn names(line: &str, word: &str) -> bool {
    let is_of_a_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        // `Uuid::new` stands for all that begins so, and after `::` anything may follow.
        let is_beginning = word.contains("Uuid::") || word.ends_with("::");
        !before.is_some_and(is_of_a_word) && (is_beginning || !after.is_some_and(is_of_a_word))
    })
}

/// The text up to the module of its tests. Nothing but tests can follow: clippy sees to that.
fn without_tests(text: &str) -> &str {
    let mut end = text.len();
    for (start, attribute) in text.match_indices("#[cfg(test)]") {
        if text[start + attribute.len()..].trim_start().starts_with("mod ") {
            end = end.min(start);
        }
    }
    &text[..end]
}

/// The text with its comments blanked, and its lines where they were. A `//` in a string ends the line as well:
/// a domain has no addresses.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut depth = 0_usize;
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while !rest.is_empty() {
            if depth == 0 && rest.starts_with("//") {
                kept.push('\n');
                break;
            } else if rest.starts_with("/*") {
                depth += 1;
                rest = &rest[2..];
            } else if depth > 0 && rest.starts_with("*/") {
                depth -= 1;
                rest = &rest[2..];
            } else if let Some(character) = rest.chars().next() {
                if depth == 0 || character == '\n' {
                    kept.push(character);
                }
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    kept
}
