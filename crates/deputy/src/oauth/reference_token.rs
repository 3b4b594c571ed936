//! Codes and tokens: opaque references to a grant (RFC 6749 §1.4). They cannot be guessed (§10.10).
//!
//! ```text
//! dpr_ base64url( grant id [16] | tag [12] | secret [32] )
//! ```
//!
//! The tag authenticates the rest under a key of the server, so a forged token is refused without a look-up. A token
//! with a valid tag was issued by this server. If its grant does not know it, it has expired or was used.

use crate::{
    config::Keys,
    encoding::{base64url_decode, base64url_encode},
    host::{Digest, GrantId},
    seal::{self, Random, SealingKey, random_bytes},
    secret::Secret,
};

/// The kind of a reference, which is its prefix. A reference of one kind is never accepted as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token, for the MCP endpoint.
    AccessToken,
    /// An authorization code, for one token request.
    AuthorizationCode,
    /// A refresh token, for token requests until it is rotated.
    RefreshToken,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::AccessToken => "dpa_",
            Self::AuthorizationCode => "dpc_",
            Self::RefreshToken => "dpr_",
        }
    }
}

/// A code or token that this server issued.
#[derive(Debug)]
pub struct ReferenceToken {
    kind: TokenKind,
    grant: GrantId,
    secret: Secret<[u8; 32]>,
}

impl ReferenceToken {
    /// Draws a new reference to `grant`.
    pub fn generate(kind: TokenKind, grant: GrantId, random: Random<'_>) -> Self {
        Self { kind, grant, secret: Secret::new(random_bytes(random)) }
    }

    /// Restores a reference from its secret.
    pub(super) const fn of(kind: TokenKind, grant: GrantId, secret: Secret<[u8; 32]>) -> Self {
        Self { kind, grant, secret }
    }

    pub(super) const fn secret(&self) -> &Secret<[u8; 32]> {
        &self.secret
    }

    /// Parses a reference of `kind`. `None` if it is of another kind, or was not issued by this server.
    pub fn parse(kind: TokenKind, text: &str, keys: &Keys) -> Option<Self> {
        let bytes = zeroize::Zeroizing::new(base64url_decode::<60>(text.strip_prefix(kind.prefix())?)?);
        let (grant, rest) = bytes.split_first_chunk::<16>()?;
        let (tag, secret) = rest.split_first_chunk::<12>()?;
        let token =
            Self { kind, grant: GrantId(*grant), secret: Secret::new(<[u8; 32]>::try_from(secret).ok()?) };
        keys.iter().any(|keys| seal::constant_time_eq(&token.tag(&keys.tokens), tag)).then_some(token)
    }

    /// The text to send to the client.
    pub fn render(&self, keys: &Keys) -> Secret<String> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(60));
        bytes.extend(self.grant.0);
        bytes.extend(self.tag(&keys.newest().tokens));
        bytes.extend(self.secret.expose());
        Secret::new(format!("{}{}", self.kind.prefix(), base64url_encode(&bytes)))
    }

    /// The grant that the token belongs to.
    pub const fn grant(&self) -> GrantId {
        self.grant
    }

    /// The digest to store instead of the token.
    pub fn digest(&self) -> Digest {
        seal::digest(self.kind.prefix(), self.secret.expose())
    }

    /// A key that is derived from the token's secret, so that only its bearer has it.
    pub fn key(&self) -> SealingKey {
        SealingKey::derive(self.secret.expose(), self.kind.prefix())
    }

    fn tag(&self, key: &SealingKey) -> [u8; 12] {
        key.mac(&[self.kind.prefix().as_bytes(), &self.grant.0, self.secret.expose()])
    }
}
