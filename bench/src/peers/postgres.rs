//! A PostgreSQL of its own: made in a temporary directory on the disk that is measured, served on a socket that only this
//! machine sees, durable as it is by default, and removed at the end.
//!
//! It refuses to run as root, so root has it run by somebody else. It has more memory and rarer checkpoints than by
//! default, as anybody would give it; everything that makes it durable is as it comes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::PeerError;

const START_MAX: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const USER: &str = "bench";
const DATABASE: &str = "postgres";
/// Where Debian keeps the programs of the server: a folder a version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Who runs it where root may not: the first of these that there is.
const OTHERS: [&str; 2] = ["postgres", "nobody"];
const SETTINGS: [&str; 8] = [
    "listen_addresses=",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=200",
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
];
const SCHEMA: &str = include_str!("../../peers/postgres/schema.sql");

/// What a transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    /// A deposit on one of the accounts, in one round trip.
    Spread,
    /// The same, statement by statement.
    Statements,
    /// The same, and the balance of the settlement account.
    Settlement,
    /// A deposit as services would make it that share nothing but messages, in five transactions.
    Services,
    /// What pgbench does by itself, which is like TPC-B: three updates, a read and an insert, in seven round trips.
    TpcB,
}

/// A PostgreSQL that runs. Dropped, it is stopped and removed.
pub struct Postgres {
    programs: PathBuf,
    /// The data and the scripts.
    folder: PathBuf,
    /// The socket, whose path may not be long.
    socket: PathBuf,
    server: Option<Child>,
    accounts: u32,
}

impl Postgres {
    /// Makes a database, starts the server, and fills the tables.
    pub fn start(work_dir: &Path, accounts: u32) -> Result<Self, PeerError> {
        let programs = programs()?;
        let name = format!("postgres-{:08x}", rand::random::<u32>());
        // Whoever runs it starts elsewhere.
        let folder = std::path::absolute(work_dir.join(&name)).map_err(PeerError::file(work_dir))?;
        let socket = std::env::temp_dir().join(&name);
        let mut postgres = Self { programs, folder, socket, server: None, accounts };
        postgres.make()?;
        postgres.serve()?;
        postgres.fill()?;
        Ok(postgres)
    }

    /// The address of one of its databases, which is made if it is not there.
    pub fn database(&self, name: &str) -> Result<String, PeerError> {
        let asked = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
        if self.ask(&asked)?.trim() != "1" {
            self.ask(&format!("CREATE DATABASE {name}"))?;
        }
        Ok(format!("postgres://{USER}@localhost/{name}?host={}", self.socket.display()))
    }

    /// Has pgbench run the script, and tells how many transactions a second were durable.
    pub fn measure(&self, script: Script, clients: u32, seconds: u32) -> Result<u64, PeerError> {
        let mut pgbench = self.client("pgbench");
        pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
        pgbench.arg(format!("--client={clients}")).arg(format!("--time={seconds}"));
        if let Some(file) = script.file() {
            pgbench
                .arg("--file")
                .arg(self.folder.join(file))
                .arg(format!("--define=accounts={}", self.accounts));
        }
        let told = told(&mut pgbench)?;
        rate(&told).ok_or(PeerError::Unreadable { program: "pgbench", told })
    }

    fn make(&self) -> Result<(), PeerError> {
        for folder in [&self.folder, &self.socket] {
            fs::create_dir_all(folder).map_err(PeerError::file(folder))?;
        }
        let scripts = [Script::Spread, Script::Statements, Script::Settlement, Script::Services];
        for (script, text) in scripts.iter().filter_map(|script| Some((script.file()?, script.text()?))) {
            let path = self.folder.join(script);
            fs::write(&path, text).map_err(PeerError::file(&path))?;
        }
        if let Some((user, group)) = somebody_else()? {
            for folder in [&self.folder, &self.socket] {
                chown(folder, Some(user), Some(group)).map_err(PeerError::file(folder))?;
            }
        }
        let mut initdb = self.server("initdb")?;
        initdb.args(["--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--pgdata"]);
        told(initdb.arg(self.data())).map(|_| ())
    }

    fn serve(&mut self) -> Result<(), PeerError> {
        let mut server = self.server("postgres")?;
        server.arg("-D").arg(self.data()).arg("-k").arg(&self.socket);
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let log = self.folder.join("postgres.log");
        let log = fs::File::create(&log).map_err(PeerError::file(&log))?;
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = server.spawn().map_err(|source| PeerError::Start { program: "postgres", source })?;
        self.server = Some(child);
        let started = Instant::now();
        while let Err(error) = self.ask("SELECT 1") {
            if started.elapsed() > START_MAX {
                return Err(error);
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn fill(&self) -> Result<(), PeerError> {
        let mut psql = self.client("psql");
        let schema = self.folder.join("schema.sql");
        fs::write(&schema, SCHEMA).map_err(PeerError::file(&schema))?;
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
        psql.arg(format!("--set=accounts={}", self.accounts)).arg("--file").arg(&schema);
        told(&mut psql)?;
        // As many accounts of pgbench's own: a hundred thousand a unit of scale, and a branch each.
        told(self.client("pgbench").args(["--initialize", "--quiet", "--scale=10"]))?;
        self.ask("VACUUM ANALYZE").map(|_| ())
    }

    fn ask(&self, sql: &str) -> Result<String, PeerError> {
        let mut psql = self.client("psql");
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql]);
        told(&mut psql)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.program(program));
        command.env("PGDATABASE", DATABASE).env("PGUSER", USER).env("PGHOST", &self.socket);
        command
    }

    /// A program of the server, run by somebody who is not root.
    fn server(&self, program: &str) -> Result<Command, PeerError> {
        let Some((user, group)) = somebody_else()? else {
            return Ok(Command::new(self.program(program)));
        };
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
        // It must not start in a folder that this user may not see.
        command.arg("--").arg(self.program(program)).current_dir("/");
        Ok(command)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // SIGINT: whoever is connected is sent away, and the server ends in order.
            let _ = Command::new("kill").args(["-INT", &server.id().to_string()]).status();
            let _ = server.wait();
        }
        for folder in [&self.folder, &self.socket] {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl Script {
    fn file(self) -> Option<&'static str> {
        match self {
            Self::Spread => Some("spread.sql"),
            Self::Statements => Some("statements.sql"),
            Self::Settlement => Some("settlement.sql"),
            Self::Services => Some("services.sql"),
            Self::TpcB => None,
        }
    }

    fn text(self) -> Option<&'static str> {
        match self {
            Self::Spread => Some(include_str!("../../peers/postgres/spread.sql")),
            Self::Statements => Some(include_str!("../../peers/postgres/statements.sql")),
            Self::Settlement => Some(include_str!("../../peers/postgres/settlement.sql")),
            Self::Services => Some(include_str!("../../peers/postgres/services.sql")),
            Self::TpcB => None,
        }
    }
}

/// Where the programs are: on the path, or where Debian keeps them.
fn programs() -> Result<PathBuf, PeerError> {
    const NEEDED: [&str; 4] = ["postgres", "initdb", "psql", "pgbench"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions =
        fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let mut folders: Vec<PathBuf> = versions.collect();
    folders.sort();
    // The newest version first, if there are several.
    folders.reverse();
    folders.extend(std::env::split_paths(&path));
    folders
        .into_iter()
        .find(|folder| NEEDED.iter().all(|program| folder.join(program).is_file()))
        .ok_or(PeerError::NoPostgres)
}

/// Whom the server is run by, if we are root: a user and a group.
fn somebody_else() -> Result<Option<(u32, u32)>, PeerError> {
    let me = Path::new("/proc/self");
    let is_root = fs::metadata(me).map_err(PeerError::file(me))?.uid() == 0;
    if !is_root {
        return Ok(None);
    }
    let number = |option: &str, name: &str| -> Option<u32> {
        let output = Command::new("id").args([option, name]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let found = OTHERS.iter().find_map(|name| Some((number("-u", name)?, number("-g", name)?)));
    found.map(Some).ok_or(PeerError::NobodyElse)
}

/// What a program wrote, once it has ended well.
pub fn told(command: &mut Command) -> Result<String, PeerError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let Output { status, stdout, stderr } = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| PeerError::Run { program: program.clone(), source })?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    Err(PeerError::Ended { program, status, told: String::from_utf8_lossy(&stderr).trim().to_owned() })
}

/// The rate in what pgbench says at its end, without the fraction; none if any transaction failed.
fn rate(told: &str) -> Option<u64> {
    let value = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
    if let Some(failed) = value("number of failed transactions:")
        && !failed.starts_with("0 ")
    {
        return None;
    }
    let rate = value("tps = ")?;
    let digits = rate.bytes().take_while(u8::is_ascii_digit).count();
    rate[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "transaction type: spread.sql\nnumber of transactions actually processed: 22504\n\
                        number of failed transactions: 0 (0.000%)\nlatency average = 7.105 ms\n\
                        initial connection time = 21.432 ms\ntps = 2251.913467 (without initial connection time)\n";

    #[test]
    fn the_rate_is_read() {
        assert_eq!(rate(TOLD), Some(2_251));
        assert_eq!(rate("tps = 58.1 (without initial connection time)"), Some(58));
        assert_eq!(rate(""), None);
        assert_eq!(rate("tps = nan"), None);
    }

    #[test]
    fn a_run_with_failures_has_no_rate() {
        assert_eq!(rate(&TOLD.replace(": 0 (0.000%)", ": 3 (0.013%)")), None);
    }
}
