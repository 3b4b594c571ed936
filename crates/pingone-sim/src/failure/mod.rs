//! Failures that tests force.

mod examples;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use examples::examples;

/// A failure that tests force, once or until it is cleared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, strum::VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Failure {
    /// A claim of the access token has this value, or is missing (`null`).
    AccessTokenClaim(String, Value),
    /// The token response has the access token also as the ID token.
    AccessTokenAsIdToken,
    /// The authorization response has this error instead of a code.
    CallbackError(String),
    /// The authorization response has a code and an error.
    CallbackWithCodeAndError,
    /// The authorization response has this parameter with this value, or without it (`None`).
    CallbackParameter(String, Option<String>),
    /// The discovery endpoint responds with this status.
    Discovery(u16),
    /// The discovery endpoint responds after this many seconds.
    DiscoveryAfter(u64),
    /// The discovery document names this issuer.
    DiscoveryIssuer(String),
    /// A claim of the ID token has this value, or is missing (`null`).
    IdTokenClaim(String, Value),
    /// The ID token has this wrong signature.
    IdTokenSignature(Signature),
    /// The key set responds with this status.
    Jwks(u16),
    /// The key set responds after this many seconds.
    JwksAfter(u64),
    /// The key set responds after this many milliseconds.
    JwksAfterMillis(u64),
    /// The key set responds with status 200 and this body.
    JwksBody(String),
    /// The management API responds with this status.
    Management(u16),
    /// The request to the management API with this number, of those that `GET /sim/state` counts, fails in this way.
    ManagementRequest(u64, ManagementFault),
    /// The pushed authorization request endpoint responds with this status and body.
    Par(u16, String),
    /// A refresh is refused with `invalid_grant`.
    RefreshInvalidGrant,
    /// The token endpoint responds with this status and body.
    Token(u16, String),
    /// The token endpoint processes a request after this many seconds.
    TokenAfter(u64),
    /// The token endpoint responds with this many bytes.
    TokenBytes(usize),
    /// A member of the token response has this value, or is missing (`null`).
    TokenMember(String, Value),
    /// The token endpoint processes a request at once, rotation included, and responds after this many milliseconds. A
    /// client that has hung up by then misses the response.
    TokenResponseAfter(u64),
    /// The token endpoint responds with this status, and `Retry-After` in seconds.
    TokenRetryAfter(u16, u64),
    /// The `UserInfo` endpoint responds with this status and body.
    UserInfo(u16, String),
    /// The `UserInfo` endpoint responds after this many seconds.
    UserInfoAfter(u64),
    /// The `UserInfo` endpoint redirects to this URL.
    UserInfoRedirect(String),
    /// The `UserInfo` response has this `sub`.
    UserInfoSub(String),
}

/// A way in which a request to the management API fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagementFault {
    /// The connection is cut, and the request has no effect.
    Cut,
    /// The request takes effect, and then the connection is cut.
    CutAfterwards,
    /// The response is 429, with `Retry-After` in seconds.
    RetryAfter(u64),
    /// The response has this status, and the request has no effect.
    Status(u16),
    /// The request takes effect, and the response has this status.
    StatusAfterwards(u16),
}

/// A wrong signature of an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// `alg: none`, without a signature.
    AlgNone,
    /// `alg: nOnE`, without a signature.
    AlgNoneInOtherCase,
    /// `HS256` with the client secret as the key.
    ClientSecret,
    /// A header with an unknown `crit` parameter.
    Critical,
    /// A signature by another key. The header has that key as `jwk`, and the `kid` of the expected key.
    EmbeddedKey,
    /// `alg: RS256`, without a signature.
    Empty,
    /// A signature with one wrong bit.
    Flipped,
    /// A signature that is not base64url.
    Garbage,
    /// A signature by another key, under the `kid` of the expected key.
    OtherKey,
    /// `HS256` with the published modulus of the public key as the key.
    PublicKey,
    /// `HS256` with the PEM text of the public key as the key.
    PublicKeyPem,
    /// A `kid` that is not published.
    UnknownKid,
}
