//! The real binary, as people meet it.

mod demo;
mod serve;
mod strangers;
mod support;
