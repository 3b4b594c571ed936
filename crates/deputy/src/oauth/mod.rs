//! The authorization server: OAuth 2.1 as decisions over values. Nothing here waits, reads a clock or draws randomness.

mod approval;
mod authorization;
mod client;
mod client_authentication;
mod client_id_url;
mod error;
mod grant;
mod handle;
mod metadata;
mod metadata_document;
mod params;
mod pkce;
mod redirect_uri;
mod reference_token;
mod registration;
mod scope;
mod token_request;

pub use approval::{ApprovedClients, Fetched, approval_cookie, browser_is_bound, login_cookie};
pub use authorization::{AuthorizationRequest, AuthorizeError, RequestError, Target, TargetError, Terms};
pub use client::{AuthMethod, Client};
pub(crate) use client::{DAY, presentable};
pub use client_authentication::{ClientAuthError, ClientCredentials};
pub use client_id_url::{ClientIdUrl, ClientIdUrlError};
pub use error::{ErrorCode, ErrorResponse};
pub use grant::{
    Access, Code, Due, Grant, Issued, LeaseError, NewGrant, RedeemError, RefreshError, RefreshReason,
    Refreshed, Upstream, UpstreamTokens,
};
pub(crate) use grant::{EARLY, LEASE, LONGEST_WAIT};
pub use handle::{Handle, HandleKind};
pub use metadata::{
    authorization_server_metadata, key_set, openid_provider_metadata, protected_resource_metadata,
};
pub use metadata_document::DocumentError;
pub use params::{Params, Repeated};
pub use pkce::{CodeChallenge, PkceError};
pub use redirect_uri::{RedirectUri, RedirectUriError, is_loopback};
pub use reference_token::{ReferenceToken, TokenKind};
pub use registration::{RegistrationError, RegistrationParams, register};
pub use scope::{ScopeError, Scopes};
pub use token_request::{TokenRequest, TokenRequestError};
