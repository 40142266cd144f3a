//! Holds `template.yaml` to the bank that it deploys: the topology, the services' tables, the routes of the OpenAPI
//! document and the functions. Each list is compared as a whole, so that what is missing and what is too much are both
//! found.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

mod alarms;
mod functions;
mod messages;
mod routes;
mod tables;
mod template;
