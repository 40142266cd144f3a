//! The topology: who sends what to whom. The one-process wiring, the relays on AWS and the test that holds the
//! deployment template all derive from this table.

use crate::Kind;

/// A service that sends messages, with the outbox they leave through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// The accounts service.
    Accounts,
    /// The banking service.
    Banking,
    /// The ledger.
    Ledger,
}

impl Sender {
    /// Every sender.
    pub const ALL: &'static [Self] = &[Self::Accounts, Self::Banking, Self::Ledger];

    /// The table of its outbox records.
    pub const fn outbox(self) -> &'static str {
        match self {
            Self::Accounts => "accounts_events",
            Self::Banking => "operations_events",
            Self::Ledger => "ledger_events",
        }
    }
}

/// The names of the consumers: a queue each on AWS, cursors on the embedded log.
pub mod consumers {
    /// The ledger, which hears commands only.
    pub const LEDGER_COMMANDS: &str = "ledger_commands";
    /// The accounts service, which hears whether the ledger closed an account.
    pub const ACCOUNTS_CLOSINGS: &str = "accounts_closings";
    /// The banking service, which ends operations and knows the accounts.
    pub const BANKING_EVENTS: &str = "banking_events";
    /// The projections for readers.
    pub const QUERY_EVENTS: &str = "query_events";
    /// The customers' inboxes.
    pub const NOTIFICATIONS_EVENTS: &str = "notifications_events";
    /// The customers' letters, apart from their inboxes so that a slow mail server holds up nothing else.
    pub const NOTIFICATIONS_EMAILS: &str = "notifications_emails";

    /// Every consumer.
    pub const ALL: &[&str] = &[
        LEDGER_COMMANDS,
        ACCOUNTS_CLOSINGS,
        BANKING_EVENTS,
        QUERY_EVENTS,
        NOTIFICATIONS_EVENTS,
        NOTIFICATIONS_EMAILS,
    ];
}

/// One row of the topology.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// What is sent.
    pub kind: Kind,
    /// By whom.
    pub sender: Sender,
    /// To whom.
    pub receivers: &'static [&'static str],
}

use consumers::{
    ACCOUNTS_CLOSINGS, BANKING_EVENTS, LEDGER_COMMANDS, NOTIFICATIONS_EMAILS, NOTIFICATIONS_EVENTS,
    QUERY_EVENTS,
};

const LEDGER: &[&str] = &[LEDGER_COMMANDS];
const READERS: &[&str] = &[BANKING_EVENTS, QUERY_EVENTS, NOTIFICATIONS_EVENTS];
/// The letters' queue hears only what a letter may come of: on AWS every message is paid for.
const READERS_AND_LETTERS: &[&str] =
    &[BANKING_EVENTS, QUERY_EVENTS, NOTIFICATIONS_EVENTS, NOTIFICATIONS_EMAILS];
const CLOSERS: &[&str] = &[ACCOUNTS_CLOSINGS, QUERY_EVENTS, NOTIFICATIONS_EVENTS];

/// Every kind of message once.
pub const ROUTES: &[Route] = &[
    Route { kind: Kind::CreateAccount, sender: Sender::Accounts, receivers: READERS },
    Route { kind: Kind::CloseAccount, sender: Sender::Accounts, receivers: READERS_AND_LETTERS },
    Route { kind: Kind::CloseAccountCmd, sender: Sender::Accounts, receivers: LEDGER },
    Route { kind: Kind::DepositCmd, sender: Sender::Banking, receivers: LEDGER },
    Route { kind: Kind::WithdrawCmd, sender: Sender::Banking, receivers: LEDGER },
    Route { kind: Kind::TransferCmd, sender: Sender::Banking, receivers: LEDGER },
    Route { kind: Kind::Deposited, sender: Sender::Ledger, receivers: READERS },
    Route { kind: Kind::DepositFailed, sender: Sender::Ledger, receivers: READERS },
    Route { kind: Kind::Withdrawn, sender: Sender::Ledger, receivers: READERS_AND_LETTERS },
    Route { kind: Kind::WithdrawFailed, sender: Sender::Ledger, receivers: READERS },
    Route { kind: Kind::Transferred, sender: Sender::Ledger, receivers: READERS_AND_LETTERS },
    Route { kind: Kind::TransferFailed, sender: Sender::Ledger, receivers: READERS },
    Route { kind: Kind::AccountClosed, sender: Sender::Ledger, receivers: CLOSERS },
    Route { kind: Kind::CloseRejected, sender: Sender::Ledger, receivers: CLOSERS },
];

/// The kinds that a consumer is sent.
pub fn kinds_for(consumer: &str) -> Vec<&'static str> {
    routes_to(consumer).map(|route| route.kind.name()).collect()
}

/// The outboxes that a consumer's messages come from, each once.
pub fn outboxes_for(consumer: &str) -> Vec<&'static str> {
    let sends = |sender: &&Sender| routes_to(consumer).any(|route| route.sender == **sender);
    Sender::ALL.iter().filter(sends).map(|sender| sender.outbox()).collect()
}

fn routes_to(consumer: &str) -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(move |route| route.receivers.contains(&consumer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_sender_and_somebody_to_hear_it() {
        for kind in Kind::ALL {
            let routes: Vec<_> = ROUTES.iter().filter(|route| route.kind == *kind).collect();
            assert_eq!(routes.len(), 1, "{kind:?}");
            assert!(!routes[0].receivers.is_empty(), "{kind:?}");
            assert!(routes[0].receivers.iter().all(|receiver| consumers::ALL.contains(receiver)), "{kind:?}");
        }
    }

    #[test]
    fn the_ledger_hears_commands_only_and_nobody_else_hears_any() {
        for route in ROUTES {
            let is_command = route.kind.name().ends_with("_CMD");
            assert_eq!(route.receivers == LEDGER, is_command, "{:?}", route.kind);
        }
    }

    #[test]
    fn a_consumer_reads_only_the_outboxes_that_write_to_it() {
        assert_eq!(outboxes_for(LEDGER_COMMANDS), ["accounts_events", "operations_events"]);
        assert_eq!(outboxes_for(ACCOUNTS_CLOSINGS), ["ledger_events"]);
        assert_eq!(outboxes_for(QUERY_EVENTS), ["accounts_events", "ledger_events"]);
    }
}
