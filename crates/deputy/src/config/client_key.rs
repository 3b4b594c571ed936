//! `PINGONE_CLIENT_KEY`.

use super::variable::{DefaultValue, Syntax, Variable};
use crate::jose::ClientKey;

pub(super) static CLIENT_KEY: Variable = Variable {
    name: "PINGONE_CLIENT_KEY",
    former_name: None,
    summary: "private key with which Deputy authenticates at PingOne, if `PINGONE_CLIENT_AUTH` is `private_key_jwt`",
    details: "`deputy keys` makes one, and prints the public key for the application in PingOne. \
              [pingone.md](pingone.md#a-key-instead-of-the-client-secret) describes how to replace a key.",
    syntax: Syntax::Text("a private JSON Web Key on one line, for RS256 (2048 to 4096 bits) or ES256"),
    default: DefaultValue::Value(""),
    example: None,
    on_workers: None,
    secret: true,
};

/// Parses the value of the variable, which may be absent.
pub(super) fn client_key(value: &str) -> Result<Option<ClientKey>, &'static str> {
    if value.is_empty() { Ok(None) } else { ClientKey::parse(value).map(Some) }
}
