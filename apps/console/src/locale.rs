//! Languages, and how each writes numbers and times (Unicode CLDR, by way of ICU4X).
//!
//! A visitor's language is the one she chose, else the first of her browser's that there are words in, else English.
//! Times are written in UTC and say so; a browser with scripts writes them anew in its own time zone.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
use icu_calendar::Iso;
use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::{MD, YMDT};
use icu_datetime::input::{Date, DateTime, Time};
use icu_datetime::options::TimePrecision;
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_locale_core::{Locale as IcuLocale, locale};
use kernel::{Currency, Money, Timestamp};

use crate::model::money;

/// The cookie that remembers a choice.
pub const LANGUAGE_COOKIE: &str = "bank_language";

/// A language that the console has words in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Locale {
    English,
    German,
    Turkish,
}

impl Locale {
    /// Every language, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::English, Self::German, Self::Turkish];

    /// The tag of the language (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::Turkish => "tr",
        }
    }

    /// Its own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
            Self::Turkish => "Türkçe",
        }
    }

    /// The language with this tag; `de-AT` is German too.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', ';']).next()?.trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|locale| locale.tag() == primary)
    }

    /// The language that whoever sent these headers reads.
    pub fn of(headers: &HeaderMap) -> Self {
        let chosen = cookie(headers, LANGUAGE_COOKIE).and_then(Self::of_tag);
        // Browsers send the languages in the order of preference, whatever their weights.
        let accepted = || {
            let header = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
            header.split(',').find_map(Self::of_tag)
        };
        chosen.or_else(accepted).unwrap_or(Self::English)
    }

    fn icu(self) -> IcuLocale {
        match self {
            Self::English => locale!("en"),
            Self::German => locale!("de"),
            Self::Turkish => locale!("tr"),
        }
    }

    /// The number of an amount, with the decimals of its currency and its thousands apart: `1.183,87`.
    pub fn number(self, money: Money) -> String {
        let exponent = i16::from(money.currency.exponent());
        let mut decimal = Decimal::from(money.minor);
        decimal.multiply_pow10(-exponent);
        decimal.absolute.pad_end(-exponent);
        match DecimalFormatter::try_new(self.icu().into(), Default::default()) {
            Ok(formatter) => formatter.format(&decimal).to_string(),
            Err(_) => money.decimal().to_string(),
        }
    }

    /// The number of an amount of the API. What the bank wrote as none is shown as it came.
    pub fn decimal(self, decimal: &str, currency: Currency) -> String {
        money(decimal, currency).map_or_else(|| decimal.to_owned(), |money| self.number(money))
    }

    /// A whole number, with its thousands apart.
    pub fn count(self, count: u64) -> String {
        match DecimalFormatter::try_new(self.icu().into(), Default::default()) {
            Ok(formatter) => formatter.format(&Decimal::from(count)).to_string(),
            Err(_) => count.to_string(),
        }
    }

    /// A day and a minute, in UTC.
    pub fn time(self, at: Timestamp) -> String {
        let fields = YMDT::medium().with_time_precision(TimePrecision::Minute);
        let formatter = DateTimeFormatter::try_new(self.icu().into(), fields);
        match (formatter, utc(at)) {
            (Ok(formatter), Some(at)) => format!("{} UTC", formatter.format(&at)),
            _ => at.to_string(),
        }
    }

    /// A day of the year, in UTC.
    pub fn day(self, at: Timestamp) -> String {
        match (DateTimeFormatter::try_new(self.icu().into(), MD::medium()), utc(at)) {
            (Ok(formatter), Some(at)) => formatter.format(&at).to_string(),
            _ => at.to_string(),
        }
    }
}

fn utc(at: Timestamp) -> Option<DateTime<Iso>> {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let (month, day) = (u8::try_from(at.month()).ok()?, u8::try_from(at.day()).ok()?);
    let (hour, minute) = (u8::try_from(at.hour()).ok()?, u8::try_from(at.minute()).ok()?);
    let date = Date::try_new_iso(i32::from(at.year()), month, day).ok()?;
    Some(DateTime { date, time: Time::try_new(hour, minute, 0, 0).ok()? })
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut pairs =
        cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_are_written_as_each_language_and_currency_has_it() {
        for (locale, text, written) in [
            (Locale::English, "1234567.50 EUR", "1,234,567.50"),
            (Locale::German, "1234567.50 EUR", "1.234.567,50"),
            (Locale::Turkish, "1234567.50 TRY", "1.234.567,50"),
            (Locale::English, "120000 JPY", "120,000"),
            (Locale::German, "0.125 BHD", "0,125"),
            (Locale::English, "100.00 EUR", "100.00"),
            (Locale::English, "-12.05 EUR", "-12.05"),
        ] {
            assert_eq!(locale.number(exact(text)), written, "{text}");
        }
    }

    #[test]
    fn times_are_written_as_each_language_has_it() {
        let at = Timestamp::from_millis(1_795_251_900_000);
        assert_eq!(Locale::English.time(at).replace('\u{202f}', " "), "Nov 21, 2026, 9:05 AM UTC");
        assert_eq!(Locale::German.time(at), "21.11.2026, 09:05 UTC");
        assert_eq!(Locale::Turkish.time(at), "21 Kas 2026 09:05 UTC");
        assert_eq!(Locale::German.day(at), "21. Nov.");
    }

    #[test]
    fn a_choice_comes_before_the_browser_and_the_browser_before_english() {
        let headers = |pairs: &[(axum::http::HeaderName, &str)]| {
            pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        assert_eq!(Locale::of(&headers(&[])), Locale::English);
        let browser = (ACCEPT_LANGUAGE, "fr-FR, tr-TR;q=0.8, de;q=0.7");
        assert_eq!(Locale::of(&headers(std::slice::from_ref(&browser))), Locale::Turkish);
        let chosen = (COOKIE, "a=b; bank_language=de");
        assert_eq!(Locale::of(&headers(&[browser, chosen])), Locale::German);
        assert_eq!(Locale::of(&headers(&[(COOKIE, "bank_language=xx")])), Locale::English);
    }
}
