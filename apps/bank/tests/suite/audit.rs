//! `audit` and `rebuild`: books that are right, and books that somebody altered.

use rusqlite::Connection;

use crate::support::{Directory, Serving, counted};

/// The demo's books: six accounts, 32 entries of which six have two links, two refusals, of a withdrawal and of a closing.
#[test]
fn good_books_are_right_with_the_bank_running_and_stopped() {
    let directory = Directory::new();
    let serving = Serving::start(&directory, &["--demo"]);
    let running = directory.run(&["audit"]);
    serving.stop();
    for audit in [running, directory.run(&["audit"])] {
        let stdout = audit.success();
        for (what, count) in [
            ("accounts", 6),
            ("entries", 32),
            ("links", 38),
            ("refusals", 2),
            ("transactions", 39),
            ("balances", 6),
            ("operations", 33),
            ("not yet shown", 0),
            ("dead letters", 1),
        ] {
            assert_eq!(counted(stdout, what), count, "{what}");
        }
        for currency in ["EUR", "JPY", "USD"] {
            assert!(stdout.contains(&format!("sum of {currency}    0 = customers ")), "{stdout}");
        }
        assert_eq!(stdout.lines().last(), Some("The books are right."));
    }
}

#[test]
fn whatever_is_altered_is_found_and_named() {
    let newest = "(SELECT max(partition) FROM ledger WHERE sort = 'verdict')";
    let richest = "(SELECT partition FROM ledger WHERE sort = 'head' ORDER BY body ->> '$.balance.amount' DESC LIMIT 1)";
    let table = [
        ("an entry's description", format!(
            "UPDATE ledger SET body = json_set(body, '$.verdict.POSTED.description', 'nothing') WHERE partition = {newest}"
        ), "was altered: its hash differs"),
        ("an entry's time", format!(
            "UPDATE ledger SET body = json_set(body, '$.verdict.POSTED.occurred_at', '2026-01-01T00:00:00.000Z') WHERE partition = {newest}"
        ), "was altered: its hash differs"),
        ("a missing entry", format!("DELETE FROM ledger WHERE partition = {newest}"), "but its journal gives"),
        ("a missing head", format!("DELETE FROM ledger WHERE partition = {richest}"), "has entries but no head"),
        ("a balance of the ledger", format!(
            "UPDATE ledger SET body = json_set(body, '$.balance.amount', '1000000.00') WHERE partition = {richest} AND body ->> '$.balance.currency' <> 'JPY'"
        ), "holds 1000000.00"),
        ("a row of history", "UPDATE transactions SET body = json_set(body, '$.transaction.description', 'nothing') WHERE sort = (SELECT min(sort) FROM transactions)".to_owned(), "otherwise than the ledger"),
        ("a missing row of history", "DELETE FROM transactions WHERE sort = (SELECT min(sort) FROM transactions)".to_owned(), "lacks operation"),
        ("a balance shown", "UPDATE balances SET body = json_set(body, '$.balance.amount', '7') WHERE body ->> '$.balance.currency' = 'JPY'".to_owned(), "is shown as 7 JPY"),
        ("an old balance shown", "DELETE FROM balances WHERE body ->> '$.balance.currency' = 'JPY'".to_owned(), "is shown after 0 of"),
        ("an operation's end", "UPDATE operations SET body = json_set(body, '$.status.FAILED.reason', 'ACCOUNT_CLOSED') WHERE body ->> '$.status.FAILED.reason' IS NOT NULL".to_owned(), "ended otherwise than the ledger said"),
        ("an operation that did not end", "UPDATE operations SET body = json_set(body, '$.status', 'PENDING') WHERE sort = (SELECT max(sort) FROM operations)".to_owned(), "has not ended"),
        ("a missing operation", "DELETE FROM operations WHERE sort = (SELECT max(sort) FROM operations)".to_owned(), "which nobody asked for"),
    ];
    let directory = Directory::with_demo();
    let database = directory.data().join("bank.sqlite3");
    let sound = std::fs::read(&database).unwrap();
    for (what, sql, finding) in table {
        assert_eq!(directory.tamper(&sql), 1, "{what}");
        let audit = directory.run(&["audit"]);
        assert!(audit.failure().starts_with("the books are wrong: "), "{what}: {audit:?}");
        let named = audit.stdout.lines().any(|line| line.starts_with("WRONG: ") && line.contains(finding));
        assert!(named, "{what}: {audit:?}");
        for leftover in ["bank.sqlite3-wal", "bank.sqlite3-shm"] {
            let _ = std::fs::remove_file(directory.data().join(leftover));
        }
        std::fs::write(&database, &sound).unwrap();
    }
    assert!(directory.run(&["audit"]).success().ends_with("The books are right.\n"));
}

#[test]
fn an_item_that_cannot_be_read_is_named() {
    let directory = Directory::with_demo();
    let altered = directory
        .tamper("UPDATE ledger SET body = '{}' WHERE partition = (SELECT max(partition) FROM ledger)");
    assert_eq!(altered, 1);
    let audit = directory.run(&["audit"]);
    assert!(
        audit.failure().contains("ledger operation#") && audit.failure().contains("is unreadable"),
        "{audit:?}"
    );
}

#[test]
fn projections_are_built_anew() {
    let directory = Directory::with_demo();
    let shown = |directory: &Directory| -> Vec<(String, String)> {
        let connection = Connection::open(directory.data().join("bank.sqlite3")).unwrap();
        let sql = "SELECT partition || sort, body -> '$.transaction' FROM transactions UNION ALL \
                   SELECT partition, body FROM balances UNION ALL \
                   SELECT sort, body FROM query_accounts_projection ORDER BY 1";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let before = shown(&directory);
    directory.tamper("DELETE FROM transactions WHERE sort > (SELECT min(sort) FROM transactions)");
    directory.tamper("UPDATE balances SET body = json_set(body, '$.balance.amount', '7.00')");
    directory.tamper("DELETE FROM query_accounts_projection");
    directory.run(&["audit"]).failure();
    for _ in 0..2 {
        let said = directory.run(&["rebuild"]);
        assert!(said.success().contains("7 events of accounts and 35 verdicts"), "{said:?}");
        assert_eq!(shown(&directory), before);
        directory.run(&["audit"]).success();
    }
}
