//! ID tokens with a wrong signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

use crate::{failure::Signature, keys::SigningKey};

/// A token with `claims` that is signed wrongly. `key` is the key that a verifier expects, `other` is another one.
pub(crate) fn sign(
    claims: &Map<String, Value>,
    signature: Signature,
    key: &SigningKey,
    other: &SigningKey,
    client_secret: &str,
) -> String {
    match signature {
        Signature::AlgNone => unsigned(claims, key, "none"),
        Signature::AlgNoneInOtherCase => unsigned(claims, key, "nOnE"),
        Signature::ClientSecret => hmac(claims, key, client_secret.as_bytes()),
        Signature::Critical => {
            let header = json!({"alg": "RS256", "kid": key.kid, "crit": ["b64"], "b64": false});
            let token = key.sign(claims);
            let (_, rest) = token.split_once('.').unwrap_or_default();
            format!("{}.{rest}", encode(&header))
        }
        Signature::EmbeddedKey => {
            let mut header = Header::new(Algorithm::RS256);
            header.kid = Some(key.kid.clone());
            header.jwk = serde_json::from_value(other.jwk()).ok();
            other.sign_with(&header, claims)
        }
        Signature::Empty => with_signature(claims, key, |_| String::new()),
        Signature::Flipped => with_signature(claims, key, |signature| {
            let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
            bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            URL_SAFE_NO_PAD.encode(bytes)
        }),
        Signature::Garbage => with_signature(claims, key, |_| "!!!!".to_owned()),
        Signature::OtherKey => other.renamed(&key.kid).sign(claims),
        Signature::PublicKey => hmac(claims, key, key.modulus().as_bytes()),
        Signature::PublicKeyPem => hmac(claims, key, key.public_pem().as_bytes()),
        Signature::UnknownKid => key.renamed("00000000-0000-4000-8000-000000000000").sign(claims),
    }
}

fn unsigned(claims: &Map<String, Value>, key: &SigningKey, alg: &str) -> String {
    let header = json!({"alg": alg, "kid": key.kid});
    format!("{}.{}.", encode(&header), encode(&Value::Object(claims.clone())))
}

fn hmac(claims: &Map<String, Value>, key: &SigningKey, secret: &[u8]) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(key.kid.clone());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).expect("any secret signs")
}

fn with_signature(
    claims: &Map<String, Value>,
    key: &SigningKey,
    change: impl FnOnce(&str) -> String,
) -> String {
    let token = key.sign(claims);
    let (signed, signature) = token.rsplit_once('.').unwrap_or_default();
    format!("{signed}.{}", change(signature))
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}
