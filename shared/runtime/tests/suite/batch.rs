//! A batch is read message by message, and each ends by itself.

use std::time::Duration;

use contracts::Message;
use ports::{Delivery, Outcome};
use runtime::{Fault, Work, read_batch};
use tokio::sync::{Barrier, Mutex};

use crate::{World, world};

impl World {
    /// Messages of which those that are named here cannot be read.
    fn batch(&self, count: usize, unreadable: &[usize]) -> Vec<Delivery> {
        let mut batch = self.deliveries(&vec!["any"; count]);
        for index in unreadable {
            std::sync::Arc::make_mut(&mut batch[*index].envelope).kind = "NO_SUCH_KIND".to_owned();
        }
        batch
    }
}

/// Understands deposits of more than nothing.
fn read(message: Message) -> Result<u64, &'static str> {
    match message {
        Message::DepositCmd(deposit) => u64::try_from(deposit.amount.minor).map_err(|_| "less than nothing"),
        _ => Err("no deposit"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_rejected_alone() {
    let world = world();
    let batch = world.batch(4, &[1, 3]);
    let (work, outcomes) = read_batch(&batch, read);
    let read: Vec<_> = work.iter().map(|work| (work.content, work.delivery.envelope.message_id)).collect();
    assert_eq!(read, [0, 2].map(|index: usize| (100, batch[index].envelope.message_id)));
    let outcomes: Vec<Outcome> = outcomes.into();
    for (index, outcome) in outcomes.iter().enumerate() {
        let is_rejected = matches!(outcome, Outcome::Reject { reason } if reason.contains("NO_SUCH_KIND"));
        assert!(if index % 2 == 0 { *outcome == Outcome::Done } else { is_rejected }, "{index}: {outcome:?}");
    }
    let (work, outcomes) = read_batch(&batch[..1], |_| Err::<(), _>("not for me"));
    assert!(work.is_empty());
    assert_eq!(Vec::from(outcomes), [Outcome::Reject { reason: "not for me".to_owned() }]);
}

/// Two of these do not fit one transaction.
const OWN_ITEMS: usize = 60;

#[tokio::test(start_paused = true)]
async fn each_part_of_a_batch_ends_in_its_own_way() {
    let world = world();
    let batch = world.batch(5, &[1]);
    let (work, outcomes) = read_batch(&batch, read);
    let retry_after = Duration::from_secs(3);
    let take = async |part: Vec<&Work<'_, u64>>| {
        assert_eq!(part.len(), 1);
        let fails = std::ptr::eq(part[0].delivery, &batch[2]);
        if fails { Err(Fault::Busy { retry_after }) } else { Ok(()) }
    };
    let outcomes = outcomes.of_parts(&work, |_| OWN_ITEMS, |_| None::<()>, take).await;
    let retry = Outcome::Retry { after: retry_after, reason: Fault::Busy { retry_after }.to_string() };
    assert!(matches!(outcomes[1], Outcome::Reject { .. }), "{:?}", outcomes[1]);
    assert_eq!((&outcomes[0], &outcomes[2..]), (&Outcome::Done, &[retry, Outcome::Done, Outcome::Done][..]));
}

#[tokio::test(start_paused = true)]
async fn parts_that_share_nothing_are_taken_at_the_same_time() {
    let world = world();
    let batch = world.batch(3, &[]);
    let (work, outcomes) = read_batch(&batch, read);
    let all = Barrier::new(work.len());
    let take = async |_: Vec<&Work<'_, u64>>| {
        let met = tokio::time::timeout(Duration::from_secs(1), all.wait()).await;
        met.map(|_| ()).map_err(|_| Fault::Internal("alone".to_owned()))
    };
    let outcomes = outcomes.of_parts(&work, |_| OWN_ITEMS, |_| None::<()>, take).await;
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done, Outcome::Done]);
}

#[tokio::test(start_paused = true)]
async fn parts_that_share_something_are_taken_in_their_order() {
    let world = world();
    let batch = world.batch(3, &[]);
    let (work, outcomes) = read_batch(&batch, read);
    let under_way = Mutex::new(());
    let taken = std::sync::Mutex::new(Vec::new());
    let take = async |part: Vec<&Work<'_, u64>>| {
        let _alone = under_way.try_lock().map_err(|_| Fault::Internal("not alone".to_owned()))?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        taken.lock().unwrap().extend(part.iter().map(|work| work.delivery.envelope.message_id));
        Ok(())
    };
    let outcomes = outcomes.of_parts(&work, |_| OWN_ITEMS, |_| ["shared"], take).await;
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done, Outcome::Done]);
    let order: Vec<_> = batch.iter().map(|delivery| delivery.envelope.message_id).collect();
    assert_eq!(taken.into_inner().unwrap(), order);
}

#[tokio::test(start_paused = true)]
async fn one_delivery_may_end_otherwise() {
    let world = world();
    let batch = world.batch(2, &[]);
    let (work, mut outcomes) = read_batch(&batch, read);
    let reject = Outcome::Reject { reason: "too late".to_owned() };
    outcomes.note(&work[1], reject.clone());
    assert_eq!(Vec::from(outcomes), [Outcome::Done, reject]);
}
