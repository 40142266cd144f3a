//! A balance over time, drawn as steps: money moves at a moment, and lies still between two.
//!
//! Whole numbers only, in the units of the drawing: it is 720 wide and 200 high, and grows with the page. The newest point
//! comes last. A balance never falls below zero, so the drawing begins there.

use kernel::{Currency, Money, Timestamp};
use maud::{Markup, html};

use crate::locale::Locale;

const WIDTH: i64 = 720;
const HEIGHT: i64 = 200;
/// Above the line, for the label of its highest value, and below it, for the days.
const TOP: i64 = 18;
const BOTTOM: i64 = 24;
/// How many days are named below the line.
const DAYS_NAMED: i64 = 4;

/// The balance from a moment on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub at: Timestamp,
    pub minor: i64,
}

/// Draws the balance between two moments, or says that there is `nothing`.
pub fn balance(
    locale: Locale,
    currency: Currency,
    points: &[Point],
    (from, to): (Timestamp, Timestamp),
    nothing: &str,
) -> Markup {
    let Some(shown) = within(points, from) else {
        return html! { p.empty { (nothing) } };
    };
    let from = shown[0].at.max(from);
    let highest = shown.iter().map(|point| point.minor).max().unwrap_or(0).max(1);
    let scale = Scale { from: from.as_millis(), to: to.as_millis().max(from.as_millis() + 1), highest };
    let line = scale.line(&shown);
    let number = |minor| format!("{} {}", locale.number(Money::from_minor(minor, currency)), currency.code());
    let last = shown.last().map_or(0, |point| point.minor);
    let label =
        format!("{} – {}: {} → {}", locale.day(from), locale.day(to), number(shown[0].minor), number(last));
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            path.area d={ (line) "V" (HEIGHT - BOTTOM) "H0Z" } {}
            line.base x1="0" x2=(WIDTH) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
            line.top x1="0" x2=(WIDTH) y1=(TOP) y2=(TOP) {}
            path.line d=(line) {}
            text.value x="0" y=(TOP - 6) { (number(highest)) }
            @for step in 0..=DAYS_NAMED {
                text.day.{ "at" (step) } x=(WIDTH * step / DAYS_NAMED) y=(HEIGHT - 6) {
                    (locale.day(scale.moment(step)))
                }
            }
            @for point in &shown {
                circle cx=(scale.x(point.at)) cy=(scale.y(point.minor)) r="2.5" {
                    title { (locale.time(point.at)) ": " (number(point.minor)) }
                }
            }
        }
    }
}

/// The points from a moment on, the first of them at that moment if the balance is older; none if there is no point.
fn within(points: &[Point], from: Timestamp) -> Option<Vec<Point>> {
    let newer = points.partition_point(|point| point.at < from);
    let before = newer.checked_sub(1).map(|last| Point { at: from, ..points[last] });
    let shown: Vec<_> = before.into_iter().chain(points[newer..].iter().copied()).collect();
    (!shown.is_empty()).then_some(shown)
}

struct Scale {
    from: i64,
    to: i64,
    highest: i64,
}

impl Scale {
    fn x(&self, at: Timestamp) -> i64 {
        (at.as_millis() - self.from).clamp(0, self.to - self.from) * WIDTH / (self.to - self.from)
    }

    fn y(&self, minor: i64) -> i64 {
        // A balance may be as large as an i64 holds.
        let share = i128::from(minor) * i128::from(HEIGHT - TOP - BOTTOM) / i128::from(self.highest);
        HEIGHT - BOTTOM - i64::try_from(share).unwrap_or(0)
    }

    fn moment(&self, step: i64) -> Timestamp {
        Timestamp::from_millis(self.from + (self.to - self.from) * step / DAYS_NAMED)
    }

    /// The path of the steps, up to the right edge.
    fn line(&self, points: &[Point]) -> String {
        let mut path = String::new();
        for (index, point) in points.iter().enumerate() {
            let (x, y) = (self.x(point.at), self.y(point.minor));
            path += &if index == 0 { format!("M0 {y}H{x}") } else { format!("H{x}V{y}") };
        }
        path + &format!("H{WIDTH}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: i64, minor: i64) -> Point {
        Point { at: Timestamp::from_millis(at), minor }
    }

    #[test]
    fn the_line_begins_with_what_was_there_before() {
        let points = [point(10, 5), point(20, 7), point(40, 3)];
        let shown = within(&points, Timestamp::from_millis(30)).unwrap();
        assert_eq!(shown, [point(30, 7), point(40, 3)]);
        assert_eq!(within(&points, Timestamp::from_millis(0)).unwrap(), points);
        assert_eq!(within(&[], Timestamp::EPOCH), None);
    }

    #[test]
    fn the_highest_balance_is_at_the_top_and_nothing_at_the_bottom() {
        let scale = Scale { from: 0, to: 100, highest: i64::MAX };
        assert_eq!(scale.y(i64::MAX), TOP);
        assert_eq!(scale.y(0), HEIGHT - BOTTOM);
        assert_eq!(scale.x(Timestamp::from_millis(50)), WIDTH / 2);
        assert_eq!(scale.x(Timestamp::from_millis(500)), WIDTH);
        assert_eq!(scale.line(&[point(0, 0), point(50, i64::MAX)]), "M0 176H0H360V18H720");
    }
}
