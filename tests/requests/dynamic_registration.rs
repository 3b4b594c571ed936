//! Dynamic client registration (RFC 7591).

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{CALLBACK, World};

#[tokio::test]
async fn public_client_gets_an_id_without_a_secret() {
    let world = World::new();
    let metadata = json!({
        "client_name": "Claude Code", "redirect_uris": ["http://localhost/callback"], "token_endpoint_auth_method": "none",
    });
    let response = world.post_json("/register", &metadata).await;
    assert_eq!((response.status, response.header("cache-control")), (StatusCode::CREATED, "no-store".into()));
    let client = response.json();
    assert_eq!(client["client_name"], "Claude Code");
    assert_eq!(client["client_secret"], Value::Null);
    assert_eq!(client["grant_types"], json!(["authorization_code", "refresh_token"]));
    let again = world.register(&json!({"redirect_uris": ["http://localhost/callback"]})).await;
    assert_ne!(client["client_id"], again["client_id"]);
}

#[tokio::test]
async fn invalid_registration_is_refused_with_its_error_code() {
    let world = World::new();
    let good = "https://a.example/cb";
    for (body, error) in [
        (json!(null), "invalid_client_metadata"),
        (json!([]), "invalid_client_metadata"),
        (json!({}), "invalid_redirect_uri"),
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (json!({"redirect_uris": good}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["", 7, null]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": [[good]]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["/relative"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": [good, "data:text/html,x"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["http://169.254.169.254/"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": vec![good; 2000]}), "invalid_client_metadata"),
        (json!({"redirect_uris": [good], "client_name": "x".repeat(10_000)}), "invalid_client_metadata"),
        (json!({"redirect_uris": [good], "grant_types": ["implicit"]}), "invalid_client_metadata"),
        (json!({"redirect_uris": [good], "response_types": ["token"]}), "invalid_client_metadata"),
        (json!({"redirect_uris": [good], "token_endpoint_auth_method": "tls"}), "invalid_client_metadata"),
    ] {
        let response = world.post_json("/register", &body).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(response.json()["error"], error, "{body}");
    }
}

/// Gemini CLI, when it lacks a scope or its login has ended. It shows the text to its user.
#[tokio::test]
async fn client_without_redirect_uri_is_told_to_connect_again() {
    let metadata = json!({
        "client_name": "Gemini CLI (Stored OAuth)", "redirect_uris": [], "grant_types": [], "response_types": [],
        "token_endpoint_auth_method": "none",
    });
    let refused = World::new().post_json("/register", &metadata).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.json()["error"], "invalid_redirect_uri");
    assert!(refused.text.contains("connect this server again in the application"), "{}", refused.text);
}

#[tokio::test]
async fn malformed_or_oversized_registration_body_is_refused() {
    let world = World::new();
    for body in ["", "{", "\u{fffd}", "[[[[[[[["] {
        let response =
            world.request("POST", "/register", &[("content-type", "application/json")], body).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let large = json!({"redirect_uris": ["https://a.example/cb"], "contacts": vec!["x"; 50_000]});
    assert_eq!(world.post_json("/register", &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let text = [("content-type", "text/plain")];
    assert_eq!(world.request("POST", "/register", &text, "{}").await.status, StatusCode::BAD_REQUEST);
}

/// The status and the error code of a refused registration.
async fn refusal(world: &World, metadata: &Value) -> (StatusCode, Value) {
    let response = world.post_json("/register", metadata).await;
    let told = response.json();
    assert!(told["client_id"].is_null() && told["error_description"].is_string(), "{told}");
    (response.status, told["error"].clone())
}

#[tokio::test]
async fn script_redirect_uri_is_refused_even_beside_a_valid_one() {
    let world = World::new();
    for uri in [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:https://client.example/x",
        "view-source:https://client.example/",
    ] {
        for uris in [json!([uri]), json!([CALLBACK, uri]), json!([uri, CALLBACK])] {
            let refused = refusal(&world, &json!({ "redirect_uris": uris })).await;
            assert_eq!(refused, (StatusCode::BAD_REQUEST, json!("invalid_redirect_uri")), "{uris}");
        }
    }
}

#[tokio::test]
async fn unusable_redirect_uri_is_dropped_beside_a_valid_one() {
    let world = World::new();
    for uri in [
        json!("http://192.168.1.10/cb"),
        json!("http://0.0.0.0"),
        json!("http://localhost:*/cb"),
        json!(""),
        json!(null),
        json!(7),
        json!("chrome-extension://abcdefghijklmnop/cb"),
        json!("file:///etc/passwd"),
        json!("ftp://client.example/"),
        json!("https://client.example/cb#fragment"),
        json!("https://client.example/cb?code=x&state=y"),
        json!("https://user@client.example/cb"),
        json!("relative"),
        json!("https://client.example/cb\r\nx: y"),
        json!(format!("https://client.example/{}", "x".repeat(50_000))),
        json!(CALLBACK),
    ] {
        for uris in [json!([CALLBACK, uri]), json!([uri, CALLBACK])] {
            let client = world.register(&json!({ "redirect_uris": uris })).await;
            assert_eq!(client["redirect_uris"], json!([CALLBACK]), "{uri}");
        }
    }
}

#[tokio::test]
async fn loopback_uris_that_differ_by_port_count_as_one() {
    let world = World::new();
    let ports: Vec<_> = (1..=17).map(|port| format!("http://127.0.0.1:{port}/cb")).collect();
    let uris = json!([ports.as_slice(), &[CALLBACK.to_owned()]].concat());
    let metadata = json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" });
    let client = world.register(&metadata).await;
    assert_eq!(client["redirect_uris"], json!([ports[0], CALLBACK]));
    let client = client["client_id"].as_str().unwrap();
    for uri in [ports[0].as_str(), &ports[16], CALLBACK] {
        let page = world.get(&world.authorize_path(client, &[("redirect_uri", uri)])).await;
        assert_eq!(page.status, StatusCode::OK, "{uri}");
    }
}

#[tokio::test]
async fn redirect_uri_with_response_parameters_is_refused() {
    let world = World::new();
    for query in ["code=x&state=y", "state=", "iss=x", "a=b&error=x", "%63ode=x"] {
        let uri = format!("https://client.example/cb?{query}");
        let refused = refusal(&world, &json!({ "redirect_uris": [uri] })).await;
        assert_eq!(refused, (StatusCode::BAD_REQUEST, json!("invalid_redirect_uri")), "{query}");
    }
}

#[tokio::test]
async fn unusual_registration_member_is_ignored() {
    let world = World::new();
    for (name, value) in [
        ("grant_types", json!([])),
        (
            "grant_types",
            json!(["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer", "", null]),
        ),
        ("response_types", json!([])),
        ("response_types", json!(["code", "token"])),
        ("token_endpoint_auth_method", json!("")),
        ("token_endpoint_auth_method", json!(null)),
        ("scope", json!("")),
        ("client_name", json!(["x"])),
        ("logo_uri", json!(true)),
        ("contacts", json!("someone@client.example")),
        ("jwks", json!("none")),
    ] {
        let mut metadata = json!({ "redirect_uris": [CALLBACK] });
        metadata[name] = value;
        let client = world.register(&metadata).await;
        assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic", "{metadata}");
        assert_eq!(client["response_types"], json!(["code"]), "{metadata}");
        assert_eq!(client["scope"], "todo:read todo:write", "{metadata}");
    }
}

#[tokio::test]
async fn redirect_uri_that_could_leak_a_code_is_refused() {
    let world = World::new();
    for uri in [
        "https://client.example/cb#",
        "https://client.example/cb#fragment",
        "http://client.example/cb",
        "http://localhost.attacker.example/cb",
        "http://localhost@attacker.example/cb",
        "http://localhost:80@attacker.example/cb",
        "http://0.0.0.0/cb",
        "http://169.254.169.254/latest",
        "http://[::]/cb",
        "https://user@client.example/cb",
        "https://client.example\\@evil.example/cb",
        "https://client.example/cb\r\nlocation: https://evil.example/",
        "https://client.example/cb?x=\"><script>alert(1)</script>",
        "",
    ] {
        let refused = refusal(&world, &json!({ "redirect_uris": [uri] })).await;
        assert_eq!(refused, (StatusCode::BAD_REQUEST, json!("invalid_redirect_uri")), "{uri:?}");
    }
}

#[tokio::test]
async fn redirect_uris_of_real_clients_are_kept_verbatim() {
    let world = World::new();
    for uris in [
        json!(["http://localhost/callback"]),
        json!(["http://localhost:3000/callback", "http://127.0.0.1:33418/", "http://127.0.0.1/cb"]),
        json!(["http://[::1]/cb", "http://[::1]:9/cb"]),
        json!(["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"]),
        json!([
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ]),
        json!([format!("https://client.example/{}", "x".repeat(2048 - 23))]),
    ] {
        let contacts = vec!["someone@client.example"; 10];
        let metadata =
            json!({ "redirect_uris": uris, "contacts": contacts, "logo_uri": "https://a.example/" });
        assert_eq!(world.register(&metadata).await["redirect_uris"], uris);
    }
}

#[tokio::test]
async fn oversized_registration_metadata_is_refused() {
    let world = World::new();
    let uri = |bytes: usize| format!("https://client.example/{}", "x".repeat(bytes - 23));
    let with = |name: &str, value: Value| {
        let mut metadata = json!({ "redirect_uris": [CALLBACK] });
        metadata[name] = value;
        metadata
    };
    for (metadata, status, error) in [
        (with("contacts", json!(vec!["a@b.c"; 5000])), 400, "invalid_client_metadata"),
        (with("contacts", json!(vec!["someone@client.example"; 5000])), 413, "invalid_client_metadata"),
        (with("jwks", json!({ "keys": vec![json!({ "kty": "RSA" }); 500] })), 400, "invalid_client_metadata"),
        (with("client_name", json!("x".repeat(1001))), 400, "invalid_client_metadata"),
        (with("client_name", json!("x".repeat(100_000))), 413, "invalid_client_metadata"),
        (with("redirect_uris", json!(vec!["https://a.example/"; 2000])), 400, "invalid_client_metadata"),
        (with("redirect_uris", json!([uri(2049)])), 400, "invalid_redirect_uri"),
        (with("redirect_uris", json!([uri(60_000)])), 400, "invalid_redirect_uri"),
    ] {
        let (refused, told) = refusal(&world, &metadata).await;
        let length = metadata.to_string().len();
        assert_eq!((refused.as_u16(), told), (status, json!(error)), "{length} bytes");
    }
}

#[tokio::test]
async fn registration_with_wrong_bytes_or_types_is_refused() {
    let world = World::new();
    let headers = [("content-type", "application/json")];
    let name = b"{\"redirect_uris\":[\"https://client.example/cb\"],\"client_name\":\"\xff\"}";
    for body in [&b"\xff\xfe{"[..], name, b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b"", b"{}{}"] {
        let response = world.request_bytes("POST", "/register", &headers, Bytes::copy_from_slice(body)).await;
        let told = (response.status, response.json()["error"].clone());
        assert_eq!(told, (StatusCode::BAD_REQUEST, json!("invalid_client_metadata")), "{body:?}");
    }
    for (name, value) in [
        ("grant_types", json!("authorization_code")),
        ("grant_types", json!([7])),
        ("response_types", json!(7)),
        ("scope", json!("a\"b")),
        ("scope", json!("a\tb")),
        ("token_endpoint_auth_method", json!({})),
    ] {
        let mut metadata = json!({ "redirect_uris": [CALLBACK] });
        metadata[name] = value;
        let refused = refusal(&world, &metadata).await;
        assert_eq!(refused, (StatusCode::BAD_REQUEST, json!("invalid_client_metadata")), "{metadata}");
    }
}

#[tokio::test]
async fn client_without_authorization_code_grant_is_refused() {
    let world = World::new();
    for grant_type in ["client_credentials", "password", "implicit", "refresh_token"] {
        let metadata = json!({ "redirect_uris": [CALLBACK], "grant_types": [grant_type] });
        let refused = refusal(&world, &metadata).await;
        assert_eq!(refused, (StatusCode::BAD_REQUEST, json!("invalid_client_metadata")), "{grant_type}");
    }
}

#[tokio::test]
async fn registration_cannot_be_read_changed_or_deleted() {
    let world = World::new();
    let client = world.client().await;
    let evil = "https://evil.example/cb";
    let metadata = json!({ "client_id": client, "redirect_uris": [evil] }).to_string();
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        for (path, status) in [
            ("/register".to_owned(), StatusCode::METHOD_NOT_ALLOWED),
            (format!("/register/{client}"), StatusCode::NOT_FOUND),
            (format!("/register?client_id={client}"), StatusCode::METHOD_NOT_ALLOWED),
        ] {
            let headers = [("content-type", "application/json"), ("authorization", "Bearer x")];
            let response = world.request(method, &path, &headers, &metadata).await;
            assert_eq!(response.status, status, "{method} {path}");
            assert!(!response.text.contains(CALLBACK), "{}", response.text);
        }
    }
    let page = world.get(&world.authorize_path(&client, &[])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains(CALLBACK), "{}", page.text);
    let refused = world.get(&world.authorize_path(&client, &[("redirect_uri", evil)])).await;
    assert_eq!((refused.status, refused.header("location")), (StatusCode::BAD_REQUEST, String::new()));
}

#[tokio::test]
async fn client_logo_and_page_urls_are_neither_kept_nor_shown() {
    let world = World::new();
    let mut metadata = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" });
    for name in ["logo_uri", "client_uri", "tos_uri", "policy_uri", "jwks_uri"] {
        metadata[name] = json!("javascript:alert(document.domain)");
    }
    let client = world.register(&metadata).await;
    assert!(!client.to_string().contains("javascript"), "{client}");
    let page = world.get(&world.authorize_path(client["client_id"].as_str().unwrap(), &[])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("javascript:") && !page.text.contains("<img"), "{}", page.text);
}
