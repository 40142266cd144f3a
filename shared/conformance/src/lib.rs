//! One suite for every adapter of the store and of the queues: what the ports promise, as tests.
//!
//! A property is a plain async function over a [`World`], or over a [`MessageWorld`] where it needs queues, that
//! opens a fresh world and panics where a promise is broken. An adapter's own tests say how such a world is opened
//! and expand [`store_suite!`] and [`message_suite!`] over it, a test a property. A world that misbehaves as the
//! ports allow takes [`endurance_suite!`], whose properties expect messages twice, late and in any order, and
//! commits that conflict without cause.
//!
//! [`records`] holds the services' stored records to their layout, whatever adapter keeps them.
//!
//! Nothing here looks behind the ports, but for [`MessageWorld::outbox_records`]. Absent on purpose: speed, and the
//! order of messages, which no world promises.
#![warn(missing_docs)]

pub mod concurrency;
pub mod delivery;
pub mod endurance;
mod fixture;
pub mod limits;
pub mod reads;
pub mod records;
pub mod retries;
pub mod transactions;

use std::future::Future;

use kernel::MessageId;
use ports::{QueueAdmin, Queues, Sources, Store, Subscription, Table};

/// The table most items of the suite live in.
pub const THINGS: Table = Table("things");
/// A second table, so that a transaction can span two.
pub const OTHERS: Table = Table("others");
/// The outbox of one imagined service.
pub const THINGS_EVENTS: Table = Table("things_events");
/// The outbox of another.
pub const OTHERS_EVENTS: Table = Table("others_events");

/// Hears [`PLACED`] and [`TAKEN`] from [`THINGS_EVENTS`].
pub const ALPHA: &str = "alpha";
/// Hears [`PLACED`] from both outboxes.
pub const BETA: &str = "beta";
/// Hears [`RARE`] from [`OTHERS_EVENTS`], and so skips nearly everything.
pub const GAMMA: &str = "gamma";

/// A kind of message that two consumers hear.
pub const PLACED: &str = "PLACED_EVENT";
/// A kind of message that one consumer hears.
pub const TAKEN: &str = "TAKEN_EVENT";
/// A kind of message that a third consumer hears, from one outbox only.
pub const RARE: &str = "RARE_EVENT";
/// A kind of message that nobody hears.
pub const UNHEARD: &str = "UNHEARD_EVENT";

/// The item tables that a world of the suite has.
pub fn tables() -> Vec<Table> {
    vec![THINGS, OTHERS]
}

/// The consumers that a world of the suite has.
pub fn subscriptions() -> Vec<Subscription> {
    vec![
        Subscription { consumer: ALPHA, outboxes: vec![THINGS_EVENTS], kinds: vec![PLACED, TAKEN] },
        Subscription { consumer: BETA, outboxes: vec![THINGS_EVENTS, OTHERS_EVENTS], kinds: vec![PLACED] },
        Subscription { consumer: GAMMA, outboxes: vec![OTHERS_EVENTS], kinds: vec![RARE] },
    ]
}

/// A store to try, with [`tables`] and [`subscriptions`].
pub trait World: Sized + Send + Sync + 'static {
    /// The store.
    type Store: Store;

    /// An empty world that shares nothing with any other.
    fn open() -> impl Future<Output = Self> + Send;

    /// A handle of the store. The suite holds none when it closes the world.
    fn store(&self) -> Self::Store;

    /// The world's time and identifiers.
    fn sources(&self) -> Sources;

    /// Ends the process in good order and starts another one on what it kept.
    fn reopen(self) -> impl Future<Output = Self> + Send;

    /// Kills the process and starts another one on what it kept.
    fn crash(self) -> impl Future<Output = Self> + Send;
}

/// A world in which the process carries the messages itself.
pub trait MessageWorld: World {
    /// The queues.
    type Queues: Queues + QueueAdmin;

    /// A handle of the queues. The suite holds none when it closes the world.
    fn queues(&self) -> Self::Queues;

    /// The messages of every record in an outbox, in order, as long as no consumer has passed them.
    fn outbox_records(&self, outbox: Table) -> impl Future<Output = Vec<Vec<MessageId>>> + Send;
}

/// Expands into one test for each property named, over one world.
#[macro_export]
macro_rules! properties {
    ($world:ty: $($module:ident::$property:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $property() {
            $crate::$module::$property::<$world>().await;
        }
    )*};
}

/// What every [`World`] promises: a world may answer Busy and Unknown, but no Conflict without cause.
#[macro_export]
macro_rules! store_suite {
    ($world:ty) => {
        $crate::properties! { $world:
            transactions::a_failed_expectation_writes_nothing,
            transactions::every_expectation_holds_or_conflicts,
            transactions::an_independent_write_stands_for_itself,
            transactions::an_independent_transaction_is_whole_when_it_is_answered,
            transactions::a_deleted_item_can_be_created_again,
            transactions::items_keep_what_was_written,
            transactions::nothing_to_commit_is_committed,
            limits::the_builder_refuses_what_no_store_takes,
            limits::a_hundred_items_are_committed,
            limits::the_largest_item_is_committed,
            limits::the_largest_transaction_is_committed,
            reads::many_keys_are_read_in_their_order_with_gaps,
            reads::a_range_is_read_both_ways_within_its_bounds,
            reads::every_page_size_loses_and_doubles_nothing,
            reads::a_cursor_survives_its_item,
            reads::a_prefix_is_taken_literally,
            reads::odd_keys_and_texts_come_back_as_they_were,
            reads::a_scan_sees_every_item_once,
            concurrency::what_was_answered_is_durable,
            concurrency::of_many_creators_one_succeeds,
            concurrency::what_is_superseded_never_goes_back,
            concurrency::a_requirement_is_part_of_the_transaction,
            concurrency::counters_agree_with_a_model,
            concurrency::transfers_keep_the_sum,
        }
    };
}

/// What every [`MessageWorld`] promises, in one that delivers each message once as long as nothing crashes.
#[macro_export]
macro_rules! message_suite {
    ($world:ty) => {
        $crate::properties! { $world:
            delivery::every_subscriber_receives_each_message,
            delivery::a_transaction_leaves_as_one_record,
            delivery::a_failed_transaction_sends_nothing,
            delivery::a_batch_is_at_most_its_limit,
            delivery::a_waiting_receiver_is_woken,
            delivery::a_receiver_who_gives_up_loses_nothing,
            delivery::an_envelope_arrives_as_it_was_sent,
            delivery::depths_say_what_waits,
            delivery::the_unsettled_is_delivered_after_a_crash,
            delivery::the_settled_is_not_delivered_after_a_reopening,
            retries::a_retry_comes_again_in_its_time_and_blocks_nobody,
            retries::a_dead_message_is_kept_and_blocks_nobody,
            retries::dead_letters_are_read_in_pages,
            retries::a_redriven_message_starts_anew,
            retries::verdicts_survive_a_crash,
            endurance::no_message_is_lost,
            endurance::no_message_is_lost_in_crashes,
        }
    };
}

/// What holds even in a [`MessageWorld`] that misbehaves in every way that the ports allow.
#[macro_export]
macro_rules! endurance_suite {
    ($world:ty) => {
        $crate::properties! { $world:
            concurrency::counters_agree_with_a_model,
            concurrency::transfers_keep_the_sum,
            delivery::a_transaction_leaves_as_one_record,
            endurance::no_message_is_lost,
            endurance::no_message_is_lost_in_crashes,
        }
    };
}
