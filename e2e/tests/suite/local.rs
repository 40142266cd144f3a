//! What only the bank in one process has. Leave these out against a deployment: `-E 'not test(local::)'`.

use e2e::{Api, Person};

#[test]
fn the_bank_says_that_it_is_alive_and_ready() {
    let api = Api::from_environment();
    for path in ["/healthz", "/readyz"] {
        api.get(path).send().must_be(200);
    }
}

#[test]
fn the_metrics_count_requests_and_name_nobody() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(100);
    let metrics = person.api.get("/metrics").send().must_be(200).body;
    for measure in
        ["http_requests_total", "http_request_seconds", "queue_depth", "commit_batch_size", "dead_letters"]
    {
        assert!(metrics.contains(measure), "{measure} is not measured");
    }
    for name in [person.email.as_str(), &person.user_id, &account_id, &person.access_token] {
        assert!(!metrics.contains(name), "the metrics name {name}");
    }
}
