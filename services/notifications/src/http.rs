//! Routes in: `/notifications`, `/notifications/{notification_id}/read` and `/notifications/preferences`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kernel::{AccountId, NotificationId, OperationId, Timestamp};
use ports::Store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{Body, Listing, Paging, Params, PathId, Problem, Signed};

use crate::domain::Kind;
use crate::records::{Notification, Preferences};
use crate::{Filter, Notifications};

web::problems! {
    /// What marking a notification as read may be refused with.
    ReadProblems: BAD_REQUEST, UNAUTHORIZED, NOT_FOUND;
    /// What reading a list may be refused with.
    ListProblems: BAD_REQUEST, UNAUTHORIZED;
    /// What reading the preferences may be refused with.
    PreferencesProblems: UNAUTHORIZED;
    /// What writing the preferences may be refused with.
    PreferProblems: BAD_REQUEST, UNAUTHORIZED, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNPROCESSABLE_ENTITY;
}

/// The routes of the notifications service.
pub fn routes<S: Store>(notifications: Notifications<S>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_notifications))
        .routes(routes!(read_notification))
        .routes(routes!(preferences, change_preferences))
        .with_state(Arc::new(notifications))
}

/// An entry of the caller's inbox.
#[derive(Serialize, ToSchema)]
#[schema(as = Notification)]
struct NotificationView {
    #[schema(value_type = String)]
    notification_id: NotificationId,
    #[schema(value_type = String, example = "DEPOSIT_COMPLETED")]
    kind: Kind,
    #[schema(example = "You received 12.50 EUR")]
    title: String,
    #[schema(example = "12.50 EUR was paid into your account. It now holds 112.50 EUR.")]
    text: String,
    /// The operation it is about, if it is about one.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<OperationId>,
    #[schema(value_type = String)]
    account_id: AccountId,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was read first.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<Timestamp>,
}

impl From<Notification> for NotificationView {
    fn from(notification: Notification) -> Self {
        let Notification { notification_id, kind, title, text, operation_id, account_id, .. } = notification;
        let Notification { created_at, read_at, .. } = notification;
        Self { notification_id, kind, title, text, operation_id, account_id, created_at, read_at }
    }
}

/// Which notifications are asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// The most items of the page.
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// `true` leaves out what was read. Such a page may have fewer items than asked for, even none, and still a next
    /// one.
    unread: Option<bool>,
}

/// What the caller prefers.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Preferences)]
#[serde(deny_unknown_fields)]
struct PreferencesBody {
    /// Whether the bank writes to the caller's confirmed address when money leaves an account of hers or one is
    /// closed. It does until she turns it off, where the bank is set up to send letters.
    email: bool,
}

/// The caller's inbox, newest first. What is older than 90 days is gone.
#[utoipa::path(get, path = "/notifications", tag = "notifications", params(ListParams),
    responses((status = 200, body = Listing<NotificationView>), ListProblems))]
async fn list_notifications<S: Store>(
    State(notifications): State<Arc<Notifications<S>>>,
    Signed(caller): Signed,
    Params(ListParams { limit, cursor, unread }): Params<ListParams>,
) -> Result<Json<Listing<NotificationView>>, Problem> {
    let page = Paging { limit, cursor }.page()?;
    let filter = if unread == Some(true) { Filter::Unread } else { Filter::All };
    let (found, next) = notifications.notifications(caller.user_id, filter, page.after, page.limit).await?;
    Ok(Json(Listing::new(found.into_iter().map(NotificationView::from).collect(), next.as_deref())))
}

/// Mark a notification as read. It has its effect once however often it is asked for, so it needs no Idempotency-Key.
#[utoipa::path(post, path = "/notifications/{notification_id}/read", tag = "notifications",
    params(("notification_id" = String, Path)),
    responses((status = 200, body = NotificationView), ReadProblems))]
async fn read_notification<S: Store>(
    State(notifications): State<Arc<Notifications<S>>>,
    Signed(caller): Signed,
    PathId(notification_id): PathId<NotificationId>,
) -> Result<Json<NotificationView>, Problem> {
    Ok(Json(notifications.read(caller.user_id, notification_id).await?.into()))
}

/// What the caller prefers.
#[utoipa::path(get, path = "/notifications/preferences", tag = "notifications",
    responses((status = 200, body = PreferencesBody), PreferencesProblems))]
async fn preferences<S: Store>(
    State(notifications): State<Arc<Notifications<S>>>,
    Signed(caller): Signed,
) -> Result<Json<PreferencesBody>, Problem> {
    let Preferences { email, .. } = notifications.preferences(caller.user_id).await?;
    Ok(Json(PreferencesBody { email }))
}

/// Change what the caller prefers.
#[utoipa::path(put, path = "/notifications/preferences", tag = "notifications", request_body = PreferencesBody,
    responses((status = 200, body = PreferencesBody), PreferProblems))]
async fn change_preferences<S: Store>(
    State(notifications): State<Arc<Notifications<S>>>,
    Signed(caller): Signed,
    Body(PreferencesBody { email }): Body<PreferencesBody>,
) -> Result<Json<PreferencesBody>, Problem> {
    let Preferences { email, .. } =
        notifications.prefer(Preferences { owner: caller.user_id, email }).await?;
    Ok(Json(PreferencesBody { email }))
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
