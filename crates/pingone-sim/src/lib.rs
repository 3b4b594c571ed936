//! A local PingOne with a DaVinci flow, for demos and tests.
//!
//! It is faithful where an OIDC client can tell: discovery, keys, the authorization request and its errors, the token
//! endpoint with rotation and replay, sessions, consent, PingOne's error texts and correlation ids. It is a simulator
//! and says so on every page and in the header `X-PingOne-Simulator`: a green run against it proves nothing about a
//! real tenant. No page of it needs JavaScript, so a script can log in as a person does.
//!
//! Clock and randomness are passed in ([`SimEnvironment`]): with a fixed seed every key and token is the same every time.
//! [`Simulator::force`] makes it misbehave.
//!
//! It is strict where a client's mistake costs a login: a rotated refresh token that is used again revokes its family,
//! unless [`Knobs::refresh_grace_seconds`] forgives it. The chaos suite (`tests/chaos`) drives it from another process
//! through `/sim/*`:
//!
//! | request | effect |
//! | --- | --- |
//! | `POST /sim/failures` with `{"failure", "always"}`, `DELETE` | begins and ends a [`Failure`] |
//! | `PUT /sim/knobs` | sets [`Knobs`]: lifetimes, the grace period, the offset of the clock |
//! | `POST /sim/keys/rotate` | the next key signs; Deputy may know it already, since it was published before |
//! | `POST /sim/keys/replace` | another key signs under the same `kid` |
//! | `POST /sim/keys/twin` | a foreign key with the same `kid` is published before the one that signs |
//! | `POST /sim/keys/crowd` with `{"count"}` | that many foreign keys are published before the one that signs |
//! | `POST /sim/keys/drop-old` | only the current and the next key are published |
//! | `POST /sim/people` with `{"username", "password"}` | somebody more can log in |
//! | `GET /sim/state` | the requests of each endpoint, and of each login its rotations and whether it was revoked |

mod authorize;
mod config;
mod control;
mod endpoints;
mod environment;
mod failure;
mod flow;
mod keys;
mod pages;
mod reply;
mod simulator;
mod state;
mod token;

pub use config::{Application, Person, Resource, Scope, SimConfig};
pub use environment::{SimEnvironment, SystemEnvironment};
pub use failure::{Failure, Signature};
pub use simulator::Simulator;
pub use state::{Knobs, ResourceMode};
