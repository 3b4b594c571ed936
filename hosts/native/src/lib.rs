//! Deputy as one native binary: the core on tokio, axum, hyper and SQLite.
//!
//! The library is what the binary is made of, so that tests and benchmarks can use the parts: [`store`] and [`host`]
//! implement the core's seam, and [`http_server`] bounds what strangers may do.

pub mod commands;
pub mod env_file;
pub mod host;
pub mod http_server;
pub mod logging;
pub mod store;
