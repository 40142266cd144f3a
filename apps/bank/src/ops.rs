//! Operator routes in: queues, dead letters, trial balance, and the timeline of an operation.

use utoipa_axum::router::OpenApiRouter;

use crate::world::World;

/// The routes under `/ops`, for people in the group `operators`.
pub fn routes(world: World) -> OpenApiRouter {
    OpenApiRouter::new().with_state(world)
}
