//! What becomes of a message that was not done with: later, or never.

use std::time::Duration;

use ports::{DeadLetter, Envelope, QueueAdmin, Queues, Settled, Verdict};

use crate::fixture::{
    depth, depth_becomes, message, message_with, must, receive, receive_if_any, received_ids, send_all,
    settle, silent, take,
};
use crate::{ALPHA, BETA, MessageWorld, OTHERS_EVENTS, PLACED, TAKEN, THINGS_EVENTS};

const PAUSE: Duration = Duration::from_millis(400);

fn dead(reason: &str) -> Verdict {
    Verdict::Dead { reason: reason.to_owned() }
}

fn again(at: kernel::Timestamp) -> Verdict {
    Verdict::Again { at, reason: "not now".to_owned() }
}

/// Every dead letter there is, oldest first, read in pages of this size.
async fn dead_letters<Q: QueueAdmin>(queues: &Q, limit: usize) -> Vec<DeadLetter> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map(|letter| letter.dead_letter_id.clone());
        let page = must(queues.dead_letters(after.as_deref(), limit).await);
        assert!(page.len() <= limit, "a page of {} for {limit}", page.len());
        let Some(last) = page.last() else { return letters };
        assert_ne!(Some(&last.dead_letter_id), after.as_ref(), "a page that does not move on");
        letters.extend(page);
    }
}

/// A retried message comes again with the next attempt, not before its time, and others pass it meanwhile.
pub async fn a_retry_comes_again_in_its_time_and_blocks_nobody<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let stubborn = message(&sources, TAKEN);
    send_all(&store, &sources, THINGS_EVENTS, std::slice::from_ref(&stubborn)).await;
    let mut received = receive(&queues, ALPHA, 10).await;
    for attempt in 1..=3 {
        assert_eq!(received_ids(&received), [stubborn.message_id]);
        assert_eq!(received[0].delivery.attempt, attempt);
        let due_at = sources.now() + PAUSE;
        settle(&queues, ALPHA, &received[0], again(due_at)).await;
        depth_becomes(&queues, ALPHA, (0, 1, 0)).await;

        let passing = message(&sources, TAKEN);
        send_all(&store, &sources, THINGS_EVENTS, std::slice::from_ref(&passing)).await;
        assert_eq!(received_ids(&take(&queues, ALPHA, 1).await), [passing.message_id]);
        received = receive(&queues, ALPHA, 10).await;
        let now = sources.now();
        assert!(now >= due_at, "attempt {} came at {now}, before {due_at}", attempt + 1);
    }
    assert_eq!(received[0].delivery.attempt, 4);
    settle(&queues, ALPHA, &received[0], Verdict::Done).await;
    silent(&queues, ALPHA).await;
    depth_becomes(&queues, ALPHA, (0, 0, 0)).await;
}

/// A dead message is not delivered again; it is kept with all that is known of it, and its batch goes on.
pub async fn a_dead_message_is_kept_and_blocks_nobody<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let poison = message_with(&sources, PLACED, r#"{"amount":  "poison 🧪", "n": 1.50}"#.to_owned());
    let messages = [message(&sources, PLACED), poison.clone(), message(&sources, PLACED)];
    send_all(&store, &sources, THINGS_EVENTS, &messages).await;

    let mut received = receive(&queues, ALPHA, 10).await;
    while received.len() < 3 {
        received.extend(receive(&queues, ALPHA, 10).await);
    }
    let verdict = |one: &ports::Received| match one.delivery.envelope.message_id == poison.message_id {
        true => again(sources.now()),
        false => Verdict::Done,
    };
    let settled =
        received.iter().map(|one| Settled { receipt: one.receipt, verdict: verdict(one) }).collect();
    must(queues.settle(ALPHA, settled).await);
    let received = receive(&queues, ALPHA, 10).await;
    assert_eq!(received_ids(&received), [poison.message_id]);
    let began_at = sources.now();
    settle(&queues, ALPHA, &received[0], dead("cannot be read: é")).await;

    silent(&queues, ALPHA).await;
    send_all(&store, &sources, THINGS_EVENTS, &[message(&sources, TAKEN)]).await;
    assert_eq!(take(&queues, ALPHA, 1).await.len(), 1);
    assert_eq!(take(&queues, BETA, 3).await.len(), 3, "it is dead for one consumer only");

    let letters = dead_letters(&queues, 10).await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (letter.consumer.as_str(), letter.reason.as_str(), letter.attempts),
        (ALPHA, "cannot be read: é", 2)
    );
    assert!(began_at <= letter.died_at && letter.died_at <= sources.now(), "it died at {}", letter.died_at);
    assert_eq!(must(serde_json::to_string(&letter.envelope)), must(serde_json::to_string(&poison)));
    let same = must(queues.dead_letter(&letter.dead_letter_id).await);
    assert_eq!(same.map(|same| same.dead_letter_id), Some(letter.dead_letter_id.clone()));
    for stranger in ["", "0", "nobody", "'; --"] {
        assert!(must(queues.dead_letter(stranger).await).is_none(), "{stranger:?}");
        assert!(!must(queues.redrive(stranger).await), "{stranger:?}");
    }
    depth_becomes(&queues, ALPHA, (0, 0, 1)).await;
    assert_eq!(depth(&queues, BETA).await.dead, 0);
}

/// Pages of every size show each dead letter once, oldest first, those of all consumers together.
pub async fn dead_letters_are_read_in_pages<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let mut expected = Vec::new();
    for index in 0..12 {
        let (outbox, kind, consumer) =
            if index % 2 == 0 { (THINGS_EVENTS, TAKEN, ALPHA) } else { (OTHERS_EVENTS, PLACED, BETA) };
        send_all(&store, &sources, outbox, &[message(&sources, kind)]).await;
        let received = receive(&queues, consumer, 1).await;
        settle(&queues, consumer, &received[0], dead(&index.to_string())).await;
        expected.push((consumer.to_owned(), index.to_string()));
    }
    for limit in 1..=13 {
        let letters = dead_letters(&queues, limit).await;
        let found: Vec<_> = letters.into_iter().map(|letter| (letter.consumer, letter.reason)).collect();
        assert_eq!(found, expected, "pages of {limit}");
    }
}

/// A redriven message leaves the dead letters and is delivered to its consumer as if for the first time.
pub async fn a_redriven_message_starts_anew<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let poison = message(&sources, PLACED);
    send_all(&store, &sources, THINGS_EVENTS, std::slice::from_ref(&poison)).await;
    let _ = take(&queues, BETA, 1).await;
    let received = receive(&queues, ALPHA, 1).await;
    settle(&queues, ALPHA, &received[0], again(sources.now())).await;
    let received = receive(&queues, ALPHA, 1).await;
    settle(&queues, ALPHA, &received[0], dead("first")).await;

    for round in 0..3 {
        let letter = dead_letters(&queues, 10).await.remove(0);
        assert!(must(queues.redrive(&letter.dead_letter_id).await));
        assert!(!must(queues.redrive(&letter.dead_letter_id).await), "it was redriven already");
        assert!(dead_letters(&queues, 10).await.is_empty());
        assert!(must(queues.dead_letter(&letter.dead_letter_id).await).is_none());
        let standing = depth(&queues, ALPHA).await;
        assert_eq!((standing.waiting + standing.retrying, standing.dead), (1, 0));

        let received = receive(&queues, ALPHA, 10).await;
        assert_eq!(received_ids(&received), [poison.message_id]);
        assert_eq!(received[0].delivery.attempt, 1, "round {round}");
        settle(&queues, ALPHA, &received[0], if round < 2 { dead("again") } else { Verdict::Done }).await;
    }
    silent(&queues, ALPHA).await;
    silent(&queues, BETA).await;
    depth_becomes(&queues, ALPHA, (0, 0, 0)).await;
}

/// A retry, a dead letter and a redriving are durable once they were answered.
pub async fn verdicts_survive_a_crash<W: MessageWorld>() {
    let mut world = W::open().await;
    let sources = world.sources();
    let [retried, dying, redriven] = [(); 3].map(|()| message(&sources, TAKEN));
    let due_at;
    {
        let (store, queues) = (world.store(), world.queues());
        for message in [&retried, &dying, &redriven] {
            send_all(&store, &sources, THINGS_EVENTS, std::slice::from_ref(message)).await;
        }
        let mut received = Vec::new();
        while received.len() < 3 {
            received.extend(receive(&queues, ALPHA, 3 - received.len()).await);
        }
        due_at = sources.now() + PAUSE;
        for one in &received {
            let is_retried = one.delivery.envelope.message_id == retried.message_id;
            settle(&queues, ALPHA, one, if is_retried { again(due_at) } else { dead("poison") }).await;
        }
        let letters = dead_letters(&queues, 10).await;
        let is_redriven = |letter: &&DeadLetter| letter.envelope.message_id == redriven.message_id;
        let Some(letter) = letters.iter().find(is_redriven) else {
            panic!("it is not among the dead letters")
        };
        assert!(must(queues.redrive(&letter.dead_letter_id).await));
    }
    world = world.crash().await;
    let queues = world.queues();
    let letters = dead_letters(&queues, 10).await;
    let kept: Vec<&Envelope> = letters.iter().map(|letter| &letter.envelope).collect();
    assert_eq!(crate::fixture::ids(kept), [dying.message_id]);

    // A crash may repeat a delivery, but it takes neither a second attempt for a first one nor the wait away.
    let (mut has_redriven, mut has_retried) = (false, false);
    while !(has_redriven && has_retried) {
        for one in receive(&queues, ALPHA, 10).await {
            let id = one.delivery.envelope.message_id;
            has_redriven |= id == redriven.message_id && one.delivery.attempt == 1;
            if id == retried.message_id && one.delivery.attempt == 2 {
                assert!(sources.now() >= due_at, "it came before {due_at}");
                has_retried = true;
            }
            settle(&queues, ALPHA, &one, Verdict::Done).await;
        }
    }
    assert!(receive_if_any(&queues, ALPHA, 10).await.len() <= 3);
}
