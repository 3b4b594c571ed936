//! Deputy lets AI agents call a protected API on behalf of a person who logged in and consented.
//!
//! This crate is the whole server as an axum [`Router`](axum::Router) over one seam, [`Host`](host::Host). It has no
//! sockets, clock, randomness or storage of its own; a host gives it these and nothing else, so that every host serves
//! the same thing.
//!
//! # One login, from the outside in
//!
//! 1. An MCP client calls `POST /mcp` without a token and gets `401` with the address of the resource's metadata
//!    (`flow::mcp`). It reads that document and the authorization server's ([`oauth::protected_resource_metadata`],
//!    [`oauth::authorization_server_metadata`]), and registers ([`oauth::register`]).
//! 2. It opens the person's browser at `GET /authorize`. The request is read into an [`oauth::AuthorizationRequest`] or
//!    refused: on a page while nothing proves where the client is, at the client's redirect URI afterwards
//!    ([`oauth::AuthorizeError`]). The person is asked on a page of ours whether *this client at this address* may use
//!    Deputy as them; the request waits under a handle that only the page knows (`flow::authorize`).
//! 3. `POST /approve` takes the request, and only now is there a login: `state`, `nonce` and a PKCE verifier, bound to
//!    this browser by a cookie (`flow::approve`, `flow::login`). The browser goes to PingOne, where the DaVinci flow
//!    policy logs the person in and asks for their consent ([`oidc::authentication_url`]).
//! 4. `GET /callback` takes the login, exchanges the code, and checks the ID token, the access token and `UserInfo`
//!    ([`oidc::IdTokenClaims`], [`oidc::AccessTokenClaims`]). What comes of it is one [`oauth::Grant`]: the person, the
//!    client, the scopes, and PingOne's tokens sealed under a key that only our own code opens (`flow::issue`).
//! 5. `POST /token` redeems the code. Each token of ours wraps the grant's key once more, so that storage alone opens
//!    nothing ([`oauth::ReferenceToken`], [`seal`]).
//! 6. `POST /mcp` with the token finds the grant, and a tool gets a [`mcp::Caller`]: who the person is, and a way to send
//!    requests to the API with their token, which it cannot see (`flow::upstream`).
//!
//! # Layers
//!
//! `server → flow → {oauth, oidc, mcp, pages, records}`, and `records → {host, seal}`. [`oauth`] and [`oidc`] are pure
//! and never meet; `flow` is the only place that waits.
//!
//! A grant is one aggregate with pure transitions. A flow loads it, transits, and writes it with compare-and-swap; who
//! loses reads again and meets the winner's state. Nothing else is needed for a code to be redeemed once, a refresh token
//! to be rotated once, and PingOne to be asked for new tokens once.
//!
//! What outlives one MCP request is in no process ([`mcp::Conversation`]). What a client of an older revision declared
//! travels with the client, sealed in an `Mcp-Session-Id` that names nothing on the server: two programs that share a token
//! declare for themselves. A client's reply to a question that a tool asked on the stream of another request is written to
//! the store under a name that only this grant can have made, and the request that asked finds it there, on any replica.
//!
//! An approval is remembered for registered clients with a loopback redirect URI whose request the person, or a program on
//! their computer, opened. An operator can have it remembered for other redirect URIs or not at all. A client with a
//! metadata document is asked about every time, since anybody can present it, and a browser that a program has opened does
//! not say when another site redirected it on the way. Neither does a page of our own count as the person: our answers lead
//! to addresses that clients chose.
//!
//! The approval page has one script, named by a nonce: no header keeps the second click of a double click from falling on
//! Approve when a window above the page closes at the first. Where scripts do not run, there is a box to tick.
//!
//! What a stranger sends is taken off the wire for a while after it is refused (RFC 9112 §9.6): a connection that
//! is closed while bytes arrive is reset, and whoever was refused would not learn why.
//!
//! Beyond storage, clock, randomness and HTTP the seam has [`Host::detach`](host::Host::detach): PingOne rotates refresh
//! tokens, so a refresh that has begun must end even when the client that caused it hangs up. And it has
//! [`Host::admit`](host::Host::admit): what strangers may ask is counted by address, and only a host knows addresses, and
//! where counting is cheap.
//!
//! Tokens of `PingOne` are verified by `jsonwebtoken` with whatever provider of cryptography the host has installed: its
//! feature `rust_crypto` natively, RS256 alone on Workers. A host of your own chooses one of the two.
//!
//! # Documents
//!
//! | Document | What of it |
//! | --- | --- |
//! | OAuth 2.1, draft-ietf-oauth-v2-1-13 | §4.1 code, §4.3 refresh with rotation, §2.4 client authentication, §3.2.4 errors |
//! | RFC 7636 | `S256` only |
//! | RFC 7591 | registration of public and confidential clients; `client_id_expires_at` says when one that is not used ends |
//! | RFC 7009 | revocation; either token ends the grant |
//! | Client ID Metadata Document, draft 00 | clients whose `client_id` is the URL of their metadata; public clients |
//! | RFC 8252 §7.3 | loopback redirect URIs with any port |
//! | RFC 8414, RFC 9728 | both metadata documents, at every address clients look for them |
//! | RFC 8707 | one resource, the MCP endpoint |
//! | RFC 9207 | `iss` in every authorization response, errors too |
//! | RFC 6750 | bearer tokens in the `Authorization` header only; `insufficient_scope` |
//! | RFC 9700 | the security practices that bear on the above |
//! | OpenID Connect Core 1.0 | §3.1.2 request, §3.1.3.7 ID token in that order, §5.3 `UserInfo`, §12 refresh |
//! | OpenID Connect Discovery 1.0 | §4, as a client; §3 for clients that look for this server there, without ID tokens |
//! | MCP 2026-07-28 | authorization, Streamable HTTP, discovery, caching, multi round-trip requests, subscriptions |
//! | MCP 2025-03-26, 2025-06-18, 2025-11-25 | authorization, Streamable HTTP without state on the server, elicitation, sampling, roots |

mod app;
mod clients;
pub mod config;
mod encoding;
mod endpoint;
mod grants;
pub mod host;
mod http;
mod limits;
pub mod mcp;
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
pub mod types;

pub use pages::Wording;
pub use server::Server;
