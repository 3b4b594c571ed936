//! The keys of the server.

use std::cell::RefCell;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

use super::{
    ConfigErrors,
    variable::{DefaultValue, Syntax, Variable},
    vars::Vars,
};
use crate::seal::{SealingKey, constant_time_eq};

/// The keys of the server: the newest first, and during a rotation the one before it.
///
/// New tokens and cookies are made with the newest keys. Those of the older keys are still accepted, so that no user is
/// logged out.
#[derive(Clone, Debug)]
pub struct Keys(Vec<ServerKeys>);

/// Keys derived from one value of `SERVER_KEY`, one for each use.
#[derive(Clone, Debug)]
pub struct ServerKeys {
    /// Tags of tokens.
    pub tokens: SealingKey,
    /// Values of cookies.
    pub cookies: SealingKey,
    /// State of MCP requests, sealed and kept by clients.
    pub states: SealingKey,
    /// Metadata of clients, sealed in their identifiers.
    pub clients: SealingKey,
    /// The chain of the audit log.
    pub audit: SealingKey,
}

impl Keys {
    fn derive(secrets: &[Zeroizing<Vec<u8>>]) -> Self {
        Self(
            secrets
                .iter()
                .map(|secret| ServerKeys {
                    tokens: SealingKey::derive(secret, "deputy token tags v1"),
                    cookies: SealingKey::derive(secret, "deputy cookies v1"),
                    states: SealingKey::derive(secret, "deputy request states v1"),
                    clients: SealingKey::derive(secret, "deputy client metadata v1"),
                    audit: SealingKey::derive(secret, "deputy audit chain v1"),
                })
                .collect(),
        )
    }

    /// Reads the keys through `lookup`, and no other variable, for a verification: any number of earlier keys may follow.
    pub fn read_for_verification(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let vars = Vars { lookup: &lookup, errors: RefCell::default() };
        let read = vars.read(&SERVER_KEY, Self::parse_any_number);
        read.ok_or_else(|| ConfigErrors(vars.errors.into_inner()))
    }

    /// Parses the value of `SERVER_KEY`. The error is for the operator.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        let keys = Self::parse_any_number(value)?;
        if keys.0.len() > 2 {
            return Err("takes two values at most: the new one first, then the one it replaces");
        }
        Ok(keys)
    }

    fn parse_any_number(value: &str) -> Result<Self, &'static str> {
        let secrets: Vec<Zeroizing<Vec<u8>>> = value
            .split([',', ' '])
            .filter(|part| !part.is_empty())
            .map(|part| {
                let decoded = STANDARD
                    .decode(part)
                    .or_else(|_| STANDARD_NO_PAD.decode(part))
                    .or_else(|_| URL_SAFE_NO_PAD.decode(part));
                decoded
                    .map(Zeroizing::new)
                    .map_err(|_| "is not base64; make one with: openssl rand -base64 32")
            })
            .collect::<Result<_, _>>()?;
        if secrets.is_empty() || secrets.iter().any(|secret| secret.len() < 32) {
            return Err("must be at least 32 bytes in base64; make one with: openssl rand -base64 32");
        }
        Ok(Self::derive(&secrets))
    }

    /// The keys for new tokens and cookies.
    pub fn newest(&self) -> &ServerKeys {
        // `parse` refuses an empty list.
        &self.0[0]
    }

    /// Whether these keys accept the tokens and cookies that are made with `before`.
    pub fn accepts_tokens_of(&self, before: &Self) -> bool {
        self.has(before.newest())
    }

    /// Whether every key of `before` is among these, such as the one that a rotation replaces.
    pub fn has_each_of(&self, before: &Self) -> bool {
        before.iter().all(|keys| self.has(keys))
    }

    fn has(&self, sought: &ServerKeys) -> bool {
        let fingerprint = |keys: &ServerKeys| -> [u8; 32] { keys.tokens.mac(&[b"the same key"]) };
        let sought = fingerprint(sought);
        self.iter().any(|keys| constant_time_eq(&fingerprint(keys), &sought))
    }

    /// The keys to check tokens and cookies with.
    pub fn iter(&self) -> impl Iterator<Item = &ServerKeys> {
        self.0.iter()
    }
}

/// Keys for tests.
#[cfg(test)]
pub(crate) fn test_keys() -> Keys {
    Keys::derive(&[Zeroizing::new(vec![1; 32])])
}

pub(super) static SERVER_KEY: Variable = Variable {
    name: "SERVER_KEY",
    former_name: Some("COOKIE_ENCRYPTION_KEY"),
    summary: "secret from which Deputy derives its keys for tokens, cookies and client identifiers",
    details: "To rotate it, give two values with a comma between them, the new one first: Deputy makes tokens with \
              the first and accepts those of both. A client that gets tokens during this time keeps its `client_id`; \
              every other registered client has to register again when the old value is removed. Without the old \
              value every login ends.",
    syntax: Syntax::Text(
        "base64 of 32 random bytes or more, as from `openssl rand -base64 32`; during a rotation two of them",
    ),
    default: DefaultValue::Required,
    example: None,
    on_workers: Some(
        "a rotation has [a step before this one](deploy.md#operating-it), since locations get a new value at \
         different times",
    ),
    secret: true,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_accept_tokens_of_each_of_their_values_alone() {
        let [one, other] = [[1; 32], [2; 32]].map(|key| STANDARD.encode(key));
        let keys = |value: &str| Keys::parse(value).unwrap();
        let before = keys(&one);
        assert!(keys(&format!("{other},{one}")).accepts_tokens_of(&before));
        assert!(keys(&format!("{one} {other}")).accepts_tokens_of(&before));
        assert!(!keys(&other).accepts_tokens_of(&before));
        assert!(
            !keys(&one).accepts_tokens_of(&keys(&format!("{other},{one}"))),
            "new tokens are those of the first"
        );
        let during = keys(&format!("{other},{one}"));
        assert!(during.has_each_of(&before) && !keys(&other).has_each_of(&during));
    }
}
