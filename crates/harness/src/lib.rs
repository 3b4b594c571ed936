//! Test support: a host in memory, a network without sockets, a scripted browser, and the test suites for stores
//! and for indexes of grants.

pub mod browser;
pub mod counted;
pub mod deployment;
mod html;
pub mod index_suite;
pub mod memory;
pub mod network;
pub mod ports;
#[cfg(all(feature = "postgres", unix))]
pub mod postgres;
#[cfg(feature = "remote")]
pub mod remote;
pub mod store_suite;
