//! Who is signed in: a cookie that says nothing, and behind it, in this process, the tokens of the API.
//!
//! Sessions are in memory, bounded, and end after half a day without a request or with the process: a person signs in
//! again. The access token is renewed before it expires, by one request at a time, since a refresh token is good once.
//! Absent on purpose: tokens in the browser, where a script could come by them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::Timestamp;
use moka::sync::Cache;
use ports::{Secret, Sources};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::api::{Api, ApiError, Ask};
use crate::model::SignedIn;

/// The cookie of a session.
pub const SESSION_COOKIE: &str = "bank_session";
/// For how long a session lasts without a request.
pub const IDLE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// The most sessions at once; the one that was used longest ago gives way.
const SESSIONS_MAX: u64 = 100_000;
/// An access token is renewed this long before it expires, so that it is good for as long as a request may wait.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);
/// The group of those who may see the back office, as the API has it.
const OPERATORS: &str = "operators";

/// The sessions of this process.
#[derive(Clone)]
pub struct Sessions {
    sessions: Cache<String, Arc<Session>>,
}

/// A person who is signed in.
pub struct Session {
    /// The address she signed in with.
    pub email: String,
    /// The groups that her first token names.
    is_operator: bool,
    tokens: Mutex<Tokens>,
}

struct Tokens {
    access: Arc<Secret>,
    refresh: Secret,
    expires_at: Timestamp,
}

/// What the console reads of an access token. The API has verified it, and verifies it again with every request.
#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "cognito:groups", default)]
    groups: Vec<String>,
}

impl Sessions {
    pub fn new() -> Self {
        let sessions = Cache::builder().max_capacity(SESSIONS_MAX).time_to_idle(IDLE_MAX).build();
        Self { sessions }
    }

    /// Begins a session, and tells the value of its cookie.
    pub fn begin(&self, email: &str, signed_in: &SignedIn, now: Timestamp) -> String {
        let id = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let session = Session {
            email: email.to_owned(),
            is_operator: is_operator(&signed_in.access_token),
            tokens: Mutex::new(Tokens::new(signed_in, now)),
        };
        self.sessions.insert(id.clone(), Arc::new(session));
        id
    }

    pub fn find(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions.get(id)
    }

    pub fn end(&self, id: &str) {
        self.sessions.invalidate(id);
    }

    /// Ends every session of whoever signed in with an address.
    pub fn end_all_of(&self, email: &str) {
        for (id, session) in &self.sessions {
            if session.email.trim().eq_ignore_ascii_case(email.trim()) {
                self.sessions.invalidate(id.as_str());
            }
        }
    }
}

impl Session {
    pub fn is_operator(&self) -> bool {
        self.is_operator
    }

    /// An access token that is good for a while.
    ///
    /// # Errors
    /// The API does not renew it any more, or could not be asked.
    pub async fn access_token(&self, api: &Api, sources: &Sources) -> Result<Arc<Secret>, ApiError> {
        let mut tokens = self.tokens.lock().await;
        if sources.now() + RENEWED_BEFORE >= tokens.expires_at {
            let ask = Ask::post("/auth/refresh", json!({ "refresh_token": tokens.refresh.reveal() }));
            *tokens = Tokens::new(&api.ask::<SignedIn>(&ask, None).await?, sources.now());
        }
        Ok(Arc::clone(&tokens.access))
    }
}

impl Tokens {
    fn new(signed_in: &SignedIn, now: Timestamp) -> Self {
        Self {
            access: Arc::new(Secret::from(signed_in.access_token.as_str())),
            refresh: Secret::from(signed_in.refresh_token.as_str()),
            expires_at: now + Duration::from_secs(signed_in.expires_in),
        }
    }
}

fn is_operator(access_token: &str) -> bool {
    let claims = access_token.split('.').nth(1).and_then(|payload| {
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        serde_json::from_slice::<Claims>(&payload).ok()
    });
    claims.is_some_and(|claims| claims.groups.iter().any(|group| group == OPERATORS))
}
