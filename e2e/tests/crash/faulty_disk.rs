//! A disk that fails on command, or loses at a power cut what was not synced: a small library that is preloaded into the bank and takes the place of its calls to the
//! kernel. It is compiled when it is needed, with the C compiler that the bank itself needs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::Setup;
use rand::RngExt;
use rand::rngs::StdRng;

/// What fails.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A sync, with an input or output error.
    Sync = 1,
    /// A write, with an input or output error.
    Write,
    /// A write, since the disk is full.
    NoRoom,
    /// A write, after some of its bytes were written, since the disk is full.
    LittleRoom,
    /// Opening for writing, since the file system is for reading only.
    ReadOnly,
}

/// On which file.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Every file of the data directory.
    All = 0,
    /// The database file.
    Database,
    /// The database's write-ahead log.
    Log,
    /// The journal, all its files.
    Journal,
}

/// For as long as it is not healed.
pub const FOR_GOOD: i32 = i32::MAX;

/// The disk under a bank's data directory.
pub struct FaultyDisk {
    data_dir: PathBuf,
    control: PathBuf,
    numbers: File,
    journal: PathBuf,
}

/// What a power cut did to the changes that were not synced.
#[derive(Default)]
pub struct PowerCut {
    /// Those that are gone.
    pub lost: usize,
    /// Those that had reached the disk all the same.
    pub kept: usize,
}

/// Stands where a record is of a change, and not of a sync.
const NEVER: i64 = -1;

/// A change to a file, or a sync of it.
struct Record {
    /// Where it stands in the journal.
    place: i64,
    file: i64,
    /// Everything before this place was synced.
    synced: i64,
    /// How long the file was.
    size: u64,
    offset: u64,
    written: usize,
    before: Vec<u8>,
}

/// Reads the journal. The last record may be cut short: then its change was not made.
fn records(journal: &[u8]) -> Vec<Record> {
    const NUMBERS: usize = 6;
    let mut records = Vec::new();
    let mut rest = journal;
    while let Some((head, behind)) = rest.split_at_checked(NUMBERS * size_of::<i64>()) {
        let numbers: Vec<i64> =
            head.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok()).map(i64::from_ne_bytes).collect();
        let [file, synced, size, offset, written, bytes] = numbers[..] else { break };
        let Some((before, behind)) = behind.split_at_checked(bytes as usize) else { break };
        let (size, offset, written) = (size as u64, offset as u64, written as usize);
        let place = (journal.len() - rest.len()) as i64;
        records.push(Record { place, file, synced, size, offset, written, before: before.to_vec() });
        rest = behind;
    }
    records
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

impl FaultyDisk {
    /// Compiles the library into a folder, and puts it under the banks that are started from now on.
    pub fn under(setup: &mut Setup) -> Self {
        let library = setup.data_dir.with_file_name("faulty_disk.so");
        let control = setup.data_dir.with_file_name("faulty_disk.control");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/faulty_disk.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source);
        match compiler.arg("-ldl").status() {
            Ok(status) => assert!(status.success(), "{} does not compile", source.display()),
            Err(error) => panic!("there is no C compiler: cc: {error}"),
        }
        let numbers = File::options().create(true).truncate(true).read(true).write(true).open(&control);
        let Ok(numbers) = numbers else { panic!("{} can not be made", control.display()) };
        let journal = setup.data_dir.with_file_name("faulty_disk.journal");
        setup.environment = vec![
            ("LD_PRELOAD", library.into()),
            ("FAULTY_DISK_CONTROL", control.clone().into()),
            ("FAULTY_DISK_FOLDER", setup.data_dir.clone().into()),
            ("FAULTY_DISK_JOURNAL", journal.clone().into()),
        ];
        let disk = Self { data_dir: setup.data_dir.clone(), control, numbers, journal };
        disk.heal();
        disk
    }

    /// From now on `times` calls fail, once `before` such calls have succeeded.
    pub fn fail(&self, fault: Fault, target: Target, before: i32, times: i32) {
        self.heal();
        self.set(1, &[target as i32, before, times, 0]);
        self.set(0, &[fault as i32]);
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.set(0, &[0, 0, 0, 0, 0]);
    }

    /// How many calls have failed.
    pub fn failures(&self) -> i32 {
        let mut bytes = [0; 4];
        let read = self.numbers.read_exact_at(&mut bytes, 4 * 4);
        assert!(read.is_ok(), "{} can not be read", self.control.display());
        i32::from_ne_bytes(bytes)
    }

    fn set(&self, first: u64, numbers: &[i32]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        let written = self.numbers.write_all_at(&bytes, first * 4);
        assert!(written.is_ok(), "{} can not be written", self.control.display());
    }

    /// Takes back what no sync has made durable: the machine under a bank that was killed has lost its power. By luck all of
    /// it is lost, or some of it has reached the disk, in whatever order.
    pub fn cut_power(&self, luck: &mut StdRng) -> io::Result<PowerCut> {
        let records = records(&std::fs::read(&self.journal)?);
        let mut cut = PowerCut::default();
        let database = [(Target::Database as i64, "bank.sqlite3"), (Target::Log as i64, "bank.sqlite3-wal")];
        let database = database.map(|(file, name)| (file, name.to_owned()));
        let journal =
            records.iter().map(|record| record.file - Target::Journal as i64).filter(|slot| *slot >= 0);
        let slots: BTreeSet<i64> = journal.collect();
        let journal = slots.iter().map(|slot| (Target::Journal as i64 + slot, format!("journal-{slot}")));
        for (file, name) in database.into_iter().chain(journal) {
            let of_file = || records.iter().filter(|record| record.file == file);
            let synced = of_file().map(|record| record.synced).max().unwrap_or(NEVER);
            let unsynced: Vec<_> =
                of_file().filter(|record| record.synced == NEVER && record.place >= synced).collect();
            let disk = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(self.data_dir.join(name))?;
            let mut reached = Vec::new();
            if luck.random() {
                for record in unsynced.iter().filter(|_| luck.random()) {
                    let mut bytes = vec![0; record.written];
                    if disk.read_exact_at(&mut bytes, record.offset).is_ok() {
                        reached.push((bytes, record.offset));
                    }
                }
            }
            for record in unsynced.iter().rev() {
                disk.set_len(record.size)?;
                disk.write_all_at(&record.before, record.offset)?;
            }
            for (bytes, offset) in &reached {
                disk.write_all_at(bytes, *offset)?;
            }
            cut.lost += unsynced.len() - reached.len();
            cut.kept += reached.len();
        }
        // The index of the log lies in memory.
        std::fs::remove_file(self.data_dir.join("bank.sqlite3-shm")).or_else(absent)?;
        std::fs::remove_file(&self.journal)?;
        Ok(cut)
    }
}
