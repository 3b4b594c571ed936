//! Dynamic client registration (RFC 7591).

use serde_json::json;

use super::{
    AuthMethod, Client,
    client_metadata::{ClientMetadata, Members, MetadataError},
};
use crate::{
    encoding::base64url_encode,
    host::Timestamp,
    seal::{self, Random, random_bytes},
    secret::Secret,
    types::{ClientId, RedirectUri, RegisteredId, Scopes},
};

/// A valid registration request (RFC 7591 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationParams {
    metadata: ClientMetadata,
    scopes: Scopes,
}

impl RegistrationParams {
    /// Parses the body of a registration request. `private_use` are the private-use redirect URIs that the operator
    /// allows.
    pub fn parse(body: &[u8], private_use: &[RedirectUri]) -> Result<Self, MetadataError> {
        let members = Members::parse(body)?;
        let metadata = ClientMetadata::read(&members, private_use)?;
        // A scope that is not a string is ignored: a registration grants no scopes.
        let scope = members.string("scope").unwrap_or_default();
        let scopes = Scopes::parse(scope.unwrap_or_default()).map_err(MetadataError::Scope)?;
        Ok(Self { metadata, scopes })
    }

    /// `redirect_uris`
    pub fn redirect_uris(&self) -> &[RedirectUri] {
        &self.metadata.redirect_uris
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
    let RegistrationParams { metadata, scopes } = params;
    let ClientMetadata { redirect_uris, auth_method, name, uses_refresh_tokens } = metadata;
    // RFC 7591 §2: an omitted method means `client_secret_basic`.
    let auth_method = auth_method.unwrap_or(AuthMethod::ClientSecretBasic);
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn parse(body: &Value) -> Result<RegistrationParams, MetadataError> {
        RegistrationParams::parse(body.to_string().as_bytes(), &[])
    }

    #[test]
    fn omitted_auth_method_means_client_secret_basic() {
        let params = parse(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
        let (client, _) = register(params, &Scopes::of(["a"]), Timestamp(5), &|b| b.fill(7));
        assert_eq!(client.auth_method, AuthMethod::ClientSecretBasic);
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
    fn client_secret_is_stored_as_a_digest_only() {
        let params = parse(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
        let (client, response) = register(params, &Scopes::of(["a"]), Timestamp(5), &|b| b.fill(7));
        let response: Value = serde_json::from_str(response.expose()).unwrap();
        let secret = response["client_secret"].as_str().unwrap();
        assert_eq!(client.secret, Some(secret_digest(secret)));
        assert!(!serde_json::to_string(&client).unwrap().contains(secret));
    }
}
