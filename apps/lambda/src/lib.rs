//! What every function of the bank on AWS shares. The functions themselves are in `bin`, each no more than what it is
//! made of: [`run`] starts it, and [`Function`] does one of three kinds of work.
//!
//! - [`Function::serve`]: the gateway's requests, answered by a service's routes.
//! - [`Function::consume`]: the messages of a consumer's queue.
//! - [`Function::relay`]: the stream of a service's outbox, sent to the queues of those who hear it.
//!
//! What a function is given, by `template.yaml`:
//!
//! | variable | given to | what it is |
//! |---|---|---|
//! | `RESOURCE_PREFIX` | all | what the names of tables and queues begin with, such as `bank-dev-` |
//! | `AWS_LAMBDA_LOG_LEVEL` | all, by Lambda | the least severe log line that is written; `info` where there is none |
//! | `SSL_CERT_FILE` | all | the file of the authorities that TLS trusts; without it the system's folders are searched at each start |
//! | `CORS_ORIGINS` | `*_api` | the origins whose scripts may call the bank, with commas between; empty closes CORS |
//! | `QUEUE_URL`, `DEAD_LETTER_QUEUE_URL` | consumers | the consumer's queue, and where its dead letters go |
//! | `QUEUE_URL_…` | `*_relay` | the queue of each consumer who hears the service, such as `QUEUE_URL_LEDGER_COMMANDS` |
//! | `FAILURE_QUEUE_URL` | `*_relay` | where outbox records go that can never be sent |
//! | `USER_POOL_ID` | identity, `notifications_service_emails` | the Cognito user pool |
//! | `USER_POOL_CLIENT_ID` | identity | the pool's client |
//! | `CONFIRMATION` | identity | `BY_CODE`, or `AT_ONCE` for a stage without letters |
//! | `MAIL_FROM_PARAMETER` | `notifications_service_emails` | the SSM parameter that names the sender; without it there are no letters |
//!
//! Bounds: one event at a time, on one thread; an answer of 6 MB. A handler that panics fails its one event, and
//! [`runtime::deliver`] its one message, so the functions are built to unwind. Absent on purpose: rate limits and the
//! addresses of clients, which are the gateway's, and caches of what another process changes, but for
//! one of accounts in `banking_service_api`.
#![warn(missing_docs)]

mod function;
mod gateway;
mod invocation;
mod trace;

pub use function::{Failure, Function, STREAMED, optional_setting, parsed_setting, run, setting};
