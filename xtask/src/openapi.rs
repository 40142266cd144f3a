//! The committed description of the API, `openapi.json` at the root: written from the code, held against it in CI.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::one_process::build_bank;
use crate::process::{output_of, run};
use crate::{Fault, Workspace};

/// Writes the file.
pub(crate) fn write(workspace: &Workspace) -> Result<(), Fault> {
    let text = generate(workspace)?;
    let path = committed(workspace);
    fs::write(&path, text).map_err(Fault::file(&path))?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Fails if the committed file is not what the code says.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Fault> {
    let generated = generate(workspace)?;
    let path = committed(workspace);
    let held = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(Fault::file(&path))?,
    };
    match first_difference(&held, &generated) {
        None => {
            println!("openapi.json is what the code says");
            Ok(())
        }
        Some(drift) => Err(drift),
    }
}

fn committed(workspace: &Workspace) -> PathBuf {
    workspace.root.join("openapi.json")
}

fn generate(workspace: &Workspace) -> Result<String, Fault> {
    run(&mut build_bank(workspace))?;
    let mut command = Command::new(workspace.release_binary("bank"));
    let mut text = output_of(command.arg("openapi").current_dir(&workspace.root))?;
    let document: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Fault::Output { command: "bank openapi".to_owned(), reason: error.to_string() })?;
    if !document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")) {
        let reason = format!("it says it is OpenAPI {}, not 3.1", document["openapi"]);
        return Err(Fault::Output { command: "bank openapi".to_owned(), reason });
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn first_difference(committed: &str, generated: &str) -> Option<Fault> {
    if committed == generated {
        return None;
    }
    let (mut left, mut right) = (committed.lines(), generated.lines());
    let mut line = 1;
    loop {
        match (left.next(), right.next()) {
            (Some(left), Some(right)) if left == right => line += 1,
            (left, right) => {
                let shown = |text: Option<&str>| text.map_or("(the end)", str::trim).to_owned();
                return Some(Fault::Drift { line, committed: shown(left), generated: shown(right) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert!(first_difference("{\n}\n", "{\n}\n").is_none());
        let message = first_difference("{\n  1\n}\n", "{\n  2\n}\n").unwrap().to_string();
        assert!(message.contains("line 2"), "{message}");
        assert!(message.contains("committed: 1"), "{message}");
        let message = first_difference("{\n", "{\n}\n").unwrap().to_string();
        assert!(message.contains("line 2") && message.contains("(the end)"), "{message}");
        assert!(first_difference("{}", "{}\n").is_some(), "a missing end of line is a difference too");
    }
}
