//! Dynamic client registration (RFC 7591).

use serde_json::{Map, Value, json};

use super::{AuthMethod, Client, ErrorCode, RedirectUri, RedirectUriError, Scopes, client::presentable};
use crate::{
    encoding::base64url_encode,
    host::Timestamp,
    seal::{self, Random, random_bytes},
    secret::Secret,
};

/// A registration request that can be granted (RFC 7591 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationParams {
    redirect_uris: Vec<RedirectUri>,
    auth_method: AuthMethod,
    name: Option<String>,
    scopes: Option<Scopes>,
    refresh: bool,
}

/// Why a registration is refused (RFC 7591 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Not a JSON object, or a member of the wrong type.
    #[error("{0}")]
    Metadata(&'static str),
    /// A redirect URI that can never be used.
    #[error("{0}")]
    RedirectUri(RedirectUriError),
    /// `redirect_uris` is missing or not a list of 1 to 16 strings, or none of them can be used here.
    #[error("{0}")]
    RedirectUris(&'static str),
}

impl RegistrationError {
    /// The code on the wire.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Metadata(_) => ErrorCode::InvalidClientMetadata,
            Self::RedirectUri(_) | Self::RedirectUris(_) => ErrorCode::InvalidRedirectUri,
        }
    }
}

impl RegistrationParams {
    /// Reads the body of a registration request. `private_use` are the redirect URIs of applications that the operator
    /// admits. Members that this server has no use for (`logo_uri`, `contacts`, …) are not kept.
    pub fn parse(body: &[u8], private_use: &[RedirectUri]) -> Result<Self, RegistrationError> {
        use RegistrationError::{Metadata, RedirectUris};

        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            return Err(Metadata("the body must be a JSON object"));
        };
        let redirect_uris = redirect_uris(&members)?;
        // One URI that cannot be used must not cost a client the others; Cursor registers three.
        if !redirect_uris.iter().any(|uri| !uri.is_private_use() || private_use.contains(uri)) {
            return Err(RedirectUris(
                "none of the redirect URIs can be used here: https, http to localhost, or a URI the operator admits",
            ));
        }
        if members.values().map(values).sum::<usize>() > MOST_VALUES {
            return Err(Metadata("there are too many values"));
        }
        let auth_method = match text(&members, "token_endpoint_auth_method")? {
            // RFC 7591 §2: what an omitted method means.
            None | Some("client_secret_basic") => AuthMethod::ClientSecretBasic,
            Some("client_secret_post") => AuthMethod::ClientSecretPost,
            Some("none") => AuthMethod::None,
            Some(_) => {
                return Err(Metadata(
                    "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post",
                ));
            }
        };
        let grant_types = texts(&members, "grant_types")?;
        if grant_types.as_ref().is_some_and(|types| !types.contains(&"authorization_code")) {
            return Err(Metadata("grant_types must contain authorization_code"));
        }
        if texts(&members, "response_types")?.is_some_and(|types| !types.contains(&"code")) {
            return Err(Metadata("response_types must contain code"));
        }
        let name = text(&members, "client_name")?;
        if name.is_some_and(|name| name.len() > 1000) {
            return Err(Metadata("client_name is too long"));
        }
        let scopes = text(&members, "scope")?.map(Scopes::parse).transpose();
        let scopes = scopes.map_err(|_| Metadata("scope must be scopes separated by spaces"))?;
        for uri in ["client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri"] {
            text(&members, uri)?;
        }
        Ok(Self {
            redirect_uris,
            auth_method,
            name: name.and_then(presentable),
            scopes,
            refresh: grant_types.is_none_or(|types| types.contains(&"refresh_token")),
        })
    }
}

/// Registers: the record to keep, and the response (RFC 7591 §3.2.1). The secret is in the response only, and ends with the
/// registration: the response says when that is if nobody uses it.
pub fn register(
    params: RegistrationParams,
    offered: &Scopes,
    now: Timestamp,
    random: Random<'_>,
) -> (Client, Secret<String>) {
    let RegistrationParams { redirect_uris, auth_method, name, scopes, refresh } = params;
    let id = base64url_encode(&random_bytes::<16>(random));
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
    let until = now.plus(Client::UNUSED_LIFETIME);
    let mut response = json!({
        "client_id": client.id,
        // An extension (RFC 7591 §3.2.1), since a public client has no secret whose end could be told.
        "client_id_expires_at": until.0,
        "client_id_issued_at": now.0,
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": auth_method,
        "grant_types": if refresh { &["authorization_code", "refresh_token"][..] } else { &["authorization_code"] },
        "response_types": ["code"],
        "scope": scopes.map_or_else(|| offered.clone(), |asked| asked.and(offered)).to_string(),
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

/// What is kept of a client secret.
pub(super) fn secret_digest(secret: &str) -> crate::host::Digest {
    seal::digest("client secret", secret.as_bytes())
}

pub(super) fn redirect_uris(members: &Map<String, Value>) -> Result<Vec<RedirectUri>, RegistrationError> {
    let Some(Value::Array(uris)) = members.get("redirect_uris") else {
        return Err(RegistrationError::RedirectUris("redirect_uris must be a list"));
    };
    if !(1..=16).contains(&uris.len()) {
        return Err(RegistrationError::RedirectUris("redirect_uris must have 1 to 16 entries"));
    }
    if uris.iter().filter_map(Value::as_str).map(str::len).sum::<usize>() > 4096 {
        return Err(RegistrationError::RedirectUris("redirect_uris are too long together"));
    }
    uris.iter()
        .map(|uri| {
            let uri =
                uri.as_str().ok_or(RegistrationError::RedirectUris("a redirect URI must be a string"))?;
            RedirectUri::parse(uri).map_err(RegistrationError::RedirectUri)
        })
        .collect()
}

pub(super) fn text<'a>(
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, RegistrationError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(RegistrationError::Metadata("a member that must be a string is something else")),
    }
}

pub(super) fn texts<'a>(
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<&'a str>>, RegistrationError> {
    const WRONG: RegistrationError =
        RegistrationError::Metadata("a member that must be a list of strings is something else");
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(values)) => {
            values.iter().map(|v| v.as_str().ok_or(WRONG)).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(WRONG),
    }
}

/// How many values a value is made of. The parser limits the depth to 128.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(members) => members.values().map(values).sum(),
        _ => 0,
    }
}

/// Of a registration, in lists and objects too. Clients send about twenty, and those with keys a few more.
const MOST_VALUES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &Value) -> Result<RegistrationParams, RegistrationError> {
        RegistrationParams::parse(body.to_string().as_bytes(), &[])
    }

    #[test]
    fn an_omitted_method_means_client_secret_basic() {
        let params = parse(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
        assert_eq!(params.auth_method, AuthMethod::ClientSecretBasic);
    }

    #[test]
    fn one_unusual_redirect_uri_does_not_cost_the_others() {
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

    #[test]
    fn a_script_beside_a_good_redirect_uri_is_refused() {
        let error =
            parse(&json!({"redirect_uris": ["https://a.example/cb", "javascript:alert(1)"]})).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRedirectUri);
    }

    #[test]
    fn grants_that_are_not_ours_are_refused_alone_and_dropped_in_company() {
        let with = |types: &[&str]| parse(&json!({"redirect_uris": ["https://a/"], "grant_types": types}));
        assert!(matches!(with(&["password"]), Err(RegistrationError::Metadata(_))));
        assert!(!with(&["authorization_code", "password"]).unwrap().refresh);
    }

    #[test]
    fn more_values_than_a_client_could_mean_are_refused_wherever_they_are() {
        let with = |name: &str, value: Value| parse(&json!({"redirect_uris": ["https://a/"], name: value}));
        let keys = |number| json!({"keys": vec![json!({}); number]});
        // Beside these: the list of redirect URIs and its one, the list, and the object around it.
        assert!(with("contacts", json!(vec!["x"; 253])).is_ok());
        assert!(with("jwks", keys(252)).is_ok());
        for refused in [with("contacts", json!(vec!["x"; 254])), with("jwks", keys(253))] {
            assert_eq!(refused, Err(RegistrationError::Metadata("there are too many values")));
        }
    }

    #[test]
    fn the_secret_is_in_the_response_and_only_its_digest_in_the_record() {
        let params = parse(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
        let (client, response) = register(params, &Scopes::of(["a"]), Timestamp(5), &|b| b.fill(7));
        let response: Value = serde_json::from_str(response.expose()).unwrap();
        let secret = response["client_secret"].as_str().unwrap();
        assert_eq!(client.secret, Some(secret_digest(secret)));
        assert!(!serde_json::to_string(&client).unwrap().contains(secret));
    }
}
