//! Inboxes and letters on a store in memory: twice, together, and in a world that misbehaves.

use std::sync::{Arc, Mutex, PoisonError};

use contracts::ledger::{Leg, MovedEvent, TransferredEvent};
use kernel::{AccountId, Money, OperationId, UserId};
use memory::{Faults, MemoryStore, TestClock, sources};
use ports::{Answer, Directory, Mailer, Sources, Unavailable};
use runtime::{Trace, envelope};

use super::*;
use crate::Filter;
use crate::records::KEPT_FOR;

/// A mail server that takes down what it is sent and answers as it is told.
#[derive(Default)]
struct Post {
    sent: Mutex<Vec<Letter>>,
    answer: Mutex<Option<MailError>>,
}

impl Post {
    fn sent(&self) -> Vec<Letter> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn will_answer(&self, error: MailError) {
        *self.answer.lock().unwrap() = Some(error);
    }
}

struct PostOf(Arc<Post>);

impl Mailer for PostOf {
    fn send<'a>(&'a self, letter: &'a Letter) -> Answer<'a, Result<(), MailError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.sent.lock().unwrap().push(letter.clone());
            self.0.answer.lock().unwrap().clone().map_or(Ok(()), Err)
        })
    }
}

/// Everybody lives at an address with her identifier in it, but for one.
struct Addresses {
    nowhere: UserId,
    is_away: bool,
}

impl Directory for Addresses {
    fn email_address(&self, user_id: UserId) -> Answer<'_, Result<Option<String>, Unavailable>> {
        Box::pin(async move {
            if self.is_away {
                return Err(Unavailable("the directory is away".to_owned()));
            }
            Ok((user_id != self.nowhere).then(|| address_of(user_id)))
        })
    }
}

fn address_of(user_id: UserId) -> String {
    format!("{user_id}@example.org")
}

struct World {
    notifications: Notifications<MemoryStore>,
    store: MemoryStore,
    sources: Sources,
    clock: TestClock,
    post: Arc<Post>,
    nowhere: UserId,
}

fn world() -> World {
    world_with(true, false)
}

fn world_with(has_mailer: bool, is_away: bool) -> World {
    let (sources, clock) = sources();
    let store = MemoryStore::new(Vec::new(), sources.clone());
    let post = Arc::new(Post::default());
    let nowhere = UserId::new(sources.fresh_id());
    let letters = has_mailer.then(|| Letters {
        mailer: Arc::new(PostOf(Arc::clone(&post))),
        directory: Arc::new(Addresses { nowhere, is_away }),
    });
    let notifications = Notifications::new(store.clone(), sources.clone(), letters);
    World { notifications, store, sources, clock, post, nowhere }
}

impl World {
    fn person(&self) -> UserId {
        UserId::new(self.sources.fresh_id())
    }

    fn moved(&self, owner: UserId) -> MovedEvent {
        let money = |minor| Money::from_minor(minor, "EUR".parse().unwrap());
        MovedEvent {
            operation_id: OperationId::new(self.sources.fresh_id()),
            account_id: AccountId::new(self.sources.fresh_id()),
            owner,
            amount: money(1_250),
            balance_after: money(11_250),
            account_version: 1,
            description: None,
            occurred_at: self.sources.now(),
        }
    }

    fn deposit(&self, owner: UserId) -> Message {
        Message::Deposited(self.moved(owner))
    }

    fn withdrawal(&self, owner: UserId) -> Message {
        Message::Withdrawn(self.moved(owner))
    }

    fn transfer(&self, payer: UserId, payee: UserId) -> Message {
        let leg = |owner| {
            let MovedEvent { account_id, balance_after, account_version, .. } = self.moved(owner);
            Leg { account_id, owner, balance_after, account_version }
        };
        let (from, to) = (leg(payer), leg(payee));
        let MovedEvent { operation_id, amount, description, occurred_at, .. } = self.moved(payer);
        Message::Transferred(TransferredEvent { operation_id, from, to, amount, description, occurred_at })
    }

    fn batch(&self, messages: &[Message]) -> Vec<Delivery> {
        let deliver = |message| {
            let trace = Trace::begin(&self.sources);
            let envelope = envelope(message, "account", &trace, self.sources.now(), &self.sources);
            Delivery { envelope: envelope.into(), attempt: 1 }
        };
        messages.iter().map(deliver).collect()
    }

    async fn fill(&self, messages: &[Message]) -> Vec<Outcome> {
        self.notifications.events().handle(&self.batch(messages)).await
    }

    async fn mail(&self, messages: &[Message]) -> Vec<Outcome> {
        self.notifications.emails().handle(&self.batch(messages)).await
    }

    async fn inbox(&self, owner: UserId) -> Vec<Notification> {
        let (found, next) = self.notifications.notifications(owner, Filter::All, None, 1_000).await.unwrap();
        assert_eq!(next, None);
        found
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_told_once_however_often_it_comes() {
    let world = world();
    let (ada, bob) = (world.person(), world.person());
    let (deposit, transfer) = (world.deposit(ada), world.transfer(ada, bob));
    // Twice in one batch, then again with something new.
    let batch = [deposit.clone(), transfer.clone(), deposit.clone()];
    assert_eq!(world.fill(&batch).await, [Outcome::Done, Outcome::Done, Outcome::Done]);
    world.clock.advance(Duration::from_secs(60));
    let first = world.inbox(ada).await;
    world.notifications.read(ada, first[0].notification_id).await.unwrap();
    assert_eq!(world.fill(&[transfer.clone(), world.deposit(bob)]).await, [Outcome::Done, Outcome::Done]);

    let (of_ada, of_bob) = (world.inbox(ada).await, world.inbox(bob).await);
    assert_eq!((of_ada.len(), of_bob.len()), (2, 2));
    assert!(of_ada[0].read_at.is_some(), "what was read stays read");
    assert_eq!(of_bob[0].title, "You received 12.50 EUR");
    assert!(of_bob[0].notification_id > of_bob[1].notification_id, "newest first");
}

#[tokio::test(start_paused = true)]
async fn an_event_knows_when_its_people_were_notified() {
    let world = world();
    let (ada, bob, eve) = (world.person(), world.person(), world.person());
    let transfer = world.transfer(ada, bob);
    assert_eq!(world.notifications.notified_at(ada, &transfer).await.unwrap(), None);
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.fill(std::slice::from_ref(&transfer)).await, [Outcome::Done]);
    for (person, then) in [(ada, Some(world.sources.now())), (bob, Some(world.sources.now())), (eve, None)] {
        assert_eq!(world.notifications.notified_at(person, &transfer).await.unwrap(), then);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_message_is_rejected_alone() {
    let world = world();
    let ada = world.person();
    let mut batch = world.batch(&[world.withdrawal(ada), world.withdrawal(ada)]);
    let mut bad = ports::Envelope::clone(&batch[0].envelope);
    bad.version = 9;
    batch[0].envelope = bad.into();
    for outcomes in
        [world.notifications.events().handle(&batch).await, world.notifications.emails().handle(&batch).await]
    {
        assert!(matches!(&outcomes[..], [Outcome::Reject { .. }, Outcome::Done]), "{outcomes:?}");
    }
    assert_eq!((world.inbox(ada).await.len(), world.post.sent().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_a_transaction_is_taken_in_parts() {
    let world = world();
    let (ada, bob) = (world.person(), world.person());
    let transfers: Vec<Message> = (0..130).map(|_| world.transfer(ada, bob)).collect();
    let outcomes = world.fill(&transfers).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done), "{outcomes:?}");
    assert_eq!((world.inbox(ada).await.len(), world.inbox(bob).await.len()), (130, 130));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_forgotten_in_a_world_that_misbehaves() {
    let world = world();
    let people: Vec<UserId> = (0..30).map(|_| world.person()).collect();
    let events: Vec<Message> = people.iter().map(|person| world.deposit(*person)).collect();
    world.store.set_faults(Faults {
        conflict_per_mille: 200,
        busy_per_mille: 100,
        unknown_per_mille: 200,
        ..Faults::NONE
    });
    for batch in events.chunks(3) {
        let mut tries = 0;
        while world.fill(batch).await.iter().any(|outcome| *outcome != Outcome::Done) {
            tries += 1;
            assert!(tries < 50, "it never ends");
        }
    }
    for person in people {
        assert_eq!(world.inbox(person).await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_old_is_gone_though_the_store_has_it_still() {
    let world = world();
    let ada = world.person();
    assert_eq!(world.fill(&[world.deposit(ada)]).await, [Outcome::Done]);
    let notification_id = world.inbox(ada).await[0].notification_id;
    world.clock.advance(KEPT_FOR);
    assert_eq!(world.inbox(ada).await, []);
    assert!(world.notifications.read(ada, notification_id).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_letter_goes_out_where_money_leaves() {
    let world = world();
    let (ada, bob) = (world.person(), world.person());
    let transfer = world.transfer(ada, bob);
    assert_eq!(world.mail(&[world.deposit(ada), transfer.clone()]).await, [Outcome::Done, Outcome::Done]);
    let [letter] = &world.post.sent()[..] else { panic!("one letter is sent") };
    assert_eq!((&letter.to, letter.subject.as_str()), (&address_of(ada), "You sent 12.50 EUR"));
    assert!(letter.body.starts_with("12.50 EUR was transferred from your account."), "{}", letter.body);

    // The same event makes the same letter, which the mail server may drop.
    assert_eq!(world.mail(&[transfer]).await, [Outcome::Done]);
    assert_eq!(world.post.sent()[1].letter_id, letter.letter_id);
    assert!(world.inbox(ada).await.is_empty(), "letters and inboxes are apart");
}

#[tokio::test(start_paused = true)]
async fn no_letter_goes_to_who_wants_none_or_has_no_address() {
    let world = world();
    let (ada, bob) = (world.person(), world.person());
    let prefer = |email| world.notifications.prefer(Preferences { owner: ada, email });
    assert!(world.notifications.preferences(ada).await.unwrap().email);
    prefer(false).await.unwrap();
    let events = [world.withdrawal(ada), world.withdrawal(bob), world.withdrawal(world.nowhere)];
    assert_eq!(world.mail(&events).await, [Outcome::Done, Outcome::Done, Outcome::Done]);
    let to: Vec<String> = world.post.sent().into_iter().map(|letter| letter.to).collect();
    assert_eq!(to, [address_of(bob)]);

    prefer(true).await.unwrap();
    assert_eq!(world.mail(&[world.withdrawal(ada)]).await, [Outcome::Done]);
    assert_eq!(world.post.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_mailer_nothing_is_looked_up() {
    // A directory that is away shows that it is not asked.
    let world = world_with(false, true);
    assert_eq!(world.mail(&[world.withdrawal(world.person())]).await, [Outcome::Done]);
    let world = world_with(true, true);
    let outcomes = world.mail(&[world.withdrawal(world.person())]).await;
    assert!(matches!(outcomes[0], Outcome::Retry { .. }), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_not_taken_is_tried_again_or_given_up_without_its_address() {
    let world = world();
    let ada = world.person();
    let said = format!("550 5.1.1 <{}>: no such mailbox", address_of(ada));
    let expected = "550 5.1.1 (address) no such mailbox".to_owned();
    world.post.will_answer(MailError::Later(said.clone()));
    let later = Outcome::Retry { after: Duration::ZERO, reason: expected.clone() };
    assert_eq!(world.mail(&[world.withdrawal(ada), world.deposit(ada)]).await, [later, Outcome::Done]);
    world.post.will_answer(MailError::Never(said));
    assert_eq!(world.mail(&[world.withdrawal(ada)]).await, [Outcome::Reject { reason: expected }]);
}
