//! What pages load besides themselves: one stylesheet, one script, one icon, all of them in the binary.
//!
//! Their paths tell their content, so that a browser keeps them for good and a new bank is seen at once.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;

/// A file in the binary.
pub struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

pub const STYLE: Asset = Asset {
    name: "console.css",
    media_type: "text/css; charset=utf-8",
    text: include_str!("../assets/console.css"),
};
pub const SCRIPT: Asset = Asset {
    name: "console.js",
    media_type: "text/javascript; charset=utf-8",
    text: include_str!("../assets/console.js"),
};
pub const ICON: Asset =
    Asset { name: "icon.svg", media_type: "image/svg+xml", text: include_str!("../assets/icon.svg") };

impl Asset {
    /// Where it is served.
    pub fn path(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        format!("/assets/{:016x}/{}", hasher.finish(), self.name)
    }
}

/// The routes of all assets.
pub fn routes() -> Router {
    [STYLE, SCRIPT, ICON].into_iter().fold(Router::new(), |router, asset| {
        let headers =
            [(CONTENT_TYPE, asset.media_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
        router.route(&asset.path(), get(move || async move { (headers, asset.text) }))
    })
}
