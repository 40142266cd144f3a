//! Given what is stored, when this is asked, then that is the answer.

use super::*;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn digest(text: &str) -> Digest {
    Digest(text.to_owned())
}

fn email() -> Email {
    "ada@example.org".parse().unwrap()
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash(text.to_owned())
}

fn user(confirmation: Confirmation) -> User {
    User::new(UserId::new(Uuid::nil()), email(), hash("first"), confirmation, NOW)
}

#[test]
fn nothing_personal_or_secret_is_shown_by_debug() {
    let shown = format!("{:?} {:?}", user(Confirmation::AtOnce), digest("abcdef"));
    for secret in ["ada", "example", "first", "abcdef"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(format!("{:?} {:?}", hash("first"), digest("abcdef")), "PasswordHash(…) Digest(…)");
}

#[test]
fn digests_are_the_same_only_as_a_whole() {
    for (other, is_same) in
        [("abcdef", true), ("abcdee", false), ("bbcdef", false), ("abcde", false), ("", false)]
    {
        assert_eq!(digest("abcdef") == digest(other), is_same, "{other}");
    }
}

#[test]
fn an_address_is_confirmed_by_a_code_unless_no_letter_can_be_sent() {
    assert_eq!(user(Confirmation::ByCode).confirmed_at, None);
    assert_eq!(user(Confirmation::AtOnce).confirmed_at, Some(NOW));
    assert_eq!(user(Confirmation::ByCode).confirmed(NOW + MINUTE).confirmed_at, Some(NOW + MINUTE));
    assert_eq!(user(Confirmation::AtOnce).confirmed(NOW + MINUTE).confirmed_at, Some(NOW));
}

#[test]
fn a_new_password_confirms_the_address_and_begins_a_generation() {
    let changed = user(Confirmation::ByCode).with_new_password(hash("second"), NOW + MINUTE);
    assert_eq!(changed.password_hash, hash("second"));
    assert_eq!((changed.generation, changed.confirmed_at), (1, Some(NOW + MINUTE)));
}

#[test]
fn a_group_is_joined_once() {
    let operator = user(Confirmation::AtOnce).with_group(OPERATORS).with_group(OPERATORS);
    assert_eq!(operator.groups, [OPERATORS]);
}

#[test]
fn a_group_is_left() {
    let operator = user(Confirmation::AtOnce).with_group("tellers").with_group(OPERATORS);
    let teller = operator.without_group(OPERATORS).without_group(OPERATORS);
    assert_eq!(teller.groups, ["tellers"]);
}

#[test]
fn sign_in_is_judged() {
    let (confirmed, unconfirmed) = (user(Confirmation::AtOnce), user(Confirmation::ByCode));
    let (right, stale) = (hash("first"), hash("before"));
    let locked = Attempts { locked_until: Some(NOW + MINUTE), ..Attempts::failed(None, digest("ada"), NOW) };
    let too_many = Rejection::TooManyAttempts { retry_after: MINUTE };
    let table = [
        ("right", Some(&confirmed), PasswordCheck::Matches(&right), None, Ok(&confirmed)),
        ("wrong", Some(&confirmed), PasswordCheck::Differs, None, Err(Rejection::WrongCredentials)),
        ("unknown address", None, PasswordCheck::Differs, None, Err(Rejection::WrongCredentials)),
        (
            "changed meanwhile",
            Some(&confirmed),
            PasswordCheck::Matches(&stale),
            None,
            Err(Rejection::WrongCredentials),
        ),
        (
            "not confirmed",
            Some(&unconfirmed),
            PasswordCheck::Matches(&right),
            None,
            Err(Rejection::NotConfirmed),
        ),
        (
            "not confirmed, wrong",
            Some(&unconfirmed),
            PasswordCheck::Differs,
            None,
            Err(Rejection::WrongCredentials),
        ),
        (
            "locked, right",
            Some(&confirmed),
            PasswordCheck::Matches(&right),
            Some(&locked),
            Err(too_many.clone()),
        ),
        ("locked, unknown", None, PasswordCheck::Differs, Some(&locked), Err(too_many)),
    ];
    for (given, user, password, attempts, then) in table {
        assert_eq!(sign_in(user, password, attempts, NOW), then, "{given}");
    }
}

#[test]
fn ten_failures_in_a_quarter_of_an_hour_lock_for_a_growing_time() {
    let mut attempts: Option<Attempts> = None;
    let mut now = NOW;
    for (lock, minutes) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        for failure in 1..FAILURES_MAX {
            attempts = Some(Attempts::failed(attempts.as_ref(), digest("ada"), now));
            assert_eq!(may_try(attempts.as_ref(), now), Ok(()), "lock {lock}, failure {failure}");
        }
        attempts = Some(Attempts::failed(attempts.as_ref(), digest("ada"), now));
        let retry_after = MINUTE * minutes;
        assert_eq!(
            may_try(attempts.as_ref(), now),
            Err(Rejection::TooManyAttempts { retry_after }),
            "lock {lock}"
        );
        now = now + retry_after;
        assert_eq!(may_try(attempts.as_ref(), now), Ok(()), "after lock {lock}");
    }
}

#[test]
fn failures_are_counted_together_only_within_their_window() {
    let mut attempts = None;
    for _ in 1..FAILURES_MAX {
        attempts = Some(Attempts::failed(attempts.as_ref(), digest("ada"), NOW));
    }
    let later = NOW + FAILURES_WINDOW;
    let attempts = Attempts::failed(attempts.as_ref(), digest("ada"), later);
    assert_eq!((attempts.failures, attempts.locked_until), (1, None));
}

#[test]
fn locks_are_forgotten_after_a_day() {
    let held = Attempts { locks: 5, ..Attempts::failed(None, digest("ada"), NOW) };
    let attempts = Attempts::failed(Some(&held), digest("ada"), NOW + LOCKS_FORGOTTEN_AFTER);
    assert_eq!((attempts.locks, attempts.failures), (0, 1));
}

#[test]
fn locks_are_remembered_while_tries_go_on_failing() {
    let mut attempts = Attempts { locks: 5, ..Attempts::failed(None, digest("ada"), NOW) };
    for day in 1..=3 {
        let just_in_time = NOW + (LOCKS_FORGOTTEN_AFTER - Duration::from_millis(1)) * day;
        attempts = Attempts::failed(Some(&attempts), digest("ada"), just_in_time);
        assert_eq!((attempts.locks, attempts.failures), (5, 1), "after {day} days");
    }
}

#[test]
fn a_code_is_judged() {
    let code = Code::new(UserId::new(Uuid::nil()), Purpose::Reset, digest("right"), NOW);
    let tried = |tries| Code { tries, ..code.clone() };
    let table = [
        ("right", Some(code.clone()), "right", NOW, CodeVerdict::Right),
        ("right at the last try", Some(tried(4)), "right", NOW, CodeVerdict::Right),
        ("wrong", Some(code.clone()), "wrong", NOW, CodeVerdict::Wrong(tried(1))),
        ("wrong, cut", Some(code.clone()), "righ", NOW, CodeVerdict::Wrong(tried(1))),
        ("tried too often", Some(tried(CODE_TRIES_MAX)), "right", NOW, CodeVerdict::Void),
        ("expired", Some(code.clone()), "right", NOW + CODE_LIFETIME, CodeVerdict::Void),
        ("none", None, "right", NOW, CodeVerdict::Void),
    ];
    for (given, held, presented, now, then) in table {
        assert_eq!(present_code(held.as_ref(), &digest(presented), now), then, "{given}");
    }
}

#[test]
fn a_code_is_sent_once_a_minute() {
    let last = Code::new(UserId::new(Uuid::nil()), Purpose::Confirm, digest("right"), NOW);
    assert!(may_issue_code(None, NOW));
    assert!(!may_issue_code(Some(&last), NOW + CODE_PAUSE - Duration::from_millis(1)));
    assert!(may_issue_code(Some(&last), NOW + CODE_PAUSE));
}

#[test]
fn a_session_ends_after_thirty_days_however_often_it_is_refreshed() {
    let token = RefreshDigests { family: digest("family"), secret: digest("one") };
    let session = Session::new(&user(Confirmation::AtOnce), SessionId::new(Uuid::nil()), token, NOW);
    assert_eq!(session.rotated(digest("two")).expires_at, NOW + MINUTE * 60 * 24 * 30);
}

#[test]
fn a_refresh_is_judged() {
    let user = user(Confirmation::AtOnce);
    let token =
        |family: &str, secret: &str| RefreshDigests { family: digest(family), secret: digest(secret) };
    let first = Session::new(&user, SessionId::new(Uuid::nil()), token("family", "one"), NOW);
    let third = first.rotated(digest("two")).rotated(digest("three"));
    let reset = user.clone().with_new_password(hash("second"), NOW);
    let table = [
        ("the first token", &first, &user, token("family", "one"), NOW, Refresh::Rotate),
        ("the current token", &third, &user, token("family", "three"), NOW, Refresh::Rotate),
        ("the one before, at once", &third, &user, token("family", "two"), NOW, Refresh::End),
        ("the one before, later", &third, &user, token("family", "two"), NOW + MINUTE, Refresh::End),
        ("an older one", &third, &user, token("family", "one"), NOW, Refresh::End),
        ("a guess at the session", &third, &user, token("another", "three"), NOW, Refresh::Refuse),
        ("expired", &third, &user, token("family", "three"), NOW + SESSION_LIFETIME, Refresh::Refuse),
        ("after a new password", &third, &reset, token("family", "three"), NOW, Refresh::Refuse),
    ];
    for (given, session, user, presented, now, then) in table {
        assert_eq!(refresh(session, user, &presented, Judging::First, now), then, "{given}");
        let lost = if then == Refresh::End { Refresh::Refuse } else { then };
        assert_eq!(
            refresh(session, user, &presented, Judging::AfterRace, now),
            lost,
            "{given}, after a race"
        );
    }
}
