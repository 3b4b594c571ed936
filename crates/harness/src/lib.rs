//! Test support: a host in memory, a network without sockets, a scripted browser, and the test suite for stores.

pub mod browser;
pub mod counted;
mod html;
pub mod memory;
pub mod network;
#[cfg(feature = "remote")]
pub mod remote;
pub mod store_suite;
