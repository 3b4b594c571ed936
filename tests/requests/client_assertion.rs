//! Client authentication with `private_key_jwt` (RFC 7523 §3), for clients with a metadata document.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, response::IntoResponse as _, routing::any};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{StatusCode, Uri};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use url::Url;

use crate::{
    authorization_code::redemption,
    world::{CALLBACK, DEPUTY, Response, Tokens, World},
};

const SITE: &str = "https://app.example";
const CLIENT: &str = "https://app.example/oauth/client.json";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The site of a client.
#[derive(Clone)]
struct Publisher {
    document: Arc<Mutex<Value>>,
    keys: Arc<Mutex<Value>>,
    fetches: Arc<AtomicUsize>,
}

impl Publisher {
    /// A client whose only method is `private_key_jwt`, in `world`.
    fn serve(world: &World) -> Self {
        let document = json!({
            "client_id": CLIENT,
            "client_name": "An app",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://app.example/oauth/jwks.json",
        });
        let publisher = Self {
            document: Arc::new(Mutex::new(document)),
            keys: Arc::new(Mutex::new(json!({ "keys": [rsa_jwk("one")] }))),
            fetches: Arc::default(),
        };
        let served = publisher.clone();
        let router = Router::new().fallback(any(async move |uri: Uri| {
            if uri.path() == "/oauth/jwks.json" {
                served.fetches.fetch_add(1, Ordering::SeqCst);
                return axum::Json(served.keys.lock().unwrap().clone()).into_response();
            }
            axum::Json(served.document.lock().unwrap().clone()).into_response()
        }));
        world.network.serve(SITE, router);
        publisher
    }

    fn change(&self, member: &str, value: Value) {
        self.document.lock().unwrap()[member] = value;
    }

    fn publish(&self, keys: &[Value]) {
        *self.keys.lock().unwrap() = json!({ "keys": keys });
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

pub(crate) fn rsa_jwk(kid: &str) -> Value {
    json!({ "kty": "RSA", "kid": kid, "use": "sig", "n": RSA_MODULUS, "e": "AQAB" })
}

fn ec_jwk(kid: &str) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": EC_X, "y": EC_Y })
}

/// Serves the metadata document of a client at its URL, and the key of [`signed_by`] at every other URL of its origin.
pub(crate) fn publish_client(world: &World, document: Value) {
    let url = Url::parse(document["client_id"].as_str().unwrap()).unwrap();
    let origin = url.origin().ascii_serialization();
    let router = Router::new().fallback(any(async move |uri: Uri| {
        if uri.path() == url.path() { axum::Json(document.clone()) } else { key_of_signed_by() }
    }));
    world.network.serve(&origin, router);
}

/// Serves the key of [`signed_by`] at every URL of an origin.
pub(crate) fn serve_key(world: &World, origin: &str) {
    world.network.serve(origin, Router::new().fallback(any(async || key_of_signed_by())));
}

fn key_of_signed_by() -> axum::Json<Value> {
    axum::Json(json!({ "keys": [rsa_jwk("one")] }))
}

/// A valid assertion of a client that was not used before.
pub(crate) fn signed_by(world: &World, client: &str) -> String {
    signed(Algorithm::RS256, "one", &claims_of(world, client))
}

/// The claims of a valid assertion that was not used before.
fn claims(world: &World) -> Value {
    claims_of(world, CLIENT)
}

fn claims_of(world: &World, client: &str) -> Value {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let id = format!("{} {}", world.address, NUMBER.fetch_add(1, Ordering::SeqCst));
    json!({ "iss": client, "sub": client, "aud": DEPUTY, "exp": world.now() + 60, "iat": world.now(), "jti": id })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn signed(algorithm: Algorithm, kid: &str, claims: &Value) -> String {
    let decode = |key: &str| URL_SAFE_NO_PAD.decode(key).unwrap();
    let key = match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_der(&decode(EC_KEY)),
        Algorithm::HS256 => EncodingKey::from_secret(&decode(RSA_MODULUS)),
        _ => EncodingKey::from_rsa_der(&decode(RSA_KEY)),
    };
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, &key).unwrap()
}

/// A valid assertion that was not used before.
fn assertion(world: &World) -> String {
    signed(Algorithm::RS256, "one", &claims(world))
}

pub(crate) async fn post_signed(
    world: &World,
    path: &str,
    form: &[(&'static str, &str)],
    assertion: &str,
) -> Response {
    let mut form = form.to_vec();
    form.extend([("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)]);
    world.post_form(path, &form).await
}

/// The status and error of a refresh with an unknown token and this assertion.
async fn told(world: &World, assertion: &str) -> (u16, String) {
    let response =
        post_signed(world, "/token", &[("grant_type", "refresh_token"), ("refresh_token", "x")], assertion)
            .await;
    (response.status.as_u16(), response.json()["error"].as_str().unwrap_or_default().to_owned())
}

/// The client is authenticated; the refresh token is unknown.
fn authenticated() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

fn refused() -> (u16, String) {
    (401, "invalid_client".to_owned())
}

#[tokio::test]
async fn client_with_a_key_connects_and_refreshes() {
    let world = World::new();
    Publisher::serve(&world);
    let metadata = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["token_endpoint_auth_signing_alg_values_supported"], json!(["RS256", "ES256"]));
    assert!(metadata["token_endpoint_auth_methods_supported"].to_string().contains("private_key_jwt"));
    let code = world.code(CLIENT).await;
    // The key cannot be left out.
    assert_eq!(world.redeem(CLIENT, &code).await.json()["error"], "invalid_client");
    let redeemed = post_signed(&world, "/token", &redemption(CLIENT, &code), &assertion(&world)).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text);
    let tokens = Tokens::of(CLIENT, &redeemed);
    assert_eq!(world.refresh(CLIENT, &tokens.refresh).await.json()["error"], "invalid_client");
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
    let refreshed = post_signed(&world, "/token", &form, &assertion(&world)).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
    let tokens = Tokens::of(CLIENT, &refreshed);
    let revoked = post_signed(&world, "/revoke", &[("token", &tokens.refresh)], &assertion(&world)).await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn login_that_began_with_a_key_goes_on_with_it() {
    let world = World::new();
    let publisher = Publisher::serve(&world);
    publisher.change("token_endpoint_auth_methods_supported", json!(["none", "private_key_jwt"]));
    let code = world.code(CLIENT).await;
    let redeemed = post_signed(&world, "/token", &redemption(CLIENT, &code), &assertion(&world)).await;
    let tokens = Tokens::of(CLIENT, &redeemed);
    assert_eq!(world.refresh(CLIENT, &tokens.refresh).await.json()["error"], "invalid_client");
    // Another login of the same client may do without.
    let code = world.code(CLIENT).await;
    let tokens = Tokens::of(CLIENT, &world.redeem(CLIENT, &code).await);
    assert_eq!(world.refresh(CLIENT, &tokens.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn assertion_with_either_algorithm_is_accepted_once() {
    let world = World::new();
    let publisher = Publisher::serve(&world);
    publisher.publish(&[rsa_jwk("one"), ec_jwk("two")]);
    for (algorithm, kid) in [(Algorithm::RS256, "one"), (Algorithm::ES256, "two")] {
        let assertion = signed(algorithm, kid, &claims(&world));
        assert_eq!(told(&world, &assertion).await, authenticated(), "{algorithm:?}");
        assert_eq!(told(&world, &assertion).await, refused(), "{algorithm:?}");
    }
    publisher.change("jwks", json!({ "keys": [ec_jwk("two")] }));
    world.host.advance(3600);
    assert_eq!(told(&world, &signed(Algorithm::ES256, "two", &claims(&world))).await, authenticated());
}

#[tokio::test]
async fn concurrent_uses_of_one_assertion_authenticate_once() {
    let world = World::new();
    Publisher::serve(&world);
    told(&world, &assertion(&world)).await;
    let assertion = assertion(&world);
    let uses = futures_util::future::join_all((0..10).map(|_| told(&world, &assertion))).await;
    assert_eq!(uses.iter().filter(|told| **told == authenticated()).count(), 1, "{uses:?}");
}

#[tokio::test]
async fn assertion_with_a_wrong_claim_is_refused() {
    let world = World::new();
    Publisher::serve(&world);
    let now = world.now();
    for (name, value) in [
        ("iss", json!("https://evil.example/client.json")),
        ("iss", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("https://app.example/oauth/other.json")),
        ("aud", Value::Null),
        ("aud", json!([])),
        ("aud", json!("https://evil.example")),
        ("aud", json!([DEPUTY, "https://evil.example"])),
        ("aud", json!(format!("{DEPUTY}/"))),
        ("exp", Value::Null),
        ("exp", json!(now - 61)),
        ("exp", json!(now + 3600 + 120)),
        ("exp", json!("soon")),
        ("nbf", json!(now + 120)),
        ("iat", json!(now + 120)),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!("x".repeat(257))),
        ("jti", json!(7)),
    ] {
        let bad = signed(Algorithm::RS256, "one", &with(claims(&world), name, value.clone()));
        assert_eq!(told(&world, &bad).await.0, 401, "{name} {value}");
    }
    for audience in [json!(DEPUTY), json!([format!("{DEPUTY}/token")])] {
        let good = signed(Algorithm::RS256, "one", &with(claims(&world), "aud", audience));
        assert_eq!(told(&world, &good).await, authenticated());
    }
}

#[tokio::test]
async fn assertion_with_another_algorithm_or_key_is_refused() {
    let world = World::new();
    Publisher::serve(&world);
    let good = assertion(&world);
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let none = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "kid": "one" }).to_string());
    // Other keys than the fetched ones could have signed the assertions with 503.
    for (status, bad) in [
        (401, signed(Algorithm::HS256, "one", &claims(&world))),
        (503, signed(Algorithm::ES256, "one", &claims(&world))),
        (401, signed(Algorithm::RS384, "one", &claims(&world))),
        (401, signed(Algorithm::PS256, "one", &claims(&world))),
        (401, format!("{none}.{payload}.")),
        (401, format!("{none}.{payload}.{signature}")),
        (503, good[..good.len() - 4].to_owned()),
        (401, "x".to_owned()),
        (401, "a.b.c".to_owned()),
        (401, format!("{good}{}", "x".repeat(9000))),
    ] {
        assert_eq!(told(&world, &bad).await.0, status, "{bad}");
    }
    assert_eq!(told(&world, &good).await, authenticated());
}

#[tokio::test]
async fn assertion_beside_another_method_or_client_is_refused() {
    let world = World::new();
    Publisher::serve(&world);
    let registered = world.client().await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    for (more, status) in [
        (("client_secret", "x"), 400),
        (("client_id", registered.as_str()), 401),
        (("client_id", "https://app.example/oauth/other.json"), 401),
    ] {
        let response =
            post_signed(&world, "/token", &[refresh[0], refresh[1], more], &assertion(&world)).await;
        assert_eq!(response.status.as_u16(), status, "{more:?}");
    }
    let form = [
        refresh[0],
        refresh[1],
        ("client_id", CLIENT),
        ("client_assertion_type", "urn:x"),
        ("client_assertion", "x"),
    ];
    assert_eq!(world.post_form("/token", &form).await.status, StatusCode::UNAUTHORIZED);
    // A client that registered has no key.
    let own = with(with(claims(&world), "iss", json!(registered)), "sub", json!(registered));
    assert_eq!(told(&world, &signed(Algorithm::RS256, "one", &own)).await, refused());
}

#[tokio::test]
async fn rotated_key_is_fetched_and_made_up_ones_cause_few_fetches() {
    let world = World::new();
    let publisher = Publisher::serve(&world);
    assert_eq!(told(&world, &assertion(&world)).await, authenticated());
    assert_eq!(publisher.fetches(), 1);
    for number in 0..20 {
        let unknown = signed(Algorithm::RS256, &format!("made up {number}"), &claims(&world));
        assert_eq!(told(&world, &unknown).await, (503, "temporarily_unavailable".to_owned()));
    }
    assert_eq!(publisher.fetches(), 1);
    publisher.publish(&[ec_jwk("new")]);
    world.host.advance(60);
    assert_eq!(told(&world, &signed(Algorithm::ES256, "new", &claims(&world))).await, authenticated());
    assert_eq!(publisher.fetches(), 2);
    // The old key is gone.
    world.host.advance(60);
    assert_eq!(told(&world, &assertion(&world)).await, refused());
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_a_temporary_error() {
    let world = World::new();
    let publisher = Publisher::serve(&world);
    let code = world.code(CLIENT).await;
    let keys = publisher.keys.lock().unwrap().clone();
    publisher.publish(&[]);
    let response = post_signed(&world, "/token", &redemption(CLIENT, &code), &assertion(&world)).await;
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, "60".to_owned()));
    *publisher.keys.lock().unwrap() = keys;
    let redeemed = post_signed(&world, "/token", &redemption(CLIENT, &code), &assertion(&world)).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text);
    // Stale keys and a stale document work during an outage.
    world.host.advance(3600 + 1800);
    world.network.unplug(SITE);
    assert_eq!(told(&world, &assertion(&world)).await, authenticated());
}

#[tokio::test]
async fn key_url_in_a_private_network_is_not_fetched() {
    for url in [
        "http://app.example/jwks.json",
        "https://127.0.0.1/jwks.json",
        "https://169.254.169.254/latest/meta-data",
        "https://metadata.google.internal/keys",
        "file:///etc/passwd",
    ] {
        let world = World::new();
        let publisher = Publisher::serve(&world);
        publisher.change("jwks_uri", json!(url));
        let page = world.get(&world.authorize_path(CLIENT, &[])).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{url}");
        assert_eq!(told(&world, &assertion(&world)).await, refused(), "{url}");
    }
}

/// A key for RS256, in DER (RFC 8017 A.1.2), and its modulus.
const RSA_KEY: &str = "MIIEpAIBAAKCAQEA5kkKTXVAXeMEs4eIMvzL1Y7VP3w3O1LEXCu7gtXjIJMWerTZMj8mBvhQGiZSWSHkO-YqYPu9CWJUaCppsaMUROqChsF4_xrpRcuSvdb1OcqK6DgmO1JXHBNcI08_M7t0lPr0rPNo5Roafh8SfS_22KuWZyOhfD4wKRh1V9WQ6qenTulTDieR5m425NgRJBk7jWTSMhpz0LZUZl-i_hqY6XOyuMkarwqxPCpTnFJN4np7b7rySAH-xddPHC6nqD38EIjElusGt67pAr4XnguCZyTfkvIdZm2OqjNQfe6rFsXgOlk7lTLK2Lp-CoyMIOHNc_OUaS996ANE5wLz8-L6zwIDAQABAoIBAGDlqugcxhC7TWcdSDnsFPivORuVcMgNc4I1BJlw1jkGqxbGsf1qhN257jqSlWPb1uU9W-ejBU_FiC6safzM2eKFqpZ5Iih1cmJj3kLzCAxhJUHBHpUneG_f1Y0l8zoZTlzBm-KKKUD9UthuyqDSZdOVn5uWaoSUxj8Eg5uJyYhyZpgh8z6ZpVDczQgIfa6xUtfCucZkKhIf3ixgJuwmm7MrXm28M-_xOtxeDEX9QWE3uEnw4WTOqWXA0ukIhdsInKWxxUFvD4Fdgg0ws-wMfqo-DGGwhqfqHygOm6L118stTSZa_CZ87yyM74MVeBKhNyN1cflzAIcpJfLjC_DSssECgYEA-K0ZOcbfG1gnwyCoJJ84r5txdqZjCREsbv2BxcEVtUrQaJsEoLVR8tgrV_xe96mk2RgMx7fh0y5nPHjOZaFu1Ec9vMr0edDjMU34w8HvaXy9jIps2Apf8twL7NnNcWQj4bWGB5b5DmNWllmy6b3ZRJDwjaXVNK-nxqAVztBFWhUCgYEA7RFIh3x8yQssZ2SgweWoKdPlFYBMZKyVG5XjZ1X-8vn-2LMYTxWsKp7hty_d4R3KeuQb-hZ5muClF_fcS3_0JMHOh-Ddz4P5Njudb4R4YvjXjicSv019UMZgZHGKNsq48JjNPQo_LezsOPBzfLt5VKIiPhpGESDMjiIBlFsbLlMCgYEA1glnJOufLJH75188WgkRaVSJnG4p36wAaqeYAvXmEVyLdP24RfrKxhJ5fAmkU9aYJKMmnOAQZwwRn2L7g04nbl7DLLQjKJY6dj1-WD-cKVdMbqLWfDyxyP7M5NeylF5049ixu-aeB1xJMq-R5s2ZLAL0iXaqw-ZMqhEvtApfJuECgYEA2hHE8wR7UQAbN3ykN9hGqTtGhlG_c_ghLP_i8AJ2BBIc8D9GhDD-bzI5lSXN5y9dO1ArwA_-io5Mr1CL71NjRJCWp_0cbLAMhWuvNY7Yosoelp-wqhLgzHW-44ZhymcOWhtk59pOJbPD09izkzBsuoJuF0xZ2ZWfNLtpUou_5AsCgYBD_uAgxkjzhaoYE_KKPPKiX1u9jrLwNtW5cUl9xlb3AMtTeToOFVYnVk0C6XG7tzD9hT_2585OXZ4F7mncuYE0gN99roHH0xPVx7_N1h8acRtIw1bbH5fFgEarjdRr9nnQyvN3-0vtkr8UDoleogNeKDD3nkGY7YhnNt8zpvQz7A";
const RSA_MODULUS: &str = "5kkKTXVAXeMEs4eIMvzL1Y7VP3w3O1LEXCu7gtXjIJMWerTZMj8mBvhQGiZSWSHkO-YqYPu9CWJUaCppsaMUROqChsF4_xrpRcuSvdb1OcqK6DgmO1JXHBNcI08_M7t0lPr0rPNo5Roafh8SfS_22KuWZyOhfD4wKRh1V9WQ6qenTulTDieR5m425NgRJBk7jWTSMhpz0LZUZl-i_hqY6XOyuMkarwqxPCpTnFJN4np7b7rySAH-xddPHC6nqD38EIjElusGt67pAr4XnguCZyTfkvIdZm2OqjNQfe6rFsXgOlk7lTLK2Lp-CoyMIOHNc_OUaS996ANE5wLz8-L6zw";
/// A key for ES256, in DER (RFC 5958), and its coordinates.
const EC_KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0n82e3QvtN-LC26WmrdFm2o-UyNECum_nF8fy2xSiz2hRANCAATMxmI7CTW_io65hpGdNTNbmIFdb4dh3PBo4ThFvneTwkc8KTr1rluckIHKZGEPUMdMJhemVCB0ylhxH7E-bFqi";
const EC_X: &str = "zMZiOwk1v4qOuYaRnTUzW5iBXW-HYdzwaOE4Rb53k8I";
const EC_Y: &str = "RzwpOvWuW5yQgcpkYQ9Qx0wmF6ZUIHTKWHEfsT5sWqI";
