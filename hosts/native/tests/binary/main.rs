//! The real binary, as people meet it.

mod serve;
mod support;
