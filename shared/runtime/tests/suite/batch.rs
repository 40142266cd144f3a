//! A batch is read message by message, and each ends by itself.

use std::time::Duration;

use contracts::Message;
use ports::{Delivery, Outcome};
use runtime::{Fault, Work, read_batch};

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

#[tokio::test(start_paused = true)]
async fn each_part_of_a_batch_ends_in_its_own_way() {
    let world = world();
    let batch = world.batch(5, &[1]);
    let (work, mut outcomes) = read_batch(&batch, read);
    let retry_after = Duration::from_secs(3);
    let retry = Outcome::Retry { after: retry_after, reason: Fault::Busy { retry_after }.to_string() };
    let reject = Outcome::Reject { reason: "too late".to_owned() };
    let (first, others): (&[Work<'_, u64>], _) = work.split_at(1);
    outcomes.note(first, Ok(()));
    outcomes.note(&others[..2], Err(Fault::Busy { retry_after }));
    outcomes.note_one(&others[2], reject.clone());
    let outcomes: Vec<Outcome> = outcomes.into();
    assert!(matches!(outcomes[1], Outcome::Reject { .. }), "{:?}", outcomes[1]);
    assert_eq!((&outcomes[0], &outcomes[2..]), (&Outcome::Done, &[retry.clone(), retry, reject][..]));
}
