//! `cargo xtask counts`: how many instructions a deposit takes, stage by stage, held against `xtask/counts.toml`.
//!
//! The program is `bench/counts`, in the release build; Valgrind's callgrind runs it and counts. It is told the name of the
//! function that is a stage, and writes what it counted from its beginning to its end into a file of its own. Where there
//! is no Valgrind, nothing is counted, and the summary says so.
//!
//! A count does not tell how fast the bank is: the kernel's part, waits and caches are not in it. It tells that a change has
//! made the bank do more, on any machine and however busy that is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::bench::build_tools;
use crate::process::run_at_most;
use crate::report::{Report, Verdict};
use crate::{Fault, Workspace};

const COUNTS: &str = "instruction counts";
/// What was counted when it was last settled.
const FILE: &str = "xtask/counts.toml";
/// How many operations each stage has.
const OPERATIONS: u64 = 512;
/// How much more than settled a stage may take, in percent.
const GROWTH_MAX_PERCENT: u64 = 15;
/// How long the counting may take. It needs a quarter of that.
const LIMIT: Duration = Duration::from_secs(120);

/// The stages: their names, and the functions that callgrind looks for.
const STAGES: [(&str, &str); 6] = [
    ("accept", "counts::accept"),
    ("judge", "counts::judge"),
    ("conclude", "counts::conclude"),
    ("project", "counts::project"),
    ("notify", "counts::notify"),
    ("commit", "counts::commit"),
];

/// Instructions for one operation, by stage.
type Counts = BTreeMap<String, u64>;

/// Counts, and holds the counts against those settled; or settles them.
pub(crate) fn run_alone(workspace: &Workspace, settles: bool) -> Result<(), Fault> {
    let counts = count(workspace)?;
    if settles { settle(workspace, &counts) } else { hold(workspace, &counts).map(drop) }
}

/// The part of a test run.
pub(crate) fn run_part(workspace: &Workspace, report: &mut Report) {
    if !has_valgrind() {
        report.leave_out([COUNTS], "Valgrind is not installed");
        return;
    }
    report.run(COUNTS, || match count(workspace).and_then(|counts| hold(workspace, &counts)) {
        Ok(note) => Verdict { note: Some(note), ..Verdict::default() },
        Err(fault) => Verdict::from(Err(fault)),
    });
}

fn has_valgrind() -> bool {
    let mut version = Command::new("valgrind");
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs the program under callgrind and reads what it counted.
fn count(workspace: &Workspace) -> Result<Counts, Fault> {
    build_tools(workspace)?;
    let folder = workspace.target.join("counts");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Fault::file(&folder))?;
    }
    fs::create_dir_all(&folder).map_err(Fault::file(&folder))?;
    let log = folder.join("counts.log");
    let mut callgrind = Command::new("valgrind");
    callgrind.args(["--quiet", "--tool=callgrind", "--separate-threads=no"]);
    callgrind.arg(format!("--callgrind-out-file={}", folder.join("dump").display()));
    for (_, function) in STAGES {
        callgrind.args([format!("--zero-before={function}"), format!("--dump-after={function}")]);
    }
    callgrind.arg(workspace.release_binary("counts")).arg(OPERATIONS.to_string()).arg(folder.join("data"));
    callgrind.stderr(File::create(&log).map_err(Fault::file(&log))?);
    run_at_most(&mut callgrind, LIMIT).inspect_err(|_| eprintln!("its log is {}", log.display()))?;
    read(&folder)
}

/// Reads the dumps. A stage that was run twice counts as it was the second time.
fn read(folder: &Path) -> Result<Counts, Fault> {
    let mut parts: BTreeMap<u64, String> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(Fault::file(folder))? {
        let path = entry.map_err(Fault::file(folder))?.path();
        if let Some(part) = path.extension().and_then(|part| part.to_str()?.parse().ok()) {
            parts.insert(part, fs::read_to_string(&path).map_err(Fault::file(&path))?);
        }
    }
    let counts: Counts = parts.values().filter_map(|dump| counted(dump)).collect();
    let missing = STAGES.iter().find(|(stage, _)| !counts.contains_key(*stage));
    match missing {
        None => Ok(counts),
        Some((stage, _)) => Err(unreadable("valgrind", format!("{stage} was not counted"))),
    }
}

/// The stage at whose end a dump was written, and what one of its operations took.
fn counted(dump: &str) -> Option<(String, u64)> {
    let value = |name: &str| dump.lines().find_map(|line| line.strip_prefix(name));
    let function = value("desc: Trigger: --dump-after=")?;
    let (stage, _) = STAGES.iter().find(|(_, name)| *name == function)?;
    let total: u64 = value("totals: ")?.trim().parse().ok()?;
    Some(((*stage).to_owned(), total / OPERATIONS))
}

/// Prints what was settled and what was counted, and says it in a line. A stage that takes too much more is a fault.
fn hold(workspace: &Workspace, counts: &Counts) -> Result<String, Fault> {
    let path = workspace.root.join(FILE);
    let settled = parse(&fs::read_to_string(&path).map_err(Fault::file(&path))?)?;
    println!("{:<10} {:>10} {:>10} {:>8}  instructions an operation", "stage", "settled", "now", "change");
    let mut grown = Vec::new();
    for (stage, _) in STAGES {
        let (Some(was), Some(is)) = (settled.get(stage), counts.get(stage)) else {
            return Err(unreadable(FILE, format!("{stage} is missing")));
        };
        println!("{stage:<10} {was:>10} {is:>10} {:>8}", change(*was, *is));
        if has_grown(*was, *is) {
            grown.push(format!("{stage} takes {is} instructions and not {was} ({})", change(*was, *is)));
        }
    }
    if grown.is_empty() {
        let (was, is) = (settled.values().sum(), counts.values().sum());
        Ok(format!("{is} instructions in all, {} since they were settled", change(was, is)))
    } else {
        Err(Fault::Grown(grown.join("; ")))
    }
}

fn has_grown(was: u64, is: u64) -> bool {
    is * 100 > was * (100 + GROWTH_MAX_PERCENT)
}

/// The change in whole percent, with its sign.
fn change(was: u64, is: u64) -> String {
    let percent = is.abs_diff(was) * 100 / was.max(1);
    format!("{}{percent} %", if is < was { '-' } else { '+' })
}

fn settle(workspace: &Workspace, counts: &Counts) -> Result<(), Fault> {
    let path = workspace.root.join(FILE);
    let mut text = "# How many instructions each stage of a deposit takes, as `cargo xtask counts --settle` last counted them.\n\
                    # A change that makes one of them take 15 % more fails the tests: either mend it, or settle the counts again.\n"
        .to_owned();
    for (stage, _) in STAGES {
        text += &format!("{stage} = {}\n", counts.get(stage).copied().unwrap_or_default());
    }
    print!("{text}");
    fs::write(&path, text).map_err(Fault::file(&path))
}

fn parse(text: &str) -> Result<Counts, Fault> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let counts = lines.map(|line| {
        let (stage, count) = line.split_once('=')?;
        Some((stage.trim().to_owned(), count.trim().parse().ok()?))
    });
    counts
        .collect::<Option<_>>()
        .ok_or_else(|| unreadable(FILE, "a line is not a name and a number".to_owned()))
}

fn unreadable(command: &str, reason: String) -> Fault {
    Fault::Output { command: command.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_tells_its_stage_and_its_count() {
        let dump = |trigger: &str, totals: &str| {
            format!(
                "# callgrind format\npart: 3\ndesc: Trigger: {trigger}\n\nevents: Ir\n1 5\ntotals: {totals}\n"
            )
        };
        let counted = |trigger: &str, totals: &str| counted(&dump(trigger, totals));
        assert_eq!(counted("--dump-after=counts::judge", "51200"), Some(("judge".to_owned(), 100)));
        assert_eq!(counted("--dump-after=counts::run", "51200"), None);
        assert_eq!(counted("Program termination", "51200"), None);
        assert_eq!(counted("--dump-after=counts::judge", ""), None);
    }

    #[test]
    fn a_stage_may_grow_a_little_and_shrink_as_it_likes() {
        for (was, is, told, is_too_much) in [
            (1_000, 1_000, "+0 %", false),
            (1_000, 1_150, "+15 %", false),
            (1_000, 1_151, "+15 %", true),
            (1_000, 10, "-99 %", false),
            (0, 1, "+100 %", true),
        ] {
            assert_eq!((change(was, is).as_str(), has_grown(was, is)), (told, is_too_much), "{was} {is}");
        }
    }

    #[test]
    fn what_is_settled_is_read_back() {
        let counts = parse("# A remark.\n\naccept = 12\njudge=3\n").unwrap();
        assert_eq!(counts, Counts::from([("accept".to_owned(), 12), ("judge".to_owned(), 3)]));
        assert!(parse("accept = many\n").is_err());
    }
}
