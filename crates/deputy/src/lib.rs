//! Deputy lets AI agents call a protected API on behalf of a user who logged in and consented.
//!
//! This crate is the whole server as an axum [`Router`](axum::Router) over one seam, [`Host`](host::Host). It has no
//! sockets, clock, randomness or storage of its own; a host provides them and nothing else, so that every host serves the
//! same thing.
//!
//! # One login, from the outside in
//!
//! 1. An MCP client sends `POST /mcp` without a token and gets `401` with the URL of the resource metadata
//!    (`endpoint::mcp`). It reads that document and the authorization server's ([`oauth::protected_resource_metadata`],
//!    [`oauth::authorization_server_metadata`]), and registers ([`oauth::register`]).
//! 2. It opens the user's browser at `GET /authorize`. The request becomes an [`oauth::AuthorizationRequest`] or is
//!    refused: on a page while nothing proves that the redirect URI is the client's, at the redirect URI afterwards
//!    ([`oauth::AuthorizeError`]). A page asks the user whether *this client at this redirect URI* may act for them; the
//!    request waits under a handle that only the page knows (`endpoint::authorize`). The user can leave scopes out.
//! 3. `POST /approve` takes the request, and only now is there a login: `state`, `nonce` and a PKCE verifier, bound to
//!    this browser by a cookie (`endpoint::approve`, `grants::login`). The browser goes to PingOne, where the DaVinci flow
//!    policy logs the user in and asks for consent ([`oidc::AuthenticationRequest`]).
//! 4. `GET /callback` takes the login, exchanges the code, and verifies the ID token, the access token and `UserInfo`
//!    ([`oidc::VerifiedIdToken`], [`oidc::AccessTokenClaims`]). The result is one [`oauth::Grant`]: the user, the client,
//!    the scopes, and PingOne's tokens sealed under a key that only this server's own tokens open (`grants::issue`).
//! 5. `POST /token` redeems the code. Each token that Deputy issues wraps the grant's key once more, so that storage alone
//!    opens nothing ([`oauth::ReferenceToken`], [`seal`]).
//! 6. `POST /mcp` with the token finds the grant, and a tool gets a [`mcp::Caller`]: who the user is, and a way to send
//!    requests to the API with their token, which the tool cannot see (`grants::api`).
//!
//! A user manages the grants of these logins on a page of their own, without a token of any client (`endpoint::agents`,
//! `grants::manage`).
//!
//! # Layers
//!
//! A module imports from lower layers only, from `server` and `router` down to `host` and `types`. `docs/architecture.md`
//! draws the layers, and the test `architecture` compares the drawing with the `use` lines. [`oauth`] and [`oidc`] are pure: they do not wait, read no clock,
//! draw no randomness, and do not know each other.
//!
//! A grant is one aggregate with pure transitions. An endpoint loads it, applies a transition and writes it with
//! compare-and-swap; the loser of a race reads again and meets the winner's state. So a code is redeemed once, a refresh
//! token is rotated once, and PingOne is asked for new tokens once.
//!
//! State that outlives one MCP request is in no process ([`mcp::RequestGrant`]). The capabilities that a client of an older
//! revision declares travel with the client, sealed in an `Mcp-Session-Id` that names nothing on the server: two programs
//! that share a token declare for themselves. A client's reply to a tool's question arrives in another request, perhaps at
//! another replica. It is stored under a name derived from the grant's key, where the request that asked reads it.
//!
//! An approval is remembered for registered clients with a loopback redirect URI, if the user, or a program on their
//! computer, opened the request. An operator can have it remembered for other redirect URIs or not at all. Clients
//! that any program can impersonate (a metadata document, a public client of `CLIENTS`) are approved at each login, since a
//! browser that a program has opened does not report a redirect by another site on the way. A page of this server does not
//! count as the user either: its redirects lead to addresses that clients chose.
//!
//! The approval page has one script, allowed by a nonce. It ignores a click that falls on Approve because a window above the
//! page has just closed. Where scripts do not run, the user ticks a box.
//!
//! The server reads the rest of a refused request for a while (RFC 9112 §9.6): a connection that is closed while bytes arrive
//! is reset, and the client would not learn why it was refused.
//!
//! Beyond storage, clock, randomness and HTTP the seam has [`Host::detach`](host::Host::detach): PingOne rotates refresh
//! tokens, so a refresh that has begun must finish even when the client that caused it hangs up. And it has
//! [`RateLimiter::admit`](host::RateLimiter::admit): requests are limited by remote address, and only a host knows the address, and where
//! counting is cheap.
//!
//! Tokens of `PingOne` are verified by `jsonwebtoken` with the provider of cryptography that the host installed: its feature
//! `rust_crypto` natively, RS256 alone on Workers. A host of your own chooses one of the two.
//!
//! # Documents
//!
//! | Document | Implemented |
//! | --- | --- |
//! | OAuth 2.1, draft-ietf-oauth-v2-1-13 | §4.1 code, §4.3 refresh with rotation, §2.4 client authentication, §3.2.4 errors |
//! | RFC 7636 | `S256` only |
//! | RFC 7591 | registration of public and confidential clients, whose `client_id` contains their metadata |
//! | RFC 7009 | revocation; either token ends the grant |
//! | Client ID Metadata Document, draft 00 | clients whose `client_id` is the URL of their metadata |
//! | RFC 7523 | §2.2 client authentication with an assertion, `private_key_jwt` with RS256 and ES256, of clients and at `PingOne` |
//! | RFC 8252 §7.3 | loopback redirect URIs with any port |
//! | RFC 8414, RFC 9728 | both metadata documents, at every address where clients look for them |
//! | RFC 8707 | one resource, the MCP endpoint |
//! | RFC 9126 | pushed authorization requests, as a client |
//! | RFC 9207 | `iss` in every authorization response, errors too |
//! | RFC 6750 | bearer tokens in the `Authorization` header only; `insufficient_scope` |
//! | RFC 9700 | the security practices that bear on the above |
//! | OpenID Connect Core 1.0 | §3.1.2 request, §3.1.3.7 ID token in that order, §5.3 `UserInfo`, §12 refresh |
//! | OpenID Connect Discovery 1.0 | §4, as a client; §3 for clients that look for an authorization server there, without ID tokens |
//! | OpenID Connect RP-Initiated Logout 1.0 | §2, as a client |
//! | MCP 2026-07-28 | authorization, Streamable HTTP, discovery, caching, multi round-trip requests, subscriptions |
//! | MCP 2025-03-26, 2025-06-18, 2025-11-25 | authorization, Streamable HTTP without state on the server, elicitation, sampling, roots, cancellation; batches in the first. Clients that name 2024-11-05 over Streamable HTTP are served too |

mod app;
mod clients;
pub mod config;
mod encoding;
mod endpoint;
mod grants;
pub mod history;
pub mod host;
mod http;
mod jose;
mod limits;
pub mod log_context;
pub mod mcp;
pub mod metrics;
pub mod oauth;
pub mod oidc;
mod pages;
mod paths;
mod pingone;
mod readiness;
mod records;
mod retry;
mod router;
pub mod seal;
pub mod secret;
mod server;
mod sync;
pub mod testing;
pub mod trace;
pub mod types;

pub use app::Build;
pub use pages::Wording;
pub use retry::{http_date, retry_after};
pub use router::only_loopback_hosts;
pub use server::Server;
