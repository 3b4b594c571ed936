//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document-00 §4): the `client_id` is the URL of a
//! document that describes the client, and the client does not register.

use serde_json::{Map, Value};

use super::{
    AuthMethod, Client,
    client::displayable,
    registration::{parse_redirect_uris, string_member, strings_member},
};
use crate::{
    host::Timestamp,
    types::{ClientId, ClientIdUrl, RedirectUri},
};

/// Why the metadata document of a client is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The document is not a JSON object.
    #[error("it is not a JSON object")]
    Json,
    /// `client_id` is not the URL of the document.
    #[error("its client_id is not its own URL")]
    ClientId,
    /// `client_name` is missing, or no part of it can be shown on a page.
    #[error("it has no client_name")]
    Name,
    /// `redirect_uris` is missing, or has no redirect URI that this server accepts.
    #[error("its redirect_uris are missing, or cannot be used here")]
    RedirectUris,
    /// The document has a secret or a private key, although it is public.
    #[error("it has a secret, which everyone can read")]
    Secret,
    /// `token_endpoint_auth_method` is not `none`: a client with a document must be a public client here.
    #[error("its token_endpoint_auth_method is not none")]
    AuthMethod,
    /// `grant_types` lacks `authorization_code`, or `response_types` lacks `code`.
    #[error("it does not use the authorization code grant")]
    Grant,
}

impl Client {
    /// Makes a client of the document at `url`. `private_use` are the private-use redirect URIs that the operator
    /// allows.
    pub fn from_document(
        url: &ClientIdUrl,
        document: &[u8],
        private_use: &[RedirectUri],
        now: Timestamp,
    ) -> Result<Self, DocumentError> {
        let Ok(Value::Object(members)) = serde_json::from_slice(document) else {
            return Err(DocumentError::Json);
        };
        if string_member(&members, "client_id") != Ok(Some(url.as_str())) {
            return Err(DocumentError::ClientId);
        }
        if string_member(&members, "client_secret") != Ok(None) || has_private_key(&members) {
            return Err(DocumentError::Secret);
        }
        if !matches!(string_member(&members, "token_endpoint_auth_method"), Ok(None | Some("none"))) {
            return Err(DocumentError::AuthMethod);
        }
        let uses = |name, value: &str| {
            strings_member(&members, name)
                .is_ok_and(|values| values.is_none_or(|values| values.contains(&value)))
        };
        if !uses("grant_types", "authorization_code") || !uses("response_types", "code") {
            return Err(DocumentError::Grant);
        }
        let name = string_member(&members, "client_name").ok().flatten().and_then(displayable);
        let redirect_uris =
            parse_redirect_uris(&members, private_use).map_err(|_| DocumentError::RedirectUris)?;
        Ok(Self {
            id: ClientId::Document(url.clone()),
            name: Some(name.ok_or(DocumentError::Name)?),
            redirect_uris,
            auth_method: AuthMethod::None,
            secret: None,
            issued_at: now,
        })
    }

    /// The client with this URL, without the content of its document. The token and revocation endpoints need no more:
    /// the client has no secret, and its code or token shows which client it was issued to.
    pub fn at_url(url: ClientIdUrl, now: Timestamp) -> Self {
        Self {
            id: ClientId::Document(url),
            name: None,
            redirect_uris: Vec::new(),
            auth_method: AuthMethod::None,
            secret: None,
            issued_at: now,
        }
    }
}

/// Whether `jwks` has a private or symmetric key: one with a member `d`, `k`, `p` or `q` (RFC 7518 §6).
fn has_private_key(members: &Map<String, Value>) -> bool {
    let keys = members.get("jwks").and_then(|jwks| jwks.get("keys")).and_then(Value::as_array);
    keys.into_iter().flatten().any(|key| ["d", "k", "p", "q"].iter().any(|member| key.get(member).is_some()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://client.example/metadata.json";

    fn parse(change: impl FnOnce(&mut Value)) -> Result<Client, DocumentError> {
        let mut document = json!({
            "client_id": URL,
            "client_name": "Client",
            "redirect_uris": ["https://client.example/cb", "http://127.0.0.1:7777/cb"],
            "token_endpoint_auth_method": "none",
            "logo_uri": "https://client.example/logo.png",
        });
        change(&mut document);
        let url = ClientIdUrl::parse(URL).unwrap();
        Client::from_document(&url, document.to_string().as_bytes(), &[], Timestamp(1))
    }

    #[test]
    fn document_with_its_own_url_describes_a_public_client() {
        let client = parse(|_| ()).unwrap();
        assert_eq!((client.id.as_str(), client.name.as_deref()), (URL, Some("Client")));
        assert_eq!((client.auth_method, client.secret), (AuthMethod::None, None));
    }

    #[test]
    fn document_with_a_wrong_member_is_refused() {
        use DocumentError as E;
        for (member, value, error) in [
            ("client_id", json!("https://client.example/metadata.json/"), E::ClientId),
            ("client_id", json!("https://other.example/metadata.json"), E::ClientId),
            ("client_id", json!(7), E::ClientId),
            ("client_id", Value::Null, E::ClientId),
            ("client_name", Value::Null, E::Name),
            ("client_name", json!("\u{202e}"), E::Name),
            ("client_name", json!(["Client"]), E::Name),
            ("redirect_uris", Value::Null, E::RedirectUris),
            ("redirect_uris", json!([]), E::RedirectUris),
            ("redirect_uris", json!(["javascript:alert(1)", "https://client.example/cb"]), E::RedirectUris),
            ("redirect_uris", json!(["http://client.example/cb"]), E::RedirectUris),
            ("redirect_uris", json!(["cursor://x/cb"]), E::RedirectUris),
            ("client_secret", json!("s"), E::Secret),
            ("client_secret", json!({}), E::Secret),
            ("jwks", json!({ "keys": [{ "kty": "EC", "d": "x" }] }), E::Secret),
            ("jwks", json!({ "keys": [{ "kty": "oct", "k": "x" }] }), E::Secret),
            ("token_endpoint_auth_method", json!("client_secret_post"), E::AuthMethod),
            ("token_endpoint_auth_method", json!("private_key_jwt"), E::AuthMethod),
            ("token_endpoint_auth_method", json!(["none"]), E::AuthMethod),
            ("grant_types", json!(["client_credentials"]), E::Grant),
            ("response_types", json!(["token"]), E::Grant),
            ("response_types", json!("code"), E::Grant),
        ] {
            assert_eq!(parse(|document| document[member] = value.clone()), Err(error), "{member} {value}");
        }
    }

    #[test]
    fn unusable_member_of_a_document_is_ignored() {
        let usual = parse(|_| ()).unwrap();
        for (member, value) in [
            (
                "redirect_uris",
                json!(["http://0.0.0.0", 7, null, "https://client.example/cb", "http://127.0.0.1:7777/cb"]),
            ),
            ("grant_types", json!([])),
            ("response_types", json!([])),
            ("token_endpoint_auth_method", json!("")),
            ("client_secret", json!(null)),
            ("logo_uri", json!(7)),
        ] {
            assert_eq!(
                parse(|document| document[member] = value.clone()),
                Ok(usual.clone()),
                "{member} {value}"
            );
        }
    }

    #[test]
    fn document_that_is_not_a_json_object_is_refused() {
        let url = ClientIdUrl::parse(URL).unwrap();
        for document in ["", "{", "[]", "null", "<html>", "\"x\"", "\u{feff}{}"] {
            let client = Client::from_document(&url, document.as_bytes(), &[], Timestamp(1));
            assert_eq!(client, Err(DocumentError::Json), "{document}");
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(Client::from_document(&url, deep.as_bytes(), &[], Timestamp(1)), Err(DocumentError::Json));
    }
}
