//! All messages as one type, and their names.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::accounts::{AccountState, CloseAccountCmd};
use crate::banking::{MoveCmd, TransferCmd};
use crate::ledger::{
    AccountClosedEvent, CloseRejectedEvent, MoveFailedEvent, MovedEvent, TransferFailedEvent,
    TransferredEvent,
};

/// The version that every message is written in today.
pub const VERSION: u32 = 1;

/// A message that this version of the bank cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A name that is not in the topology.
    #[error("unknown kind of message {0:?}")]
    Kind(String),
    /// A version newer than [`VERSION`], or zero.
    #[error("{kind} has version {version}, which is not known here")]
    Version {
        /// The kind of message.
        kind: &'static str,
        /// The version it has.
        version: u32,
    },
    /// A body that is not of its kind's shape.
    #[error("{kind} cannot be read: {source}")]
    Body {
        /// The kind of message.
        kind: &'static str,
        /// What is wrong with the body.
        source: serde_json::Error,
    },
}

macro_rules! messages {
    ($($(#[$doc:meta])* $variant:ident($body:ty) = $name:literal;)*) => {
        /// The name of a command or an event.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        /// A command or an event.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Message {
            $($(#[$doc])* $variant($body),)*
        }

        impl Kind {
            /// Every kind, in the order of the flow.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl Message {
            /// Which kind of message it is.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$variant(_) => Kind::$variant,)*
                }
            }

            /// The message as it is written in its envelope.
            pub fn body(&self) -> Box<RawValue> {
                let written = match self {
                    $(Self::$variant(body) => serde_json::value::to_raw_value(body),)*
                };
                written.unwrap_or_else(|error| {
                    unreachable!("a message is a struct of strings, numbers and enums, so it has a JSON form: {error}")
                })
            }

            /// Reads the body of an envelope.
            pub fn decode(kind: &str, version: u32, body: &RawValue) -> Result<Self, DecodeError> {
                match kind {
                    $($name => read($name, version, body).map(Self::$variant),)*
                    unknown => Err(DecodeError::Kind(unknown.to_owned())),
                }
            }
        }
    };
}

messages! {
    /// An account was opened.
    CreateAccount(AccountState) = "CREATE_ACCOUNT_EVENT";
    /// An account was closed for good.
    CloseAccount(AccountState) = "CLOSE_ACCOUNT_EVENT";
    /// The ledger is asked to close an account's head.
    CloseAccountCmd(CloseAccountCmd) = "CLOSE_ACCOUNT_CMD";
    /// The ledger is asked to post a deposit.
    DepositCmd(MoveCmd) = "DEPOSIT_CMD";
    /// The ledger is asked to post a withdrawal.
    WithdrawCmd(MoveCmd) = "WITHDRAW_CMD";
    /// The ledger is asked to post a transfer.
    TransferCmd(TransferCmd) = "TRANSFER_CMD";
    /// A deposit was posted.
    Deposited(MovedEvent) = "DEPOSIT_EVENT";
    /// A deposit was refused.
    DepositFailed(MoveFailedEvent) = "DEPOSIT_FAILED_EVENT";
    /// A withdrawal was posted.
    Withdrawn(MovedEvent) = "WITHDRAW_EVENT";
    /// A withdrawal was refused.
    WithdrawFailed(MoveFailedEvent) = "WITHDRAW_FAILED_EVENT";
    /// A transfer was posted.
    Transferred(TransferredEvent) = "TRANSFER_EVENT";
    /// A transfer was refused.
    TransferFailed(TransferFailedEvent) = "TRANSFER_FAILED_EVENT";
    /// The ledger closed an account's head.
    AccountClosed(AccountClosedEvent) = "ACCOUNT_CLOSED_EVENT";
    /// The ledger refused to close an account's head.
    CloseRejected(CloseRejectedEvent) = "CLOSE_REJECTED_EVENT";
}

fn read<'a, T: Deserialize<'a>>(
    kind: &'static str,
    version: u32,
    body: &'a RawValue,
) -> Result<T, DecodeError> {
    if version != VERSION {
        return Err(DecodeError::Version { kind, version });
    }
    serde_json::from_str(body.get()).map_err(|source| DecodeError::Body { kind, source })
}
