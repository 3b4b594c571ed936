//! Ways to misbehave.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that goes wrong, once or until it is cleared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// A claim of the access token has this value, or is missing (`null`).
    AccessTokenClaim(String, Value),
    /// The access token stands in the place of the ID token, too.
    AccessTokenAsIdToken,
    /// The callback brings this error instead of a code.
    CallbackError(String),
    /// The callback brings a code and an error.
    CallbackWithCodeAndError,
    /// The callback brings a parameter of this name and value more, or instead.
    CallbackParameter(String, Option<String>),
    /// Discovery answers with this status.
    Discovery(u16),
    /// Discovery answers after this many seconds.
    DiscoveryAfter(u64),
    /// Discovery names another issuer.
    DiscoveryIssuer(String),
    /// A claim of the ID token has this value, or is missing (`null`).
    IdTokenClaim(String, Value),
    /// The ID token is signed like this.
    IdTokenSignature(Signature),
    /// The keys answer with this status.
    Jwks(u16),
    /// The keys answer after this many seconds.
    JwksAfter(u64),
    /// The keys answer after this many milliseconds.
    JwksAfterMillis(u64),
    /// The keys answer `200` with this body.
    JwksBody(String),
    /// A refresh is refused with `invalid_grant`.
    RefreshInvalidGrant,
    /// The token endpoint answers with this status and body.
    Token(u16, String),
    /// The token endpoint answers after this many seconds.
    TokenAfter(u64),
    /// The token endpoint does what it is asked, refresh token rotation included, and its response leaves after this
    /// many milliseconds. A client that has hung up by then never gets it.
    TokenAnswerAfter(u64),
    /// The token endpoint answers with this many bytes.
    TokenBytes(usize),
    /// A member of the token response has this value, or is missing (`null`).
    TokenMember(String, Value),
    /// The token endpoint answers with this status and `Retry-After` in seconds.
    TokenRetryAfter(u16, u64),
    /// `UserInfo` answers with this status and body.
    UserInfo(u16, String),
    /// `UserInfo` answers after this many seconds.
    UserInfoAfter(u64),
    /// `UserInfo` redirects there.
    UserInfoRedirect(String),
    /// `UserInfo` is about this person.
    UserInfoSub(String),
}

/// How an ID token can be signed wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// `alg: none`, and no signature.
    AlgNone,
    /// `alg: nOnE`, and no signature.
    AlgNoneInOtherCase,
    /// `HS256` keyed with the client secret.
    ClientSecret,
    /// A header with a `crit` that nobody knows.
    Critical,
    /// The other key signs, and the header brings it along as `jwk`, under the name of the current one.
    EmbeddedKey,
    /// None, under a header that promises one.
    Empty,
    /// One bit is wrong.
    Flipped,
    /// Bytes that are none.
    Garbage,
    /// The other key signs, under the name of the current one.
    OtherKey,
    /// `HS256` keyed with the public key, as its modulus is published.
    PublicKey,
    /// `HS256` keyed with the public key, as the text of a PEM file.
    PublicKeyPem,
    /// A `kid` that is not published.
    UnknownKid,
}
