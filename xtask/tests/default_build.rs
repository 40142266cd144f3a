//! What `cargo run --release` compiles: the bank in one process, and nothing of AWS.

use std::collections::BTreeSet;
use std::error::Error;
use std::process::Command;

use xtask::Workspace;
use xtask::architecture::is_of_aws;

/// The crates of AWS that the bank is compiled from.
fn of_aws(features: &[&str]) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--package", "bank", "--edges", "normal,build", "--prefix", "none"]);
    let output = tree.args(features).current_dir(Workspace::read()?.root).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let crates = String::from_utf8(output.stdout)?;
    let names: BTreeSet<&str> = crates.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("embedded") && names.len() > 100, "{names:?}");
    Ok(names.into_iter().filter(|name| is_of_aws(name)).map(str::to_owned).collect())
}

#[test]
fn the_bank_in_one_process_compiles_nothing_of_aws() {
    assert_eq!(of_aws(&[]).unwrap(), BTreeSet::new());
}

#[test]
fn the_feature_aws_brings_it_with_the_ways_that_people_sign_in() {
    let crates = of_aws(&["--features", "aws"]).unwrap();
    for name in ["aws-config", "aws-sdk-dynamodb", "aws-sdk-sqs", "aws-sdk-sso"] {
        assert!(crates.contains(name), "{name} is not in {crates:?}");
    }
}
