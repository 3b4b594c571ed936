//! The binary as a child process.

mod configuration;
mod demo;
mod documents;
mod operations;
mod remote_clients;
mod serve;
mod shutdown;
mod support;
