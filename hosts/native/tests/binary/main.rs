//! The binary as a child process.

mod admin;

mod configuration;
mod demo;
mod doctor;
mod documents;
mod keys;
mod logins;
mod metrics;
mod openapi;
mod operations;
mod remote_clients;
#[cfg(target_os = "linux")]
mod rotation;
mod serve;
mod shutdown;
mod store;
mod support;
mod traces;
