//! What happened in an account: a line of its balance, and the list behind it, filtered and by the page.

use std::time::Duration;

use kernel::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::api::path_with;
use crate::chart::{self, Point};
use crate::model::{Account, Listing, Transaction, money};
use crate::parts::{amount, movement, named, next_page, time};
use crate::text::Text;
use crate::visitor::{Customer, Failure};

/// The spans that the line is offered for, in days.
const SPANS: [u32; 3] = [30, 90, 365];
/// The most pages of a hundred that a line is drawn from; a busier account shows a shorter time.
const CHART_PAGES_MAX: usize = 10;
/// How many rows a page has.
const PAGE: &str = "25";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What of a history is shown.
#[derive(Clone, Default, Deserialize)]
pub struct Filter {
    /// The first day, `2026-11-01`, in UTC.
    #[serde(default)]
    pub from: String,
    /// The last day.
    #[serde(default)]
    pub to: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub cursor: String,
    /// For how many days the line is drawn.
    #[serde(default)]
    pub days: Option<u32>,
}

impl Filter {
    /// The path of the API's page.
    pub fn path(&self, account_id: &str, limit: &str) -> String {
        let (from, to) = (start_of(&self.from), end_of(&self.to));
        path_with(
            &format!("/transactions/{account_id}"),
            &[
                ("limit", Some(limit)),
                ("cursor", Some(&self.cursor)),
                ("from", from.as_deref()),
                ("to", to.as_deref()),
                ("kind", Some(&self.kind)),
            ],
        )
    }

    /// The path of the console's own page, or of the statement, with what is shown there.
    fn link(&self, path: &str, cursor: Option<&str>) -> String {
        let pairs = [
            ("from", Some(self.from.as_str())),
            ("to", Some(&self.to)),
            ("kind", Some(&self.kind)),
            ("cursor", cursor),
        ];
        path_with(path, &pairs)
    }
}

fn start_of(day: &str) -> Option<String> {
    (!day.is_empty()).then(|| format!("{day}T00:00:00Z"))
}

fn end_of(day: &str) -> Option<String> {
    (!day.is_empty()).then(|| format!("{day}T23:59:59.999Z"))
}

pub async fn draw(customer: &Customer, account: &Account, filter: &Filter) -> Result<Markup, Failure> {
    let page: Listing<Transaction> = customer.get(filter.path(&account.account_id, PAGE)).await?;
    let days = filter.days.filter(|days| SPANS.contains(days)).unwrap_or(SPANS[0]);
    let line = line(customer, account, days).await?;
    let here = format!("/app/accounts/{}", account.account_id);
    let next = page.next_cursor.as_deref();
    Ok(html! {
        section.card {
            div.headline {
                h2 { (customer.text(Text::BalanceOverTime)) }
                nav.tabs aria-label=(customer.text(Text::BalanceOverTime)) {
                    @for span in SPANS {
                        a href={ (here) "?days=" (span) } aria-current=[(span == days).then_some("true")] {
                            (span) " " (customer.text(Text::Days))
                        }
                    }
                }
            }
            (line)
        }
        section.card {
            div.headline {
                h2 id="history" { (customer.text(Text::History)) }
                a.button.quiet href=(filter.link(&format!("{here}/statement.csv"), None)) download {
                    (customer.text(Text::Statement))
                }
            }
            (filters(customer, filter, &here))
            (rows(customer, &page.items))
            (next_page(customer.locale(), &format!("{}#history", filter.link(&here, next)), next))
        }
    })
}

fn filters(customer: &Customer, filter: &Filter, here: &str) -> Markup {
    html! {
        form.filters method="get" action={ (here) "#history" } {
            div.field {
                label for="from" { (customer.text(Text::From)) }
                input id="from" type="date" name="from" value=(filter.from);
            }
            div.field {
                label for="to" { (customer.text(Text::Until)) }
                input id="to" type="date" name="to" value=(filter.to);
            }
            div.field {
                label for="kind" { (customer.text(Text::Kind)) }
                select id="kind" name="kind" {
                    option value="" { (customer.text(Text::AllKinds)) }
                    @for kind in ["DEPOSIT", "WITHDRAW", "TRANSFER"] {
                        option value=(kind) selected[filter.kind == kind] { (named(customer.locale(), kind)) }
                    }
                }
            }
            button.quiet type="submit" { (customer.text(Text::Show)) }
        }
    }
}

fn rows(customer: &Customer, transactions: &[Transaction]) -> Markup {
    let locale = customer.locale();
    html! {
        @if transactions.is_empty() {
            p.empty { (customer.text(Text::NothingYet)) }
        } @else {
            table.history {
                thead { tr {
                    th scope="col" { (customer.text(Text::What)) }
                    th scope="col" { (customer.text(Text::When)) }
                    th.number scope="col" { (customer.text(Text::Amount)) }
                    th.number scope="col" { (customer.text(Text::BalanceAfter)) }
                } }
                tbody { @for transaction in transactions { tr {
                    td.what {
                        a href={ "/app/operations/" (transaction.operation_id) } {
                            (transaction.description.as_deref().unwrap_or(named(locale, &transaction.kind)))
                        }
                        span.muted {
                            (named(locale, &transaction.kind))
                            @if let Some(reason) = &transaction.reason { " · " (named(locale, reason)) }
                        }
                    }
                    td.when { (time(locale, transaction.occurred_at)) }
                    td.number { (movement(locale, transaction)) }
                    td.number.after {
                        @if let Some(after) = &transaction.balance_after {
                            (amount(locale, after, transaction.currency))
                        }
                    }
                } } }
            }
        }
    }
}

/// The balance over the last days, as far back as the pages that are read for it reach.
async fn line(customer: &Customer, account: &Account, days: u32) -> Result<Markup, Failure> {
    let now = customer.visitor.console.sources.now();
    let wanted_from = Timestamp::from_millis(now.as_millis().saturating_sub(millis(DAY * days)));
    let mut points = Vec::new();
    let mut cursor = String::new();
    for _ in 0..CHART_PAGES_MAX {
        let filter = Filter { cursor, ..Filter::default() };
        let page: Listing<Transaction> = customer.get(filter.path(&account.account_id, "100")).await?;
        points.extend(page.items.iter().filter_map(point));
        // One point before the span tells what the balance was at its beginning.
        let reaches_back = page.items.last().is_none_or(|oldest| oldest.occurred_at < wanted_from);
        match page.next_cursor {
            Some(next) if !reaches_back => cursor = next,
            _ => break,
        }
    }
    points.reverse();
    Ok(chart::balance(
        customer.locale(),
        account.currency,
        &points,
        (wanted_from, now),
        customer.text(Text::NothingYet),
    ))
}

fn point(transaction: &Transaction) -> Option<Point> {
    let after = transaction.is_completed().then_some(transaction.balance_after.as_deref()).flatten()?;
    let balance = money(after, transaction.currency)?;
    Some(Point { at: transaction.occurred_at, minor: balance.minor })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
