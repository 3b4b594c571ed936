//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document-00 §4): the `client_id` is the URL of a
//! document that describes the client, and the client does not register.

use super::{
    AuthMethod, Client,
    client_metadata::{ClientMetadata, Members, MetadataError, offers},
};
use crate::{
    config::RedirectPolicy,
    jose::{ClientKeys, has_private_key},
    types::{ClientId, ClientIdUrl},
};

/// Why the metadata document of a client is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// `client_id` is not the URL of the document.
    #[error("its client_id is not its own URL")]
    ClientId,
    /// `client_name` is missing, or no part of it can be shown on a page.
    #[error("it has no client_name")]
    Name,
    /// The document has a secret or a private key, although it is public.
    #[error("it has a secret, which everyone can read")]
    Secret,
    /// `token_endpoint_auth_method` and the list of methods have neither `none` nor, with usable keys, `private_key_jwt`.
    #[error(
        "its token_endpoint_auth_method is neither none nor private_key_jwt with a key for RS256 or ES256"
    )]
    AuthMethod,
    /// The metadata would not be accepted of a registration either.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl Client {
    /// Makes a client of the document at `url`. `policy` is the operator's.
    pub fn from_document(
        url: &ClientIdUrl,
        document: &[u8],
        policy: &RedirectPolicy,
    ) -> Result<Self, DocumentError> {
        let members = Members::parse(document)?;
        if members.string("client_id") != Ok(Some(url.as_str())) {
            return Err(DocumentError::ClientId);
        }
        if members.string("client_secret") != Ok(None) || members.get("jwks").is_some_and(has_private_key) {
            return Err(DocumentError::Secret);
        }
        let metadata = ClientMetadata::read(&members, policy)?;
        let keys = keys(&members);
        let signs =
            metadata.auth_method == Some(AuthMethod::PrivateKeyJwt) || offers(&members, "private_key_jwt");
        let is_public =
            matches!(metadata.auth_method, None | Some(AuthMethod::None)) || offers(&members, "none");
        let auth_method = match (signs && keys.is_some(), is_public) {
            (true, true) => AuthMethod::PrivateKeyJwtOrNone,
            (true, false) => AuthMethod::PrivateKeyJwt,
            (false, true) => AuthMethod::None,
            (false, false) => return Err(DocumentError::AuthMethod),
        };
        Ok(Self {
            id: ClientId::Document(url.clone()),
            name: Some(metadata.name.ok_or(DocumentError::Name)?),
            redirect_uris: metadata.redirect_uris,
            auth_method,
            secret: None,
            keys,
        })
    }

    /// The client with this URL, without the content of its document. The token and revocation endpoints need no more:
    /// the client has no secret, and its code or token shows which client it was issued to.
    pub const fn at_url(url: ClientIdUrl) -> Self {
        Self {
            id: ClientId::Document(url),
            name: None,
            redirect_uris: Vec::new(),
            auth_method: AuthMethod::None,
            secret: None,
            keys: None,
        }
    }
}

/// The keys of a client. `None` if none can be used, or if `token_endpoint_auth_signing_alg` is not RS256 or ES256.
fn keys(members: &Members) -> Option<ClientKeys> {
    let algorithm = members.string("token_endpoint_auth_signing_alg").ok()?;
    if !matches!(algorithm, None | Some("RS256" | "ES256")) {
        return None;
    }
    ClientKeys::read(members.get("jwks"), members.string("jwks_uri").ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::oauth::ErrorCode;

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
        Client::from_document(&url, document.to_string().as_bytes(), &RedirectPolicy::default())
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
            ("client_secret", json!("s"), E::Secret),
            ("client_secret", json!({}), E::Secret),
            ("jwks", json!({ "keys": [{ "kty": "EC", "d": "x" }] }), E::Secret),
            ("jwks", json!({ "keys": [{ "kty": "oct", "k": "x" }] }), E::Secret),
            ("token_endpoint_auth_method", json!("client_secret_post"), E::AuthMethod),
            ("token_endpoint_auth_method", json!("private_key_jwt"), E::AuthMethod),
            ("grant_types", json!(["client_credentials"]), E::Metadata(MetadataError::GrantTypes)),
            ("response_types", json!(["token"]), E::Metadata(MetadataError::ResponseTypes)),
        ] {
            assert_eq!(parse(|document| document[member] = value.clone()), Err(error), "{member} {value}");
        }
    }

    #[test]
    fn document_that_prefers_a_key_and_offers_none_is_public() {
        for preferred in ["private_key_jwt", "client_secret_post"] {
            let with = |methods: Value| {
                parse(|document| {
                    document["token_endpoint_auth_method"] = json!(preferred);
                    document["token_endpoint_auth_methods_supported"] = methods;
                })
            };
            assert_eq!(with(json!(["none", preferred])), parse(|_| ()), "{preferred}");
            for methods in
                [Value::Null, json!([]), json!([preferred]), json!("none"), json!({ "none": true })]
            {
                assert!(with(methods.clone()).is_err(), "{preferred} {methods}");
            }
        }
    }

    #[test]
    fn document_with_a_key_lets_its_client_sign() {
        let key = json!({ "kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43) });
        let with = |method: &str, methods: Value, name: &str, keys: Value| {
            let client = parse(|document| {
                document["token_endpoint_auth_method"] = json!(method);
                document["token_endpoint_auth_methods_supported"] = methods;
                document[name] = keys;
            });
            client.map(|client| client.auth_method)
        };
        let jwks = json!({ "keys": [key] });
        let (own, both) = ("private_key_jwt", json!(["none", "private_key_jwt"]));
        let url = json!("https://client.example/jwks.json");
        assert_eq!(with(own, Value::Null, "jwks", jwks.clone()), Ok(AuthMethod::PrivateKeyJwt));
        assert_eq!(with(own, Value::Null, "jwks_uri", url.clone()), Ok(AuthMethod::PrivateKeyJwt));
        assert_eq!(with(own, both.clone(), "jwks_uri", url.clone()), Ok(AuthMethod::PrivateKeyJwtOrNone));
        assert_eq!(with("none", both.clone(), "jwks", jwks.clone()), Ok(AuthMethod::PrivateKeyJwtOrNone));
        assert_eq!(with("none", Value::Null, "jwks", jwks), Ok(AuthMethod::None));
        assert_eq!(with(own, both, "jwks_uri", json!("https://127.0.0.1/jwks.json")), Ok(AuthMethod::None));
        for (name, keys) in [
            ("jwks", json!({ "keys": [] })),
            ("jwks", json!({ "keys": [{ "kty": "EC", "crv": "P-384", "x": "x", "y": "y" }] })),
            ("jwks_uri", json!("http://client.example/jwks.json")),
            ("jwks_uri", json!(7)),
        ] {
            assert_eq!(with(own, Value::Null, name, keys.clone()), Err(DocumentError::AuthMethod), "{keys}");
        }
    }

    #[test]
    fn document_with_a_member_of_another_type_is_refused() {
        for (member, value) in
            [("token_endpoint_auth_method", json!(["none"])), ("response_types", json!("code"))]
        {
            let refused = parse(|document| document[member] = value.clone());
            assert!(
                matches!(refused, Err(DocumentError::Metadata(MetadataError::Member(_)))),
                "{member} {value}"
            );
        }
    }

    #[test]
    fn document_without_a_usable_redirect_uri_is_refused() {
        for uris in [
            Value::Null,
            json!([]),
            json!(["javascript:alert(1)", "https://client.example/cb"]),
            json!(["http://client.example/cb"]),
            json!(["cursor://x/cb"]),
        ] {
            let Err(DocumentError::Metadata(error)) =
                parse(|document| document["redirect_uris"] = uris.clone())
            else {
                panic!("{uris} was accepted");
            };
            assert_eq!(error.code(), ErrorCode::InvalidRedirectUri, "{uris}");
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
            let client = Client::from_document(&url, document.as_bytes(), &RedirectPolicy::default());
            assert_eq!(client, Err(MetadataError::Json.into()), "{document}");
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let client = Client::from_document(&url, deep.as_bytes(), &RedirectPolicy::default());
        assert_eq!(client, Err(MetadataError::TooManyValues.into()));
    }
}
