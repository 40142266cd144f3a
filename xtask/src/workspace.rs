//! The workspace as cargo tells it: where it is, and which crates depend on which.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Fault;
use crate::process::{cargo, name_of, output_of};

/// The crates of the project.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The folder of the workspace's own manifest.
    pub root: PathBuf,
    /// Where cargo builds.
    pub target: PathBuf,
    /// Every member, by name.
    pub crates: Vec<Crate>,
}

/// One member of the workspace.
#[derive(Clone, Debug)]
pub struct Crate {
    /// The name of the package.
    pub name: String,
    /// Its folder, seen from the root, with `/` between the parts.
    pub folder: String,
    /// What its manifest names.
    pub dependencies: Vec<Dependency>,
}

/// One dependency that a manifest names.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The name of the package, whatever the crate calls it.
    pub name: String,
    /// What it is needed for.
    pub kind: DependencyKind,
}

/// What a dependency is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// The crate itself.
    Normal,
    /// Its tests, examples and benchmarks.
    Development,
    /// Its build script.
    Build,
}

impl Workspace {
    /// Asks cargo about the workspace around the current folder. Nothing is downloaded.
    ///
    /// # Errors
    /// There is no workspace, or cargo cannot read it.
    pub fn read() -> Result<Self, Fault> {
        let mut command = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
        let text = output_of(&mut command)?;
        let unreadable = |reason: String| Fault::Output { command: name_of(&command), reason };
        let metadata: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        Self::from_metadata(&metadata).ok_or_else(|| unreadable("a field is missing".to_owned()))
    }

    fn from_metadata(metadata: &Value) -> Option<Self> {
        let root = PathBuf::from(metadata["workspace_root"].as_str()?);
        let target = PathBuf::from(metadata["target_directory"].as_str()?);
        let packages = metadata["packages"].as_array()?;
        let crates = packages.iter().map(|package| member(package, &root)).collect::<Option<_>>()?;
        Some(Self { root, target, crates })
    }

    /// A binary of the release build.
    pub(crate) fn release_binary(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name).with_extension(std::env::consts::EXE_EXTENSION)
    }

    /// A binary of the build that the tests are of.
    pub(crate) fn debug_binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name).with_extension(std::env::consts::EXE_EXTENSION)
    }
}

fn member(package: &Value, root: &Path) -> Option<Crate> {
    let folder = Path::new(package["manifest_path"].as_str()?).parent()?.strip_prefix(root).ok()?;
    let parts: Vec<_> = folder.iter().map(|part| part.to_string_lossy()).collect();
    let dependencies = package["dependencies"].as_array()?.iter().map(dependency).collect::<Option<_>>()?;
    Some(Crate { name: package["name"].as_str()?.to_owned(), folder: parts.join("/"), dependencies })
}

fn dependency(dependency: &Value) -> Option<Dependency> {
    let kind = match dependency["kind"].as_str() {
        None => DependencyKind::Normal,
        Some("dev") => DependencyKind::Development,
        Some("build") => DependencyKind::Build,
        Some(_) => return None,
    };
    Some(Dependency { name: dependency["name"].as_str()?.to_owned(), kind })
}
