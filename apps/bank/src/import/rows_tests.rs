//! Rows as people and programs write them.

use std::io::Cursor;

use super::*;

fn read(text: impl Into<Vec<u8>>, format: ImportFormat) -> Result<Vec<Row>, Failure> {
    rows(Cursor::new(text.into()), "payments.csv", format)?.collect()
}

fn csv(text: &str) -> Vec<Row> {
    read(text, ImportFormat::Csv).unwrap()
}

fn lines(text: &str) -> Vec<Row> {
    read(text, ImportFormat::Ndjson).unwrap()
}

fn failure<T>(read: Result<T, Failure>) -> String {
    read.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn csv_is_read_by_the_names_of_its_columns() {
    let read =
        csv("\u{feff}amount, kind,account_id,to_account_id,from_account_id,description,idempotency_key\n\
         12.50,DEPOSIT,a,,,\"rent, and \"\"more\"\"\",order-1\r\n\
         0.1 ,TRANSFER,,c,b,,\n");
    let orders: Vec<&Order> = read.iter().map(|row| row.order.as_ref().unwrap()).collect();
    let text = |text: &str| Some(text.to_owned());
    let first = Order {
        kind: "DEPOSIT".to_owned(),
        idempotency_key: "order-1".to_owned(),
        account_id: text("a"),
        amount: "12.50".to_owned(),
        description: text("rent, and \"more\""),
        ..Order::default()
    };
    assert_eq!(orders[0], &first);
    assert_eq!((&orders[1].from_account_id, &orders[1].to_account_id), (&text("b"), &text("c")));
    assert_eq!((orders[1].amount.as_str(), &orders[1].account_id), ("0.1", &None));
    assert_eq!(read.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 3]);
    assert!(read[0].end < read[1].end);
}

#[test]
fn lines_are_read_by_their_digits() {
    let read = lines(
        "{\"kind\":\"DEPOSIT\",\"account_id\":\"a\",\"amount\":0.10,\"idempotency_key\":\"k\"}\n\n  \n\
         {\"kind\":\"WITHDRAW\",\"account_id\":\"a\",\"amount\":\"92233720368547758.070\",\"currency\":\"EUR\"}",
    );
    let amounts: Vec<&str> = read.iter().map(|row| row.order.as_ref().unwrap().amount.as_str()).collect();
    assert_eq!(amounts, ["0.10", "92233720368547758.070"]);
    assert_eq!(read.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn a_row_that_cannot_be_read_is_rejected_alone() {
    let long = "x".repeat(SENT_BYTES_MAX);
    for (format, text, bad) in [
        (ImportFormat::Csv, "kind,amount\nDEPOSIT,1\nDEPOSIT\nDEPOSIT,1,2\nDEPOSIT,2\n".to_owned(), vec![3, 4]),
        (ImportFormat::Csv, format!("kind,amount,description\nA,1,\nA,1,{long}\nA,2,\n"), vec![3]),
        (
            ImportFormat::Ndjson,
            "{\"kind\":\"A\",\"amount\":1}\n[\"A\"]\nnull\n{\n{\"kind\":\"A\",\"amount\":1,\"x\":1}\n\
             {\"kind\":\"A\",\"amount\":1,\"amount\":2}\n{\"kind\":\"A\",\"amount\":true}\n{\"kind\":\"A\",\"amount\":1}\n"
                .to_owned(),
            vec![2, 3, 4, 5, 6, 7],
        ),
    ] {
        let read = read(text.as_str(), format).unwrap();
        let rejected: Vec<u64> = read.iter().filter(|row| row.order.is_err()).map(|row| row.number).collect();
        assert_eq!(rejected, bad, "{text}");
        assert!(read.last().unwrap().order.is_ok());
    }
    let latin = read(b"kind,amount\nA,1\nA\xe4,1\nA,2\n".to_vec(), ImportFormat::Csv).unwrap();
    assert_eq!(latin.iter().map(|row| row.order.is_ok()).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn a_row_of_names_that_means_nothing_ends_it() {
    for (text, said) in [
        ("kind,amount,colour\n", "the column \"colour\" is not known"),
        ("kind,kind,amount\n", "there are two columns \"kind\""),
        ("kind,account_id\n", "there is no column \"amount\""),
        ("", "there is no column \"kind\""),
    ] {
        let failure = failure(read(text, ImportFormat::Csv));
        assert!(failure.starts_with(said), "{text}: {failure}");
    }
}

#[test]
fn a_row_without_an_end_is_not_read_to_it() {
    let endless = "x".repeat(1 << 20);
    for (format, text) in [
        (ImportFormat::Csv, format!("kind,amount\nA,1\nA,\"{endless}")),
        (ImportFormat::Ndjson, format!("{{\"kind\":\"A\",\"amount\":1}}\n{endless}")),
    ] {
        let failure = failure(read(text, format));
        assert!(failure.ends_with("it is longer than 65536 bytes"), "{failure}");
    }
}

#[test]
fn the_same_file_means_the_same_keys() {
    let keys = |read: &[Row]| -> Vec<String> {
        read.iter().map(|row| row.order.as_ref().unwrap().idempotency_key.clone()).collect()
    };
    let text = "kind,amount\nA,1\nA,1\nA,2\n";
    let first = keys(&csv(text));
    assert_eq!(keys(&csv(text)), first);
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 3, "two rows that say the same are two");
    assert!(first.iter().all(|key| key.len() == "import-".len() + 32), "{first:?}");
    // Rows at the end leave the keys of those before; one that says something else has another.
    assert_eq!(keys(&csv("kind,amount\nA,1\nA,1\nA,2\nA,3\n"))[..3], first);
    let corrected = keys(&csv("kind,amount\nA,1\nA,7\nA,2\n"));
    assert_eq!(
        (corrected[0] == first[0], corrected[1] == first[1], corrected[2] == first[2]),
        (true, false, true)
    );
    let renamed = rows(Cursor::new(text), "salaries.csv", ImportFormat::Csv).unwrap();
    let renamed: Vec<Row> = renamed.map(Result::unwrap).collect();
    assert!(keys(&renamed).iter().all(|key| !first.contains(key)));
}

#[test]
fn a_batch_is_full_or_ends_before_a_key_comes_again() {
    let text = "kind,amount,idempotency_key\nA,1,a\nA,1,b\nA,1,c\nA,1,d\nA,1,d\nA\nA,1,e\nA,1,e\n";
    let sizes = |rows_max| -> Vec<usize> {
        let rows = rows(Cursor::new(text), "payments.csv", ImportFormat::Csv).unwrap();
        batches(rows, rows_max).map(|batch| batch.unwrap().len()).collect()
    };
    assert_eq!(sizes(3), [3, 1, 3, 1]);
    assert_eq!(sizes(500), [4, 3, 1]);
}

#[test]
fn what_was_read_before_a_fault_is_asked_for_first() {
    let text = format!("kind,amount\nA,1\nA,2\nA,\"{}", "x".repeat(1 << 20));
    let rows = rows(Cursor::new(text), "payments.csv", ImportFormat::Csv).unwrap();
    let batches: Vec<_> = batches(rows, 500).collect();
    assert_eq!(batches.len(), 2);
    assert!(batches[0].as_ref().is_ok_and(|batch| batch.len() == 2) && batches[1].is_err());
}
