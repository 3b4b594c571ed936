//! Client metadata (RFC 7591 §2). One parser reads registrations and metadata documents.

use serde_json::{Map, Value};

use super::{AuthMethod, ErrorCode, client::displayable};
use crate::{
    config::RedirectPolicy,
    encoding::{JsonError, json},
    types::{RedirectUri, RedirectUriError, ScopeError},
};

/// The metadata that this server understands. Other members (`logo_uri`, `contacts`, …) are ignored, whatever their type
/// (RFC 7591 §2: the server must ignore metadata that it does not understand).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientMetadata {
    pub(super) redirect_uris: Vec<RedirectUri>,
    /// `token_endpoint_auth_method`. `None` if it is omitted.
    pub(super) auth_method: Option<AuthMethod>,
    /// `client_name`, as pages can show it.
    pub(super) name: Option<String>,
    /// Whether `grant_types` has `refresh_token`, or is omitted.
    pub(super) uses_refresh_tokens: bool,
}

/// Why client metadata is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It is not a JSON object.
    #[error("client metadata must be a JSON object")]
    Json,
    /// It has more values than a client needs.
    #[error("there are too many values")]
    TooManyValues,
    /// A member has the wrong type.
    #[error("{0}")]
    Member(&'static str),
    /// `token_endpoint_auth_method` is not a method of this server.
    #[error("token_endpoint_auth_method must be none, client_secret_basic or client_secret_post")]
    AuthMethod,
    /// `grant_types` lacks `authorization_code`.
    #[error("grant_types must contain authorization_code")]
    GrantTypes,
    /// `response_types` lacks `code`.
    #[error("response_types must contain code")]
    ResponseTypes,
    /// `client_name` is longer than 1,000 bytes.
    #[error("client_name is too long")]
    Name,
    /// A redirect URI runs script, or every redirect URI is malformed. Holds the error of the first.
    #[error("{0}")]
    RedirectUri(RedirectUriError),
    /// `redirect_uris` is missing, empty or not a list, or the operator allows no URI in it.
    #[error("{0}")]
    RedirectUris(&'static str),
    /// `scope` is malformed.
    #[error("{0}")]
    Scope(ScopeError),
}

impl MetadataError {
    /// The `error` code of a registration response (RFC 7591 §3.2.2).
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::RedirectUri(_) | Self::RedirectUris(_) => ErrorCode::InvalidRedirectUri,
            Self::Json
            | Self::TooManyValues
            | Self::Member(_)
            | Self::AuthMethod
            | Self::GrantTypes
            | Self::ResponseTypes
            | Self::Name
            | Self::Scope(_) => ErrorCode::InvalidClientMetadata,
        }
    }
}

/// The members of a JSON object from an unauthenticated client.
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Parses an object with at most about [`MAX_VALUES`] values.
    pub(super) fn parse(body: &[u8]) -> Result<Self, MetadataError> {
        match json(body, MAX_VALUES) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) | Err(JsonError::Syntax) => Err(MetadataError::Json),
            Err(JsonError::TooManyValues) => Err(MetadataError::TooManyValues),
        }
    }

    /// The value at `name`. Null counts as omitted.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The string at `name`. An empty one counts as omitted.
    pub(super) fn string(&self, name: &str) -> Result<Option<&str>, MetadataError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(MetadataError::Member("a member that must be a string is something else")),
        }
    }

    /// Whether the list of strings at `name` has `value`. `None` if the list is omitted or empty. Ignores entries that
    /// are null or empty.
    fn has(&self, name: &str, value: &str) -> Result<Option<bool>, MetadataError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::Array(values)) => {
                let mut given = values.iter().filter(|value| !value.is_null() && *value != "").peekable();
                Ok(given.peek().is_some().then(|| given.any(|given| given == value)))
            }
            Some(_) => {
                Err(MetadataError::Member("a member that must be a list of strings is something else"))
            }
        }
    }
}

impl ClientMetadata {
    /// Reads the metadata. A member that is null or empty counts as omitted. `policy` is the operator's.
    pub(super) fn read(members: &Members, policy: &RedirectPolicy) -> Result<Self, MetadataError> {
        let redirect_uris = match members.get("redirect_uris") {
            Some(Value::Array(uris)) if !uris.is_empty() => {
                let uris = uris.iter().filter_map(Value::as_str).filter(|uri| !uri.is_empty());
                usable_redirect_uris(uris, policy)?
            }
            Some(Value::Array(_)) => return Err(MetadataError::RedirectUris(NO_REDIRECT_URI)),
            _ => {
                let problem = "redirect_uris must be a list of at least one redirect URI";
                return Err(MetadataError::RedirectUris(problem));
            }
        };
        let auth_method = match members.string("token_endpoint_auth_method")? {
            None => None,
            Some("client_secret_basic") => Some(AuthMethod::ClientSecretBasic),
            Some("client_secret_post") => Some(AuthMethod::ClientSecretPost),
            Some("none") => Some(AuthMethod::None),
            Some("private_key_jwt") => Some(AuthMethod::PrivateKeyJwt),
            Some(_) if offers(members, "none") => Some(AuthMethod::None),
            Some(_) => return Err(MetadataError::AuthMethod),
        };
        if members.has("grant_types", "authorization_code")? == Some(false) {
            return Err(MetadataError::GrantTypes);
        }
        if members.has("response_types", "code")? == Some(false) {
            return Err(MetadataError::ResponseTypes);
        }
        // A name that is not a string is ignored: it is only shown.
        let name = members.string("client_name").unwrap_or_default();
        if name.is_some_and(|name| name.len() > 1000) {
            return Err(MetadataError::Name);
        }
        Ok(Self {
            redirect_uris,
            auth_method,
            name: name.and_then(displayable),
            uses_refresh_tokens: members.has("grant_types", "refresh_token")? != Some(false),
        })
    }
}

/// Whether the client lists a method among those that it can use (OpenID Connect Relying Party Metadata Choices 1.0 §2).
/// `ChatGPT` has such a list.
pub(super) fn offers(members: &Members, method: &str) -> bool {
    members.has("token_endpoint_auth_methods_supported", method) == Ok(Some(true))
}

/// The redirect URIs of a client, without malformed ones. Fails if a URI runs script, or if no URI can be used here.
pub(super) fn usable_redirect_uris<'a>(
    uris: impl Iterator<Item = &'a str>,
    policy: &RedirectPolicy,
) -> Result<Vec<RedirectUri>, MetadataError> {
    use MetadataError::RedirectUris;

    let (mut kept, mut first_error) = (Vec::new(), None);
    for uri in uris {
        match RedirectUri::parse(uri) {
            Ok(uri) if !kept.contains(&uri) => kept.push(uri),
            Ok(_) => {}
            Err(RedirectUriError::Script) => {
                return Err(MetadataError::RedirectUri(RedirectUriError::Script));
            }
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let is_usable = |uri: &RedirectUri| policy.allows(uri);
    if !kept.iter().any(is_usable) {
        return Err(match first_error {
            Some(error) if kept.is_empty() => MetadataError::RedirectUri(error),
            _ => RedirectUris(
                "none of the redirect URIs can be used here: they must be https, http to localhost, or allowed by the \
                 operator",
            ),
        });
    }
    if !is_within_limits(&kept) {
        // Redirect URIs that cannot be used are dropped first.
        kept.sort_by_key(|uri| !is_usable(uri));
        // RFC 8252 §7.3: a loopback redirect URI matches the same URI with any port.
        let all = std::mem::take(&mut kept);
        for uri in all {
            if !kept.iter().any(|same| uri.matches(same)) {
                kept.push(uri);
            }
        }
        while !is_within_limits(&kept) {
            kept.pop();
        }
    }
    Ok(kept)
}

/// Whether these redirect URIs are within the limits of one client.
fn is_within_limits(uris: &[RedirectUri]) -> bool {
    uris.len() <= MAX_URIS && uris.iter().map(|uri| uri.as_str().len()).sum::<usize>() <= MAX_URI_BYTES
}

/// The error of an empty list of redirect URIs. A program that needs a login, but cannot start one, registers with such a list and
/// shows this text to its user.
const NO_REDIRECT_URI: &str = "redirect_uris is empty, so this client cannot ask its user to log in: \
                               connect this server again in the application, and approve it there";

/// Number of redirect URIs of one client.
const MAX_URIS: usize = 16;

/// Bytes of the redirect URIs of one client together.
const MAX_URI_BYTES: usize = 2048;

/// JSON values in client metadata, including nested values and names of members. Clients send about 40, and a few more
/// with a `jwks`.
const MAX_VALUES: usize = 512;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value, policy: &RedirectPolicy) -> Result<ClientMetadata, MetadataError> {
        ClientMetadata::read(&Members::parse(body.to_string().as_bytes())?, policy)
    }

    fn parse(body: &Value) -> Result<ClientMetadata, MetadataError> {
        read(body, &RedirectPolicy::default())
    }

    #[test]
    fn private_use_redirect_uri_alone_must_be_allowed() {
        let cursor = "cursor://anysphere.cursor-mcp/oauth/callback";
        assert!(parse(&json!({"redirect_uris": [cursor, "http://localhost:8787/callback"]})).is_ok());
        let alone = json!({"redirect_uris": [cursor]});
        assert!(matches!(parse(&json!({"redirect_uris": [cursor]})), Err(MetadataError::RedirectUris(_))));
        let private_use = vec![RedirectUri::parse(cursor).unwrap()];
        let admitted = RedirectPolicy { private_use, ..RedirectPolicy::default() };
        assert!(read(&alone, &admitted).is_ok());
    }

    fn kept(uris: &[&str]) -> Result<Vec<String>, MetadataError> {
        let params = parse(&json!({ "redirect_uris": uris }))?;
        Ok(params.redirect_uris.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn redirect_uri_at_a_host_that_is_not_admitted_needs_another() {
        let policy = RedirectPolicy {
            hosts: crate::config::ClientHosts::parse("*.example.com localhost").unwrap(),
            ..RedirectPolicy::default()
        };
        let with = |uris: &[&str]| read(&json!({ "redirect_uris": uris }), &policy);
        assert!(with(&["https://evil.example/cb", "https://app.example.com/cb"]).is_ok());
        assert!(with(&["http://localhost:5/cb"]).is_ok());
        for uri in ["https://evil.example/cb", "https://example.com/cb", "http://127.0.0.1/cb"] {
            assert!(matches!(with(&[uri]), Err(MetadataError::RedirectUris(_))), "{uri}");
        }
    }

    #[test]
    fn unusable_redirect_uri_is_dropped() {
        let good = "https://a.example/cb";
        for bad in [
            "http://192.168.1.10/cb",
            "http://0.0.0.0",
            "http://localhost:*/cb",
            "",
            "chrome-extension://abc/cb",
            "https://a.example/cb#x",
            "https://a.example/cb?code=x",
            "/cb",
        ] {
            assert_eq!(kept(&[bad, good]), Ok(vec![good.to_owned()]), "{bad}");
            assert_eq!(kept(&[bad]).unwrap_err().code(), ErrorCode::InvalidRedirectUri, "{bad}");
        }
        assert!(matches!(
            kept(&["http://0.0.0.0"]),
            Err(MetadataError::RedirectUri(RedirectUriError::Insecure))
        ));
    }

    #[test]
    fn redirect_uris_beyond_the_limit_are_dropped() {
        let ports: Vec<_> = (1..=17).map(|port| format!("http://127.0.0.1:{port}/cb")).collect();
        let with =
            |more: &[&str]| kept(&[&ports.iter().map(String::as_str).collect::<Vec<_>>()[..], more].concat());
        assert_eq!(with(&[]).unwrap(), [&*ports[0]]);
        assert_eq!(with(&["https://a/"]).unwrap(), [&*ports[0], "https://a/"]);
        assert_eq!(kept(&ports[..16].iter().map(String::as_str).collect::<Vec<_>>()).unwrap(), &ports[..16]);
        let many: Vec<_> = (1..=20).map(|n| format!("x{n}:/cb")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).chain(["https://a/"]).collect();
        let kept = kept(&many).unwrap();
        assert_eq!((kept.len(), kept[0].as_str()), (16, "https://a/"));
    }

    #[test]
    fn redirect_uri_that_runs_script_is_refused_beside_others() {
        for script in
            ["javascript:alert(1)", " java\tscript:alert(1)", "data:text/html,x", "blob:https://a/b"]
        {
            let error = kept(&["https://a.example/cb", script]).unwrap_err();
            assert_eq!(error, MetadataError::RedirectUri(RedirectUriError::Script), "{script}");
            assert_eq!(error.code(), ErrorCode::InvalidRedirectUri);
        }
    }

    #[test]
    fn unknown_grant_type_is_refused_only_alone() {
        let with = |types: &[&str]| parse(&json!({"redirect_uris": ["https://a/"], "grant_types": types}));
        assert!(matches!(with(&["password"]), Err(MetadataError::GrantTypes)));
        assert!(!with(&["authorization_code", "password"]).unwrap().uses_refresh_tokens);
    }

    #[test]
    fn registration_with_too_many_values_is_refused() {
        let with = |name: &str, value: Value| parse(&json!({"redirect_uris": ["https://a/"], name: value}));
        let keys = |number| json!({"keys": vec![json!({}); number]});
        // Each value but the first follows one of `{[,:`, and names of members count too.
        assert!(with("contacts", json!(vec!["x"; 506])).is_ok());
        assert!(with("jwks", keys(252)).is_ok());
        for refused in [with("contacts", json!(vec!["x"; 507])), with("jwks", keys(253))] {
            assert_eq!(refused, Err(MetadataError::TooManyValues));
        }
    }
}
