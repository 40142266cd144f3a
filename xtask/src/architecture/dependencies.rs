//! Who may depend on whom.

use crate::{Crate, Dependency, DependencyKind};

/// The place of a crate in the architecture, told by its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Kernel,
    Contracts,
    Ports,
    Runtime,
    Web,
    Telemetry,
    Conformance,
    Service,
    Memory,
    Adapter,
    Console,
    App,
    Simulation,
    Tool,
}

use Layer::{
    Adapter, App, Conformance, Console, Contracts, Kernel, Memory, Ports, Runtime, Service, Simulation,
    Telemetry, Tool, Web,
};

/// The folders, the more particular first. A folder that ends with `/` stands for all within it.
const FOLDERS: [(&str, Layer); 18] = [
    ("shared/kernel", Kernel),
    ("shared/contracts", Contracts),
    ("shared/ports", Ports),
    ("shared/runtime", Runtime),
    ("shared/web", Web),
    ("shared/telemetry", Telemetry),
    ("shared/conformance", Conformance),
    ("services/", Service),
    ("adapters/memory", Memory),
    ("adapters/", Adapter),
    ("apps/console", Console),
    ("apps/", App),
    ("simulation", Simulation),
    // These run services in their own process, as the simulation does.
    ("bench/counts", Simulation),
    ("bench/ledger", Simulation),
    ("bench", Tool),
    ("e2e", Tool),
    ("xtask", Tool),
];

/// What a layer needs to be built and run. Tools see the bank from outside, as its customers do.
const fn may_use(layer: Layer) -> &'static [Layer] {
    match layer {
        Kernel | Tool => &[],
        Contracts | Ports => &[Kernel],
        Runtime => &[Contracts, Ports, Kernel],
        Web | Telemetry | Conformance => &[Runtime, Ports, Kernel],
        Service => &[Runtime, Web, Contracts, Ports, Kernel],
        Memory | Adapter => &[Ports, Kernel],
        // A client of the public API: of the bank it knows the topology that it draws, and how money and time are written.
        Console => &[Contracts, Ports, Kernel],
        App | Simulation => &[
            Console,
            Service,
            Memory,
            Adapter,
            Telemetry,
            Conformance,
            Runtime,
            Web,
            Contracts,
            Ports,
            Kernel,
        ],
    }
}

/// What the tests of a layer may use on top.
const fn tests_may_use(layer: Layer) -> &'static [Layer] {
    match layer {
        Tool => &[],
        Memory | Adapter => &[Memory, Conformance, Runtime],
        _ => &[Memory, Conformance],
    }
}

/// Beginnings of the names of crates that belong to AWS. `aws-lc-rs` is cryptography and runs anywhere.
const AWS_CRATES: [&str; 6] =
    ["aws-sdk-", "aws-config", "aws-smithy-", "aws_lambda", "lambda_", "serde_dynamo"];

/// The only crates that may name them.
const AWS_FOLDERS: [&str; 2] = ["adapters/aws", "apps/lambda"];

/// Every dependency that the architecture does not allow, and every crate it has no place for.
pub fn dependency_faults(crates: &[Crate]) -> Vec<String> {
    let mut faults = Vec::new();
    for member in crates {
        let Some(layer) = layer_of(member) else {
            faults.push(format!(
                "{}: the architecture has no place for a crate in {}",
                member.name, member.folder
            ));
            continue;
        };
        for dependency in &member.dependencies {
            let used = crates.iter().find(|other| other.name == dependency.name);
            let is_allowed = match used {
                Some(used) => layer_of(used).is_none_or(|used| is_allowed(layer, used, dependency.kind)),
                None => !is_of_aws(&dependency.name) || AWS_FOLDERS.contains(&member.folder.as_str()),
            };
            if !is_allowed {
                faults.push(format!("{} ({}) may not use {}", member.name, member.folder, told(dependency)));
            }
        }
    }
    faults
}

fn layer_of(member: &Crate) -> Option<Layer> {
    let holds = |folder: &str| match folder.strip_suffix('/') {
        Some(parent) => member.folder.split_once('/').is_some_and(|(first, _)| first == parent),
        None => member.folder == folder,
    };
    FOLDERS.iter().find(|(folder, _)| holds(folder)).map(|(_, layer)| *layer)
}

fn is_allowed(layer: Layer, used: Layer, kind: DependencyKind) -> bool {
    let is_for_tests = kind == DependencyKind::Development;
    may_use(layer).contains(&used) || (is_for_tests && tests_may_use(layer).contains(&used))
}

/// Whether a crate from elsewhere belongs to AWS, by its name.
pub fn is_of_aws(name: &str) -> bool {
    AWS_CRATES.iter().any(|beginning| name.starts_with(beginning))
}

fn told(dependency: &Dependency) -> String {
    match dependency.kind {
        DependencyKind::Normal => dependency.name.clone(),
        DependencyKind::Development => format!("{} in its tests", dependency.name),
        DependencyKind::Build => format!("{} in its build script", dependency.name),
    }
}
