//! Two people with accounts and a month of movements, to look at.

use crate::failure::Failure;
use crate::world::World;

pub const GREETING: &str = "demo";

pub async fn fill(_world: &World) -> Result<(), Failure> {
    Ok(())
}
