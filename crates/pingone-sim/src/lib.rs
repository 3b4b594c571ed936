//! A local PingOne with a DaVinci flow, for demos and tests.
//!
//! It is faithful where an OIDC client can tell: discovery, keys, the authorization request and its errors, the token
//! endpoint with rotation and replay, sessions, consent, PingOne's error texts and correlation ids. It is a simulator
//! and says so on every page and in the header `X-PingOne-Simulator`: a green run against it proves nothing about a
//! real tenant. No page of it needs JavaScript, so a script can log in as a person does.
//!
//! Clock and randomness are passed in ([`SimEnvironment`]): with a fixed seed every key and token is the same every time.
//! [`Simulator::force`] makes it misbehave.

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
