//! A request with a key has its effect once.

use std::time::Duration;

use ports::{Store, Transaction};
use runtime::{Answered, Caller, Decision, InFlight, Once, OnceRefused, Refusal, decide_and_commit};

use crate::{NOTES, Note, World, world};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Outcome = Result<Answered<String>, Refusal<String>>;

impl World {
    /// A service whose effect is a note, and whose answer is the note's name.
    async fn ask(&self, caller: &Caller, route: &str, request: &str) -> Outcome {
        let attempt = async || {
            let looked =
                Once::look::<_, Refusal<String>>(&self.store, NOTES, caller, (route, &request), self.now())
                    .await?;
            let ticket = match looked {
                Once::Replay(answered) => return Ok(Decision::Nothing(answered)),
                Once::New(ticket) => ticket,
            };
            let note = Note::new(format!("{request} {}", self.sources.fresh_id()));
            let mut transaction = Transaction::new(self.sources.fresh_id());
            transaction.create(&note)?;
            ticket.keep(&mut transaction, &note.name)?;
            Ok(Decision::Commit(transaction, Answered { answer: note.name, is_replay: false }))
        };
        decide_and_commit(&self.store, attempt).await
    }

    /// Asks for what is new, and answers what was answered.
    async fn ask_new(&self, caller: &Caller, request: &str) -> String {
        let Answered { answer, is_replay } = self.ask(caller, "notes", request).await.unwrap();
        assert!(!is_replay, "{request}");
        answer
    }

    async fn ask_again(&self, caller: &Caller, request: &str) -> String {
        let Answered { answer, is_replay } = self.ask(caller, "notes", request).await.unwrap();
        assert!(is_replay, "{request}");
        answer
    }
}

fn is_key_reused(outcome: &Outcome) -> bool {
    matches!(outcome, Err(Refusal::Once(OnceRefused::KeyReused)))
}

#[tokio::test(start_paused = true)]
async fn the_same_request_gets_the_first_answer() {
    let world = world();
    let first = world.ask_new(&world.caller(1, Some("key")), "milk").await;
    for _ in 0..3 {
        assert_eq!(world.ask_again(&world.caller(1, Some("key")), "milk").await, first);
    }
    assert_eq!(world.count_notes().await, 1);
}

#[tokio::test(start_paused = true)]
async fn many_are_looked_for_at_once_and_each_is_told_for_itself() {
    let world = world();
    let known = world.caller(1, Some("key"));
    let first = world.ask_new(&known, "milk").await;
    let (new, keyless) = (world.caller(1, Some("other")), world.caller(1, None));
    let requests = [(&new, &"milk"), (&known, &"milk"), (&keyless, &"milk"), (&known, &"bread")];
    let looked = Once::<String>::look_all(&world.store, NOTES, ("notes", requests), world.now()).await;
    let told = looked.unwrap().into_iter().map(|once| match once {
        Ok(Once::Replay(Answered { answer, is_replay: true })) => answer,
        Ok(Once::Replay(_)) => "an answer that is no replay".to_owned(),
        Ok(Once::New(_)) => "new".to_owned(),
        Err(refused) => refused.to_string(),
    });
    assert_eq!(told.collect::<Vec<_>>(), ["new", &first, "new", &OnceRefused::KeyReused.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn another_request_with_the_same_key_is_refused() {
    let world = world();
    let caller = world.caller(1, Some("key"));
    let first = world.ask_new(&caller, "milk").await;
    assert!(is_key_reused(&world.ask(&caller, "notes", "bread").await));
    assert!(is_key_reused(&world.ask(&caller, "letters", "milk").await));
    assert_eq!(world.ask_again(&caller, "milk").await, first);
    assert_eq!(world.count_notes().await, 1);
}

#[tokio::test(start_paused = true)]
async fn keys_are_each_persons_own_and_no_key_is_no_promise() {
    let world = world();
    world.ask_new(&world.caller(1, Some("key")), "milk").await;
    world.ask_new(&world.caller(2, Some("key")), "milk").await;
    world.ask_new(&world.caller(1, Some("other key")), "milk").await;
    world.ask_new(&world.caller(1, None), "milk").await;
    world.ask_new(&world.caller(1, None), "milk").await;
    assert_eq!(world.count_notes().await, 5);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_a_day() {
    let world = world();
    let caller = world.caller(1, Some("key"));
    let first = world.ask_new(&caller, "milk").await;
    let stored = world.store.scan(NOTES, None, 100).await.unwrap().items;
    let expiries: Vec<_> = stored.iter().filter_map(|item| item.expires_at).collect();
    assert_eq!(expiries, [world.now() + DAY], "the store may forget it then, and the note never");
    world.clock.advance(DAY - Duration::from_millis(1));
    assert_eq!(world.ask_again(&caller, "milk").await, first);
    world.clock.advance(Duration::from_millis(1));
    // The expired answer is still there, since the store may delete it late; the key is free for anything.
    let second = world.ask_new(&caller, "bread").await;
    assert_eq!(world.ask_again(&caller, "bread").await, second);
    assert!(is_key_reused(&world.ask(&caller, "notes", "milk").await));
    world.clock.advance(DAY);
    world.ask_new(&caller, "milk").await;
}

#[tokio::test(start_paused = true)]
async fn of_requests_at_once_one_has_the_effect() {
    let world = std::sync::Arc::new(world());
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let world = std::sync::Arc::clone(&world);
        asking.spawn(async move { world.ask(&world.caller(1, Some("key")), "notes", "milk").await.unwrap() });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|answered| !answered.is_replay).count(), 1);
    assert!(answers.iter().all(|answered| answered.answer == answers[0].answer));
    assert_eq!(world.count_notes().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_in_flight_until_its_request_is_answered() {
    let world = world();
    let in_flight = InFlight::default();
    let (keyed, keyless) = (world.caller(1, Some("key")), world.caller(1, None));
    let flight = in_flight.enter(&keyed).unwrap();
    for _ in 0..2 {
        assert_eq!(in_flight.clone().enter(&keyed).err(), Some(OnceRefused::InFlight));
    }
    assert!(in_flight.enter(&world.caller(2, Some("key"))).is_ok());
    assert!(in_flight.enter(&world.caller(1, Some("other key"))).is_ok());
    let _first = in_flight.enter(&keyless).unwrap();
    assert!(in_flight.enter(&keyless).is_ok());
    drop(flight);
    assert!(in_flight.enter(&keyed).is_ok());
}
