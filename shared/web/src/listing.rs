//! Lists, a page at a time.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::invalid_query;
use crate::{Problem, cursor};

/// The most items of one page.
pub const LIMIT_MAX: u32 = 100;
/// The items of one page where nothing else was asked for.
pub const LIMIT_DEFAULT: u32 = 25;

/// One page of a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Listing<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Asks for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub next_cursor: Option<String>,
}

impl<T> Listing<T> {
    /// A page, and the sort key of its last item if there may be more behind it.
    pub fn new(items: Vec<T>, next: Option<&str>) -> Self {
        Self { items, next_cursor: next.map(cursor::encode) }
    }
}

/// Which page of a list is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// The most items of the page.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[param(format = "cursor")]
    pub cursor: Option<String>,
}

/// A page that can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The most items, 1 to [`LIMIT_MAX`].
    pub limit: usize,
    /// The sort key of the last item of the page before.
    pub after: Option<String>,
}

impl Paging {
    /// Reads the two.
    ///
    /// # Errors
    /// 400 `INVALID_QUERY` for a limit out of bounds, 400 `INVALID_CURSOR` for a cursor that is not one of ours.
    pub fn page(&self) -> Result<Page, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let message = format!("must be 1 to {LIMIT_MAX}");
            return Err(invalid_query("The limit is out of bounds.").with_error("limit", message));
        }
        let after = self.cursor.as_deref().map(cursor::decode).transpose()?;
        Ok(Page { limit: limit as usize, after })
    }
}
