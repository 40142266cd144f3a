//! The one writer: a thread that takes all work that is waiting, makes what it changes durable as one group with one sync
//! of the journal, and only then answers.
//!
//! **It stops at the first sync that fails.** The kernel may mark pages clean although they never reached the disk,
//! and report the failure once (Rebello and others, "Can Applications Recover from fsync Failures?", USENIX ATC 2020;
//! PostgreSQL's "fsyncgate"). So nothing is tried again and nothing more is acknowledged: the group is answered as
//! unknown, later work as busy, and the process is told to end. What the disk holds is found out at the next start.
//! Hence there is no memory of transaction ids either: within one run, no transaction of unknown outcome is followed
//! by an answer, so the same one cannot be committed twice by being tried again.
//!
//! A full disk is no such failure: the files of the journal have their size already, and one that cannot be made holds
//! nothing. The group is answered as busy, and reads go on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ports::{CommitError, Key, Sources, Subscription};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::changes::Changes;
use crate::ends::Ends;
use crate::failure::ends_the_store;
use crate::group::{Ending, Group, Numbers, Prepared, Records, Row};
use crate::journal::{AppendError, Journal};
use crate::log::Log;
use crate::overlay::Overlay;
use crate::schema::Schema;
use crate::settle::{Settler, WORTH_BYTES};
use crate::{Health, fail_if_serving, locked};

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
/// How long cursors wait for a group to ride with, once the committer has heard that they moved.
const CURSORS_DELAY: Duration = Duration::from_millis(50);
/// How long they wait where it was not told: a consumer that passes over what is for others does so in silence.
const CURSORS_INTERVAL: Duration = Duration::from_secs(1);

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
    settled: watch::Receiver<u64>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the committer and the settler are made of.
pub(crate) struct Parts {
    pub(crate) journal: Journal,
    /// The last group that the database has.
    pub(crate) settled: u64,
    /// Reads the database for the committer.
    pub(crate) reading: Connection,
    /// Writes it for the settler.
    pub(crate) writing: Connection,
    pub(crate) schema: Arc<Schema>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) log: Arc<Log>,
    pub(crate) retry_id: i64,
    pub(crate) sources: Sources,
    pub(crate) health: watch::Sender<Health>,
}

impl Writer {
    /// Starts the committer and the settler.
    pub(crate) fn start(parts: Parts) -> std::io::Result<Self> {
        let Parts { journal, reading, writing, schema, subscriptions, overlay, log, .. } = parts;
        let Parts { settled, retry_id, sources, health, .. } = parts;
        let settled = watch::Sender::new(settled);
        let settled_by_now = settled.subscribe();
        let (wake, woken) = sync_channel(1);
        let (queue, works) = sync_channel(QUEUE_WORKS_MAX);
        let backlog = Arc::new(Backlog::default());
        let settler = Settler {
            connection: writing,
            schema: Arc::clone(&schema),
            subscriptions,
            overlay: Arc::clone(&overlay),
            log: Arc::clone(&log),
            sources: sources.clone(),
            health: health.clone(),
            settled,
            woken,
        };
        let committer = Committer {
            journal,
            reading,
            schema,
            overlay,
            ends: Ends::default(),
            numbers: Numbers { sequences: log.next_sequences(), retry_id },
            log,
            sources,
            health,
            settled: settled_by_now.clone(),
            wake,
            works,
            backlog: Arc::clone(&backlog),
            save_at: None,
            has_ended: false,
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let settler = thread("settler").spawn(move || settler.run())?;
        let committer = thread("committer").spawn(move || committer.run())?;
        let threads = Mutex::new(vec![committer, settler]);
        Ok(Self { queue: RwLock::new(Some(queue)), backlog, settled: settled_by_now, threads })
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

    /// Waits until the database has every group up to this one, or the store has ended.
    pub(crate) async fn settled(&self, group: u64) {
        let mut settled = self.settled.clone();
        // An error says that the settler has ended.
        drop(settled.wait_for(|settled| *settled >= group).await);
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

/// Why a group was not written.
enum GroupError {
    /// Nothing of it is there, and a later one may succeed.
    NotWritten { reason: String, retry_after: Duration },
    /// It is not known what is there.
    Fatal(String),
}

impl From<rusqlite::Error> for GroupError {
    fn from(error: rusqlite::Error) -> Self {
        if ends_the_store(&error) {
            return Self::Fatal(error.to_string());
        }
        Self::NotWritten { reason: error.to_string(), retry_after: DISK_RETRY_AFTER }
    }
}

impl From<AppendError> for GroupError {
    fn from(error: AppendError) -> Self {
        let reason = error.to_string();
        match error {
            AppendError::Full => Self::NotWritten { reason, retry_after: QUEUE_RETRY_AFTER },
            AppendError::NoRoom(_) => Self::NotWritten { reason, retry_after: DISK_RETRY_AFTER },
            AppendError::Failed(_) => Self::Fatal(reason),
        }
    }
}

struct Committer {
    journal: Journal,
    reading: Connection,
    schema: Arc<Schema>,
    overlay: Arc<Overlay>,
    log: Arc<Log>,
    sources: Sources,
    health: watch::Sender<Health>,
    /// The last group that the database has.
    settled: watch::Receiver<u64>,
    /// Wakes the settler.
    wake: SyncSender<()>,
    works: Receiver<Work>,
    backlog: Arc<Backlog>,
    ends: Ends,
    numbers: Numbers,
    /// When cursors that moved are saved at the latest.
    save_at: Option<Instant>,
    has_ended: bool,
}

impl Drop for Committer {
    /// Nobody may go on trusting a committer that has panicked.
    fn drop(&mut self) {
        if !self.has_ended {
            fail_if_serving(&self.health, "the committer has panicked");
        }
    }
}

impl Committer {
    fn run(mut self) {
        while let Some(works) = self.gather() {
            if let Err(reason) = self.group(works) {
                self.fail(reason);
                return;
            }
        }
        // The last cursors; nobody waits for an answer any more.
        match self.group(Vec::new()) {
            Ok(()) => self.has_ended = true,
            Err(reason) => self.fail(reason),
        }
    }

    fn fail(&self, reason: String) {
        tracing::error!(error = reason, "the store has failed and acknowledges nothing more");
        self.health.send_replace(Health::Failed(reason));
    }

    /// Waits until there is something to do, and takes all of it that fits into a group. None at the end.
    fn gather(&mut self) -> Option<Vec<Work>> {
        let mut works = Vec::new();
        let mut bytes = 0;
        while works.is_empty() {
            let wait =
                self.save_at.map_or(CURSORS_INTERVAL, |at| at.saturating_duration_since(Instant::now()));
            match self.works.recv_timeout(wait) {
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
    fn group(&mut self, mut works: Vec<Work>) -> Result<(), String> {
        let started = Instant::now();
        self.save_at = None;
        if works.is_empty() && !self.log.has_moved() {
            return Ok(());
        }
        let size = works.len();
        let result = match self.write(&mut works) {
            Ok((verdicts, records)) => {
                self.log.append(records);
                works.into_iter().zip(verdicts).for_each(|(work, verdict)| self.answer(work, verdict));
                Ok(())
            }
            Err(GroupError::NotWritten { reason, retry_after }) => {
                tracing::error!(error = reason, size, "a group was not written");
                self.ends = Ends::default();
                metrics::counter!("store_busy_total").increment(size as u64);
                works.into_iter().for_each(|work| refuse(work, CommitError::Busy { retry_after }));
                Ok(())
            }
            Err(GroupError::Fatal(reason)) => {
                works.into_iter().for_each(|work| refuse(work, CommitError::Unknown(reason.clone())));
                Err(reason)
            }
        };
        metrics::gauge!("store_queue_depth").set(self.backlog.works.load(Ordering::Relaxed) as f64);
        if size > 0 {
            metrics::histogram!("store_commit_batch_size").record(size as f64);
            metrics::histogram!("store_commit_seconds").record(started.elapsed().as_secs_f64());
        }
        result
    }

    /// Writes one group; durable, and seen by all readers, when it returns `Ok`.
    fn write(&mut self, works: &mut [Work]) -> Result<(Vec<Verdict>, Records), GroupError> {
        let (verdicts, mut changes, records, numbers) = self.decide(works)?;

        // The cursors are saved as if the deliveries that end with a row had ended, which is so once this is durable.
        let ended: Vec<_> = works.iter().filter_map(Work::endings).collect();
        for (consumer, endings) in &ended {
            self.log.end(consumer, endings.iter().map(|ending| &ending.delivery));
        }
        let moves = self.log.save_cursors();
        for moved in &moves {
            changes.cursors.insert((moved.consumer.to_owned(), moved.outbox), moved.to);
        }
        if let Err(error) = self.append(changes) {
            self.log.unsave_cursors(&moves);
            for (consumer, endings) in &ended {
                self.log.resume(consumer, endings.iter().map(|ending| &ending.delivery));
            }
            return Err(error.into());
        }
        self.numbers = numbers;
        Ok((verdicts, records))
    }

    /// What becomes of each piece of work, and what that changes.
    fn decide(&mut self, works: &mut [Work]) -> rusqlite::Result<(Vec<Verdict>, Changes, Records, Numbers)> {
        let layers = self.overlay.read();
        // One look at the database for the whole group. The settler writes meanwhile, but nothing that is not in the
        // layers too.
        self.reading.prepare_cached("BEGIN")?.execute([])?;
        let mut group = Group {
            schema: &self.schema,
            layers: &layers,
            database: &self.reading,
            ends: &mut self.ends,
            now: self.sources.now(),
            numbers: self.numbers.clone(),
            changes: Changes::default(),
            records: Records::new(),
        };
        let verdicts: rusqlite::Result<_> = works.iter_mut().map(|work| apply(&mut group, work)).collect();
        let Group { changes, records, numbers, .. } = group;
        self.reading.prepare_cached("COMMIT")?.execute([])?;
        Ok((verdicts?, changes, records, numbers))
    }

    fn append(&mut self, changes: Changes) -> Result<(), AppendError> {
        if changes.is_empty() {
            return Ok(());
        }
        let syncing = Instant::now();
        let settled = *self.settled.borrow();
        let (number, bytes) = self.journal.append(settled, |frame| changes.encode(frame))?;
        metrics::histogram!("store_fsync_seconds").record(syncing.elapsed().as_secs_f64());
        if self.overlay.add(number, changes, bytes) >= WORTH_BYTES {
            match self.wake.try_send(()) {
                // It is awake already, or it has failed and the process is told to end.
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            }
        }
        Ok(())
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
