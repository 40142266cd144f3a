//! What the bank does where its disk fails: it says no or stops, with a line that says why, and what it has answered is
//! there once the disk is whole again.

use std::fs::File;
use std::os::unix::fs::FileExt;

use e2e::{Operation, Process, Setup, wait_until};
use rand::RngExt;

use crate::books::Books;
use crate::faulty_disk::{FOR_GOOD, Fault, FaultyDisk, Target};
use crate::traffic::{self, Customer, Pulse};
use crate::{Scratch, audit, luck, move_to, open_for_business};

/// How many requests are accepted before something fails.
const ANSWERS: usize = 30;
const PAGE_BYTES: u64 = 4_096;

/// Waits until some more requests have been accepted.
fn at_work(pulse: &Pulse) {
    let answers = pulse.answers() + ANSWERS;
    wait_until("the bank is at work", || (pulse.answers() >= answers).then_some(()));
}

/// The bank ends by itself, and without success; its last line says why.
fn must_stop(process: Process, setup: &Setup, why: &str) {
    let status = process.ended();
    assert!(!status.success(), "the bank ended with {status}");
    assert!(status.code().is_some(), "the bank was ended by a signal: {status}");
    let line = setup.last_line();
    assert!(line.starts_with("bank: ") && line.contains(why), "its last line was: {line}");
    println!("{line}");
}

/// Starts the bank again, and holds it to what it has answered.
fn hold_to(setup: &Setup, customers: &mut [Customer], books: &mut Books, requests: &[traffic::Request]) {
    let bank = setup.start();
    move_to(&bank.api, customers);
    books.settle(customers, requests);
    books.check_everything(customers);
    assert!(bank.terminate().success(), "{}", setup.last_line());
    audit(setup);
}

#[test]
fn a_disk_that_fails_stops_the_bank_and_nothing_that_was_answered_is_lost() {
    let (scratch, mut luck) = (Scratch::new(), luck());
    let mut setup = scratch.setup();
    let disk = FaultyDisk::under(&mut setup);
    let bank = setup.start();
    let (mut customers, mut books) = open_for_business(&bank.api, &mut luck);
    assert!(bank.terminate().success());
    for (fault, target, times) in [
        (Fault::Sync, Target::Journal, 1),
        (Fault::Sync, Target::Journal, FOR_GOOD),
        (Fault::Write, Target::Journal, 1),
        (Fault::Write, Target::Journal, FOR_GOOD),
        (Fault::Sync, Target::Log, 1),
        (Fault::Write, Target::Log, FOR_GOOD),
    ] {
        let bank = setup.start();
        move_to(&bank.api, &mut customers);
        let before = if matches!(target, Target::Log) { 0 } else { luck.random_range(0..20) };
        let requests = traffic::run(&customers, luck.random(), usize::MAX, |pulse| {
            at_work(pulse);
            disk.fail(fault, target, before, times);
            must_stop(bank.process(), &setup, "the store failed and the bank stopped: ");
        });
        assert!(disk.failures() > 0, "{fault:?} of {target:?}");
        disk.heal();
        // What a failed sync leaves in memory may never reach the disk.
        disk.cut_power(&mut luck).unwrap();
        hold_to(&setup, &mut customers, &mut books, &requests);
    }
}

#[test]
fn a_full_disk_refuses_what_would_be_written_until_there_is_room() {
    let (scratch, mut luck) = (Scratch::new(), luck());
    let mut setup = scratch.setup();
    let disk = FaultyDisk::under(&mut setup);
    let bank = setup.start();
    let (mut customers, mut books) = open_for_business(&bank.api, &mut luck);
    for fault in [Fault::NoRoom, Fault::LittleRoom] {
        let before = luck.random_range(0..20);
        let requests = traffic::run(&customers, luck.random(), usize::MAX, |pulse| {
            at_work(pulse);
            disk.fail(fault, Target::All, before, FOR_GOOD);
            wait_until("the disk is full", || (disk.failures() >= 20).then_some(()));
            let Customer { person, accounts } = &customers[0];
            person.get(format!("/balances/{}", accounts[0])).send().must_be(200);
            let deposit = Operation::Deposit { account_id: accounts[0].clone(), minor: 1 };
            let refused = person.ask(&deposit).send();
            assert_eq!(refused.problem(&[503])["code"], "BUSY");
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
            disk.heal();
            at_work(pulse);
        });
        // It was never stopped: the books must be right at once.
        books.settle(&customers, &requests);
    }
    assert!(bank.process().kill());
    hold_to(&setup, &mut customers, &mut books, &[]);
}

#[test]
fn a_file_that_may_not_grow_stops_the_bank_and_nothing_that_was_answered_is_lost() {
    let (scratch, mut luck) = (Scratch::new(), luck());
    let setup = scratch.setup();
    let bank = setup.start();
    let (mut customers, mut books) = open_for_business(&bank.api, &mut luck);
    assert!(bank.terminate().success());

    let bank = Setup { file_kib_max: Some(3 * 1_024), ..setup.clone() }.start();
    move_to(&bank.api, &mut customers);
    let requests = traffic::run(&customers, luck.random(), usize::MAX, |_| {
        must_stop(bank.process(), &setup, "the store failed and the bank stopped: ");
    });
    hold_to(&setup, &mut customers, &mut books, &requests);
}

#[test]
fn a_checkpoint_that_fails_loses_nothing() {
    let (scratch, mut luck) = (Scratch::new(), luck());
    let mut setup = scratch.setup();
    let disk = FaultyDisk::under(&mut setup);
    let bank = setup.start();
    let (mut customers, mut books) = open_for_business(&bank.api, &mut luck);
    assert!(bank.terminate().success());
    for fault in [Fault::Sync, Fault::Write, Fault::NoRoom, Fault::LittleRoom] {
        let bank = setup.start();
        move_to(&bank.api, &mut customers);
        let requests = traffic::run(&customers, luck.random(), usize::MAX, at_work);
        disk.fail(fault, Target::Database, 0, FOR_GOOD);
        let stopped = bank.terminate();
        assert!(stopped.success(), "{fault:?}: {stopped}: {}", setup.last_line());
        assert!(disk.failures() > 0, "{fault:?}: there was no checkpoint");
        assert!(setup.last_line().contains("the last checkpoint did not finish"), "{}", setup.last_line());
        disk.heal();
        hold_to(&setup, &mut customers, &mut books, &requests);
    }
}

#[test]
fn a_bank_that_can_not_write_does_not_start_and_says_so_in_a_line() {
    let (scratch, mut luck) = (Scratch::new(), luck());
    let mut setup = scratch.setup();
    let disk = FaultyDisk::under(&mut setup);
    let bank = setup.start();
    let (mut customers, mut books) = open_for_business(&bank.api, &mut luck);
    // The log is not empty, so that the next start has something to do.
    assert!(bank.process().kill());

    let data_dir = setup.data_dir.display().to_string();
    for (fault, why) in [
        (Fault::ReadOnly, "Read-only file system"),
        (Fault::NoRoom, ""),
        (Fault::Write, ""),
        (Fault::Sync, ""),
    ] {
        disk.fail(fault, Target::All, 0, FOR_GOOD);
        must_stop(setup.spawn(), &setup, &data_dir);
        assert!(setup.last_line().contains(why), "{fault:?}: {}", setup.last_line());
        assert!(disk.failures() > 0, "{fault:?}");
    }
    disk.heal();

    // A file where the directory would be.
    let taken = Setup { data_dir: setup.data_dir.with_file_name("taken"), ..setup.clone() };
    assert!(std::fs::write(&taken.data_dir, "").is_ok());
    must_stop(taken.spawn(), &taken, &taken.data_dir.display().to_string());
    hold_to(&setup, &mut customers, &mut books, &[]);
}

#[test]
fn a_damaged_page_is_told_in_a_line() {
    const PAGES_DAMAGED: usize = 6;
    let (scratch, mut luck) = (Scratch::new(), luck());
    let setup = scratch.setup();
    let bank = setup.start();
    let (mut customers, mut books) = open_for_business(&bank.api, &mut luck);
    let requests = traffic::run(&customers, luck.random(), usize::MAX, at_work);
    books.settle(&customers, &requests);
    assert!(bank.terminate().success());

    let path = setup.data_dir.join("bank.sqlite3");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let pages = file.metadata().unwrap().len() / PAGE_BYTES;
    let mut told = 0;
    for _ in 0..PAGES_DAMAGED {
        let start = luck.random_range(0..pages) * PAGE_BYTES;
        let (mut page, mut damage) = ([0; PAGE_BYTES as usize], [0; PAGE_BYTES as usize]);
        file.read_exact_at(&mut page, start).unwrap();
        luck.fill(&mut damage);
        file.write_all_at(&damage, start).unwrap();
        let audit = setup.audit();
        let said = String::from_utf8_lossy(&audit.stderr);
        let is_one_line = said.starts_with("bank: ") && said.lines().count() == 1;
        assert!(audit.status.success() || is_one_line, "{said}");
        match setup.spawn().listening_or_ended() {
            // Where nothing is kept there is nothing to damage.
            Ok(bank) => _ = bank.process().kill(),
            Err(_) => {
                let line = setup.last_line();
                assert!(line.starts_with("bank: ") && line.contains(" is corrupted: "), "{line}");
                println!("{line}");
                told += 1;
            }
        }
        file.write_all_at(&page, start).unwrap();
    }
    assert!(told > 0, "none of {PAGES_DAMAGED} damaged pages was noticed");
    hold_to(&setup, &mut customers, &mut books, &[]);
}
