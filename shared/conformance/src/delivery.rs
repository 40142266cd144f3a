//! Who is delivered what, and when not.

use std::collections::BTreeSet;
use std::time::Duration;

use kernel::{CorrelationId, MessageId};
use ports::{Envelope, ITEM_BYTES_MAX, QueueAdmin, Queues, Record, Revision, Settled, Verdict};
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

use crate::fixture::{
    PATIENCE, Thing, commit, commits, depth, depth_becomes, ids, item, message, must, receive, received_ids,
    send_all, silent, take, transaction,
};
use crate::{
    ALPHA, BETA, GAMMA, MessageWorld, OTHERS_EVENTS, PLACED, RARE, TAKEN, THINGS_EVENTS, UNHEARD,
    subscriptions,
};

/// Each message reaches all who are subscribed to its kind and its outbox, and nobody else.
pub async fn every_subscriber_receives_each_message<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let [placed, taken, rare, unheard] = [PLACED, TAKEN, RARE, UNHEARD].map(|kind| message(&sources, kind));
    let [placed_elsewhere, taken_elsewhere, rare_elsewhere] =
        [PLACED, TAKEN, RARE].map(|kind| message(&sources, kind));
    let from_things = [placed.clone(), taken.clone(), rare_elsewhere, unheard];
    let from_others = [placed_elsewhere.clone(), taken_elsewhere, rare.clone()];
    send_all(&store, &sources, THINGS_EVENTS, &from_things).await;
    send_all(&store, &sources, OTHERS_EVENTS, &from_others).await;

    for (consumer, expected) in
        [(ALPHA, ids([&placed, &taken])), (BETA, ids([&placed, &placed_elsewhere])), (GAMMA, ids([&rare]))]
    {
        let taken = take(&queues, consumer, expected.len()).await;
        assert_eq!(received_ids(&taken), expected, "{consumer}");
        assert!(taken.iter().all(|one| one.delivery.attempt == 1), "{consumer}");
        silent(&queues, consumer).await;
    }
}

/// The messages of each transaction are one outbox record, whatever the transactions around it, and all arrive.
pub async fn a_transaction_leaves_as_one_record<W: MessageWorld>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let mut expected = Vec::new();
    for size in (1..=20).chain([200]) {
        let messages: Vec<Envelope> = (0..size).map(|_| message(&sources, PLACED)).collect();
        send_all(&store, &sources, THINGS_EVENTS, &messages).await;
        expected.push(messages.iter().map(|message| message.message_id).collect::<Vec<MessageId>>());
    }
    assert_eq!(world.outbox_records(THINGS_EVENTS).await, expected);
    assert_eq!(world.outbox_records(OTHERS_EVENTS).await, Vec::<Vec<MessageId>>::new());

    let queues = world.queues();
    let mut missing: BTreeSet<MessageId> = expected.into_iter().flatten().collect();
    while !missing.is_empty() {
        for one in take(&queues, ALPHA, 1).await {
            missing.remove(&one.delivery.envelope.message_id);
        }
    }
}

/// No message leaves where an expectation failed.
pub async fn a_failed_transaction_sends_nothing<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let (absent, fresh) = (Thing::new("p", "absent", 1), Thing::new("p", "fresh", 1));
    let mut attempt = transaction(&sources);
    must(attempt.create(&fresh));
    must(attempt.replace(Revision(3), &absent));
    must(attempt.emit(THINGS_EVENTS, message(&sources, PLACED)));
    assert_eq!(commit(&store, &attempt).await, Err(absent.key()));
    assert_eq!(item(&store, &fresh.key()).await, None);
    silent(&queues, ALPHA).await;
    silent(&queues, BETA).await;
    assert_eq!(world.outbox_records(THINGS_EVENTS).await, Vec::<Vec<MessageId>>::new());
}

/// However small the batches, within one transaction's messages and across them, each message comes once.
pub async fn a_batch_is_at_most_its_limit<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    for limit in [1, 2, 3, 7, 10, 64] {
        let mut sent = Vec::new();
        for size in [1, 9, 10, 11] {
            let messages: Vec<Envelope> = (0..size).map(|_| message(&sources, TAKEN)).collect();
            send_all(&store, &sources, THINGS_EVENTS, &messages).await;
            sent.extend(messages);
        }
        let mut received = Vec::new();
        while received.len() < sent.len() {
            let batch = receive(&queues, ALPHA, limit).await;
            let done = batch.iter().map(|one| Settled { receipt: one.receipt, verdict: Verdict::Done });
            must(queues.settle(ALPHA, done.collect()).await);
            received.extend(batch);
        }
        assert_eq!(received_ids(&received), ids(&sent), "batches of {limit}");
        silent(&queues, ALPHA).await;
    }
}

/// A receiver that found nothing is woken by the next message, and not by those of others.
pub async fn a_waiting_receiver_is_woken<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    for _ in 0..20 {
        let waiting = tokio::spawn({
            let queues = queues.clone();
            async move { received_ids(&take(&queues, GAMMA, 1).await) }
        });
        sleep(Duration::from_millis(5)).await;
        send_all(&store, &sources, OTHERS_EVENTS, &[message(&sources, PLACED)]).await;
        let rare = message(&sources, RARE);
        send_all(&store, &sources, OTHERS_EVENTS, std::slice::from_ref(&rare)).await;
        let woken = must(must(timeout(PATIENCE, waiting).await));
        assert_eq!(woken, [rare.message_id]);
    }
}

/// A receiver may stop waiting at any moment, as every shutdown does: no message goes with it.
pub async fn a_receiver_who_gives_up_loses_nothing<W: MessageWorld>() {
    const MESSAGES: usize = 100;
    const GIVEN_UP_MAX: u64 = 20_000;
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let messages: Vec<Envelope> = (0..MESSAGES).map(|_| message(&sources, TAKEN)).collect();
    let sender = async {
        for message in &messages {
            send_all(&store, &sources, THINGS_EVENTS, std::slice::from_ref(message)).await;
            sleep(Duration::from_millis(1)).await;
        }
    };
    let receiver = async {
        let mut taken = Vec::new();
        let mut given_up = 0_u64;
        while taken.len() < MESSAGES && given_up < GIVEN_UP_MAX {
            let patience = Duration::from_micros(given_up % 7 * 200);
            match timeout(patience, queues.receive(ALPHA, 3)).await {
                Err(_) => given_up += 1,
                Ok(received) => {
                    let received = must(received);
                    let done =
                        received.iter().map(|one| Settled { receipt: one.receipt, verdict: Verdict::Done });
                    must(queues.settle(ALPHA, done.collect()).await);
                    taken.extend(received);
                }
            }
        }
        taken
    };
    let ((), taken) = tokio::join!(sender, receiver);
    assert_eq!(received_ids(&taken), ids(&messages));
}

/// Every field of the envelope arrives unchanged, and the body to the letter.
pub async fn an_envelope_arrives_as_it_was_sent<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(ITEM_BYTES_MAX - 1_024));
    let bodies = [
        "{}",
        large.as_str(),
        r#"{ "amount" :  "0.10",	"big":12345678901234567890.123e-7, "again": 1, "again": 2 }"#,
        r#"{"text":"\u0000 \" \\ \/ é e\u0301 日本語 🏦 '; DROP TABLE things; --"}"#,
        r#"{"deep":[[[[{"a":[null,true,false]}]]]]}"#,
    ];
    for body in bodies {
        let sent = Envelope {
            message_id: MessageId::new(sources.fresh_id()),
            kind: TAKEN.to_owned(),
            version: u32::MAX,
            group: "日本 'group' \"\\%_".to_owned(),
            correlation_id: must("A.b_c-9".parse::<CorrelationId>()),
            causation_id: Some(MessageId::new(sources.fresh_id())),
            traceparent: "00-00000000000000000000000000000001-0000000000000001-00".to_owned(),
            occurred_at: sources.now(),
            body: must(RawValue::from_string(body.to_owned())),
        };
        send_all(&store, &sources, THINGS_EVENTS, std::slice::from_ref(&sent)).await;
        let taken = take(&queues, ALPHA, 1).await;
        let arrived = taken[0].delivery.envelope.as_ref();
        assert_eq!(must(serde_json::to_string(arrived)), must(serde_json::to_string(&sent)));
    }
}

/// Depths are in the order of the topology and count what each consumer still has to take, and since when.
pub async fn depths_say_what_waits<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let consumers: Vec<&str> = subscriptions().iter().map(|subscription| subscription.consumer).collect();
    for depth in must(queues.depths().await) {
        assert_eq!(
            (depth.waiting, depth.retrying, depth.dead, depth.oldest_at),
            (0, 0, 0, None),
            "{}",
            depth.consumer
        );
    }

    let began_at = sources.now();
    let messages = [PLACED, PLACED, TAKEN, UNHEARD, RARE].map(|kind| message(&sources, kind));
    send_all(&store, &sources, THINGS_EVENTS, &messages).await;
    let depths = must(queues.depths().await);
    assert_eq!(depths.iter().map(|depth| depth.consumer.as_str()).collect::<Vec<_>>(), consumers);
    assert_eq!(depths.iter().map(|depth| depth.waiting).collect::<Vec<_>>(), [3, 2, 0]);
    let oldest_at = depth(&queues, ALPHA).await.oldest_at;
    assert!(
        oldest_at.is_some_and(|at| began_at <= at && at <= sources.now()),
        "{oldest_at:?} since {began_at}"
    );
    assert_eq!(depth(&queues, GAMMA).await.oldest_at, None);

    let _ = take(&queues, ALPHA, 3).await;
    depth_becomes(&queues, ALPHA, (0, 0, 0)).await;
    depth_becomes(&queues, BETA, (2, 0, 0)).await;
    assert_eq!(depth(&queues, ALPHA).await.oldest_at, None);
}

/// What was received and not settled when the process died comes again; so does what was not even received.
pub async fn the_unsettled_is_delivered_after_a_crash<W: MessageWorld>() {
    let mut world = W::open().await;
    let sources = world.sources();
    let messages: Vec<Envelope> = (0..10).map(|_| message(&sources, TAKEN)).collect();
    send_all(&world.store(), &sources, THINGS_EVENTS, &messages).await;
    for _ in 0..3 {
        let received = receive(&world.queues(), ALPHA, 6).await;
        assert!(!received.is_empty());
        world = world.crash().await;
    }
    let taken = take(&world.queues(), ALPHA, 10).await;
    assert_eq!(received_ids(&taken), ids(&messages));
}

/// A process that ends in good order forgets nothing it settled, in the middle of a record included.
pub async fn the_settled_is_not_delivered_after_a_reopening<W: MessageWorld>() {
    let mut world = W::open().await;
    let sources = world.sources();
    {
        let (store, queues) = (world.store(), world.queues());
        for _ in 0..5 {
            let messages: Vec<Envelope> = (0..4).map(|_| message(&sources, PLACED)).collect();
            let mut sending = transaction(&sources);
            for message in &messages {
                must(sending.emit(THINGS_EVENTS, message.clone()));
            }
            commits(&store, &sending).await;
        }
        assert_eq!(take(&queues, ALPHA, 20).await.len(), 20);
    }
    world = world.reopen().await;
    silent(&world.queues(), ALPHA).await;
    depth_becomes(&world.queues(), ALPHA, (0, 0, 0)).await;
    assert_eq!(
        take(&world.queues(), BETA, 20).await.len(),
        20,
        "another consumer's messages are its own affair"
    );
    world = world.reopen().await;
    silent(&world.queues(), BETA).await;
}
