//! Signing up, in and out, setting a new password, and choosing a language.

use axum::Router;
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{ApiError, Ask, path_with};
use crate::locale::{LANGUAGE_COOKIE, Locale};
use crate::model::SignedIn;
use crate::page::page;
use crate::parts::{Field, refusal};
use crate::session::{IDLE_MAX, SESSION_COOKIE};
use crate::text::Text;
use crate::visitor::{Customer, Failure, Visitor};
use crate::{Console, LANGUAGE_MAX_AGE};

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/", get(welcome))
        .route("/sign-up", get(sign_up_form).post(sign_up))
        .route("/sign-in", get(sign_in_form).post(sign_in))
        .route("/confirm", get(confirm_form).post(confirm))
        .route("/forgot-password", get(forgot_form).post(forgot))
        .route("/reset-password", get(reset_form).post(reset))
        .route("/sign-out", post(sign_out))
        .route("/sign-out-everywhere", post(sign_out_everywhere))
        .route("/language", post(choose_language))
}

async fn welcome(visitor: Visitor) -> Response {
    if visitor.session.is_some() {
        return Redirect::to("/app").into_response();
    }
    let content = html! {
        section.hero {
            h1 { (visitor.text(Text::WelcomeTitle)) }
            p.lead { (visitor.text(Text::WelcomeLead)) }
            p.actions {
                a.button href="/sign-up" { (visitor.text(Text::OpenAnAccount)) }
                a.button.quiet href="/sign-in" { (visitor.text(Text::SignIn)) }
            }
        }
        section.tiles {
            @for (title, why) in [
                (Text::PromiseExact, Text::PromiseExactWhy),
                (Text::PromiseLive, Text::PromiseLiveWhy),
                (Text::PromiseSafe, Text::PromiseSafeWhy),
            ] {
                article.card { h2 { (visitor.text(title)) } p { (visitor.text(why)) } }
            }
        }
    };
    page(&visitor, visitor.text(Text::Welcome), &content).into_response()
}

/// What any of the forms sends; each has the fields that it shows.
#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    new_password: String,
    #[serde(default)]
    code: String,
    /// The page to go to afterwards.
    #[serde(default)]
    next: String,
}

impl Entry {
    /// The page to go to: one of the console's own, since a link to here may come from anywhere.
    fn next(&self) -> &str {
        let is_own =
            self.next.starts_with("/app") || self.next.starts_with("/office") || self.next == "/about";
        if is_own && !self.next.contains(['\\', '\r', '\n']) { &self.next } else { "/app" }
    }
}

/// A form of this part of the console: they differ in their words and fields.
struct Sheet<'a> {
    title: Text,
    lead: Option<Text>,
    action: &'a str,
    fields: &'a [Field<'a>],
    button: Text,
    links: &'a [(&'a str, Text)],
}

fn sheet(visitor: &Visitor, sheet: &Sheet<'_>, entry: &Entry, refused: Option<&ApiError>) -> Markup {
    let title = visitor.text(sheet.title);
    let content = html! {
        section.card.narrow {
            h1 { (title) }
            @if let Some(lead) = sheet.lead { p.muted { (visitor.text(lead)) } }
            (refusal(visitor.locale, refused))
            form method="post" action=(sheet.action) {
                input type="hidden" name="next" value=(entry.next());
                @for field in sheet.fields { (field.draw(refused)) }
                button type="submit" { (visitor.text(sheet.button)) }
            }
            p.links { @for (path, text) in sheet.links { a href=(path) { (visitor.text(*text)) } " " } }
        }
    };
    page(visitor, title, &content)
}

fn email<'a>(visitor: &Visitor, entry: &'a Entry) -> Field<'a> {
    let label = visitor.text(Text::Email);
    Field { kind: "email", autocomplete: "username", ..Field::text("email", label, &entry.email) }
}

fn password<'a>(visitor: &Visitor, name: &'a str, is_new: bool) -> Field<'a> {
    let autocomplete = if is_new { "new-password" } else { "current-password" };
    let hint = is_new.then(|| visitor.text(Text::PasswordHint));
    Field { kind: "password", autocomplete, hint, ..Field::text(name, visitor.text(Text::Password), "") }
}

fn code<'a>(visitor: &Visitor, entry: &'a Entry) -> Field<'a> {
    Field { autocomplete: "one-time-code", ..Field::text("code", visitor.text(Text::Code), &entry.code) }
}

fn refused(error: &ApiError) -> StatusCode {
    match error {
        ApiError::Refused(problem) => StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY),
        ApiError::Unreachable(_) => StatusCode::BAD_GATEWAY,
    }
}

async fn sign_up_form(visitor: Visitor, Query(entry): Query<Entry>) -> Markup {
    sign_up_page(&visitor, &entry, None)
}

fn sign_up_page(visitor: &Visitor, entry: &Entry, refused: Option<&ApiError>) -> Markup {
    let fields = [email(visitor, entry), password(visitor, "password", true)];
    let form = Sheet {
        title: Text::OpenAnAccount,
        lead: Some(Text::SignUpLead),
        action: "/sign-up",
        fields: &fields,
        button: Text::SignUp,
        links: &[("/sign-in", Text::HaveAccount)],
    };
    sheet(visitor, &form, entry, refused)
}

/// Signs up, and in at once where the bank confirms people without a letter.
async fn sign_up(visitor: Visitor, Form(entry): Form<Entry>) -> Result<Response, Failure> {
    let Entry { email, password, .. } = &entry;
    let body = json!({ "email": email, "password": password });
    if let Err(error) = visitor.ask::<Value>(Ask::post("/auth/sign-up", body)).await {
        return Ok((refused(&error), sign_up_page(&visitor, &entry, Some(&error))).into_response());
    }
    signed_in(&visitor, &entry, |error| sign_in_page(&visitor, &entry, error)).await
}

async fn sign_in_form(visitor: Visitor, Query(entry): Query<Entry>) -> Response {
    if visitor.session.is_some() {
        return Redirect::to(entry.next()).into_response();
    }
    sign_in_page(&visitor, &entry, None).into_response()
}

fn sign_in_page(visitor: &Visitor, entry: &Entry, refused: Option<&ApiError>) -> Markup {
    let fields = [email(visitor, entry), password(visitor, "password", false)];
    let form = Sheet {
        title: Text::SignIn,
        lead: None,
        action: "/sign-in",
        fields: &fields,
        button: Text::SignIn,
        links: &[("/forgot-password", Text::ForgotPassword), ("/sign-up", Text::OpenAnAccount)],
    };
    sheet(visitor, &form, entry, refused)
}

async fn sign_in(visitor: Visitor, Form(entry): Form<Entry>) -> Result<Response, Failure> {
    signed_in(&visitor, &entry, |error| sign_in_page(&visitor, &entry, error)).await
}

/// Begins a session, or shows the form again.
async fn signed_in(
    visitor: &Visitor,
    entry: &Entry,
    form: impl Fn(Option<&ApiError>) -> Markup,
) -> Result<Response, Failure> {
    let body = json!({ "email": entry.email, "password": entry.password });
    match visitor.ask::<SignedIn>(Ask::post("/auth/sign-in", body)).await {
        Ok(tokens) => {
            let Console { sessions, sources, .. } = &visitor.console;
            let id = sessions.begin(&entry.email, &tokens, sources.now());
            let cookie = visitor.console.cookie(SESSION_COOKIE, &id, IDLE_MAX.as_secs());
            Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(entry.next())).into_response())
        }
        Err(ApiError::Refused(problem)) if problem.code == "NOT_CONFIRMED" => {
            Ok(Redirect::to(&path_with("/confirm", &[("email", Some(&entry.email))])).into_response())
        }
        Err(error) => Ok((refused(&error), form(Some(&error))).into_response()),
    }
}

async fn confirm_form(visitor: Visitor, Query(entry): Query<Entry>) -> Markup {
    confirm_page(&visitor, &entry, None)
}

fn confirm_page(visitor: &Visitor, entry: &Entry, refused: Option<&ApiError>) -> Markup {
    let form = Sheet {
        title: Text::ConfirmTitle,
        lead: Some(Text::CodeSent),
        action: "/confirm",
        fields: &[email(visitor, entry), code(visitor, entry)],
        button: Text::Confirm,
        links: &[("/sign-in", Text::SignIn)],
    };
    sheet(visitor, &form, entry, refused)
}

async fn confirm(visitor: Visitor, Form(entry): Form<Entry>) -> Response {
    let body = json!({ "email": entry.email, "code": entry.code });
    match visitor.ask::<Value>(Ask::post("/auth/confirm", body)).await {
        Ok(_) => Redirect::to(&path_with("/sign-in", &[("email", Some(&entry.email))])).into_response(),
        Err(error) => (refused(&error), confirm_page(&visitor, &entry, Some(&error))).into_response(),
    }
}

async fn forgot_form(visitor: Visitor, Query(entry): Query<Entry>) -> Markup {
    forgot_page(&visitor, &entry, None)
}

fn forgot_page(visitor: &Visitor, entry: &Entry, refused: Option<&ApiError>) -> Markup {
    let form = Sheet {
        title: Text::ForgotPassword,
        lead: Some(Text::ForgotLead),
        action: "/forgot-password",
        fields: &[email(visitor, entry)],
        button: Text::SendCode,
        links: &[("/sign-in", Text::SignIn)],
    };
    sheet(visitor, &form, entry, refused)
}

async fn forgot(visitor: Visitor, Form(entry): Form<Entry>) -> Response {
    let body = json!({ "email": entry.email });
    match visitor.ask::<Value>(Ask::post("/auth/forgot-password", body)).await {
        Ok(_) => {
            Redirect::to(&path_with("/reset-password", &[("email", Some(&entry.email))])).into_response()
        }
        Err(error) => (refused(&error), forgot_page(&visitor, &entry, Some(&error))).into_response(),
    }
}

async fn reset_form(visitor: Visitor, Query(entry): Query<Entry>) -> Markup {
    reset_page(&visitor, &entry, None)
}

fn reset_page(visitor: &Visitor, entry: &Entry, refused: Option<&ApiError>) -> Markup {
    let form = Sheet {
        title: Text::NewPassword,
        lead: Some(Text::CodeSent),
        action: "/reset-password",
        fields: &[email(visitor, entry), code(visitor, entry), password(visitor, "new_password", true)],
        button: Text::SetPassword,
        links: &[("/sign-in", Text::SignIn)],
    };
    sheet(visitor, &form, entry, refused)
}

async fn reset(visitor: Visitor, Form(entry): Form<Entry>) -> Response {
    let body = json!({ "email": entry.email, "code": entry.code, "new_password": entry.new_password });
    match visitor.ask::<Value>(Ask::post("/auth/reset-password", body)).await {
        Ok(_) => {
            // A new password signs a person out everywhere, as its letter says.
            visitor.console.sessions.end_all_of(&entry.email);
            Redirect::to(&path_with("/sign-in", &[("email", Some(&entry.email))])).into_response()
        }
        Err(error) => (refused(&error), reset_page(&visitor, &entry, Some(&error))).into_response(),
    }
}

/// Signs out. Whatever the API says of it, the browser is signed in no more.
async fn sign_out(customer: Customer) -> Response {
    end(&customer, "/auth/sign-out").await
}

async fn sign_out_everywhere(customer: Customer) -> Response {
    customer.visitor.console.sessions.end_all_of(&customer.session.email);
    end(&customer, "/auth/sign-out-everywhere").await
}

async fn end(customer: &Customer, path: &str) -> Response {
    if let Err(error) = customer.ask::<Value>(Ask::post(path, Value::Null)).await {
        tracing::warn!(%error, "the bank did not end a session");
    }
    customer.visitor.signed_out("/")
}

#[derive(Deserialize)]
struct Choice {
    language: String,
    back: String,
}

async fn choose_language(visitor: Visitor, Form(choice): Form<Choice>) -> Response {
    let locale = Locale::of_tag(&choice.language).unwrap_or(visitor.locale);
    let cookie = visitor.console.cookie(LANGUAGE_COOKIE, locale.tag(), LANGUAGE_MAX_AGE.as_secs());
    // The way back is one of the console's own pages; `//elsewhere` would not be.
    let is_own =
        choice.back.starts_with('/') && !choice.back.starts_with("//") && !choice.back.contains('\\');
    let back = if is_own { choice.back.as_str() } else { "/" };
    (AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(back)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_the_consoles_own_pages_only() {
        for (next, leads_to) in [
            ("/app/accounts/1?days=30", "/app/accounts/1?days=30"),
            ("/office", "/office"),
            ("/about", "/about"),
            ("", "/app"),
            ("https://evil.example", "/app"),
            ("//evil.example/app", "/app"),
            ("/\\evil.example", "/app"),
            ("/app\\..\\evil", "/app"),
            ("/app\r\nset-cookie: a=b", "/app"),
            ("/sign-out", "/app"),
        ] {
            let entry = Entry { next: next.to_owned(), ..Entry::default() };
            assert_eq!(entry.next(), leads_to, "{next:?}");
        }
    }
}
