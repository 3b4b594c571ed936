//! Dynamic client registration (RFC 7591).

use serde_json::json;

use super::{
    AuthMethod,
    client_metadata::{ClientMetadata, Members, MetadataError, offers},
    sealed_client::{client_secret, seal_client},
};
use crate::{
    config::{Config, RedirectPolicy},
    host::Timestamp,
    seal::Random,
    secret::Secret,
    types::{RedirectUri, Scopes},
};

/// A valid registration request (RFC 7591 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationParams {
    metadata: ClientMetadata,
    scopes: Scopes,
}

impl RegistrationParams {
    /// Parses the body of a registration request. `policy` is the operator's.
    pub fn parse(body: &[u8], policy: &RedirectPolicy) -> Result<Self, MetadataError> {
        let members = Members::parse(body)?;
        let mut metadata = ClientMetadata::read(&members, policy)?;
        // Only the keys of metadata documents are kept.
        if metadata.auth_method == Some(AuthMethod::PrivateKeyJwt) {
            let is_public = offers(&members, "none");
            metadata.auth_method =
                Some(is_public.then_some(AuthMethod::None).ok_or(MetadataError::AuthMethod)?);
        }
        // A scope that is not a string is ignored: a registration grants no scopes.
        let scope = members.string("scope").unwrap_or_default();
        let scopes = Scopes::parse(scope.unwrap_or_default()).map_err(MetadataError::Scope)?;
        Ok(Self { metadata, scopes })
    }

    /// `client_name`, as pages can show it.
    pub fn client_name(&self) -> Option<&str> {
        self.metadata.name.as_deref()
    }

    /// `redirect_uris`
    pub fn redirect_uris(&self) -> &[RedirectUri] {
        &self.metadata.redirect_uris
    }
}

/// Registers a client: returns its `client_id` and the body of the response (RFC 7591 §3.2.1). The `client_id` contains
/// the metadata, so nothing is stored, and the registration does not expire.
pub fn register(
    params: RegistrationParams,
    config: &Config,
    now: Timestamp,
    random: Random<'_>,
) -> (String, Secret<String>) {
    let RegistrationParams { metadata, scopes } = params;
    let ClientMetadata { redirect_uris, auth_method, name, uses_refresh_tokens } = metadata;
    // RFC 7591 §2: an omitted method means `client_secret_basic`.
    let auth_method = auth_method.unwrap_or(AuthMethod::ClientSecretBasic);
    let id = seal_client(name.as_deref(), &redirect_uris, auth_method, config, random);
    // RFC 7591 §3.2.1: the response may replace requested metadata. A client that names only unknown scopes gets the
    // scopes on offer; its authorization requests with unknown scopes are refused.
    let offered = &config.api.scopes;
    let scopes = scopes.granted(offered).unwrap_or_else(|_| offered.clone());
    let mut response = json!({
        "client_id": id,
        "client_id_issued_at": now.0,
        "redirect_uris": redirect_uris,
        "token_endpoint_auth_method": auth_method,
        "grant_types": if uses_refresh_tokens { &["authorization_code", "refresh_token"][..] } else { &["authorization_code"] },
        "response_types": ["code"],
        "scope": scopes.to_string(),
    });
    if let Some(name) = &name {
        response["client_name"] = json!(name);
    }
    if auth_method != AuthMethod::None {
        response["client_secret"] = json!(client_secret(&id, config.keys.newest()).expose());
        // RFC 7591 §3.2.1: 0 if it does not expire.
        response["client_secret_expires_at"] = json!(0);
    }
    let response = Secret::new(response.to_string());
    (id, response)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{config::test_config, oauth::SealedClient};

    fn parse(body: &Value) -> Result<RegistrationParams, MetadataError> {
        RegistrationParams::parse(body.to_string().as_bytes(), &RedirectPolicy::default())
    }

    #[test]
    fn omitted_auth_method_means_client_secret_basic() {
        let params = parse(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
        let config = test_config(&[]);
        let (id, _) = register(params, &config, Timestamp(5), &|b| b.fill(7));
        let SealedClient { client, .. } = SealedClient::open(&id, &config).unwrap();
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
}
