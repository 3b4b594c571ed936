//! Deputy under load while something around it fails.
//!
//! Each scenario starts a simulated PingOne and Deputy as processes of their own, and an API in this one. A number of
//! users log in and call a tool about once a second, while their access tokens expire and PingOne, the API, the disk or
//! the process fails. After the failure every login must still be good: each grant refreshes PingOne's tokens once more,
//! each client refreshes its own, and a tool call succeeds. A grant that cannot is *lost*, and the figure must be 0 but in
//! the one scenario whose loss strict rotation makes inevitable; that one says why and how many at most.
//!
//! Counts and outcomes are asserted, durations never. Every scenario prints one line of a table.
//!
//! `DEPUTY_CHAOS_USERS` and `DEPUTY_CHAOS_SECONDS` set the size, 12 users and failures of 6 seconds without them. `DEPUTY`
//! names the program: `deputy`, or `hosts/cloudflare/demo.js` for workerd, which `scenarios::native` is not for.

mod api;
mod deputy;
mod pingone;
mod scenarios;
mod user;
mod world;
