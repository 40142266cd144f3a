//! The rules of the architecture, as tables, and what breaks them.
//!
//! - Which crate may depend on which ([`dependency_faults`]), and which belong to AWS ([`is_of_aws`]).
//! - What a pure domain may not name ([`domain_faults`]).
//! - Which files every service has ([`service_file_faults`]).
//! - What the auditor of the simulation may not name ([`auditor_faults`]).
//! - How long a file may be ([`length_faults`]).
//! - Which tests a document names ([`named_tests`]).
//!
//! Each takes what it judges as an argument, so that a test can hand it something broken. A fault is a sentence
//! that names the place. The text is scanned, not compiled: enough to catch a slip, not somebody who hides one.

mod dependencies;
mod named_tests;
mod sources;

pub use dependencies::{dependency_faults, is_of_aws};
pub use named_tests::{NamedTest, has_test, named_tests};
pub use sources::{
    DOMAIN_MODULE, SOURCE_LINES_MAX, auditor_faults, domain_faults, length_faults, service_file_faults,
    sources_under,
};
