//! The back office: how the bank does, what became of an operation, what could not be handled, the books, and people.
//!
//! It looks, and moves no money. It is in English throughout, as the API's own words are.

mod books;
mod dead_letters;
mod flow;
pub mod operation;
mod search;

use axum::Router;
use maud::{Markup, html};

use crate::Console;

/// The parts of the back office.
const PARTS: [(&str, &str); 4] = [
    ("/office", "Flow"),
    ("/office/dead-letters", "Dead letters"),
    ("/office/books", "Books"),
    ("/office/search", "Search"),
];

/// Everything an operator sees.
pub fn routes() -> Router<Console> {
    Router::new()
        .merge(flow::routes())
        .merge(operation::routes())
        .merge(dead_letters::routes())
        .merge(books::routes())
        .merge(search::routes())
}

/// The way between the parts, and the box that finds whatever has an identifier.
fn menu(here: &str) -> Markup {
    html! {
        div.headline.office {
            nav.tabs aria-label="Back office" {
                @for (path, name) in PARTS {
                    a href=(path) aria-current=[(path == here).then_some("page")] { (name) }
                }
            }
            form.search method="get" action="/office/search" role="search" {
                input type="search" name="q" required aria-label="Email, or the id of a person, account or operation"
                    placeholder="Email or id";
                button.quiet type="submit" { "Search" }
            }
        }
    }
}
