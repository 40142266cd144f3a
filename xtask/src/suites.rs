//! What there is to run: the suites that need something around them, and whether any crate has doc tests.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::architecture::sources_under;
use crate::{Fault, Workspace};

/// Tests that need the same world around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// Those that need nothing.
    InProcess,
    /// Those that talk to the bank at `API_URL`, in one process.
    OneProcess,
    /// Those that start banks themselves, to kill them.
    Crash,
    /// Those of the adapter, against an emulator.
    Adapter,
    /// Those of the adapter that need no more than a store.
    Store,
    /// Those that talk to the bank at `API_URL`, on AWS.
    Deployed,
    /// Those that let the store of the deployed bank fail, by themselves.
    Faults,
    /// Those that look behind the API of the deployed bank: policies and dead letters.
    Operated,
}

impl Suite {
    /// The suite as a filterset of nextest.
    pub(crate) const fn filterset(self) -> &'static str {
        match self {
            Self::InProcess => {
                "not (package(e2e) | (package(aws) & kind(test)) | (package(lambda) & binary(=deployed)))"
            }
            Self::OneProcess => "package(e2e) & not binary(=crash) & not binary(=faults)",
            Self::Crash => "package(e2e) & binary(=crash)",
            Self::Adapter => "package(aws) & kind(test)",
            Self::Store => "package(aws) & binary(=conformance)",
            Self::Deployed => "package(e2e) & binary(=suite) & not test(/^local::/)",
            Self::Faults => "package(e2e) & binary(=faults)",
            Self::Operated => "package(lambda) & binary(=deployed)",
        }
    }
}

/// Whether the answer of `cargo nextest list --message-format json` names a test that would be run.
pub(crate) fn holds_a_test(list: &str) -> Result<bool, Fault> {
    let unreadable =
        |reason: &str| Fault::Output { command: "cargo nextest list".to_owned(), reason: reason.to_owned() };
    let list: Value = serde_json::from_str(list).map_err(|error| unreadable(&error.to_string()))?;
    let suites = list["rust-suites"].as_object().ok_or_else(|| unreadable("there are no suites"))?;
    let mut cases = suites.values().filter_map(|suite| suite["testcases"].as_object()).flatten();
    Ok(cases.any(|(_, case)| case["filter-match"]["status"] == "matches"))
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
    fn a_test_that_would_be_run_is_found_in_a_list() {
        let list = |status: &str| {
            let case = serde_json::json!({"a_test": {"ignored": false, "filter-match": {"status": status}}});
            serde_json::json!({"rust-suites": {"e2e::suite": {"testcases": case}, "ledger": {"testcases": {}}}})
        };
        assert!(holds_a_test(&list("matches").to_string()).unwrap());
        assert!(!holds_a_test(&list("mismatch").to_string()).unwrap());
        assert!(!holds_a_test(r#"{"rust-suites": {}}"#).unwrap());
        assert!(holds_a_test("{}").is_err());
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
