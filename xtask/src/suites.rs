//! What there is to run: the end-to-end binaries that hold a wanted test, and whether any crate has doc tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::architecture::sources_under;
use crate::{Fault, Workspace};

/// The test binary that starts banks itself, to kill them.
const CRASH: &str = "crash";

/// The end-to-end tests that are wanted, as two filtersets of nextest. None where no test is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EndToEnd {
    /// Those that talk to the bank at `API_URL`.
    pub(crate) black_box: Option<String>,
    /// Those that start banks themselves.
    pub(crate) crash: Option<String>,
}

impl EndToEnd {
    pub(crate) fn is_empty(&self) -> bool {
        self.black_box.is_none() && self.crash.is_none()
    }

    /// Reads the answer of `cargo nextest list --message-format json`.
    pub(crate) fn of_list(list: &str) -> Result<Self, Fault> {
        let unreadable = |reason: &str| Fault::Output {
            command: "cargo nextest list".to_owned(),
            reason: reason.to_owned(),
        };
        let list: Value = serde_json::from_str(list).map_err(|error| unreadable(&error.to_string()))?;
        let suites = list["rust-suites"].as_object().ok_or_else(|| unreadable("there are no suites"))?;
        let mut wanted: BTreeMap<bool, Vec<String>> = BTreeMap::new();
        for suite in suites.values().filter(|suite| suite["package-name"] == "e2e" && holds_a_match(suite)) {
            let name = suite["binary-name"].as_str().ok_or_else(|| unreadable("a binary has no name"))?;
            wanted.entry(name == CRASH).or_default().push(format!("binary(={name})"));
        }
        let mut filterset = |is_crash| {
            wanted.remove(&is_crash).map(|names| format!("package(e2e) & ({})", names.join(" | ")))
        };
        Ok(Self { black_box: filterset(false), crash: filterset(true) })
    }
}

fn holds_a_match(suite: &Value) -> bool {
    let cases = suite["testcases"].as_object();
    cases.is_some_and(|cases| cases.values().any(|case| case["filter-match"]["status"] == "matches"))
}

/// Whether any crate has an example in its documentation that cargo would compile.
pub(crate) fn has_doc_tests(workspace: &Workspace) -> Result<bool, Fault> {
    for member in &workspace.crates {
        let sources = workspace.root.join(&member.folder).join("src");
        if sources.join("lib.rs").exists() && folder_has_doc_tests(&sources)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn folder_has_doc_tests(folder: &Path) -> Result<bool, Fault> {
    for source in sources_under(folder)? {
        if has_doc_test(&fs::read_to_string(&source).map_err(Fault::file(&source))?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks for a fence in a doc comment that opens a block of Rust: one without a language, or with one of rustdoc's.
fn has_doc_test(text: &str) -> bool {
    const LANGUAGES: [&str; 5] = ["", "rust", "no_run", "should_panic", "compile_fail"];
    let mut is_open = false;
    for line in text.lines().map(str::trim) {
        let Some(comment) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else { continue };
        let Some(language) = comment.trim().strip_prefix("```") else { continue };
        is_open = !is_open;
        if is_open && LANGUAGES.contains(&language.split(',').next().unwrap_or_default().trim()) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_to_end_tests_are_told_apart_by_their_binary() {
        let suite = |package: &str, binary: &str, status: &str| {
            let case = serde_json::json!({"a_test": {"ignored": false, "filter-match": {"status": status}}});
            serde_json::json!({"package-name": package, "binary-name": binary, "testcases": case})
        };
        let list = serde_json::json!({"rust-suites": {
            "e2e::accounts": suite("e2e", "accounts", "matches"),
            "e2e::crash": suite("e2e", "crash", "matches"),
            "e2e::money": suite("e2e", "money", "matches"),
            "e2e::other": suite("e2e", "other", "mismatch"),
            "ledger": suite("ledger", "ledger", "matches"),
        }});
        let expected = EndToEnd {
            black_box: Some("package(e2e) & (binary(=accounts) | binary(=money))".to_owned()),
            crash: Some("package(e2e) & (binary(=crash))".to_owned()),
        };
        assert_eq!(EndToEnd::of_list(&list.to_string()).unwrap(), expected);
        assert!(EndToEnd::of_list(r#"{"rust-suites": {}}"#).unwrap().is_empty());
        assert!(EndToEnd::of_list("{}").is_err());
    }

    #[test]
    fn only_blocks_of_rust_are_doc_tests() {
        assert!(has_doc_test("/// Adds.\n/// ```\n/// add(1, 2);\n/// ```"));
        assert!(has_doc_test("//! ```no_run\n//! serve();\n//! ```"));
        assert!(!has_doc_test("/// ```text\n/// a picture\n/// ```\nfn a() {}"));
        assert!(!has_doc_test("/// ```json\n/// {}\n/// ```\n/// ```text\n/// ```"));
        assert!(!has_doc_test("let fence = \"```\";"));
    }
}
