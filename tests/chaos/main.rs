//! Deputy under load while PingOne, the API, the disk or the process fails.
//!
//! Each scenario starts a simulated PingOne and Deputy as processes of their own, and an API in this one. Users log in
//! and call a tool about once a second, while their access tokens expire and the failure happens. After the failure
//! every login must still work: each grant refreshes PingOne's tokens once more, each client refreshes its own, and a
//! tool call succeeds. A grant for which one of these fails is *lost*. No grant may be lost, except in the one scenario
//! where strict rotation makes it inevitable; that scenario says why, and how many at most.
//!
//! Scenarios assert counts and outcomes, never durations. Each prints one row of a table.
//!
//! `DEPUTY_CHAOS_USERS` and `DEPUTY_CHAOS_SECONDS` set the size; without them, 12 users and failures of 6 seconds.
//! `DEPUTY` names the program: `deputy`, or `hosts/cloudflare/demo.js` for workerd. The scenarios in
//! `scenarios::native` do not run on workerd.

mod api;
mod database;
mod deputy;
mod pingone;
mod proxy;
mod scenarios;
mod user;
mod world;
