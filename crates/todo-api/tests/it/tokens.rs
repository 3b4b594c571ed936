//! Verification of access tokens, and the errors for tokens that are refused.

use axum::body::Body;
use http::Request;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::{
    identity::{AUDIENCE, CURRENT, Key, NOW, claims, token, token_for},
    world::World,
};

/// The status and the `error_description` for a token with `header` and `claims`, signed with the current key.
async fn error(header: &Header, claims: &Value) -> (u16, String) {
    let response = World::new().list(&CURRENT.sign(header, claims)).await;
    let challenge = response.header("www-authenticate");
    let prefix = r#"Bearer error="invalid_token", error_description=""#;
    assert!(challenge.starts_with(prefix), "{challenge}");
    assert_eq!(response.error().1, "invalid_token");
    (response.status.as_u16(), challenge[prefix.len()..].trim_end_matches('"').to_owned())
}

/// The same for a token with one other claim; `null` removes the claim.
async fn error_with(claim: &str, value: Value) -> (u16, String) {
    let mut claims = claims("alice");
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(claim);
    } else {
        claims[claim] = value;
    }
    error(&CURRENT.header(), &claims).await
}

/// The status for a token with some other claims.
async fn status_with(different: Value) -> u16 {
    let mut claims = claims("alice");
    claims.as_object_mut().unwrap().extend(different.as_object().unwrap().clone());
    World::new().list(&CURRENT.sign(&CURRENT.header(), &claims)).await.status.as_u16()
}

fn refused(reason: &str) -> (u16, String) {
    (401, format!("the token {reason}"))
}

#[tokio::test]
async fn valid_token_is_accepted() {
    let response = World::new().list(&token("alice")).await;
    assert_eq!((response.status.as_u16(), response.body), (200, json!({ "todos": [] })));
}

#[tokio::test]
async fn request_without_token_gets_challenge_without_error() {
    let world = World::new();
    for authorization in [None, Some("Basic YWxpY2U6c2VjcmV0"), Some("Bearer")] {
        let mut request = Request::get("/api/todos");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let response = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.error(), (401, "unauthorized"));
        assert_eq!(response.header("www-authenticate"), "Bearer");
    }
    assert_eq!(world.backend.fetches(), 0);
}

#[tokio::test]
async fn scheme_is_compared_without_case() {
    let request = Request::get("/api/todos").header("authorization", format!("bEARER {}", token("alice")));
    assert_eq!(World::new().send(request.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn two_authorization_headers_are_refused() {
    let request = Request::get("/api/todos")
        .header("authorization", format!("Bearer {}", token("alice")))
        .header("authorization", format!("Bearer {}", token("bob")));
    let response = World::new().send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.error(), (401, "invalid_token"));
}

#[tokio::test]
async fn token_that_is_no_jwt_is_refused_without_fetch() {
    let world = World::new();
    let long = "a".repeat(20_000);
    for token in ["x", "a.b", "a.b.c", "..", "", "ä.ö.ü", &long] {
        assert_eq!(world.list(token).await.error(), (401, "invalid_token"), "{token}");
    }
    assert_eq!(world.backend.fetches(), 0);
}

#[tokio::test]
async fn unsigned_token_is_refused() {
    let world = World::new();
    let good = token("alice");
    let (_, rest) = good.split_once('.').unwrap();
    let (claims, _) = rest.split_once('.').unwrap();
    // {"alg":"none","kid":"current"}
    let header = "eyJhbGciOiJub25lIiwia2lkIjoiY3VycmVudCJ9";
    assert_eq!(world.list(&format!("{header}.{claims}.")).await.error(), (401, "invalid_token"));
}

#[tokio::test]
async fn token_with_other_algorithm_is_refused() {
    let world = World::new();
    let n = CURRENT.jwk()["n"].as_str().unwrap().to_owned();
    // A known attack: the public key as the secret of an HMAC.
    let header = Header { kid: Some(CURRENT.kid.to_owned()), ..Header::new(Algorithm::HS256) };
    let hmac = encode(&header, &claims("alice"), &EncodingKey::from_secret(n.as_bytes())).unwrap();
    let header = Header { alg: Algorithm::RS512, ..CURRENT.header() };
    for token in [hmac, CURRENT.sign(&header, &claims("alice"))] {
        let response = world.list(&token).await;
        assert_eq!(response.error(), (401, "invalid_token"));
        assert_eq!(response.body["message"], "the token is not signed with RS256");
    }
}

#[tokio::test]
async fn token_signed_by_other_key_under_known_kid_is_refused() {
    let forger = Key::generate(CURRENT.kid, 2048);
    let response = World::new().list(&forger.sign(&forger.header(), &claims("alice"))).await;
    assert_eq!(response.error(), (401, "invalid_token"));
    assert_eq!(response.body["message"], "the signature of the token is wrong");
}

#[tokio::test]
async fn token_with_changed_claims_is_refused() {
    let (alice, bob) = (token("alice"), token("bob"));
    let alice: Vec<&str> = alice.split('.').collect();
    let bob: Vec<&str> = bob.split('.').collect();
    let response = World::new().list(&[alice[0], bob[1], alice[2]].join(".")).await;
    assert_eq!(response.body["message"], "the signature of the token is wrong");
}

#[tokio::test]
async fn token_without_kid_is_refused() {
    let header = Header { kid: None, ..CURRENT.header() };
    assert_eq!(error(&header, &claims("alice")).await, refused("is signed with an unknown key"));
}

#[tokio::test]
async fn token_with_crit_is_refused() {
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..CURRENT.header() };
    assert_eq!(error(&header, &claims("alice")).await, refused("has critical header parameters"));
}

#[tokio::test]
async fn only_types_of_access_tokens_are_accepted() {
    let world = World::new();
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"] {
        let header = Header { typ: Some(typ.to_owned()), ..CURRENT.header() };
        assert_eq!(world.list(&CURRENT.sign(&header, &claims("alice"))).await.status, 200, "{typ}");
    }
    let header = Header { typ: Some("logout+jwt".to_owned()), ..CURRENT.header() };
    assert_eq!(error(&header, &claims("alice")).await, refused("is not an access token"));
}

#[tokio::test]
async fn token_of_other_issuer_is_refused() {
    for issuer in ["https://auth.pingone.eu/other/as", ""] {
        assert_eq!(error_with("iss", json!(issuer)).await, refused("is from another issuer"));
    }
    assert_eq!(error_with("iss", Value::Null).await, refused("is malformed"));
}

#[tokio::test]
async fn token_for_other_audience_is_refused() {
    for audience in [json!("https://api.pingone.eu"), json!([]), json!([format!("{AUDIENCE}/")])] {
        assert_eq!(error_with("aud", audience).await, refused("is for another API"));
    }
    assert_eq!(error_with("aud", Value::Null).await, refused("is malformed"));
}

#[tokio::test]
async fn audience_can_be_string_or_list() {
    assert_eq!(status_with(json!({ "aud": AUDIENCE })).await, 200);
    assert_eq!(status_with(json!({ "aud": ["https://other.example", AUDIENCE] })).await, 200);
}

#[tokio::test]
async fn expired_token_is_accepted_for_a_minute() {
    assert_eq!(status_with(json!({ "exp": NOW - 59 })).await, 200);
    assert_eq!(error_with("exp", json!(NOW - 60)).await, refused("has expired"));
    assert_eq!(error_with("exp", Value::Null).await, refused("is malformed"));
    assert_eq!(error_with("exp", json!("never")).await, refused("is malformed"));
}

#[tokio::test]
async fn future_token_is_accepted_a_minute_early() {
    for claim in ["nbf", "iat"] {
        assert_eq!(status_with(json!({ claim: NOW + 60 })).await, 200, "{claim}");
        assert_eq!(error_with(claim, json!(NOW + 61)).await, refused("is not valid yet"), "{claim}");
    }
}

#[tokio::test]
async fn token_without_subject_is_refused() {
    assert_eq!(error_with("sub", Value::Null).await, refused("names no user"));
    assert_eq!(error_with("sub", json!("")).await, refused("names no user"));
}

#[tokio::test]
async fn reading_needs_read_scope_and_changes_need_write_scope() {
    let world = World::new();
    let id = world.create(&token("alice"), "buy milk").await;
    let (reader, writer) = (token_for("alice", "todo:read"), token_for("alice", "todo:write"));
    let path = format!("/api/todos/{id}");
    let requests = [
        (&writer, "todo:read", "GET", "/api/todos", None),
        (&reader, "todo:write", "POST", "/api/todos", Some(json!({ "todoText": "x" }))),
        (&reader, "todo:write", "PATCH", &path, Some(json!({ "completed": true }))),
        (&reader, "todo:write", "DELETE", &path, None),
    ];
    for (token, scope, method, path, body) in requests {
        let response = world.call(token, method, path, body).await;
        assert_eq!(response.error(), (403, "insufficient_scope"), "{method}");
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
        assert_eq!(response.header("www-authenticate"), challenge, "{method}");
    }
    let todos = world.list(&reader).await.body;
    assert_eq!(todos, json!({ "todos": [{ "id": id, "text": "buy milk", "completed": false }] }));
}

#[tokio::test]
async fn scope_must_match_exactly() {
    for scope in ["", "todo:read2", "xtodo:read", "TODO:READ", "todo:read,todo:write"] {
        let response = World::new().list(&token_for("alice", scope)).await;
        assert_eq!(response.error(), (403, "insufficient_scope"), "{scope}");
    }
}
