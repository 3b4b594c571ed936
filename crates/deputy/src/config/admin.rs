//! The token of the operator.

use super::variable::{DefaultValue, Syntax, Variable};
use crate::{
    host::Digest,
    seal::{constant_time_eq, digest},
};

/// The token of the admin interface. Only its digest is kept.
#[derive(Clone, Debug)]
pub struct AdminToken(Digest);

impl AdminToken {
    /// Parses the value of `ADMIN_TOKEN`. The error is for the operator.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        if value.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(
                "must be visible ASCII characters without spaces; make one with: openssl rand -base64 32",
            );
        }
        if value.len() < 32 {
            return Err("must have at least 32 characters; make one with: openssl rand -base64 32");
        }
        Ok(Self(digest("admin token", value.as_bytes())))
    }

    /// Whether `presented` is this token. Takes the same time for every token of its length.
    pub fn is(&self, presented: &[u8]) -> bool {
        constant_time_eq(&self.0.0, &digest("admin token", presented).0)
    }
}

pub(super) fn admin_token(value: &str) -> Result<Option<AdminToken>, &'static str> {
    if value.is_empty() { Ok(None) } else { AdminToken::parse(value).map(Some) }
}

pub(super) static ADMIN_TOKEN: Variable = Variable {
    name: "ADMIN_TOKEN",
    former_name: None,
    summary: "secret of the operator for the admin interface",
    details: "Its holder sees, ends and blocks the access of every user. Without it there is no admin interface. The \
              commands `deputy grants` and `deputy clients` send it. [admin.md](admin.md) describes them.",
    syntax: Syntax::Text("32 visible ASCII characters or more, as from `openssl rand -base64 32`"),
    default: DefaultValue::Value(""),
    example: None,
    on_workers: Some("with it, the admin interface is at `PUBLIC_URL`"),
    secret: true,
};

pub(super) static ADMIN_EXPORT: Variable = Variable {
    name: "ADMIN_EXPORT",
    former_name: None,
    summary: "switch for the export of stored records by the admin interface",
    details: "`deputy store copy` needs it while it copies from a running Deputy. Turn it off again afterwards.",
    syntax: Syntax::Choice(&[
        ("on", "the holder of `ADMIN_TOKEN` gets the stored records"),
        ("off", "the admin interface refuses to return them"),
    ]),
    default: DefaultValue::Value("off"),
    example: Some("on"),
    on_workers: None,
    secret: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_or_unprintable_admin_token_is_refused() {
        let token = "0123456789abcdef0123456789abcdef";
        assert!(AdminToken::parse(token).unwrap().is(token.as_bytes()));
        assert!(!AdminToken::parse(token).unwrap().is(b"0123456789abcdef0123456789abcdee"));
        for wrong in [&token[1..], "0123456789abcdef 123456789abcdef", "0123456789abcdef0123456789abcdé", ""]
        {
            assert!(AdminToken::parse(wrong).is_err(), "{wrong}");
        }
    }
}
