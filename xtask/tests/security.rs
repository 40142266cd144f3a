//! The document on security, held against the tests that it names; and that check, held against made-up documents.

use std::fs;

use xtask::Workspace;
use xtask::architecture::{NamedTest, has_test, named_tests};

/// The chapters of the verification standard, and the risks, that the document must have an answer to.
const CHAPTERS: u32 = 17;
const RISKS: u32 = 10;

#[test]
fn every_test_that_the_security_document_names_exists() {
    let workspace = Workspace::read().unwrap();
    let document = fs::read_to_string(workspace.root.join("docs/security.md")).unwrap();
    let named = named_tests(&document);
    assert!(named.len() >= 80, "only {} tests are named", named.len());
    let is_missing = |test: &&NamedTest| {
        let source = fs::read_to_string(workspace.root.join(&test.file)).unwrap_or_default();
        !has_test(&source, &test.name)
    };
    let missing: Vec<_> = named.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "docs/security.md names tests that are not there: {missing:#?}");
}

#[test]
fn every_risk_and_chapter_has_an_answer() {
    let workspace = Workspace::read().unwrap();
    let document = fs::read_to_string(workspace.root.join("docs/security.md")).unwrap();
    for risk in 1..=RISKS {
        assert!(document.contains(&format!("\n| API{risk} ")), "API{risk}");
    }
    for chapter in 1..=CHAPTERS {
        assert!(document.contains(&format!("\n### V{chapter} ")), "V{chapter}");
    }
}

#[test]
fn tests_are_found_in_a_text() {
    let text =
        "Held by `a/src/b.rs::it_works`, and `ports::Secret` is a type, `a/b.rs` a file.\n`e2e/c.rs::d`";
    let named: Vec<_> = named_tests(text).into_iter().map(|test| (test.file, test.name)).collect();
    let pair = |file: &str, name: &str| (file.to_owned(), name.to_owned());
    assert_eq!(named, [pair("a/src/b.rs", "it_works"), pair("e2e/c.rs", "d")]);
}

#[test]
fn only_a_test_is_one() {
    let source = "
        fn helper() {}
        #[test]
        fn simple() { helper() }
        fn between() {}
        #[tokio::test(start_paused = true)]
        async fn slow() {}
        proptest! {
            #[test]
            fn for_all(text in \".*\") {}
        }
        #[cfg(unix)]
        #[test]
        fn of_unix() {}
    ";
    for (name, is_one) in [
        ("simple", true),
        ("slow", true),
        ("for_all", true),
        ("of_unix", true),
        ("helper", false),
        ("between", false),
        ("simpl", false),
        ("gone", false),
    ] {
        assert_eq!(has_test(source, name), is_one, "{name}");
    }
}
