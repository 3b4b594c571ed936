//! Dynamic client registration (RFC 7591).

use serde_json::{Map, Value, json};

use super::{AuthMethod, Client, ErrorCode, client::displayable};
use crate::{
    encoding::base64url_encode,
    host::Timestamp,
    seal::{self, Random, random_bytes},
    secret::Secret,
    types::{ClientId, RedirectUri, RedirectUriError, RegisteredId, ScopeError, Scopes},
};

/// A valid registration request (RFC 7591 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationParams {
    redirect_uris: Vec<RedirectUri>,
    auth_method: AuthMethod,
    name: Option<String>,
    scopes: Scopes,
    uses_refresh_tokens: bool,
}

/// Why a registration is refused (RFC 7591 §3.2.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The body is not a JSON object, or a member is not acceptable.
    #[error("{0}")]
    Metadata(&'static str),
    /// A redirect URI runs script, or every redirect URI is malformed. Holds the error of the first.
    #[error("{0}")]
    RedirectUri(RedirectUriError),
    /// `redirect_uris` is missing or not a list, or none of them is allowed by the operator.
    #[error("{0}")]
    RedirectUris(&'static str),
    /// `scope` is malformed.
    #[error("{0}")]
    Scope(ScopeError),
}

impl RegistrationError {
    /// The `error` code of the response (RFC 7591 §3.2.2).
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Metadata(_) | Self::Scope(_) => ErrorCode::InvalidClientMetadata,
            Self::RedirectUri(_) | Self::RedirectUris(_) => ErrorCode::InvalidRedirectUri,
        }
    }
}

impl RegistrationParams {
    /// Parses the body of a registration request. `private_use` are the private-use redirect URIs that the operator
    /// allows.
    ///
    /// A member that is null or empty counts as omitted. Other metadata (`logo_uri`, `contacts`, …) is ignored,
    /// whatever its type (RFC 7591 §2: the server must ignore metadata that it does not understand).
    pub fn parse(body: &[u8], private_use: &[RedirectUri]) -> Result<Self, RegistrationError> {
        use RegistrationError::{Metadata, Scope};

        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            return Err(Metadata("the body must be a JSON object"));
        };
        let redirect_uris = parse_redirect_uris(&members, private_use)?;
        if members.values().map(count_values).sum::<usize>() > MAX_VALUES {
            return Err(Metadata("there are too many values"));
        }
        let auth_method = match string_member(&members, "token_endpoint_auth_method")? {
            // RFC 7591 §2: an omitted method means `client_secret_basic`.
            None | Some("client_secret_basic") => AuthMethod::ClientSecretBasic,
            Some("client_secret_post") => AuthMethod::ClientSecretPost,
            Some("none") => AuthMethod::None,
            Some(_) => {
                return Err(Metadata(
                    "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post",
                ));
            }
        };
        let grant_types = strings_member(&members, "grant_types")?;
        if grant_types.as_ref().is_some_and(|types| !types.contains(&"authorization_code")) {
            return Err(Metadata("grant_types must contain authorization_code"));
        }
        if strings_member(&members, "response_types")?.is_some_and(|types| !types.contains(&"code")) {
            return Err(Metadata("response_types must contain code"));
        }
        // A name that is not a string is ignored: it is only shown.
        let name = string_member(&members, "client_name").unwrap_or_default();
        if name.is_some_and(|name| name.len() > 1000) {
            return Err(Metadata("client_name is too long"));
        }
        // A scope that is not a string is ignored: a registration grants no scopes.
        let scope = string_member(&members, "scope").unwrap_or_default();
        let scopes = Scopes::parse(scope.unwrap_or_default()).map_err(Scope)?;
        Ok(Self {
            redirect_uris,
            auth_method,
            name: name.and_then(displayable),
            scopes,
            uses_refresh_tokens: grant_types.is_none_or(|types| types.contains(&"refresh_token")),
        })
    }
}

/// Registers a client: returns the client to store and the body of the response (RFC 7591 §3.2.1). Only the response
/// has the secret. It also says when the registration expires if the client is not used.
pub fn register(
    params: RegistrationParams,
    offered: &Scopes,
    now: Timestamp,
    random: Random<'_>,
) -> (Client, Secret<String>) {
    let RegistrationParams { redirect_uris, auth_method, name, scopes, uses_refresh_tokens } = params;
    let id = ClientId::Registered(RegisteredId::new(&random_bytes(random)));
    let secret = (auth_method != AuthMethod::None)
        .then(|| Secret::new(format!("dps_{}", base64url_encode(&random_bytes::<32>(random)))));
    let client = Client {
        secret: secret.as_ref().map(|secret| secret_digest(secret.expose())),
        id,
        name,
        redirect_uris,
        auth_method,
        issued_at: now,
    };
    // RFC 7591 §3.2.1: the response may replace requested metadata. A client that names only unknown scopes gets the
    // scopes on offer; its authorization requests with unknown scopes are refused.
    let scopes = scopes.granted(offered).unwrap_or_else(|_| offered.clone());
    let until = now.plus(Client::UNUSED_LIFETIME);
    let mut response = json!({
        "client_id": client.id,
        // An extension (RFC 7591 §3.2.1): a public client has no `client_secret_expires_at`.
        "client_id_expires_at": until.0,
        "client_id_issued_at": now.0,
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": auth_method,
        "grant_types": if uses_refresh_tokens { &["authorization_code", "refresh_token"][..] } else { &["authorization_code"] },
        "response_types": ["code"],
        "scope": scopes.to_string(),
    });
    if let Some(name) = &client.name {
        response["client_name"] = json!(name);
    }
    if let Some(secret) = &secret {
        response["client_secret"] = json!(secret.expose());
        response["client_secret_expires_at"] = json!(until.0);
    }
    (client, Secret::new(response.to_string()))
}

/// The digest of a client secret, which is stored instead of it.
pub(super) fn secret_digest(secret: &str) -> crate::host::Digest {
    seal::digest("client secret", secret.as_bytes())
}

/// Parses `redirect_uris` of a registration or a metadata document (RFC 7591 §2), and drops those that cannot be used.
/// Fails if none is left, or if one runs script.
pub(super) fn parse_redirect_uris(
    members: &Map<String, Value>,
    private_use: &[RedirectUri],
) -> Result<Vec<RedirectUri>, RegistrationError> {
    use RegistrationError::RedirectUris;

    let uris = match members.get("redirect_uris") {
        Some(Value::Array(uris)) if !uris.is_empty() => uris,
        _ => return Err(RedirectUris("redirect_uris must be a list of at least one redirect URI")),
    };
    if uris.len() > MAX_VALUES {
        return Err(RedirectUris("redirect_uris has too many entries"));
    }
    let (mut kept, mut first_error) = (Vec::new(), None);
    for uri in uris.iter().filter_map(Value::as_str).filter(|uri| !uri.is_empty()) {
        match RedirectUri::parse(uri) {
            Ok(uri) if !kept.contains(&uri) => kept.push(uri),
            Ok(_) => {}
            Err(RedirectUriError::Script) => {
                return Err(RegistrationError::RedirectUri(RedirectUriError::Script));
            }
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let is_usable = |uri: &RedirectUri| !uri.is_private_use() || private_use.contains(uri);
    if !kept.iter().any(is_usable) {
        return Err(match first_error {
            Some(error) if kept.is_empty() => RegistrationError::RedirectUri(error),
            _ => RedirectUris(
                "none of the redirect URIs can be used here: they must be https, http to localhost, or allowed by the \
                 operator",
            ),
        });
    }
    if !is_within_limits(&kept) {
        // Redirect URIs that cannot be used are dropped first.
        kept.sort_by_key(|uri| !is_usable(uri));
        // RFC 8252 §7.3: a loopback redirect URI with one port matches those with every port.
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

/// Whether one client may have these redirect URIs.
fn is_within_limits(uris: &[RedirectUri]) -> bool {
    uris.len() <= MAX_URIS && uris.iter().map(|uri| uri.as_str().len()).sum::<usize>() <= MAX_URI_BYTES
}

/// Redirect URIs of one client.
const MAX_URIS: usize = 16;

/// Bytes of the redirect URIs of one client together.
const MAX_URI_BYTES: usize = 4096;

/// The string at `name`. A null or empty member counts as omitted.
pub(super) fn string_member<'a>(
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, RegistrationError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(RegistrationError::Metadata("a member that must be a string is something else")),
    }
}

/// The strings in the list at `name`. A null or empty member counts as omitted. An entry of another type becomes `?`,
/// which matches no known value.
pub(super) fn strings_member<'a>(
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<&'a str>>, RegistrationError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::Array(values)) => {
            let given = values.iter().filter(|value| !value.is_null() && *value != "");
            let texts: Vec<_> = given.map(|value| value.as_str().unwrap_or("?")).collect();
            Ok(Some(texts).filter(|texts| !texts.is_empty()))
        }
        Some(_) => {
            Err(RegistrationError::Metadata("a member that must be a list of strings is something else"))
        }
    }
}

/// The number of values in a value, itself included. The parser limits the depth to 128.
fn count_values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count_values).sum(),
        Value::Object(members) => members.values().map(count_values).sum(),
        _ => 0,
    }
}

/// JSON values in a registration, nested ones included. Clients send about twenty, and those with keys a few more.
const MAX_VALUES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &Value) -> Result<RegistrationParams, RegistrationError> {
        RegistrationParams::parse(body.to_string().as_bytes(), &[])
    }

    #[test]
    fn omitted_auth_method_means_client_secret_basic() {
        let params = parse(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
        assert_eq!(params.auth_method, AuthMethod::ClientSecretBasic);
    }

    #[test]
    fn private_use_redirect_uri_alone_must_be_allowed() {
        let cursor = "cursor://anysphere.cursor-mcp/oauth/callback";
        assert!(parse(&json!({"redirect_uris": [cursor, "http://localhost:8787/callback"]})).is_ok());
        let alone = json!({"redirect_uris": [cursor]}).to_string();
        assert!(matches!(
            parse(&json!({"redirect_uris": [cursor]})),
            Err(RegistrationError::RedirectUris(_))
        ));
        let admitted = [RedirectUri::parse(cursor).unwrap()];
        assert!(RegistrationParams::parse(alone.as_bytes(), &admitted).is_ok());
    }

    fn kept(uris: &[&str]) -> Result<Vec<String>, RegistrationError> {
        let params = parse(&json!({ "redirect_uris": uris }))?;
        Ok(params.redirect_uris.iter().map(ToString::to_string).collect())
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
            Err(RegistrationError::RedirectUri(RedirectUriError::Insecure))
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
            assert_eq!(error, RegistrationError::RedirectUri(RedirectUriError::Script), "{script}");
            assert_eq!(error.code(), ErrorCode::InvalidRedirectUri);
        }
    }

    #[test]
    fn empty_and_null_members_of_registration_count_as_omitted() {
        let good = json!({ "redirect_uris": ["https://a/"] });
        let omitted = parse(&good).unwrap();
        for (name, values) in [
            ("grant_types", [json!([]), json!(""), json!([""]), json!([null])]),
            ("response_types", [json!([]), json!(""), json!([""]), json!([null])]),
            ("token_endpoint_auth_method", [json!(""), json!(null), json!(""), json!(null)]),
            ("client_name", [json!(""), json!(null), json!(7), json!(["x"])]),
            ("scope", [json!(""), json!(null), json!(" "), json!(["a"])]),
            ("logo_uri", [json!(""), json!(null), json!(true), json!({})]),
        ] {
            for value in values {
                let mut members = good.clone();
                members[name] = value.clone();
                assert_eq!(parse(&members), Ok(omitted.clone()), "{name}: {value}");
            }
        }
    }

    #[test]
    fn unknown_grant_type_is_refused_only_alone() {
        let with = |types: &[&str]| parse(&json!({"redirect_uris": ["https://a/"], "grant_types": types}));
        assert!(matches!(with(&["password"]), Err(RegistrationError::Metadata(_))));
        assert!(!with(&["authorization_code", "password"]).unwrap().uses_refresh_tokens);
    }

    #[test]
    fn registration_with_too_many_values_is_refused() {
        let with = |name: &str, value: Value| parse(&json!({"redirect_uris": ["https://a/"], name: value}));
        let keys = |number| json!({"keys": vec![json!({}); number]});
        // The other values: the redirect URI, its list, the list of `with`, and the object around it.
        assert!(with("contacts", json!(vec!["x"; 253])).is_ok());
        assert!(with("jwks", keys(252)).is_ok());
        for refused in [with("contacts", json!(vec!["x"; 254])), with("jwks", keys(253))] {
            assert_eq!(refused, Err(RegistrationError::Metadata("there are too many values")));
        }
    }

    #[test]
    fn client_secret_is_stored_as_a_digest_only() {
        let params = parse(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
        let (client, response) = register(params, &Scopes::of(["a"]), Timestamp(5), &|b| b.fill(7));
        let response: Value = serde_json::from_str(response.expose()).unwrap();
        let secret = response["client_secret"].as_str().unwrap();
        assert_eq!(client.secret, Some(secret_digest(secret)));
        assert!(!serde_json::to_string(&client).unwrap().contains(secret));
    }
}
