//! Registrations that are not stored: the `client_id` contains the client's metadata.
//!
//! ```text
//! <name: 22 characters of base64url> ".1." base64url( ciphertext | tag [16] )
//! ```
//!
//! The metadata is sealed under a key of the server. The random name is the nonce, so it cannot be combined with other
//! metadata. The issuer is associated data: the `client_id` is unknown to every other Deputy. The `client_secret` is
//! derived from the `client_id`.

use serde::{Deserialize, Serialize};

use super::{AuthMethod, Client, client::displayable};
use crate::{
    config::{Config, ServerKeys},
    encoding::{base64url_decode, base64url_decode_all, base64url_encode},
    host::Digest,
    seal::{self, Random, random_bytes},
    secret::Secret,
    types::{ClientId, RedirectUri, RegisteredId},
};

/// The client in a `client_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedClient {
    /// The client.
    pub client: Client,
    /// Whether the key is not the newest one, so that the operator is about to remove it.
    pub is_retiring: bool,
}

/// The metadata as it is sealed. It is short: some clients keep their `client_id` where there is little space.
#[derive(Serialize, Deserialize)]
struct Contents(Method, Option<String>, Vec<String>);

/// `token_endpoint_auth_method` in one character.
#[derive(Serialize, Deserialize)]
enum Method {
    #[serde(rename = "n")]
    None,
    #[serde(rename = "b")]
    Basic,
    #[serde(rename = "p")]
    Post,
}

impl SealedClient {
    /// Opens a `client_id`. `None` if this server did not issue it, has lost the key, or accepts none of its redirect URIs in any
    /// configuration. The use of a redirect URI is checked against the configuration of today.
    pub fn open(client_id: &str, config: &Config) -> Option<Self> {
        if client_id.len() > ClientId::LONGEST {
            return None;
        }
        let (name, sealed) = client_id.split_once(VERSION)?;
        let (name, ciphertext) = (base64url_decode(name)?, base64url_decode_all(sealed)?);
        let issuer = config.public_url.issuer();
        let (age, keys, contents) = config.keys.iter().enumerate().find_map(|(age, keys)| {
            Some((age, keys, keys.clients.open_as(&name, issuer.as_bytes(), &ciphertext)?))
        })?;
        let Contents(method, client_name, uris) = serde_json::from_slice(&contents).ok()?;
        let uris = uris.iter().filter_map(|uri| RedirectUri::parse(uri).ok());
        let redirect_uris: Vec<_> = uris.collect();
        if redirect_uris.is_empty() {
            return None;
        }
        let auth_method = method.into();
        let client = Client {
            id: ClientId::Registered(RegisteredId::new(&name)),
            name: client_name.as_deref().and_then(displayable),
            redirect_uris,
            auth_method,
            secret: (auth_method != AuthMethod::None)
                .then(|| secret_digest(client_secret(client_id, keys).expose())),
            keys: None,
        };
        Some(Self { client, is_retiring: age > 0 })
    }
}

/// Draws a name for a client, and seals its metadata. Returns the `client_id`.
pub(super) fn seal_client(
    client_name: Option<&str>,
    redirect_uris: &[RedirectUri],
    auth_method: AuthMethod,
    config: &Config,
    random: Random<'_>,
) -> String {
    let uris = redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect();
    let contents = Contents(auth_method.into(), client_name.map(str::to_owned), uris);
    // Strings and lists of them can always be written.
    let contents = serde_json::to_vec(&contents).unwrap_or_default();
    let name = random_bytes(random);
    let sealed =
        config.keys.newest().clients.seal_as(&name, config.public_url.issuer().as_bytes(), &contents);
    format!("{}{VERSION}{}", base64url_encode(&name), base64url_encode(&sealed))
}

/// The `client_secret` of a confidential client.
pub(super) fn client_secret(client_id: &str, keys: &ServerKeys) -> Secret<String> {
    let mac: [u8; 32] = keys.clients.subkey("client secret").mac(&[client_id.as_bytes()]);
    Secret::new(format!("dps_{}", base64url_encode(&mac)))
}

/// The digest of a client secret, which records contain instead of it.
pub(super) fn secret_digest(secret: &str) -> Digest {
    seal::digest("client secret", secret.as_bytes())
}

impl From<AuthMethod> for Method {
    fn from(method: AuthMethod) -> Self {
        match method {
            // The last two do not occur in registrations.
            AuthMethod::ClientSecretBasic | AuthMethod::PrivateKeyJwt | AuthMethod::PrivateKeyJwtOrNone => {
                Self::Basic
            }
            AuthMethod::ClientSecretPost => Self::Post,
            AuthMethod::None => Self::None,
        }
    }
}

impl From<Method> for AuthMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Basic => Self::ClientSecretBasic,
            Method::Post => Self::ClientSecretPost,
            Method::None => Self::None,
        }
    }
}

/// The version of the format, between the name and the sealed metadata.
const VERSION: &str = ".1.";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        config::{RedirectPolicy, test_config},
        host::Timestamp,
        oauth::{RegistrationParams, register},
    };

    const OLD: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NEW: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    /// The response of a registration.
    fn registered(metadata: &Value, config: &Config) -> Value {
        let params =
            RegistrationParams::parse(metadata.to_string().as_bytes(), &RedirectPolicy::default()).unwrap();
        let (_, response) = register(params, config, Timestamp(5), &|buffer| {
            (1..).zip(buffer).for_each(|(n, byte)| *byte = n);
        });
        serde_json::from_str(response.expose()).unwrap()
    }

    fn id_of(uris: &[&str], config: &Config) -> String {
        let metadata = json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" });
        registered(&metadata, config)["client_id"].as_str().unwrap().to_owned()
    }

    #[test]
    fn client_id_contains_the_metadata_of_its_client() {
        let config = test_config(&[]);
        let uris = ["https://a.example/cb", "http://localhost/cb"];
        let metadata = json!({ "redirect_uris": uris, "client_name": "A \u{202e}client" });
        let response = registered(&metadata, &config);
        let [id, secret] = ["client_id", "client_secret"].map(|name| response[name].as_str().unwrap());
        let SealedClient { client, is_retiring } = SealedClient::open(id, &config).unwrap();
        assert_eq!((client.name.as_deref(), is_retiring), (Some("A client"), false));
        assert_eq!(json!(client.redirect_uris), json!(uris));
        assert_eq!(client.secret, Some(secret_digest(secret)));
        assert!(
            id.starts_with(client.id.as_str()) && !serde_json::to_string(&client).unwrap().contains(secret)
        );
    }

    #[test]
    fn client_id_of_a_known_client_has_less_than_256_characters() {
        let config = test_config(&[]);
        for (name, uris) in [
            ("Claude Code (todos)", &["http://localhost:54545/callback"][..]),
            (
                "Claude",
                &["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"],
            ),
            (
                "Cursor",
                &[
                    "cursor://anysphere.cursor-mcp/oauth/callback",
                    "https://www.cursor.com/agents/mcp/oauth/callback",
                    "http://localhost:8787/callback",
                ],
            ),
            (
                "Visual Studio Code",
                &[
                    "https://insiders.vscode.dev/redirect",
                    "https://vscode.dev/redirect",
                    "http://127.0.0.1/",
                    "http://127.0.0.1:33418/",
                ],
            ),
        ] {
            let metadata = json!({ "client_name": name, "redirect_uris": uris });
            let length = registered(&metadata, &config)["client_id"].as_str().unwrap().len();
            assert!(length < 256, "{name}: {length}");
        }
    }

    #[test]
    fn longest_registration_has_a_client_id_within_the_limit() {
        let config = test_config(&[]);
        let uris: Vec<_> = (0..16).map(|n| format!("https://{n:02}.example/{}", "x".repeat(109))).collect();
        let metadata = json!({ "client_name": "\u{10000}".repeat(100), "redirect_uris": uris });
        let response = registered(&metadata, &config);
        let id = response["client_id"].as_str().unwrap();
        assert_eq!(
            json!(SealedClient::open(id, &config).unwrap().client.redirect_uris),
            response["redirect_uris"]
        );
        assert!((3000..3500).contains(&id.len()), "{}", id.len());
    }

    #[test]
    fn client_id_that_was_not_issued_here_is_refused() {
        let config = test_config(&[]);
        let id = id_of(&["https://a.example/cb"], &config);
        assert!(SealedClient::open(&id, &config).is_some());
        let other = registered(&json!({ "redirect_uris": ["https://b.example/cb"] }), &config);
        let (name, sealed) = id.split_once(VERSION).unwrap();
        let other_sealed = other["client_id"].as_str().unwrap().split_once(VERSION).unwrap().1;
        let altered = if sealed.starts_with('A') { "B" } else { "A" };
        for forged in [
            format!("{}{VERSION}{sealed}", "A".repeat(22)),
            format!("{name}{VERSION}{altered}{}", &sealed[1..]),
            format!("{name}.2.{sealed}"),
            format!("{name}.{sealed}"),
            format!("{id}A"),
            format!("{id}="),
            format!("{name}{VERSION}"),
            name.to_owned(),
            format!("{name}{VERSION}{}", "A".repeat(ClientId::LONGEST)),
        ] {
            assert_eq!(SealedClient::open(&forged, &config), None, "{forged}");
        }
        assert_ne!(sealed, other_sealed);
        for variable in [("PUBLIC_URL", "https://other.example"), ("SERVER_KEY", NEW)] {
            assert_eq!(SealedClient::open(&id, &test_config(&[variable])), None, "{}", variable.0);
        }
    }

    #[test]
    fn client_id_of_the_older_key_is_retiring() {
        let old = test_config(&[("SERVER_KEY", OLD)]);
        let both = test_config(&[("SERVER_KEY", &format!("{NEW},{OLD}"))]);
        let response = registered(&json!({ "redirect_uris": ["https://a.example/cb"] }), &old);
        let [id, secret] = ["client_id", "client_secret"].map(|name| response[name].as_str().unwrap());
        let SealedClient { client, is_retiring } = SealedClient::open(id, &both).unwrap();
        assert_eq!((is_retiring, client.secret), (true, Some(secret_digest(secret))));
    }
}
