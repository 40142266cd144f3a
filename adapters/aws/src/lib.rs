//! The bank's ports on AWS: DynamoDB, its streams, SQS, Cognito, SES and CloudWatch.
//!
//! - A [`Connection`] is one deployment as a process reaches it; everything else is made of it.
//! - [`DynamoStore`] is the store. [`Relay`] carries what leaves through its outboxes to the queues.
//! - [`ConsumerQueue`] lets a consumer take its messages, and [`SqsQueues`] lets an operator see to the dead ones.
//! - [`Cognito`] and [`CognitoDirectory`] know who people are, [`SesMailer`] writes to them.
//! - [`Measures`] are written as CloudWatch reads them, and a [`Setting`] is fetched once.
//!
//! Nothing in here decides anything about money: what a service promises, it promises in every world.
#![warn(missing_docs)]

mod cognito;
mod connection;
mod consume;
mod dead_letter;
#[cfg(test)]
mod fake_sqs;
mod hide;
mod kept;
mod mail;
mod measures;
mod queues;
mod relay;
mod send;
mod settings;
mod store;

pub use cognito::{Cognito, CognitoDirectory, Confirmation, UnknownConfirmation};
pub use connection::Connection;
pub use consume::{ConsumerQueue, ReceivedBatch};
pub use mail::SesMailer;
pub use measures::{Measures, MeasuresError};
pub use queues::SqsQueues;
pub use relay::{Relay, Routes};
pub use settings::Setting;
pub use store::DynamoStore;
