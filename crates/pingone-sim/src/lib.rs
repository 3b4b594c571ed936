//! A simulated PingOne with a DaVinci flow, for the demo and the tests.
//!
//! It imitates what an OIDC client can observe: discovery, keys, the authorization request and its errors, the token
//! endpoint with rotation and replay detection, sessions, consent, PingOne's error texts and correlation ids. Every
//! page and the header `X-PingOne-Simulator` say that it is a simulator. A test that passes here proves nothing about a
//! real tenant. No page needs JavaScript, so a script can log in like a user.
//!
//! Clock and randomness are arguments ([`SimEnvironment`]): with a fixed seed, every key and token is the same in each
//! run. [`Simulator::force`] makes an endpoint fail.
//!
//! Like PingOne, it treats the reuse of a rotated refresh token as a replay and revokes the whole family, unless
//! [`Settings::refresh_grace_seconds`] allows the reuse.
//!
//! Tests in other processes (`tests/chaos`) control it through `/sim/*`:
//!
//! | Request | Effect |
//! | --- | --- |
//! | `POST /sim/failures` with `{"failure", "always"}`, `DELETE` | forces a [`Failure`]; clears all |
//! | `GET`, `PUT /sim/settings` | reads or sets the [`Settings`] |
//! | `POST /sim/keys/rotate` | makes the next key, which is already published, the current one |
//! | `POST /sim/keys/replace` | replaces the current key by another one under the same `kid` |
//! | `POST /sim/keys/same-kid` | publishes a foreign key with the same `kid`, before the current key |
//! | `POST /sim/keys/foreign` with `{"count"}` | publishes that many foreign keys before the current key |
//! | `POST /sim/keys/drop-old` | publishes only the current and the next key |
//! | `POST /sim/users` with `{"username", "password"}` | adds a user |
//! | `POST /sim/users/<username>/<action>` | acts on a user ([`UserAction`]), as in `lock` or `revoke-consent` |
//! | `DELETE /sim/sessions` | ends all sessions |
//! | `POST /sim/reset` | starts again with a new environment |
//! | `GET /sim/state` | returns users, settings, requests by endpoint, and the rotations and revocation of each login |
//! | `GET /sim/webhook` | returns the deliveries of the [`Webhook`], which the settings configure |
//!
//! The management API below `/v1` answers `GET` for a worker ([`Worker`]): environment, bill of materials, resources, scopes,
//! applications with their grants, roles and policies, flow policies, flows, connector instances, subscriptions and users.
//! [`Settings::tenant`] changes what it shows, and the OAuth endpoints act accordingly.
//!
//! A worker with the roles for it creates, changes and deletes resources, scopes, applications, their grants and policies, and
//! subscriptions. Users log in to such an application as to the configured one, and its subscription gets the events.
//! [`SimConfig::without_application`] begins without an application and a resource.
//!
//! The modules form layers: `router` → `endpoints` → `flow` → `outcome`, `tokens`, `accounts`, `pages`, `webhook` →
//! `application` → `simulator` → `events` → `state` → `outbox`, `directory`.

mod accounts;
mod application;
mod claims;
mod client_authentication;
mod config;
mod directory;
mod endpoints;
mod environment;
mod events;
mod failure;
mod flow;
mod forgery;
mod form;
mod host_header;
mod keys;
mod outbox;
mod outcome;
mod pages;
mod random;
mod response;
mod router;
mod session_cookie;
mod settings;
mod simulator;
mod state;
mod state_file;
mod tenant;
mod tokens;
mod webhook;

pub use accounts::UserAction;
pub use config::{Application, Resource, Scope, SimConfig, User, Worker};
pub use environment::{SimEnvironment, SystemEnvironment};
pub use failure::{Failure, ManagementFault, Signature};
pub use host_header::only_known_hosts;
pub use settings::{ResourceMode, Settings, Webhook};
pub use simulator::Simulator;
pub use tenant::{
    ApplicationSettings, ConnectorSettings, FlowSettings, PolicySettings, ResourceSettings, Subscription,
    Tenant,
};
pub use webhook::Delivery;
