//! The customer's bank.

mod accounts;
mod history;
mod messages;
mod payments;
mod people;
mod settings;

use axum::Router;

pub use accounts::holdings;
pub use history::Filter;

use crate::Console;

/// Everything a customer sees.
pub fn routes() -> Router<Console> {
    Router::new()
        .merge(people::routes())
        .merge(accounts::routes())
        .merge(payments::routes())
        .merge(messages::routes())
        .merge(settings::routes())
}
