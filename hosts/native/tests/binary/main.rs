//! The real binary, as people meet it.

mod demo;
mod documents;
mod operations;
mod serve;
mod strangers;
mod support;
