//! `bank import`: what becomes of a file's rows at a bank that serves, and at one that is made up and has moods.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Directory, PASSWORD, Ran, Serving, bank, until};

const ADA: &str = "ada@example.com";

/// A bank, and a customer of it with an account.
struct Customer {
    directory: Directory,
    serving: Serving,
    token: String,
    account_id: String,
}

impl Customer {
    fn new() -> Self {
        let directory = Directory::new();
        let serving = Serving::start(&directory, &[]);
        let (status, answer) = serving.post("/auth/sign-up", &json!({"email": ADA, "password": PASSWORD}));
        assert_eq!(status, 201, "{answer}");
        let token = serving.sign_in(ADA);
        let opened = serving.post_as(&token, "/accounts", &json!({"name": "current", "currency": "EUR"}));
        let account_id = opened.1["account_id"].as_str().unwrap().to_owned();
        Self { directory, serving, token, account_id }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.data().with_file_name(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn deposits(&self, count: usize) -> String {
        let row = format!("DEPOSIT,{},0.01\n", self.account_id);
        format!("kind,account_id,amount\n{}", row.repeat(count))
    }

    fn import(&self) -> Command {
        import_at(&self.serving.address)
    }

    /// Waits until the account has had so many entries, and answers what it holds.
    fn balance_at(&self, version: u64) -> String {
        until("the operations end", || {
            let path = format!("/balances/{}?min_version={version}", self.account_id);
            let (status, balance) = self.serving.get(&self.token, &path);
            (status == 200 && balance["version"] == version)
                .then(|| balance["balance"].as_str().unwrap().to_owned())
        })
    }
}

fn import_at(address: &str) -> Command {
    let mut command = bank();
    command.args(["import", "--email", ADA, "--api-url", address]).env("BANK_PASSWORD", PASSWORD);
    command
}

fn ran(command: &mut Command) -> Ran {
    Ran::new(&command.output().unwrap())
}

#[test]
fn rows_are_accepted_or_rejected_with_the_reason_and_once() {
    let customer = Customer::new();
    let id = &customer.account_id;
    let file = customer.file(
        "payments.csv",
        &format!(
            "kind,idempotency_key,account_id,from_account_id,to_account_id,amount,currency,description\n\
             DEPOSIT,order-1,{id},,,12.50,EUR,\"salary, net\"\n\
             DEPOSIT,,{id},,,0.001,,\n\
             GIFT,,{id},,,1,,\n\
             DEPOSIT,,{id},,,7\n\
             DEPOSIT,,{id},,,7,,\n\
             TRANSFER,,,{id},nobody,1,,\n\
             DEPOSIT,order-1,{id},,,99,,\n"
        ),
    );
    let rejected = file.with_extension("rejected.csv");
    for said in ["2 accepted, 0 accepted before", "0 accepted, 2 accepted before"] {
        // A key that comes twice is in two batches, and only one at a time keeps their order.
        let ran = ran(customer.import().args(["--in-flight", "1"]).arg(&file));
        assert!(ran.failure().starts_with("5 of 7 rows were rejected: see "), "{ran:?}");
        assert!(ran.stdout.contains(said), "{ran:?}");
        let report = fs::read_to_string(&rejected).unwrap();
        let fields = report.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let rows: Vec<(&str, &str)> = fields.map(|fields| (fields[0], fields[1])).collect();
        assert_eq!(
            rows,
            [
                ("row", "code"),
                ("3", "INVALID_AMOUNT"),
                ("4", "INVALID_BODY"),
                ("5", "UNREADABLE_ROW"),
                ("7", "NOT_FOUND"),
                ("8", "IDEMPOTENCY_KEY_REUSED"),
            ],
            "{report}"
        );
        assert!(report.contains("kind: must be"), "{report}");
    }
    assert_eq!(customer.balance_at(2), "19.50");

    // Rejected rows that were put right are imported, and nothing else is.
    let good = fs::read_to_string(&file).unwrap().lines().take(2).collect::<Vec<_>>().join("\n");
    fs::write(&file, format!("{good}\nDEPOSIT,,{id},,,0.50,,\n")).unwrap();
    let imported = ran(customer.import().arg(&file));
    assert_eq!(imported.success(), "2 rows: 1 accepted, 1 accepted before, 0 rejected\n");
    assert!(!rejected.exists(), "what was rejected before is not any more");
    assert_eq!(customer.balance_at(3), "20.00");
}

#[test]
fn lines_come_from_standard_input_too() {
    let customer = Customer::new();
    let id = &customer.account_id;
    let mut command = customer.import();
    command.args(["-", "--format", "ndjson", "--rejected"]).arg(customer.file("rejected.csv", ""));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    for amount in ["0.10", "\"0.20\"", "3e0"] {
        let line = format!("{{\"kind\":\"DEPOSIT\",\"account_id\":\"{id}\",\"amount\":{amount}}}\n");
        child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }
    drop(child.stdin.take());
    let ran = Ran::new(&child.wait_with_output().unwrap());
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(1), "3 rows: 2 accepted, 0 accepted before, 1 rejected\n")
    );
    assert_eq!(customer.balance_at(2), "0.30");
}

#[test]
fn an_import_that_is_killed_goes_on_and_doubles_nothing() {
    const ROWS: usize = 3_000;
    let customer = Customer::new();
    let file = customer.file("many.csv", &customer.deposits(ROWS));
    let import = || {
        let mut command = customer.import();
        command.arg(&file).args(["--batch", "40"]).stdout(Stdio::piped());
        command
    };
    for _ in 0..3 {
        let mut child = import().spawn().unwrap();
        let seen = customer.serving.get(&customer.token, "/operations?limit=1").1["items"][0].clone();
        until("more is imported", || {
            let now = customer.serving.get(&customer.token, "/operations?limit=1").1["items"][0].clone();
            (now != seen || child.try_wait().unwrap().is_some()).then_some(())
        });
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = ran(&mut import());
    let counts: Vec<usize> = last.success().split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!((counts[0], counts[1] + counts[2], counts[3]), (ROWS, ROWS, 0), "{last:?}");
    assert!(counts[2] > 0, "something had been imported before: {last:?}");
    assert_eq!(customer.balance_at(ROWS as u64), "30.00");
}

#[test]
fn what_cannot_be_imported_at_all_is_told_in_a_line() {
    let customer = Customer::new();
    let good = customer.file("good.csv", &customer.deposits(1));
    let wrong = customer.file("wrong.csv", "kind,account,amount\n");
    let unnamed = customer.file("rows", "kind,amount\n");
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    for (arguments, said) in [
        (vec![path(&wrong)], "the column \"account\" is not known"),
        (vec![path(&unnamed)], "Say --format csv or --format ndjson"),
        (vec![path(&good.with_file_name("absent.csv"))], "absent.csv cannot be read"),
        (vec![path(&good), "--rejected".to_owned(), path(&good)], "would be written over"),
        (
            vec![path(&good), "--email".to_owned(), "eve@example.com".to_owned()],
            "eve@example.com cannot sign in",
        ),
        (vec![path(&good), "--api-url".to_owned(), "http://127.0.0.1:1".to_owned()], "cannot be asked"),
        (vec![path(&good), "--api-url".to_owned(), "nowhere".to_owned()], "nowhere"),
    ] {
        let mut command = bank();
        command.env("BANK_PASSWORD", PASSWORD).env("BANK_EMAIL", ADA);
        command.env("BANK_API_URL", &customer.serving.address).arg("import").args(&arguments);
        let ran = ran(&mut command);
        assert!(ran.failure().contains(said), "{arguments:?}: {ran:?}");
    }
    assert!(good.exists());
}

/// What a bank with moods answers to each request after the first, which is a sign-in: a status, a header, a body.
type Moods = Vec<(u16, &'static str, Value)>;

/// Answers requests by the script, and then as a bank does; it notes what it was asked.
fn moody(moods: Moods) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    thread::spawn(move || {
        let mut moods = moods.into_iter();
        for stream in listener.incoming().map_while(Result::ok) {
            let Some((path, body)) = request(&stream) else { continue };
            noted.lock().unwrap().push(path.clone());
            let (status, header, body) = match path.as_str() {
                "/auth/sign-in" => (200, "x-mood: good", json!({"access_token": "token"})),
                _ => moods.next().unwrap_or_else(|| (200, "x-mood: good", results(&body, |_| 200))),
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} Mood\r\n{header}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = (&stream).write_all((head + &body).as_bytes());
        }
    });
    (address, asked)
}

/// The path and the body of a request.
fn request(stream: &TcpStream) -> Option<(String, Value)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut length = 0;
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, serde_json::from_slice(&body).ok()?))
}

/// A result for each operation that was asked for, with a status by its place.
fn results(asked: &Value, status: impl Fn(usize) -> u16) -> Value {
    let operations = asked["operations"].as_array().unwrap().iter().enumerate();
    let result = |(index, operation): (usize, &Value)| match status(index) {
        200 => json!({"idempotency_key": operation["idempotency_key"], "status": 200, "replayed": false}),
        status => json!({"idempotency_key": operation["idempotency_key"], "status": status,
            "problem": {"code": "BUSY", "detail": "Later."}}),
    };
    json!({"results": operations.map(result).collect::<Vec<_>>()})
}

#[test]
fn what_the_bank_cannot_do_now_is_asked_for_again() {
    let problem = |code: &str| json!({"code": code, "detail": "Not now."});
    let keyed = |keys: &[&str]| {
        let operations: Vec<Value> = keys.iter().map(|key| json!({"idempotency_key": key})).collect();
        json!({"operations": operations})
    };
    let (address, asked) = moody(vec![
        (503, "retry-after: 1", problem("BUSY")),
        (429, "retry-after: 1", problem("RATE_LIMITED")),
        (401, "x-mood: bad", problem("INVALID_TOKEN")),
        // The first is done, the second is asked for again by itself.
        (200, "x-mood: mixed", results(&keyed(&["a", "b"]), |index| if index == 0 { 200 } else { 503 })),
    ]);
    let directory = Directory::new();
    let file = directory.data().with_file_name("two.csv");
    fs::write(&file, "kind,amount,idempotency_key\nDEPOSIT,1,a\nDEPOSIT,1,b\n").unwrap();
    let ran = ran(import_at(&address).arg(&file));
    assert_eq!(ran.success(), "2 rows: 2 accepted, 0 accepted before, 0 rejected\n");
    let asked = asked.lock().unwrap();
    let batches = asked.iter().filter(|path| *path == "/batches").count();
    assert_eq!((batches, asked.len() - batches), (5, 2), "{asked:?}");
}

#[test]
fn what_the_bank_does_not_take_at_all_ends_the_import() {
    for (mood, said) in [
        (
            (404, "x-mood: none", json!({"code": "NOT_FOUND", "detail": "There is no such resource."})),
            "There is no such resource.",
        ),
        ((200, "x-mood: odd", json!({"results": []})), "not one to what it was asked for"),
        ((200, "x-mood: odd", json!({"result": []})), "the bank's answer cannot be read"),
    ] {
        let (address, _) = moody(vec![mood]);
        let directory = Directory::new();
        let file = directory.data().with_file_name("one.ndjson");
        fs::write(&file, "{\"kind\":\"DEPOSIT\",\"amount\":1}\n").unwrap();
        let ran = ran(import_at(&address).arg(&file));
        assert!(ran.failure().contains(said) && ran.failure().contains("run it again"), "{ran:?}");
    }
}
