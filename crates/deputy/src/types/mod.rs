//! Values that every layer uses. A value of these types is always valid.

mod approved_tools;
mod client_id;
mod client_id_url;
mod invisible;
mod login_hint;
pub(crate) mod public_address;
mod redirect_uri;
mod reference;
mod scope;
mod user;
mod uuid;

pub use approved_tools::{ApprovedTools, ToolDigest};
pub use client_id::{ClientId, ClientIdError, ConfiguredId, RegisteredId};
pub use client_id_url::{ClientIdUrl, ClientIdUrlError};
pub use invisible::is_invisible;
pub use login_hint::LoginHint;
pub use redirect_uri::{RedirectUri, RedirectUriError, is_loopback};
pub use reference::{Reference, ReferenceError};
pub use scope::{ScopeError, Scopes};
pub use user::User;
pub use uuid::is_uuid;
