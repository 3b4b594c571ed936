//! Authorization requests (OAuth 2.1 §4.1.1), and errors that are redirected to the client.

use http::StatusCode;

use crate::world::{CALLBACK, Response, World, authorization_error};

/// Text that would end an attribute, an element and a header.
const MARKUP: &str = "\"><script>alert(1)</script>\r\nx-injected: 1";

#[tokio::test]
async fn unknown_client_gets_an_error_page_without_redirect() {
    let world = World::new();
    for id in ["", "unknown", "https://evil.example/client.json", &"x".repeat(5000)] {
        let response = world.get(&world.authorize_path(id, &[])).await;
        assert_eq!(
            (response.status, response.header("location")),
            (StatusCode::BAD_REQUEST, String::new()),
            "{id}"
        );
        assert!(response.header("content-type").starts_with("text/html"));
    }
}

#[tokio::test]
async fn invalid_request_redirects_error_with_state_and_iss() {
    let world = World::new();
    let client = world.client().await;
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "id_token", "unsupported_response_type"),
        ("response_type", "code id_token", "unsupported_response_type"),
        ("response_type", "code token", "unsupported_response_type"),
        ("response_type", "none", "unsupported_response_type"),
        ("response_type", "Code", "unsupported_response_type"),
        ("response_type", "", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("response_mode", "form_post", "invalid_request"),
        ("scope", "admin:all", "invalid_scope"),
    ] {
        let path = world.authorize_path(&client, &[(name, value)]);
        assert_eq!(authorization_error(&world, &path).await, error, "{name}={value}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn missing_response_type_redirects_error_to_client() {
    let world = World::new();
    let path = without(&world, "response_type").await;
    assert_eq!(authorization_error(&world, &path).await, "unsupported_response_type");
    assert_eq!(world.requests_to_pingone(), 0);
}

/// The path of an authorization request of a new client that omits a parameter.
pub(crate) async fn without(world: &World, name: &str) -> String {
    let empty = world.authorize_path(&world.client().await, &[(name, "")]);
    empty.strip_suffix(&format!("&{name}=")).expect("the parameter is the last one").to_owned()
}

#[tokio::test]
async fn empty_authorization_parameter_counts_as_omitted() {
    let world = World::new();
    let client = world.client().await;
    let path = world.authorize_path(&client, &[]);
    let names =
        ["client_id", "redirect_uri", "response_type", "code_challenge", "code_challenge_method", "state"];
    for name in names.iter().chain(&["resource", "scope", "prompt", "response_mode", "nonce"]) {
        for with in [format!("{path}&{name}=&{name}"), path.replacen('?', &format!("?{name}=&"), 1)] {
            let page = world.get(&with).await;
            assert_eq!(page.status, StatusCode::OK, "{with}: {}", page.text);
        }
    }
    let wrong = world.get(&format!("{path}&state=&response_mode=fragment")).await;
    assert!(wrong.header("location").contains("&state=client-state&"), "{}", wrong.header("location"));
}

#[tokio::test]
async fn repeated_authorization_parameter_is_refused() {
    let world = World::new();
    let client = world.client().await;
    let path = world.authorize_path(&client, &[]);
    for name in ["client_id", "redirect_uri"] {
        assert_eq!(world.get(&format!("{path}&{name}=x")).await.status, StatusCode::BAD_REQUEST, "{name}");
    }
    for name in ["state", "scope", "response_type", "code_challenge", "code_challenge_method"] {
        let response = world.get(&format!("{path}&{name}=x&{name}=x")).await;
        let error =
            response.location().query_pairs().find(|(key, _)| key == "error").map(|(_, v)| v.into_owned());
        assert_eq!(error.as_deref(), Some("invalid_request"), "{name}");
    }
}

#[tokio::test]
async fn too_long_authorization_url_gets_a_page() {
    let world = World::new();
    let response = world.get(&format!("/authorize?state={}", "x".repeat(20_000))).await;
    assert_eq!(response.status, StatusCode::URI_TOO_LONG);
}

#[tokio::test]
async fn request_object_is_neither_fetched_nor_used() {
    let world = World::new();
    let client = world.client().await;
    let request = "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZS9jYiJ9.";
    for (name, value) in [("request_uri", "https://evil.example/request"), ("request", request)] {
        let page = world.get(&world.authorize_path(&client, &[(name, value)])).await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
        assert!(page.text.contains(CALLBACK) && !page.text.contains("evil.example"), "{name}: {}", page.text);
        assert_eq!(world.get(&format!("/authorize?{name}={value}")).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(world.requests_to("https://evil.example", ""), 0);
}

/// Checks that neither the page nor a header contains [`MARKUP`] unescaped.
pub(crate) fn assert_markup_is_escaped(response: &Response, name: &str) {
    assert!(!response.text.contains("<script>"), "{name}: {}", response.text);
    let location = response.header("location");
    assert!(!location.contains(['"', '<', '>', '\r', '\n']), "{name}: {location}");
    assert_eq!(response.header("x-injected"), "", "{name}");
}

#[tokio::test]
async fn markup_in_authorization_parameters_is_escaped() {
    const SHOWN: StatusCode = StatusCode::OK;
    let world = World::new();
    let client = world.client().await;
    for (name, status) in [
        ("response_type", StatusCode::SEE_OTHER),
        ("client_id", StatusCode::BAD_REQUEST),
        ("redirect_uri", StatusCode::BAD_REQUEST),
        ("code_challenge", StatusCode::SEE_OTHER),
        ("code_challenge_method", StatusCode::SEE_OTHER),
        ("scope", StatusCode::SEE_OTHER),
        ("resource", StatusCode::SEE_OTHER),
        ("response_mode", StatusCode::SEE_OTHER),
        ("state", SHOWN),
        ("prompt", SHOWN),
        ("nonce", SHOWN),
        (MARKUP, SHOWN),
    ] {
        let response = world.get(&world.authorize_path(&client, &[(name, MARKUP)])).await;
        assert_eq!(response.status, status, "{name}");
        assert_markup_is_escaped(&response, name);
    }
    let both = [("state", MARKUP), ("response_type", "token")];
    let response = world.get(&world.authorize_path(&client, &both)).await;
    assert_markup_is_escaped(&response, "state");
    let state = response.location().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    assert_eq!(state, MARKUP, "the client gets back what it sent");
}

#[tokio::test]
async fn authorization_endpoint_accepts_get_only() {
    let world = World::new();
    let path = world.authorize_path(&world.client().await, &[]);
    let form = path.split_once('?').unwrap().1;
    for method in ["HEAD", "PUT", "DELETE", "PATCH", "POST", "OPTIONS"] {
        for (path, body) in [(path.as_str(), ""), ("/authorize", form)] {
            let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "none")];
            let response = world.request(method, path, &headers, body).await;
            assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!((response.header("location"), response.header("set-cookie")), Default::default());
        }
    }
    assert_eq!(world.requests_to_pingone(), 0);
}
