//! The rules of the authorization server (OAuth 2.1) as functions over values. Nothing here waits, reads a clock or
//! draws randomness: callers pass the time and a source of randomness.

mod approval;
mod authorization;
mod client;
mod client_assertion;
mod client_authentication;
mod client_metadata;
mod error;
mod grant;
mod handle;
mod metadata;
mod metadata_document;
mod params;
mod pkce;
mod reference_token;
mod registration;
mod sealed_client;
mod token_request;
mod user_session;

pub use crate::jose::ClientKeys;
pub use approval::{ApprovedClients, Choice, approval_cookie, browser_is_bound, login_cookie};
pub use authorization::{
    AuthorizationRequest, AuthorizeError, RedirectTarget, RequestError, RequestedAccess, TargetError,
};
pub(crate) use client::displayable;
pub use client::{AuthMethod, Client};
pub use client_assertion::{AssertionError, ClientAssertion, VerifiedAssertion};
pub use client_authentication::{ClientAuthError, ClientCredentials};
pub use client_metadata::MetadataError;
pub use error::{ErrorCode, ErrorResponse};
pub use grant::{
    Due, Grant, Issued, LeaseError, LoginsEnd, NewGrant, PingOneLogin, PingOneTokens, RedeemError,
    Redemption, RefreshError, RefreshReason, Refreshed, SealedPingOneTokens, ValidAccessToken,
    session_digest,
};
pub(crate) use grant::{LEASE, LONGEST_WAIT};
pub use handle::{Handle, HandleKind};
pub use metadata::{
    authorization_server_metadata, key_set, openid_provider_metadata, protected_resource_metadata,
};
pub use metadata_document::DocumentError;
pub use params::{Params, Repeated};
pub use pkce::{CodeChallenge, PkceError};
pub use reference_token::{ReferenceToken, TokenKind};
pub use registration::{RegistrationParams, register};
pub use sealed_client::SealedClient;
pub use token_request::{TokenRequest, TokenRequestError};
pub use user_session::UserSession;
