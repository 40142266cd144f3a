//! The architecture, held against the code; and the checks, held against made-up breaches of each rule.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use xtask::architecture::{
    DOMAIN_MODULE, SOURCE_LINES_MAX, auditor_faults, dependency_faults, domain_faults, length_faults,
    service_file_faults, sources_under,
};
use xtask::{Crate, Dependency, DependencyKind, Fault, Workspace};

const SERVICES: [&str; 6] = ["accounts", "banking", "identity", "ledger", "notifications", "query"];

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Every source of the workspace's own crates, named from the root, with its text.
fn sources(workspace: &Workspace, folders: &[String]) -> Result<Vec<(String, String)>, Fault> {
    let mut texts = Vec::new();
    for folder in folders {
        let folder = workspace.root.join(folder);
        for path in if folder.exists() { sources_under(&folder)? } else { Vec::new() } {
            let text =
                fs::read_to_string(&path).map_err(|source| Fault::File { path: path.clone(), source })?;
            texts.push((path.strip_prefix(&workspace.root).unwrap_or(&path).display().to_string(), text));
        }
    }
    Ok(texts)
}

/// The names of the modules directly in a `src`, whether a file or a folder.
fn modules(source: &Path) -> Vec<String> {
    let entries = fs::read_dir(source).into_iter().flatten().flatten();
    let stems: BTreeSet<_> =
        entries.filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned())).collect();
    stems.into_iter().collect()
}

fn service_folders(workspace: &Workspace) -> Vec<(String, String)> {
    let in_services = |member: &&Crate| member.folder.starts_with("services/");
    workspace
        .crates
        .iter()
        .filter(in_services)
        .map(|member| (member.name.clone(), member.folder.clone()))
        .collect()
}

#[test]
fn no_crate_depends_on_what_it_may_not() {
    assert_none(&dependency_faults(&Workspace::read().unwrap().crates));
}

#[test]
fn every_domain_is_pure() {
    let workspace = Workspace::read().unwrap();
    let folders: Vec<_> =
        service_folders(&workspace).into_iter().map(|(_, folder)| folder + "/src").collect();
    let is_domain = |name: &str| {
        let file = format!("/src/{DOMAIN_MODULE}.rs");
        let folder = format!("/src/{DOMAIN_MODULE}/");
        (name.ends_with(&file) || name.contains(&folder)) && !name.ends_with("/tests.rs")
    };
    let domains: Vec<_> =
        sources(&workspace, &folders).unwrap().into_iter().filter(|(name, _)| is_domain(name)).collect();
    assert!(domains.len() >= SERVICES.len(), "only {} domain files were found", domains.len());
    let faults: Vec<_> = domains.iter().flat_map(|(name, text)| domain_faults(name, text)).collect();
    assert_none(&faults);
}

#[test]
fn every_service_has_the_same_files() {
    let workspace = Workspace::read().unwrap();
    let mut services = service_folders(&workspace);
    services.sort();
    assert_eq!(services.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), SERVICES);
    let faults: Vec<_> = services
        .iter()
        .flat_map(|(name, folder)| {
            service_file_faults(name, &modules(&workspace.root.join(folder).join("src")))
        })
        .collect();
    assert_none(&faults);
}

#[test]
fn the_auditor_shares_no_code_with_the_bank() {
    let workspace = Workspace::read().unwrap();
    let source = "simulation/src".to_owned();
    let mut auditor = sources(&workspace, &[source]).unwrap();
    auditor.retain(|(name, _)| name.contains("/auditor") && !name.ends_with("/tests.rs"));
    assert!(auditor.len() > 5, "only {} files of the auditor were found", auditor.len());
    let faults: Vec<_> =
        auditor.iter().flat_map(|(name, text)| auditor_faults(name, text, &workspace.crates)).collect();
    assert_none(&faults);
}

#[test]
fn what_the_auditor_takes_from_the_bank_is_found() {
    let crates = around(member("bank", "apps/bank", &[]));
    for breach in ["use ledger::domain;", "let id: kernel::AccountId;", "use crate::plan::Plan;"] {
        assert_eq!(auditor_faults("model.rs", breach, &crates).len(), 1, "{breach}");
    }
    for harmless in
        ["use crate::record::Record;", "// ledger::domain", "use super::model;", "subledger::read()"]
    {
        assert_eq!(auditor_faults("model.rs", harmless, &crates), [""; 0], "{harmless}");
    }
}

#[test]
fn no_source_is_too_long() {
    let workspace = Workspace::read().unwrap();
    let parts = ["src", "tests", "benches", "examples"];
    let folders: Vec<_> = workspace
        .crates
        .iter()
        .flat_map(|member| parts.map(|part| format!("{}/{part}", member.folder)))
        .collect();
    let sources = sources(&workspace, &folders).unwrap();
    assert!(sources.len() >= workspace.crates.len(), "only {} sources were found", sources.len());
    let faults: Vec<_> = sources.iter().filter_map(|(name, text)| length_faults(name, text)).collect();
    assert_none(&faults);
}

fn member(name: &str, folder: &str, dependencies: &[(&str, DependencyKind)]) -> Crate {
    let dependencies = dependencies
        .iter()
        .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: *kind })
        .collect();
    Crate { name: name.to_owned(), folder: folder.to_owned(), dependencies }
}

/// A small workspace that keeps the rules, and one crate more.
fn around(extra: Crate) -> Vec<Crate> {
    let mut crates = vec![
        member("kernel", "shared/kernel", &[]),
        member("contracts", "shared/contracts", &[]),
        member("ports", "shared/ports", &[]),
        member("runtime", "shared/runtime", &[]),
        member("web", "shared/web", &[]),
        member("telemetry", "shared/telemetry", &[]),
        member("conformance", "shared/conformance", &[]),
        member("ledger", "services/ledger", &[]),
        member("memory", "adapters/memory", &[]),
        member("embedded", "adapters/embedded", &[]),
        member("bank", "apps/bank", &[]),
        member("bench", "bench", &[]),
    ];
    crates.retain(|held| held.name != extra.name);
    crates.push(extra);
    crates
}

#[test]
fn each_forbidden_dependency_is_found() {
    use DependencyKind::{Build, Development, Normal};
    let cases = [
        ("kernel", "shared/kernel", "ports", Normal),
        ("contracts", "shared/contracts", "ports", Normal),
        ("ports", "shared/ports", "contracts", Normal),
        ("runtime", "shared/runtime", "web", Normal),
        ("web", "shared/web", "contracts", Normal),
        ("telemetry", "shared/telemetry", "contracts", Normal),
        ("conformance", "shared/conformance", "memory", Normal),
        ("banking", "services/banking", "ledger", Normal),
        ("banking", "services/banking", "ledger", Development),
        ("banking", "services/banking", "embedded", Development),
        ("banking", "services/banking", "memory", Normal),
        ("banking", "services/banking", "conformance", Build),
        ("banking", "services/banking", "telemetry", Normal),
        ("banking", "services/banking", "aws-sdk-dynamodb", Normal),
        ("ports", "shared/ports", "aws-config", Development),
        ("embedded", "adapters/embedded", "runtime", Normal),
        ("embedded", "adapters/embedded", "ledger", Development),
        ("bank", "apps/bank", "bench", Normal),
        ("bank", "apps/bank", "lambda_runtime", Normal),
        ("console", "apps/console", "bank", Normal),
        ("e2e", "e2e", "kernel", Normal),
        ("e2e", "e2e", "bank", Development),
    ];
    for (name, folder, used, kind) in cases {
        let faults = dependency_faults(&around(member(name, folder, &[(used, kind)])));
        assert_eq!(faults.len(), 1, "{name} → {used} ({kind:?}): {faults:?}");
        assert!(faults[0].starts_with(&format!("{name} ({folder}) may not use {used}")), "{faults:?}");
    }
}

#[test]
fn what_the_architecture_allows_is_no_fault() {
    use DependencyKind::{Development, Normal};
    let cases = [
        ("runtime", "shared/runtime", "contracts", Normal),
        ("ports", "shared/ports", "memory", Development),
        ("banking", "services/banking", "web", Normal),
        ("banking", "services/banking", "memory", Development),
        ("banking", "services/banking", "aws-lc-rs", Normal),
        ("embedded", "adapters/embedded", "runtime", Development),
        ("aws", "adapters/aws", "aws-sdk-dynamodb", Normal),
        ("lambda", "apps/lambda", "lambda_runtime", Normal),
        ("bank", "apps/bank", "ledger", Normal),
        ("simulation", "simulation", "memory", Normal),
    ];
    for (name, folder, used, kind) in cases {
        assert_none(&dependency_faults(&around(member(name, folder, &[(used, kind)]))));
    }
}

#[test]
fn a_crate_in_a_place_of_its_own_is_found() {
    for folder in ["misc", "shared/helpers", "simulation/inner", ""] {
        let faults = dependency_faults(&around(member("odd", folder, &[])));
        assert_eq!(faults.len(), 1, "{folder}: {faults:?}");
    }
}

#[test]
fn what_makes_a_domain_impure_is_found_with_its_line() {
    let breaches = [
        "pub async fn decide() {}",
        "decide().await",
        "use tokio::time;",
        "use ports::Store;",
        "runtime::retry()",
        "use web::Principal;",
        "std::time::SystemTime::now()",
        "let began = Instant::now();",
        "Uuid::new_v4()",
        "Uuid::now_v7()",
        "rand::random()",
        "let amount: f64;",
    ];
    for breach in breaches {
        let text = format!("//! A domain.\n\n{breach}\n");
        let faults = domain_faults("domain.rs", &text);
        assert!(!faults.is_empty(), "{breach}");
        assert!(faults.iter().all(|fault| fault.starts_with("domain.rs:3: ")), "{faults:?}");
    }
}

#[test]
fn a_domain_may_speak_of_what_it_does_not_name() {
    let text = "//! No async, no rand.\n/* tokio /* nested */ SystemTime */\nfn branded(operand: u8) {} // .await\n\
                use contracts::reports::Total;\n#[cfg(test)]\nmod tests { use rand::Rng; }\n";
    assert_none(&domain_faults("domain.rs", text));
    let hidden = "#[cfg(test)]\nuse std::fmt;\nuse rand::Rng;\n";
    assert_eq!(domain_faults("domain.rs", hidden).len(), 1, "only a module of tests ends the scan");
}

#[test]
fn a_missing_file_and_a_needless_exception_are_found() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let all = names(&["lib", "domain", "records", "consumers", "http", "problems", "more"]);
    assert_none(&service_file_faults("banking", &all));
    let without_http = names(&["lib", "domain", "records", "consumers", "problems"]);
    assert_eq!(
        service_file_faults("banking", &without_http),
        ["services/banking has no http.rs, which every service has"]
    );
    assert_none(&service_file_faults("identity", &names(&["lib", "domain", "records", "http", "problems"])));
    assert_eq!(service_file_faults("identity", &all).len(), 1);
}

#[test]
fn a_file_of_one_line_too_many_is_found() {
    assert_eq!(length_faults("lib.rs", &"line\n".repeat(SOURCE_LINES_MAX)), None);
    assert!(length_faults("lib.rs", &"line\n".repeat(SOURCE_LINES_MAX + 1)).is_some());
}
