//! The frame around every page, and the pages that only say something.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::api::{Api, Problem};
use crate::assets;
use crate::locale::Locale;
use crate::text::Text;
use crate::visitor::Visitor;

/// Where the navigation leads.
const CUSTOMER_LINKS: [(&str, Text); 4] = [
    ("/app", Text::Accounts),
    ("/app/move", Text::MoveMoney),
    ("/app/notifications", Text::Notifications),
    ("/app/settings", Text::Settings),
];

/// A page under this title.
pub fn page(visitor: &Visitor, title: &str, content: &Markup) -> Markup {
    let bank = visitor.text(Text::Bank);
    html! {
        (DOCTYPE)
        html lang=(visitor.locale.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (bank) }
                link rel="icon" href=(assets::ICON.path()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE.path());
                script type="module" src=(assets::SCRIPT.path()) {}
            }
            body {
                a.skip href="#content" { (visitor.text(Text::SkipToContent)) }
                header.top {
                    a.brand href="/" { span.mark aria-hidden="true" {} (bank) }
                    (navigation(visitor))
                }
                main id="content" tabindex="-1" { (content) }
                footer.bottom {
                    nav aria-label=(visitor.text(Text::About)) {
                        a href="/about" { (visitor.text(Text::HowItWorks)) }
                        @if let Api::InProcess(_) = visitor.console.api { a href="/docs" { "API" } }
                    }
                    (languages(visitor))
                }
            }
        }
    }
}

fn navigation(visitor: &Visitor) -> Markup {
    let Some(session) = &visitor.session else {
        return html! {
            nav.main aria-label=(visitor.text(Text::Navigation)) {
                a href="/sign-in" { (visitor.text(Text::SignIn)) }
                a href="/sign-up" { (visitor.text(Text::OpenAnAccount)) }
            }
        };
    };
    let office = session.is_operator().then_some(("/office", Text::BackOffice));
    html! {
        nav.main aria-label=(visitor.text(Text::Navigation)) {
            @for (path, text) in CUSTOMER_LINKS.into_iter().chain(office) {
                a href=(path) aria-current=[is_here(path, &visitor.path).then_some("page")] { (visitor.text(text)) }
            }
            form method="post" action="/sign-out" {
                button.plain type="submit" { (visitor.text(Text::SignOut)) }
            }
        }
    }
}

/// Whether a link leads to the part of the console that a page is in.
fn is_here(link: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    match link {
        "/app" => path == link || path.starts_with("/app/accounts"),
        _ => path.strip_prefix(link).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

fn languages(visitor: &Visitor) -> Markup {
    html! {
        form.languages method="post" action="/language" {
            input type="hidden" name="back" value=(visitor.path);
            @for locale in Locale::ALL {
                button.plain type="submit" name="language" value=(locale.tag()) lang=(locale.tag())
                    aria-pressed=(locale == visitor.locale) { (locale.name()) }
            }
        }
    }
}

/// A page that says one thing.
pub fn message(visitor: &Visitor, title: Text, why: Text, problem: Option<&Problem>) -> Markup {
    let content = html! {
        section.card.narrow {
            h1 { (visitor.text(title)) }
            p { (visitor.text(why)) }
            @if let Some(problem) = problem {
                p.muted { (problem.detail) }
                @if let Some(correlation_id) = &problem.correlation_id {
                    p.muted { (visitor.text(Text::Reference)) " " code { (correlation_id) } }
                }
            }
            p { a.button href="/" { (visitor.text(Text::Back)) } }
        }
    };
    page(visitor, visitor.text(title), &content)
}

/// For a path within the console that leads nowhere.
pub async fn not_found(visitor: Visitor) -> Response {
    (StatusCode::NOT_FOUND, message(&visitor, Text::NotFound, Text::NotFoundWhy, None)).into_response()
}
