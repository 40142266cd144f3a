//! What the process leaves behind for others on the machine: files that only their owner may read, and a log that tells
//! no secret however much is logged.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::mail_server::{MAIL_PASSWORD, MailServer, Mode};
use crate::support::{Directory, PASSWORD, Serving, until};

const EMAIL: &str = "grace.hopper@example.com";
const WRONG_PASSWORD: &str = "a password that was guessed";
const NEW_PASSWORD: &str = "one person and a year";

/// Every file and folder under a path.
#[cfg(unix)]
fn everything_under(path: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything_under(&path, found);
        }
        found.push(path);
    }
}

/// The umask is that of the shell that begins the bank; whatever the bank makes later is made under it too.
#[cfg(unix)]
#[test]
fn what_a_loose_umask_would_show_is_still_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let serving = Serving::start_after(&directory, "umask 000");
    let (status, _) = serving.post("/auth/sign-up", &json!({"email": EMAIL, "password": PASSWORD}));
    assert_eq!(status, 201);
    let mut found = vec![directory.data()];
    everything_under(&directory.data(), &mut found);
    assert!(
        found.len() >= 7,
        "the directory, its lock, three files of the store, the keys and one key: {found:?}"
    );
    for path in found {
        let metadata = fs::metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o777;
        assert_eq!(mode, if metadata.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
}

#[test]
fn the_log_tells_no_secret_and_no_address_however_much_is_logged() {
    let (directory, mail) = (Directory::new(), MailServer::start(Mode::Accept));
    let serving = Serving::start_with(
        &directory,
        &["--mail-from", "The Bank <bank@example.org>", "--log", "trace"],
        &[("BANK_SMTP_URL", &mail.url())],
    );
    let mut secrets =
        vec![EMAIL.to_owned(), PASSWORD.to_owned(), WRONG_PASSWORD.to_owned(), NEW_PASSWORD.to_owned()];
    secrets.push(MAIL_PASSWORD.to_owned());
    let mut post = |path: &str, body: serde_json::Value| {
        let (status, answer) = serving.post(path, &body);
        for token in ["access_token", "refresh_token"] {
            secrets.extend(answer[token].as_str().map(str::to_owned));
        }
        (status, answer)
    };
    let (status, signed_up) = post("/auth/sign-up", json!({"email": EMAIL, "password": PASSWORD}));
    assert_eq!(status, 201);
    let code = mail.letter(1).code().to_owned();
    assert_eq!(post("/auth/confirm", json!({"email": EMAIL, "code": code})).0, 204);
    assert_eq!(post("/auth/sign-in", json!({"email": EMAIL, "password": WRONG_PASSWORD})).0, 401);
    assert_eq!(post("/auth/sign-in", json!({"email": EMAIL, "password": 17, "pin": WRONG_PASSWORD})).0, 422);
    let (status, signed_in) = post("/auth/sign-in", json!({"email": EMAIL, "password": PASSWORD}));
    assert_eq!(status, 200);
    let (status, refreshed) = post("/auth/refresh", json!({"refresh_token": signed_in["refresh_token"]}));
    assert_eq!(status, 200);
    assert_eq!(post("/auth/refresh", json!({"refresh_token": signed_in["refresh_token"]})).0, 401);
    assert_eq!(post("/auth/forgot-password", json!({"email": EMAIL})).0, 204);
    let reset_code = mail.letter(2).code().to_owned();
    let reset = json!({"email": EMAIL, "code": reset_code, "new_password": NEW_PASSWORD});
    assert_eq!(post("/auth/reset-password", reset).0, 204);
    let token = refreshed["access_token"].as_str().unwrap();
    assert_eq!(serving.get(token, "/accounts").0, 200);
    assert_eq!(serving.get(&format!("{token}x"), "/accounts").0, 401);
    secrets.extend([code, reset_code]);

    let log = until("the last line", || {
        Some(directory.log())
            .filter(|log| log.lines().any(|line| line.contains("/accounts") && line.contains("401")))
    });
    // Whoever looks into what was done in her name finds it by her id.
    let user_id = signed_up["user_id"].as_str().unwrap();
    for deed in [
        "signed up",
        "confirmed her address",
        "a sign-in failed",
        "signed in",
        "a refresh token was used again",
        "set a new password",
    ] {
        assert!(
            log.lines().any(|line| line.contains(deed) && line.contains(user_id)),
            "{deed:?} is not in the log"
        );
    }
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{secret:?} is in the log: {line:?}");
    }
}
