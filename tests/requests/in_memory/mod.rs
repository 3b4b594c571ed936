//! What needs the host in memory: its store to look into, its randomness to be the same every time.

mod attacks;
mod canaries;
mod crowd;
mod fetches;
mod listening;
mod log;
mod replies;
mod secrets;
mod simulation;
mod source;
mod store;
mod transcript;
