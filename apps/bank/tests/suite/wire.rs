//! What arrives on a connection and is no proper request: written byte for byte, as no client of HTTP would.
//!
//! Behind every one a proper request is sent that asks for the connection to be closed. Whether it is answered tells
//! whether the bank took the bytes before it for as long as their sender meant: where one may doubt it, the bank closes
//! the connection, since what one takes for the end of a request another may take for the beginning of the next one
//! (RFC 9112, section 11.2). No answer is 5xx, and none is left out by waiting for ever.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::support::{Directory, Serving};

/// Longer than the bank waits for the headers or the body of a request.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many spoilt requests are sent, each on a connection of its own.
const SPOILT: usize = 500;

/// The proper request that is sent behind the others.
const LAST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: bank\r\nConnection: close\r\n\r\n";
/// What a proper request begins with, up to its last header.
const GET: &str = "GET /healthz HTTP/1.1\r\nHost: bank\r\n";
/// The same for one with a body.
const HEAD: &str = "POST /auth/forgot-password HTTP/1.1\r\nHost: bank\r\nContent-Type: application/json\r\n";
/// The body, of 25 bytes.
const BODY: &str = r#"{"email":"x@example.org"}"#;
/// The body in chunks.
const CHUNKS: &str = "19\r\n{\"email\":\"x@example.org\"}\r\n0\r\n\r\n";

fn serving(directory: &Directory) -> Serving {
    Serving::start(directory, &["--rate-limit", "off"])
}

fn connect(serving: &Serving) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(serving.address.trim_start_matches("http://"));
    let stream = stream.map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Sends the bytes, and gathers the statuses of all answers until the connection ends.
fn exchange(serving: &Serving, parts: &[&[u8]]) -> Result<Vec<u16>, String> {
    let mut stream = connect(serving)?;
    // The bank may close the connection before it has read all of it.
    let _closed = parts.iter().try_for_each(|part| stream.write_all(part));
    statuses(&mut stream)
}

/// The statuses of all answers until the connection ends.
fn statuses(stream: &mut TcpStream) -> Result<Vec<u16>, String> {
    let mut answers = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answers)
        && error.kind() != std::io::ErrorKind::ConnectionReset
    {
        return Err(format!("the connection was left open: {error}"));
    }
    let answers = String::from_utf8_lossy(&answers);
    // No body of an answer speaks of HTTP.
    let statuses = answers.split("HTTP/1.").skip(1).map(|answer| answer.get(2..5)?.parse().ok());
    statuses.collect::<Option<_>>().ok_or_else(|| format!("no answer of HTTP: {answers}"))
}

/// A proper request but for how it says where its body ends.
fn framed(framing: &str, body: &str) -> String {
    format!("{HEAD}{framing}\r\n\r\n{body}")
}

#[test]
fn a_request_ends_where_its_sender_says_or_the_connection_does() {
    let directory = Directory::new();
    let serving = serving(&directory);
    let long = "a".repeat(100_000);
    let remark = CHUNKS.replace("19", &format!("19;{long}"));
    let (length, chunked) = ("Content-Length: 25", "Transfer-Encoding: chunked");
    let cases: [(&str, String, &[u16]); 24] = [
        ("a length", framed(length, BODY), &[204, 204]),
        ("the same length twice", framed(&format!("{length}\r\n{length}"), BODY), &[204, 204]),
        ("two lengths", framed(&format!("{length}\r\nContent-Length: 3"), BODY), &[400]),
        ("a list of lengths", framed("Content-Length: 25, 25", BODY), &[400]),
        ("a length below zero", framed("Content-Length: -1", BODY), &[400]),
        ("a length with a sign", framed("Content-Length: +25", BODY), &[400]),
        ("a length to another base", framed("Content-Length: 0x19", BODY), &[400]),
        ("a length beyond all numbers", framed("Content-Length: 99999999999999999999", BODY), &[400]),
        ("a length beyond the limit", framed("Content-Length: 100000", &long), &[413]),
        ("a body where none is read", format!("{GET}Content-Length: 25\r\n\r\n{BODY}"), &[204, 204]),
        ("chunks", framed(chunked, CHUNKS), &[204, 204]),
        ("chunks and a trailer", framed(chunked, &CHUNKS.replace("0\r\n", "0\r\nX: y\r\n")), &[204, 204]),
        ("chunks and a length", framed(&format!("{chunked}\r\n{length}"), CHUNKS), &[204]),
        ("a length and chunks", framed(&format!("{length}\r\n{chunked}"), CHUNKS), &[204]),
        ("a chunk without a size", framed(chunked, "zz\r\n"), &[400]),
        ("a chunk below zero", framed(chunked, "-1\r\n"), &[400]),
        ("a chunk beyond all numbers", framed(chunked, "ffffffffffffffffff\r\n"), &[400]),
        ("a chunk that is longer than it says", framed(chunked, &CHUNKS.replace("19", "18")), &[400]),
        ("a chunk with a long remark", framed(chunked, &remark), &[400]),
        ("chunks beyond the limit", framed(chunked, &format!("186a0\r\n{long}\r\n0\r\n\r\n")), &[413]),
        ("another encoding", framed("Transfer-Encoding: xchunked", CHUNKS), &[400]),
        ("an encoding by another name", framed("Transfer-Encoding : chunked", CHUNKS), &[400]),
        ("an encoding after the chunks", framed("Transfer-Encoding: chunked, identity", CHUNKS), &[400]),
        ("chunks before there were any", framed(chunked, CHUNKS).replace("HTTP/1.1", "HTTP/1.0"), &[400]),
    ];
    for (what, sent, answers) in cases {
        assert_eq!(exchange(&serving, &[sent.as_bytes(), LAST]), Ok(answers.to_vec()), "{what}");
    }
}

#[test]
fn what_is_no_request_is_refused_and_what_is_an_odd_one_is_answered() {
    let directory = Directory::new();
    let serving = serving(&directory);
    let start = |line: &str| format!("{line}\r\nHost: bank\r\n\r\n").into_bytes();
    let header = |header: &str| format!("{GET}{header}\r\n\r\n").into_bytes();
    let token = b"GET /accounts HTTP/1.1\r\nHost: bank\r\nAuthorization: Bearer \xff\r\n\r\n";
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let cases: [(&str, Vec<u8>, &[u16]); 24] = [
        ("several at once", header("X: y").repeat(5), &[204, 204, 204, 204, 204, 204]),
        ("empty lines first", [b"\r\n\r\n", &*header("X: y")].concat(), &[204, 204]),
        ("the version before", start("GET /healthz HTTP/1.0"), &[204]),
        ("another version", start("GET /healthz HTTP/9.9"), &[400]),
        ("no version", start("GET /healthz"), &[400]),
        ("no host", b"GET /healthz HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        ("two hosts", header("Host: bank"), &[400]),
        ("a whole address", start("GET http://example.org/healthz HTTP/1.1"), &[204, 204]),
        ("a wish for HTTP/2", header("Connection: Upgrade\r\nUpgrade: h2c"), &[204, 204]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), &[400]),
        ("no path of this bank", start("GET /nowhere HTTP/1.1"), &[404, 204]),
        ("a path upwards", start("GET /docs/../../etc/passwd HTTP/1.1"), &[404, 204]),
        ("a path that is no text", start("GET /accounts/%ff%fe HTTP/1.1"), &[401, 204]),
        ("a path of bare bytes", b"GET /accounts/\xff\xfe HTTP/1.1\r\nHost: bank\r\n\r\n".to_vec(), &[400]),
        ("a path with an end in it", start("GET /health\0z HTTP/1.1"), &[400]),
        ("a long path", start(&format!("GET /{} HTTP/1.1", "a".repeat(70_000))), &[431]),
        ("a long method", start(&format!("{} /healthz HTTP/1.1", "A".repeat(5_000))), &[405, 204]),
        ("a long header", header(&format!("X: {}", "y".repeat(1_000_000))), &[431]),
        ("many headers", header(&many), &[431]),
        ("a header without a name", header("X"), &[400]),
        ("a header of two lines", header("X: y\r\n z"), &[400]),
        ("a header with an end in it", header("X: y\0z"), &[400]),
        ("a token that is no text", token.to_vec(), &[401, 204]),
        (
            "a body that was asked for",
            framed("Expect: 100-continue\r\nContent-Length: 25", BODY).into(),
            &[100, 204, 204],
        ),
    ];
    for (what, sent, answers) in cases {
        assert_eq!(exchange(&serving, &[&sent, LAST]), Ok(answers.to_vec()), "{what}");
    }
}

/// Nobody holds a connection by sending nothing, or next to nothing.
#[test]
fn what_does_not_come_is_not_waited_for_for_ever() {
    let directory = Directory::new();
    let serving = serving(&directory);
    let cases: [(&str, String, &[u16]); 5] = [
        ("half a head", GET.to_owned(), &[]),
        ("nothing after an answer", format!("{GET}\r\n"), &[204]),
        ("half a body", framed("Content-Length: 100", BODY), &[408]),
        ("half a chunk", framed("Transfer-Encoding: chunked", "ff\r\n{"), &[408]),
        ("a body that was asked for", framed("Expect: 100-continue\r\nContent-Length: 25", ""), &[100, 408]),
    ];
    std::thread::scope(|scope| {
        let waiting = cases.map(|(what, sent, answers)| {
            let serving = &serving;
            (what, answers, scope.spawn(move || exchange(serving, &[sent.as_bytes()])))
        });
        for (what, answers, waiting) in waiting {
            assert_eq!(waiting.join().unwrap(), Ok(answers.to_vec()), "{what}");
        }
    });
}

/// Requests as they should be, with bytes changed, left out, repeated or put in at random. Whatever that makes of them, each
/// is answered with no more than 4xx, and the bank still serves at the end.
#[test]
fn spoilt_requests_do_no_harm() {
    let directory = Directory::new();
    let serving = serving(&directory);
    let seed = rand::random();
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
    let sound = [framed("Content-Length: 25", BODY), framed("Transfer-Encoding: chunked", CHUNKS)].concat();
    for number in 0..SPOILT {
        let spoilt = spoil(sound.as_bytes(), &mut chance);
        let told = || format!("number {number} of seed {seed}: {:?}", String::from_utf8_lossy(&spoilt));
        let answers = abandoned(&serving, &spoilt).unwrap_or_else(|fault| panic!("{fault}, {}", told()));
        assert!(answers.iter().all(|status| *status < 500), "{answers:?}, {}", told());
    }
    assert_eq!(exchange(&serving, &[LAST]), Ok(vec![204]));
    assert!(!directory.log().contains("ERROR"), "{}", directory.log());
}

/// Sends the bytes and nothing behind them, so that the bank need not wait for more.
fn abandoned(serving: &Serving, bytes: &[u8]) -> Result<Vec<u16>, String> {
    let mut stream = connect(serving)?;
    let _closed = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    statuses(&mut stream)
}

fn spoil(sound: &[u8], chance: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..chance.random_range(1..=4) {
        let start = chance.random_range(0..bytes.len());
        let end = chance.random_range(start..bytes.len().min(start + 40)) + 1;
        match chance.random_range(0..4) {
            0 => bytes[start] = chance.random(),
            1 => drop(bytes.drain(start..end)),
            2 => bytes.extend_from_within(start..end),
            _ => {
                let copy = bytes[start..end].to_vec();
                let place = chance.random_range(0..bytes.len());
                drop(bytes.splice(place..place, copy));
            }
        }
        if bytes.is_empty() {
            bytes.push(b'\r');
        }
    }
    bytes
}
