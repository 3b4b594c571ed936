//! Requests to the whole server, and its responses, with a simulated PingOne and the real Todo API.
//!
//! Deputy runs on a host in memory. With `DEPUTY_NATIVE` set, it runs on the SQLite store and HTTP server of the native host,
//! or on the PostgreSQL store if the value is `postgres`.
//! With `DEPUTY_WORKER` set to the URL of `hosts/cloudflare/testing`, it runs there, on the Workers runtime. The tests of
//! [`in_memory`] need the host in memory; all others hold on every host.

mod admin;
mod admitted_clients;
mod agents;
mod agents_session;
mod agents_sign_off;
mod api_access;
mod approval_choice;
mod approval_decision;
mod approval_page;
mod audit;
mod authentication_request;
mod authorization_code;
mod authorization_endpoint;
mod bearer_token;
mod blocking;
mod callback_endpoint;
mod client_assertion;
mod client_authentication;
mod client_metadata_document;
mod cookies;
mod cors_and_origin;
mod discovery;
mod dynamic_registration;
mod health_checks;
mod home_page;
mod id_token;
mod in_memory;
mod limits;
mod login_parameters;
mod logins;
mod mcp_elicitation;
mod mcp_messages;
mod mcp_revisions;
mod mcp_sessions;
mod mcp_tools;
mod mcp_transport;
mod media_types;
mod new_tools;
mod on_postgres;
mod openapi_tools;
mod personas;
mod pingone_backoff;
mod pingone_checks;
mod pingone_client_key;
mod pingone_events;
mod pingone_events_in_parts;
mod pingone_failures;
mod pingone_keys;
mod pingone_refresh;
mod pingone_session;
mod pkce;
mod pushed_requests;
mod redirect_uri;
mod refresh_token_rotation;
mod registration_lifetime;
mod remembered_approval;
mod resource_indicators;
mod return_page;
mod revocation;
mod routing;
mod scopes;
mod subrequests;
mod token_endpoint;
mod user_identity;
mod world;
