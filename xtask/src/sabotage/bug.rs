//! A bug: what it is, which text of which file it takes the place of, who has to catch it, and how it is planted.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Fault;

/// A bug that may be planted.
pub struct Bug {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is wrong with it, for the table.
    pub story: &'static str,
    /// Who has to catch it.
    pub guard: Guard,
    /// How it is planted.
    pub edits: &'static [Edit],
}

/// A text that gives way to another.
pub struct Edit {
    /// The file, seen from the root of the tree.
    pub file: &'static str,
    /// What is there, exactly once.
    pub find: &'static str,
    /// What is there with the bug.
    pub replace: &'static str,
}

/// Who has to catch a bug.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Guard {
    /// The simulation.
    Simulation,
    /// The tests of a package that have this in their names.
    Tests {
        /// The package.
        package: &'static str,
        /// What is in their names.
        filter: &'static str,
    },
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulation => f.write_str("the simulation"),
            Self::Tests { package, filter } => write!(f, "the tests of {package} on {filter}"),
        }
    }
}

/// A file as it is, and as it is with a bug.
pub struct Planted {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub without: String,
    /// Its text with the bug.
    pub with_bug: String,
}

/// The files that a bug changes in the tree at `root`; nothing is written.
///
/// # Errors
/// A file cannot be read, or a text is not there exactly once.
pub fn planted(bug: &Bug, root: &Path) -> Result<Vec<Planted>, Fault> {
    let mut files: BTreeMap<PathBuf, (String, String)> = BTreeMap::new();
    for Edit { file, find, replace } in bug.edits {
        let path = root.join(file);
        if !files.contains_key(&path) {
            let text = fs::read_to_string(&path).map_err(Fault::file(&path))?;
            files.insert(path.clone(), (text.clone(), text));
        }
        let Some((_, text)) = files.get_mut(&path) else { continue };
        let count = text.matches(find).count();
        if count != 1 {
            let name = bug.name;
            return Err(Fault::Sabotage(format!(
                "{name} looks for a text that is {count} times in {file}: {find}"
            )));
        }
        *text = text.replacen(find, replace, 1);
    }
    Ok(files.into_iter().map(|(path, (without, with_bug))| Planted { path, without, with_bug }).collect())
}
