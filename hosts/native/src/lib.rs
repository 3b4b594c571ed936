//! Deputy as one native binary: the core on tokio, axum, hyper and SQLite.
//!
//! The library is what the binary is made of, so that tests and benchmarks can use the parts: [`store`] and [`host`]
//! implement the core's seam, [`http_server`] bounds what strangers may do, and [`serve`] and [`demo`] are the commands.

pub mod commands;
pub mod demo;
pub mod env_file;
mod error;
pub mod host;
pub mod http_server;
pub mod logging;
pub mod serve;
mod shutdown;
pub mod store;
mod tools;

pub use error::StartError;
