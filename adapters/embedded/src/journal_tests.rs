use std::convert::Infallible;
use std::os::unix::fs::FileExt as _;

use super::*;
use crate::fixture::Directory;

impl Directory {
    fn bytes(&self, slot: usize) -> Vec<u8> {
        std::fs::read(path(&self.0, slot)).unwrap()
    }

    /// The groups that are read behind `settled`: their payloads, and the number of the last.
    fn read(&self, settled: u64) -> Result<(Vec<Vec<u8>>, u64), ReadError> {
        let mut payloads = Vec::new();
        let found = read(&self.0, settled, |_, payload| {
            payloads.push(payload.to_vec());
            Ok::<(), ReadError>(())
        })?;
        Ok((payloads, found.last))
    }

    /// The journal of a start, when the database has everything up to group `settled`.
    fn begin(&self, settled: u64) -> Journal {
        let found = read(&self.0, settled, |_, _| Ok::<(), ReadError>(())).unwrap();
        Journal::begin(&self.0, &found).unwrap()
    }

    /// Changes one byte of a file.
    fn damage(&self, slot: usize, offset: u64) {
        let file = File::options().read(true).write(true).open(path(&self.0, slot)).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[!byte[0]], offset).unwrap();
    }
}

impl Journal {
    fn add(&mut self, settled: u64, payload: &[u8]) -> Result<u64, AppendError> {
        let encode = |frame: &mut Vec<u8>| {
            frame.extend_from_slice(payload);
            Ok::<(), Infallible>(())
        };
        self.append(settled, encode).map(|(number, _)| number)
    }
}

/// So large that three fill a file.
fn third(byte: u8) -> Vec<u8> {
    vec![byte; usize::try_from(SLOT_BYTES / 3).unwrap() - HEADER_BYTES]
}

#[test]
fn groups_are_read_as_they_were_written_and_behind_what_is_settled() {
    let directory = Directory::new("journal-read");
    let mut journal = directory.begin(0);
    assert_eq!(directory.read(0).unwrap(), (Vec::new(), 0));
    for (number, payload) in [(1, &b"one"[..]), (2, b""), (3, b"three")] {
        assert_eq!(journal.add(0, payload).unwrap(), number);
    }
    assert_eq!(directory.read(0).unwrap(), (vec![b"one".to_vec(), vec![], b"three".to_vec()], 3));
    assert_eq!(directory.read(2).unwrap(), (vec![b"three".to_vec()], 3));
    assert_eq!(directory.read(3).unwrap(), (Vec::new(), 3));
    assert_eq!(directory.read(9).unwrap(), (Vec::new(), 9));
}

#[test]
fn a_file_has_its_size_from_the_start_and_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = Directory::new("journal-size");
    let mut journal = directory.begin(0);
    journal.add(0, b"one").unwrap();
    let metadata = std::fs::metadata(path(&directory.0, 0)).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (SLOT_BYTES, 0o600));
}

#[test]
fn what_was_cut_short_or_damaged_ends_the_journal() {
    let directory = Directory::new("journal-torn");
    let mut journal = directory.begin(0);
    journal.add(0, b"one").unwrap();
    journal.add(0, b"two").unwrap();
    // Of the second frame: its length, checksum, number, and payload.
    let second = (HEADER_BYTES + 3) as u64;
    for offset in [0, 4, 8, HEADER_BYTES as u64] {
        directory.damage(0, second + offset);
        assert_eq!(directory.read(0).unwrap(), (vec![b"one".to_vec()], 1), "{offset}");
        directory.damage(0, second + offset);
    }
    assert_eq!(directory.read(0).unwrap().1, 2);
}

#[test]
fn files_that_the_database_has_are_used_again() {
    let directory = Directory::new("journal-again");
    let mut journal = directory.begin(0);
    for byte in 1..=9 {
        journal.add(0, &third(byte)).unwrap();
    }
    assert_eq!(paths(&directory.0).unwrap().len(), 3);
    // Groups 1 to 3 are settled: their file is the next, and what is left in it counts no more.
    assert_eq!(journal.add(3, b"ten").unwrap(), 10);
    assert_eq!(paths(&directory.0).unwrap().len(), 3);
    let (payloads, last) = directory.read(3).unwrap();
    assert_eq!((payloads.len(), last), (7, 10));
    assert_eq!((payloads[0][0], &payloads[6][..]), (4, &b"ten"[..]));
    assert_eq!(run_of(&directory.bytes(0)), Some((10, 10)));
    // One who reads behind an older moment finds out that it is gone.
    assert!(matches!(directory.read(2), Err(ReadError::Gap { missing: 3, found: 4 })));
}

#[test]
fn what_is_left_in_a_file_that_is_used_again_counts_no_more() {
    let directory = Directory::new("journal-left");
    let mut journal = directory.begin(0);
    for byte in 1..=4 {
        journal.add(0, &third(byte)).unwrap();
    }
    for byte in 5..=7 {
        journal.add(3, &third(byte)).unwrap();
    }
    // Behind group 7, which is as long as group 1 was, group 2 begins, and is whole.
    assert_eq!(run_of(&directory.bytes(0)), Some((7, 7)));
    assert_eq!(directory.read(3).unwrap().1, 7);
}

#[test]
fn a_full_journal_takes_nothing_until_something_is_settled() {
    let directory = Directory::new("journal-full");
    let mut journal = directory.begin(0);
    let whole = vec![7; usize::try_from(SLOT_BYTES).unwrap() - HEADER_BYTES];
    for _ in 0..SLOTS_MAX {
        journal.add(0, &whole).unwrap();
    }
    assert!(matches!(journal.add(0, b"more"), Err(AppendError::Full)));
    assert_eq!(journal.add(1, b"more").unwrap(), SLOTS_MAX as u64 + 1);
    assert_eq!(directory.read(1).unwrap().1, SLOTS_MAX as u64 + 1);
}

#[test]
fn a_group_larger_than_a_file_has_one_for_itself() {
    let directory = Directory::new("journal-large");
    let mut journal = directory.begin(0);
    journal.add(0, b"small").unwrap();
    let large = vec![5; usize::try_from(SLOT_BYTES).unwrap() + 5];
    journal.add(0, &large).unwrap();
    journal.add(0, b"behind").unwrap();
    let (payloads, last) = directory.read(0).unwrap();
    assert_eq!((payloads.len(), last), (3, 3));
    assert_eq!(payloads[1], large);
    assert_eq!(paths(&directory.0).unwrap().len(), 3);
}

#[test]
fn a_file_is_filled_to_its_last_byte_before_the_next_is_made() {
    let directory = Directory::new("journal-filled");
    let mut journal = directory.begin(0);
    let half = vec![1; usize::try_from(SLOT_BYTES / 2).unwrap() - HEADER_BYTES];
    for files in [1, 1, 2, 2, 3] {
        journal.add(0, &half).unwrap();
        assert_eq!(paths(&directory.0).unwrap().len(), files);
    }
    // One that no file has room for does not leave an empty one behind.
    let directory = Directory::new("journal-overfilled");
    let mut journal = directory.begin(0);
    journal.add(0, &vec![5; usize::try_from(SLOT_BYTES).unwrap()]).unwrap();
    assert_eq!(paths(&directory.0).unwrap().len(), 1);
}

#[test]
fn only_a_full_disk_lets_the_journal_go_on() {
    for (kind, is_room) in [
        (io::ErrorKind::StorageFull, true),
        (io::ErrorKind::QuotaExceeded, true),
        (io::ErrorKind::FileTooLarge, false),
        (io::ErrorKind::Other, false),
    ] {
        let error = AppendError::of_write(kind.into());
        assert_eq!(matches!(error, AppendError::NoRoom(_)), is_room, "{kind}");
    }
}

#[test]
fn a_start_goes_on_with_the_files_that_are_there() {
    let directory = Directory::new("journal-start");
    let mut journal = directory.begin(0);
    for byte in 1..=5 {
        journal.add(0, &third(byte)).unwrap();
    }
    let mut journal = directory.begin(5);
    assert_eq!(journal.add(5, b"six").unwrap(), 6);
    assert_eq!(directory.read(5).unwrap(), (vec![b"six".to_vec()], 6));
    assert_eq!(paths(&directory.0).unwrap().len(), 2);
}

#[test]
fn a_start_leaves_alone_what_the_database_does_not_have() {
    let directory = Directory::new("journal-kept");
    let mut journal = directory.begin(0);
    for byte in 1..=5 {
        journal.add(0, &third(byte)).unwrap();
    }
    // Groups 1 to 3 fill the first file, and 4 and 5 are in the second.
    for (settled, number, files) in [(2, 6, 3), (2, 7, 4), (3, 8, 4), (3, 9, 5)] {
        let mut journal = directory.begin(settled);
        assert_eq!(journal.add(settled, &[9]).unwrap(), number);
        let (payloads, last) = directory.read(settled).unwrap();
        assert_eq!((payloads.len() as u64, last), (number - settled, number), "{settled}");
        assert_eq!(paths(&directory.0).unwrap().len(), files, "{number}");
    }
}

#[test]
fn a_start_writes_over_nothing_of_a_group_that_was_cut_short() {
    let directory = Directory::new("journal-behind-torn");
    let mut journal = directory.begin(0);
    journal.add(0, b"one").unwrap();
    journal.add(0, b"two").unwrap();
    directory.damage(0, (2 * HEADER_BYTES + 3) as u64);
    assert_eq!(directory.begin(0).add(0, b"another").unwrap(), 2);
    assert_eq!(directory.read(0).unwrap(), (vec![b"one".to_vec(), b"another".to_vec()], 2));
}
