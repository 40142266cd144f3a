//! Commands that cannot do what they are asked: one line says why, and nothing is made of a mistyped directory.

use std::fs;

use crate::support::{Directory, Ran, Serving, bank};

const COMMANDS: [&[&str]; 7] = [
    &["audit"],
    &["backup", "copy"],
    &["rebuild"],
    &["dead-letters", "list"],
    &["dead-letters", "show", "1"],
    &["dead-letters", "redrive", "1"],
    &["operators", "add", "ada@example.com"],
];

#[test]
fn no_command_makes_a_store_where_there_is_none() {
    let directory = Directory::new();
    for command in COMMANDS {
        let failure = directory.run(command);
        assert!(
            failure.failure().starts_with("there is no store in the data directory"),
            "{command:?}: {failure:?}"
        );
        assert!(!directory.data().exists(), "{command:?}");
    }
}

#[test]
fn a_file_that_is_no_store_is_named() {
    let directory = Directory::new();
    fs::create_dir(directory.data()).unwrap();
    fs::write(
        directory.data().join("bank.sqlite3"),
        "these are not the books you are looking for".repeat(100),
    )
    .unwrap();
    for command in COMMANDS.iter().chain(&[["serve", "--listen=127.0.0.1:0"].as_slice()]) {
        let failure = directory.run(command);
        assert!(failure.failure().contains("bank.sqlite3 is corrupted"), "{command:?}: {failure:?}");
    }
}

#[test]
fn a_directory_in_use_is_left_alone_and_its_user_named() {
    let directory = Directory::new();
    let serving = Serving::start(&directory, &[]);
    for command in [["rebuild"].as_slice(), &["serve", "--listen=127.0.0.1:0"]] {
        let failure = directory.run(command);
        let named = format!("is in use by another process, which serves on {}", serving.address);
        assert!(failure.failure().ends_with(&named), "{failure:?}");
    }
    serving.stop();
    assert!(directory.run(&["rebuild"]).success().contains("0 verdicts"));
}

#[test]
fn an_address_that_is_taken_is_named() {
    let (first, second) = (Directory::new(), Directory::new());
    let serving = Serving::start(&first, &[]);
    let address = serving.address.trim_start_matches("http://").to_owned();
    let failure = second.run(&["serve", "--listen", &address]);
    assert!(failure.failure().starts_with(&format!("{address} cannot be listened on")), "{failure:?}");
}

#[test]
fn wrong_options_are_refused_with_the_usage() {
    for arguments in [
        ["--listen=nowhere"].as_slice(),
        &["serve", "--no-such-option"],
        &["no-such-command"],
        &["dead-letters"],
        &["dead-letters", "redrive"],
        &["audit", "--demo"],
        &["serve", "--rate-limit=perhaps"],
        &["serve", "--trusted-proxy=everybody"],
        &["serve", "--mail-from=bank@example.com"],
        &["--stage=Not a stage", "audit"],
    ] {
        let ran = Ran::new(&bank().args(arguments).output().unwrap());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("--help") || ran.stderr.contains("Usage"), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn an_option_that_would_be_lost_is_refused() {
    let ran = Ran::new(&bank().args(["--rate-limit=off", "audit"]).output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    assert!(ran.stderr.contains("--rate-limit is an option of `bank serve`"), "{ran:?}");
}

#[cfg(not(feature = "aws"))]
#[test]
fn a_build_without_aws_says_which_build_has_it() {
    for command in COMMANDS {
        let ran = Ran::new(&bank().args(["--stage", "dev"]).args(command).output().unwrap());
        assert_eq!(ran.failure(), "built without AWS: cargo run --release --features aws -- --stage dev ...");
    }
}

#[cfg(feature = "aws")]
#[test]
fn what_a_stage_has_no_use_for_is_refused() {
    for command in [["serve"].as_slice(), &["openapi"], &["operators", "add", "ada@example.com"]] {
        let ran = Ran::new(&bank().args(command).env("BANK_STAGE", "dev").output().unwrap());
        assert!(ran.failure().starts_with("--stage goes with audit, rebuild and dead-letters"), "{ran:?}");
    }
}

#[test]
fn the_document_is_printed_and_no_store_is_left_behind() {
    let scratch = Directory::new();
    fs::create_dir(scratch.data()).unwrap();
    let output = bank().arg("openapi").env("TMPDIR", scratch.data()).output().unwrap();
    let ran = Ran::new(&output);
    let document: serde_json::Value = serde_json::from_str(ran.success()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(
        document["paths"]["/ops/queues"]["get"].is_object()
            && document["paths"]["/deposit"]["post"].is_object()
    );
    assert_eq!(fs::read_dir(scratch.data()).unwrap().count(), 0);
}
