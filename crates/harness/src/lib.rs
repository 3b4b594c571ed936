//! harness

pub mod store_suite;
