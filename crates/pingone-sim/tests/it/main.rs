//! Requests to the simulator, as an OIDC client and a user's browser send them.

mod authorize;
mod control;
mod host_header;
mod management;
mod provisioning;
mod sign_on;
mod switches;
mod token;
mod webhook;
mod world;
