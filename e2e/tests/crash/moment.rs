//! When the bank dies: under load, at moments that matter.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use e2e::{Bank, Setup};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::traffic::Pulse;

/// How long the load lasts where nothing else ends it.
const LOAD_MS: std::ops::Range<u64> = 300..1_200;
/// How many answers are waited for, where an answer is the moment.
const ANSWERS: std::ops::Range<usize> = 20..400;
/// How long a start is left alone before it is killed: some have answered requests by then, some have not read the log.
const START_MS: std::ops::Range<u64> = 1..400;
/// How often in a row a start is killed.
const STARTS: std::ops::RangeInclusive<usize> = 1..=3;
/// How long a bank that was asked to stop is left alone.
const SHUTDOWN_MS: std::ops::Range<u64> = 0..60;
/// How long it is waited for a checkpoint to begin by itself.
const CHECKPOINT_MAX: Duration = Duration::from_millis(1_500);
const LOOK_INTERVAL: Duration = Duration::from_micros(200);

/// When the bank is killed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Moment {
    /// At any time.
    UnderLoad,
    /// Right after an answer, before it can do anything more for it.
    AfterAnswer,
    /// While it starts again after having been killed under load, several times in a row.
    StartUp,
    /// While pages move from the write-ahead log into the file, under load or when it stops.
    Checkpoint,
    /// While it stops in order under load.
    Shutdown,
}

impl Moment {
    pub const ALL: [Self; 5] =
        [Self::UnderLoad, Self::AfterAnswer, Self::StartUp, Self::Checkpoint, Self::Shutdown];

    /// Waits for the moment and kills the bank.
    pub fn kill(self, bank: Bank, setup: &Setup, pulse: &Pulse, luck: &mut StdRng) {
        match self {
            Self::UnderLoad => {
                pause(luck.random_range(LOAD_MS));
                bank.process().kill();
            }
            Self::AfterAnswer => {
                let answers = luck.random_range(ANSWERS);
                until(Duration::from_millis(LOAD_MS.end), || pulse.answers() >= answers);
                bank.process().kill();
            }
            Self::StartUp => {
                pause(luck.random_range(LOAD_MS));
                bank.process().kill();
                for _ in 0..luck.random_range(STARTS) {
                    let start = setup.spawn();
                    pause(luck.random_range(START_MS));
                    assert!(start.kill(), "the bank did not start: {}", setup.last_line());
                }
            }
            Self::Checkpoint => {
                let file = setup.data_dir.join("bank.sqlite3");
                let before = written_at(&file);
                let has_begun = || written_at(&file) != before;
                if !until(CHECKPOINT_MAX, has_begun) {
                    bank.ask_to_stop();
                    assert!(until(e2e::patience(), has_begun), "no checkpoint began");
                }
                bank.process().kill();
            }
            Self::Shutdown => {
                pause(luck.random_range(LOAD_MS));
                bank.ask_to_stop();
                pause(luck.random_range(SHUTDOWN_MS));
                bank.process().kill();
            }
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::UnderLoad => "under load",
            Self::AfterAnswer => "right after an answer",
            Self::StartUp => "while it started",
            Self::Checkpoint => "in a checkpoint",
            Self::Shutdown => "while it stopped",
        })
    }
}

fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

/// Only a checkpoint writes to the file itself.
fn written_at(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// Looks again and again, for so long at most, and says whether it has seen it.
fn until(longest: Duration, is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + longest;
    while Instant::now() < deadline {
        if is_so() {
            return true;
        }
        thread::sleep(LOOK_INTERVAL);
    }
    false
}
