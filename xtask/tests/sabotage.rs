//! The table of bugs stays true to the code: what each takes the place of is there, exactly once.

use std::collections::BTreeSet;

use xtask::Workspace;
use xtask::sabotage::{BUGS, planted};

#[test]
fn every_bug_can_be_planted() {
    let workspace = Workspace::read().unwrap();
    let faults: Vec<String> = BUGS
        .iter()
        .filter_map(|bug| planted(bug, &workspace.root).err())
        .map(|fault| fault.to_string())
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_bug_changes_something_and_has_a_name_of_its_own() {
    let workspace = Workspace::read().unwrap();
    for bug in BUGS {
        assert!(
            planted(bug, &workspace.root).unwrap().iter().all(|file| file.without != file.with_bug),
            "{}",
            bug.name
        );
    }
    let names: BTreeSet<&str> = BUGS.iter().map(|bug| bug.name).collect();
    assert_eq!(names.len(), BUGS.len());
    assert!(BUGS.len() >= 12, "a dozen bugs at least have to be caught");
}
