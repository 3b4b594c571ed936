//! Requests in, responses out: what an OIDC client sees of the simulator, and what a person does.

mod authorize;
mod control;
mod sign_on;
mod token;
mod world;
