//! The one writer: a thread that takes all work that is waiting, writes it as one group, makes it durable with one
//! sync, and only then answers.
//!
//! **It stops at the first sync that fails.** The kernel may mark pages clean although they never reached the disk,
//! and report the failure once (Rebello and others, "Can Applications Recover from fsync Failures?", USENIX ATC 2020;
//! PostgreSQL's "fsyncgate"). So nothing is tried again and nothing more is acknowledged: the group is answered as
//! unknown, later work as busy, and the process is told to end. What the disk holds is found out at the next start.
//! Hence there is no memory of transaction ids either: within one run, no transaction of unknown outcome is followed
//! by an answer, so the same one cannot be committed twice by being tried again.
//!
//! A full disk is no such failure: SQLite writes the frame that commits last, so nothing of the group is there. It is
//! answered as busy, and reads go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kernel::Timestamp;
use ports::{CommitError, Key, Sources, Table};
use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;
use tokio::sync::{oneshot, watch};

use crate::checkpoint::{self, PAGE_BYTES, WalLength};
use crate::failure::{GroupError, is_fatal, is_fatal_at_commit, roll_back};
use crate::group::{Ending, Group, Prepared, Records, Row};
use crate::log::Log;
use crate::schema::Schema;
use crate::{Health, locked, upkeep};

/// The most pieces of work that wait.
pub(crate) const QUEUE_WORKS_MAX: usize = 4_096;
/// The most bytes of transactions that wait.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most pieces of work in one group, so that the first of them is not kept waiting for long.
const GROUP_WORKS_MAX: usize = 1_024;
/// The bytes after which no further transaction joins a group.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// When to try again where the queue was full: a few groups later.
const QUEUE_RETRY_AFTER: Duration = Duration::from_millis(100);
/// When to try again where the disk was full or the store has stopped.
const DISK_RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long cursors wait for a group to ride with.
const CURSORS_DELAY: Duration = Duration::from_millis(50);
/// How often the log is trimmed and expired items are swept.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);
/// The same, while there is more than one batch to do.
const UPKEEP_INTERVAL_BEHIND: Duration = Duration::from_millis(50);

const _: () = assert!(GROUP_WORKS_MAX <= QUEUE_WORKS_MAX && GROUP_BYTES_MAX <= QUEUE_BYTES_MAX);

/// The answer to one commit or other piece of work.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, CommitError>>;

/// What the committer is asked to do.
pub(crate) enum Work {
    /// A transaction of a service.
    Commit { prepared: Prepared, answer: Answer<()> },
    /// Deliveries of a consumer that end with a row.
    End { consumer: &'static str, endings: Vec<Ending>, answer: Answer<()> },
    /// A dead letter to be sent again; the answer is whether there was one.
    Redrive { dead_letter_id: String, answer: Answer<bool> },
    /// Cursors have moved: they are saved soon.
    Moved,
}

impl Work {
    fn endings(&self) -> Option<(&'static str, &[Ending])> {
        if let Self::End { consumer, endings, .. } = self { Some((consumer, endings)) } else { None }
    }

    fn bytes(&self) -> usize {
        if let Self::Commit { prepared, .. } = self { prepared.bytes() } else { 0 }
    }
}

/// What became of one piece of work, to be told once the group is durable.
enum Verdict {
    Committed(Result<(), Key>),
    Ended,
    /// Whose dead letter it was, if there was one.
    Redriven(Option<String>),
}

/// How much is waiting.
#[derive(Default)]
struct Backlog {
    works: AtomicUsize,
    bytes: AtomicUsize,
}

impl Backlog {
    /// The bytes that wait, these included.
    fn add(&self, bytes: usize) -> usize {
        self.works.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    fn remove(&self, bytes: usize) {
        self.works.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The front of the committer: the queue that leads to it, and the threads behind.
pub(crate) struct Writer {
    queue: RwLock<Option<SyncSender<Work>>>,
    backlog: Arc<Backlog>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Everything the committer's thread has to itself, or shares.
pub(crate) struct Parts {
    pub(crate) connection: Connection,
    pub(crate) checkpoints: Connection,
    pub(crate) schema: Arc<Schema>,
    pub(crate) log: Arc<Log>,
    pub(crate) sources: Sources,
    pub(crate) health: watch::Sender<Health>,
}

impl Writer {
    /// Starts the committer and the checkpointer.
    pub(crate) fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { mut connection, checkpoints, schema, log, sources, health } = parts;
        let gate = Arc::new(Mutex::new(()));
        let wal = WalLength::default();
        let (wake, woken) = checkpoint::waker();
        checkpoint::watch(&mut connection, wal.clone(), wake)?;
        let checkpointer = checkpoint::start(checkpoints, wal.clone(), Arc::clone(&gate), woken)?;

        let (queue, works) = sync_channel(QUEUE_WORKS_MAX);
        let backlog = Arc::new(Backlog::default());
        let committer = Committer {
            connection,
            schema,
            next: log.next_sequences(),
            log,
            sources,
            health,
            gate,
            wal,
            works,
            backlog: Arc::clone(&backlog),
            save_at: None,
            tidy_at: Instant::now(),
        };
        let thread =
            std::thread::Builder::new().name("committer".to_owned()).spawn(move || committer.run())?;
        let threads = Mutex::new(vec![thread, checkpointer]);
        Ok(Self { queue: RwLock::new(Some(queue)), backlog, threads })
    }

    /// Hands work over, or refuses it where too much is waiting.
    pub(crate) fn submit(&self, work: Work) -> Result<(), CommitError> {
        let bytes = work.bytes();
        let sent = if self.backlog.add(bytes) > QUEUE_BYTES_MAX {
            Err(QUEUE_RETRY_AFTER)
        } else {
            match &*self.queue.read().unwrap_or_else(PoisonError::into_inner) {
                None => Err(DISK_RETRY_AFTER),
                Some(queue) => queue.try_send(work).map_err(|error| match error {
                    TrySendError::Full(_) => QUEUE_RETRY_AFTER,
                    TrySendError::Disconnected(_) => DISK_RETRY_AFTER,
                }),
            }
        };
        sent.map_err(|retry_after| {
            self.backlog.remove(bytes);
            metrics::counter!("store_busy_total").increment(1);
            CommitError::Busy { retry_after }
        })
    }

    /// Lets the committer finish what is waiting, and waits for it. It is safe to call this twice.
    pub(crate) fn stop(&self) {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        for thread in locked(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Why the threads could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Thread(#[from] std::io::Error),
}

struct Committer {
    connection: Connection,
    schema: Arc<Schema>,
    log: Arc<Log>,
    sources: Sources,
    health: watch::Sender<Health>,
    gate: Arc<Mutex<()>>,
    wal: WalLength,
    works: Receiver<Work>,
    backlog: Arc<Backlog>,
    /// The sequence of the next record of each outbox.
    next: BTreeMap<Table, u64>,
    /// When cursors that moved are saved at the latest.
    save_at: Option<Instant>,
    /// When the log is trimmed and expired items are swept next.
    tidy_at: Instant,
}

impl Drop for Committer {
    /// Nobody may go on trusting a committer that has panicked.
    fn drop(&mut self) {
        self.health.send_if_modified(|health| {
            let was_serving = *health == Health::Serving;
            if was_serving {
                *health = Health::Failed("the committer has panicked".to_owned());
            }
            was_serving
        });
    }
}

impl Committer {
    fn run(mut self) {
        while let Some(works) = self.gather() {
            if let Err(error) = self.group(works) {
                self.fail(&error);
                return;
            }
        }
        // The last cursors; nobody waits for an answer any more.
        if let Err(error) = self.group(Vec::new()) {
            self.fail(&error);
            return;
        }
        if let Err(error) = checkpoint::run(&self.connection, CheckpointMode::TRUNCATE) {
            tracing::warn!(%error, "the last checkpoint did not finish; the next start makes up for it");
        }
        self.health.send_replace(Health::Closed);
    }

    fn fail(&self, error: &rusqlite::Error) {
        tracing::error!(%error, "the store has failed and acknowledges nothing more");
        self.health.send_replace(Health::Failed(error.to_string()));
    }

    /// Waits until there is something to do, and takes all of it that fits into a group. None at the end.
    fn gather(&mut self) -> Option<Vec<Work>> {
        let mut works = Vec::new();
        let mut bytes = 0;
        while works.is_empty() {
            let until = self.save_at.map_or(self.tidy_at, |at| at.min(self.tidy_at));
            match self.works.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(work) => self.take(work, &mut works, &mut bytes),
                Err(RecvTimeoutError::Timeout) => return Some(works),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        while works.len() < GROUP_WORKS_MAX && bytes < GROUP_BYTES_MAX {
            match self.works.try_recv() {
                Ok(work) => self.take(work, &mut works, &mut bytes),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Some(works)
    }

    fn take(&mut self, work: Work, works: &mut Vec<Work>, bytes: &mut usize) {
        self.backlog.remove(work.bytes());
        *bytes += work.bytes();
        if matches!(work, Work::Moved) {
            // No reason for a group yet; where there is another one, the cursors are saved with it.
            self.save_at = self.save_at.or_else(|| Some(Instant::now() + CURSORS_DELAY));
        } else {
            works.push(work);
        }
    }

    /// Writes one group and answers it. An error ends the committer.
    fn group(&mut self, mut works: Vec<Work>) -> Result<(), rusqlite::Error> {
        let started = Instant::now();
        let tidies = started >= self.tidy_at;
        self.save_at = None;
        if tidies {
            // Set before it is tried, so that what fails is not tried again at once.
            self.tidy_at = started + UPKEEP_INTERVAL;
        }
        if works.is_empty() && !tidies && !self.log.has_moved() {
            return Ok(());
        }
        let gate = Arc::clone(&self.gate);
        let checkpoint_waits = locked(&gate);
        let written = self.write(&mut works, tidies);
        drop(checkpoint_waits);
        let size = works.len();
        let result = match written {
            Ok((verdicts, records)) => {
                self.log.append(records);
                works.into_iter().zip(verdicts).for_each(|(work, verdict)| self.answer(work, verdict));
                Ok(())
            }
            Err(GroupError::NotWritten(error)) => {
                tracing::error!(%error, size, "a group was not written");
                metrics::counter!("store_busy_total").increment(size as u64);
                works
                    .into_iter()
                    .for_each(|work| refuse(work, CommitError::Busy { retry_after: DISK_RETRY_AFTER }));
                Ok(())
            }
            Err(GroupError::Fatal(error)) => {
                works.into_iter().for_each(|work| refuse(work, CommitError::Unknown(error.to_string())));
                Err(error)
            }
        };
        metrics::gauge!("store_queue_depth").set(self.backlog.works.load(Ordering::Relaxed) as f64);
        if size > 0 {
            metrics::histogram!("store_commit_batch_size").record(size as f64);
            metrics::histogram!("store_commit_seconds").record(started.elapsed().as_secs_f64());
        }
        result
    }

    /// Writes one group in one SQLite transaction; durable when it returns `Ok`.
    fn write(&mut self, works: &mut [Work], tidies: bool) -> Result<(Vec<Verdict>, Records), GroupError> {
        let now = self.sources.now();
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        let mut group = Group {
            connection: &self.connection,
            schema: &self.schema,
            now,
            next: self.next.clone(),
            records: Vec::new(),
        };
        let verdicts = begun.and_then(|()| works.iter_mut().map(|work| apply(&mut group, work)).collect());
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            Err(error) => return Err(roll_back(&self.connection, error, is_fatal)),
        };

        // The cursors are saved as if the deliveries that end with a row had ended, which is so once this is durable.
        let ended: Vec<_> = works.iter().filter_map(Work::endings).collect();
        for (consumer, endings) in &ended {
            self.log.end(consumer, endings.iter().map(|ending| &ending.delivery));
        }
        let moves = self.log.save_cursors();
        let filled = group.save(&moves).and_then(|()| if tidies { self.tidy(now) } else { Ok(false) });
        let committing = Instant::now();
        let committed = match filled {
            Ok(has_more) => {
                if has_more {
                    self.tidy_at = committing + UPKEEP_INTERVAL_BEHIND;
                }
                let committed = self.connection.execute_batch("COMMIT");
                committed.map_err(|error| roll_back(&self.connection, error, is_fatal_at_commit))
            }
            Err(error) => Err(roll_back(&self.connection, error, is_fatal)),
        };
        if let Err(error) = committed {
            self.log.unsave_cursors(&moves);
            for (consumer, endings) in &ended {
                self.log.resume(consumer, endings.iter().map(|ending| &ending.delivery));
            }
            return Err(error);
        }
        metrics::histogram!("store_fsync_seconds").record(committing.elapsed().as_secs_f64());
        self.next = group.next;
        Ok((verdicts, group.records))
    }

    /// Forgets what nobody needs, and says whether there is more of it.
    fn tidy(&self, now: Timestamp) -> rusqlite::Result<bool> {
        for (consumer, waiting) in self.log.waiting() {
            metrics::gauge!("store_outbox_lag_messages", "consumer" => consumer).set(waiting as f64);
        }
        metrics::gauge!("store_wal_bytes").set((self.wal.pages() * PAGE_BYTES) as f64);
        upkeep::tidy(&self.connection, &self.schema, &self.log.passed_by_all(), now)
    }

    /// Tells what became of work that is durable now, and wakes consumers for what is due again.
    fn answer(&self, work: Work, verdict: Verdict) {
        match (work, verdict) {
            (Work::Commit { answer, .. }, Verdict::Committed(Ok(()))) => tell(answer, Ok(())),
            (Work::Commit { answer, .. }, Verdict::Committed(Err(key))) => {
                metrics::counter!("store_conflicts_total").increment(1);
                tell(answer, Err(CommitError::Conflict { key }));
            }
            (Work::End { consumer, endings, answer }, _) => {
                for ending in endings {
                    if let Row::Again { at, .. } = ending.row {
                        self.log.due(consumer, at);
                    }
                }
                tell(answer, Ok(()));
            }
            (Work::Redrive { answer, .. }, Verdict::Redriven(consumer)) => {
                if let Some(consumer) = &consumer {
                    self.log.due(consumer, self.sources.now());
                }
                tell(answer, Ok(consumer.is_some()));
            }
            (work, _) => refuse(work, CommitError::Unknown("an answer of another kind".to_owned())),
        }
    }
}

fn apply(group: &mut Group<'_>, work: &mut Work) -> rusqlite::Result<Verdict> {
    match work {
        Work::Commit { prepared, .. } => group.apply(prepared).map(Verdict::Committed),
        Work::End { consumer, endings, .. } => {
            endings.iter().try_for_each(|ending| group.end(consumer, ending)).map(|()| Verdict::Ended)
        }
        Work::Redrive { dead_letter_id, .. } => group.redrive(dead_letter_id).map(Verdict::Redriven),
        Work::Moved => Ok(Verdict::Ended),
    }
}

fn refuse(work: Work, error: CommitError) {
    match work {
        Work::Commit { answer, .. } | Work::End { answer, .. } => tell(answer, Err(error)),
        Work::Redrive { answer, .. } => tell(answer, Err(error)),
        Work::Moved => {}
    }
}

/// Nobody listens any more where the request was dropped; what it asked for has happened all the same.
fn tell<T>(answer: Answer<T>, result: Result<T, CommitError>) {
    drop(answer.send(result));
}

#[cfg(test)]
#[path = "committer_tests.rs"]
mod tests;
