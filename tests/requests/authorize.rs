use http::StatusCode;
use serde_json::json;

use crate::world::{Answer, CALLBACK, CHALLENGE, Tokens, World};

#[tokio::test]
async fn an_unknown_client_gets_a_page_and_no_redirect() {
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
async fn a_redirect_uri_that_is_not_registered_gets_a_page_and_no_redirect() {
    let world = World::new();
    let client = world.client().await;
    for uri in ALMOST {
        let response = world.get(&world.authorize_path(&client, &[("redirect_uri", uri)])).await;
        assert_eq!(
            (response.status, response.header("location")),
            (StatusCode::BAD_REQUEST, String::new()),
            "{uri:?}"
        );
        assert_eq!(response.header("content-type"), "text/html; charset=utf-8", "{uri:?}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

/// Not [`CALLBACK`], to whoever compares text.
const ALMOST: [&str; 39] = [
    "https://evil.example/cb",
    "https://CLIENT.example/cb",
    "https://client.example./cb",
    "https://evilclient.example/cb",
    "https://evil-client.example/cb",
    "https://sub.client.example/cb",
    "https://client.example.evil.example/cb",
    "https://client.examplee/cb",
    "https://client.example:443/cb",
    "https://client.example:444/cb",
    "https://client.example:/cb",
    "http://client.example/cb",
    "HTTPS://client.example/cb",
    "https:/client.example/cb",
    "https:client.example/cb",
    "https:///client.example/cb",
    "https://client.example/cb/",
    "https://client.example//cb",
    "https://client.example/CB",
    "https://client.example/%63b",
    "https://client.example/%2fcb",
    "https://client.example%2fcb",
    "https://client.example/x/../cb",
    "https://client.example/./cb",
    "https://client.example/cb/..",
    "https://client.example/cb?",
    "https://client.example/cb?x=1",
    "https://client.example/cb#",
    "https://client.example/cb#frag",
    "https://user@client.example/cb",
    "https://client.example@evil.example/cb",
    "https://client.example\\@evil.example/cb",
    " https://client.example/cb",
    "https://client.example/cb ",
    "https://client.example/cb\t",
    "https://client.example/cb\r\nx: y",
    "https://client.example/cb\0",
    "javascript:alert(1)",
    "//client.example/cb",
];

#[tokio::test]
async fn a_redirect_uri_may_be_left_out_only_when_there_is_one() {
    let world = World::new();
    let one = world.client().await;
    assert_eq!(world.get(&world.authorize_path(&one, &[("redirect_uri", "")])).await.status, StatusCode::OK);
    let two = world.register(&json!({"redirect_uris": [CALLBACK, "https://client.example/other"]})).await;
    let two = two["client_id"].as_str().unwrap();
    assert_eq!(
        world.get(&world.authorize_path(two, &[("redirect_uri", "")])).await.status,
        StatusCode::BAD_REQUEST
    );
}

/// The error at `path` that the client is told, with its state and our issuer.
async fn told(world: &World, path: &str) -> String {
    let response = world.get(path).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER, "{path}: {}", response.text);
    let answer = response.location();
    assert!(answer.as_str().starts_with(&format!("{CALLBACK}?error=")), "{answer}");
    assert_eq!(answer.fragment(), None);
    let pairs: Vec<_> = answer.query_pairs().into_owned().collect();
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["error", "error_description", "state", "iss"]);
    assert_eq!((pairs[2].1.as_str(), pairs[3].1.as_str()), ("client-state", "https://deputy.example"));
    pairs[0].1.clone()
}

#[tokio::test]
async fn what_else_is_wrong_is_told_to_the_client_with_state_and_issuer() {
    let world = World::new();
    let client = world.client().await;
    let (long, padded) = ("A".repeat(10_000), format!("{CHALLENGE}="));
    for (name, value, error) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge", &CHALLENGE[1..], "invalid_request"),
        ("code_challenge", &padded, "invalid_request"),
        ("code_challenge", &long, "invalid_request"),
        ("code_challenge", "<script>alert(1)</script>aaaaaaaaaaaaaaaaaa", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "S512", "invalid_request"),
        ("code_challenge_method", "s256", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
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
        assert_eq!(told(&world, &path).await, error, "{name}={value}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn what_is_missing_is_told_to_the_client() {
    let world = World::new();
    let client = world.client().await;
    for (name, error) in [
        ("code_challenge", "invalid_request"),
        ("code_challenge_method", "invalid_request"),
        ("response_type", "unsupported_response_type"),
    ] {
        let empty = world.authorize_path(&client, &[(name, "")]);
        let absent = empty.strip_suffix(&format!("&{name}=")).expect("it stands last");
        assert_eq!(told(&world, absent).await, error, "{name}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn a_resource_that_is_not_ours_is_told_even_beside_ours() {
    const OURS: &str = "https://deputy.example/mcp";
    const FOREIGN: &str = "https://evil.example/mcp";
    let world = World::new();
    let client = world.client().await;
    for resources in [
        &[FOREIGN][..],
        &[OURS, FOREIGN],
        &[FOREIGN, OURS],
        &["https://deputy.example/mcp#x"],
        &["https://deputy.example/mcp?x"],
        &["https://deputy.example/other"],
        &["https://deputy.example.evil.example/mcp"],
        &["https://deputy.example@evil.example/mcp"],
        &["http://deputy.example/mcp"],
        &["/mcp"],
        &["deputy.example"],
        &["todo"],
    ] {
        let otherwise: Vec<_> = resources.iter().map(|resource| ("resource", *resource)).collect();
        let path = world.authorize_path(&client, &otherwise);
        assert_eq!(told(&world, &path).await, "invalid_target", "{resources:?}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn a_scope_that_does_not_exist_is_neither_shown_nor_granted() {
    let world = World::new();
    let otherwise = [("scope", "todo:read admin:*")];
    let page = world.get(&world.authorize_path(&world.client().await, &otherwise)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("todo:read") && !page.text.contains("todo:write"), "{}", page.text);
    assert!(!page.text.contains("admin"), "{}", page.text);
    let tokens = world.connected_as("alice", &otherwise).await;
    assert_eq!(tokens.answer["scope"], "todo:read");
    let answer = world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn scopes_of_openid_connect_alone_get_the_default_everywhere() {
    let world = World::new();
    for scope in ["", "openid", "openid email profile", "openid profile email offline_access"] {
        let metadata =
            json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "scope": scope });
        assert_eq!(world.register(&metadata).await["scope"], "todo:read todo:write", "{scope}");
        let tokens = world.connected_as("alice", &[("scope", scope)]).await;
        assert_eq!(tokens.answer["scope"], "todo:read todo:write", "{scope}");
        let answer = refreshed(&world, &tokens, scope).await;
        assert_eq!(
            (answer.status, &answer.json()["scope"]),
            (StatusCode::OK, &json!("todo:read todo:write"))
        );
    }
}

async fn refreshed(world: &World, tokens: &Tokens, scope: &str) -> Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", &tokens.client),
        ("refresh_token", &tokens.refresh),
        ("scope", scope),
    ];
    world.post_form("/token", &form).await
}

#[tokio::test]
async fn a_scope_that_cannot_be_granted_is_refused_with_its_cause_everywhere() {
    const SPACES: &str = "scopes are separated by single spaces";
    let world = World::new();
    let tokens = world.connected().await;
    let many = (0..65).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
    for (scope, cause) in [
        ("todo:read\ttodo:write", format!("scope is malformed: it contains U+0009; {SPACES}")),
        ("todo:read \u{e9}", format!("scope is malformed: it contains U+00E9; {SPACES}")),
        ("\"todo:read\"", format!("scope is malformed: it contains U+0022; {SPACES}")),
        ("todo:read,todo:write", format!("scope is malformed: {SPACES}, and not by commas (U+002C)")),
        (&many, "scope is malformed: it has more than 64 scopes".to_owned()),
        (
            "read write openid",
            "none of these scopes can be granted; the scopes that can be are: todo:read todo:write"
                .to_owned(),
        ),
    ] {
        let answer = world.get(&world.authorize_path(&tokens.client, &[("scope", scope)])).await;
        let told: Vec<_> =
            answer.location().query_pairs().take(2).map(|(_, told)| told.into_owned()).collect();
        assert_eq!(told, ["invalid_scope", &cause], "{scope}");
        let answer = refreshed(&world, &tokens, scope).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{scope}");
        let told = json!({ "error": "invalid_scope", "error_description": cause });
        assert_eq!(answer.json(), told, "{scope}");
    }
    assert_eq!(refreshed(&world, &tokens, "").await.status, StatusCode::OK, "nothing was used up");
}

#[tokio::test]
async fn a_scope_of_which_something_can_be_granted_is_granted_everywhere() {
    let world = World::new();
    for scope in ["todo:read unknown", "openid todo:read", "todo:read a,b"] {
        let metadata = json!({ "redirect_uris": [CALLBACK], "scope": scope });
        assert_eq!(world.register(&metadata).await["scope"], "todo:read", "{scope}");
        let narrow = world.connected_as("alice", &[("scope", scope)]).await;
        assert_eq!(narrow.answer["scope"], "todo:read", "{scope}");
        let answer = refreshed(&world, &world.connected().await, scope).await;
        assert_eq!((answer.status, &answer.json()["scope"]), (StatusCode::OK, &json!("todo:read")));
    }
    let unknown = json!({ "redirect_uris": [CALLBACK], "scope": "claudeai" });
    let told = world.register(&unknown).await;
    assert_eq!(told["scope"], "todo:read todo:write", "what there is to ask for; nothing is granted yet");
}

#[tokio::test]
async fn a_parameter_without_a_value_is_as_if_omitted() {
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
async fn a_repeated_parameter_is_refused() {
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
async fn the_resource_may_be_spelled_as_clients_spell_it() {
    let world = World::new();
    let client = world.client().await;
    for resource in [
        "https://deputy.example/mcp",
        "https://deputy.example/mcp/",
        "https://deputy.example",
        "https://deputy.example/",
        "https://DEPUTY.example:443/mcp",
    ] {
        let path = world.authorize_path(&client, &[("resource", resource)]);
        assert_eq!(world.get(&path).await.status, StatusCode::OK, "{resource}");
    }
    let twice = format!(
        "{}&resource=https://deputy.example/mcp&resource=https://deputy.example",
        world.authorize_path(&client, &[])
    );
    assert_eq!(world.get(&twice).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_loopback_redirect_uri_may_have_any_port_and_is_otherwise_the_same_text() {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    let world = World::new();
    let uris = ["http://127.0.0.1/cb", "http://localhost:3000/cb", "http://[::1]:1/cb?x=1"];
    let client = world.register(&json!({ "redirect_uris": uris })).await;
    for (uri, status) in [
        ("http://127.0.0.1:49152/cb", StatusCode::OK),
        ("http://127.0.0.1/cb", StatusCode::OK),
        ("http://localhost:49152/cb", StatusCode::OK),
        ("http://localhost/cb", StatusCode::OK),
        ("http://[::1]:49152/cb?x=1", StatusCode::OK),
        ("http://[::1]/cb?x=1", StatusCode::OK),
        ("http://127.0.0.1:49152/other", BAD),
        ("http://127.0.0.1:49152/cb/", BAD),
        ("http://127.0.0.1:49152/cb?x=1", BAD),
        ("http://[::1]:49152/cb", BAD),
        ("http://[::1]:49152/cb?x=2", BAD),
        ("http://[::]:49152/cb?x=1", BAD),
        ("http://[::ffff:127.0.0.1]:49152/cb?x=1", BAD),
        ("https://127.0.0.1:49152/cb", BAD),
        ("http://user@127.0.0.1:49152/cb", BAD),
        ("http://127.0.0.1:80@evil.example/cb", BAD),
        ("http://127.0.0.1.evil.example:49152/cb", BAD),
        ("http://localhost.evil.example:49152/cb", BAD),
        ("http://127.0.0.2:49152/cb", BAD),
        ("http://127.1:49152/cb", BAD),
        ("http://127.0.0.1:99999/cb", BAD),
        ("http://127.0.0.1:x/cb", BAD),
    ] {
        let path = world.authorize_path(client["client_id"].as_str().unwrap(), &[("redirect_uri", uri)]);
        let answer = world.get(&path).await;
        assert_eq!((answer.status, answer.header("location")), (status, String::new()), "{uri}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn a_private_use_scheme_works_only_where_the_operator_admits_it() {
    const URI: &str = "cursor://anysphere.cursor-mcp/oauth/callback";
    let register = json!({"redirect_uris": [URI, "http://localhost:8787/callback"]});
    let world = World::new();
    let client = world.register(&register).await;
    let path = world.authorize_path(client["client_id"].as_str().unwrap(), &[("redirect_uri", URI)]);
    assert_eq!(world.get(&path).await.status, StatusCode::BAD_REQUEST);
    let world = World::with(&[("PRIVATE_USE_REDIRECT_URIS", URI)]);
    let client = world.register(&register).await;
    let path = world.authorize_path(client["client_id"].as_str().unwrap(), &[("redirect_uri", URI)]);
    assert_eq!(world.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_link_that_is_too_long_gets_a_page() {
    let world = World::new();
    let response = world.get(&format!("/authorize?state={}", "x".repeat(20_000))).await;
    assert_eq!(response.status, StatusCode::URI_TOO_LONG);
}

#[tokio::test]
async fn a_request_object_is_neither_fetched_nor_believed() {
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

/// What ends an attribute, an element and a header, in what a client sends.
const MARKUP: &str = "\"><script>alert(1)</script>\r\nx-injected: 1";

/// Neither on a page nor in a header as it was sent.
fn assert_harmless(answer: &Answer, name: &str) {
    assert!(!answer.text.contains("<script>"), "{name}: {}", answer.text);
    let location = answer.header("location");
    assert!(!location.contains(['"', '<', '>', '\r', '\n']), "{name}: {location}");
    assert_eq!(answer.header("x-injected"), "", "{name}");
}

#[tokio::test]
async fn markup_in_any_parameter_is_text_on_pages_and_encoded_in_redirects() {
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
        let answer = world.get(&world.authorize_path(&client, &[(name, MARKUP)])).await;
        assert_eq!(answer.status, status, "{name}");
        assert_harmless(&answer, name);
    }
    let both = [("state", MARKUP), ("response_type", "token")];
    let answer = world.get(&world.authorize_path(&client, &both)).await;
    assert_harmless(&answer, "state");
    let state = answer.location().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    assert_eq!(state, MARKUP, "the client gets back what it sent");
}

#[tokio::test]
async fn markup_in_a_registered_redirect_uri_stays_encoded() {
    const URI: &str = "https://client.example/cb?x='%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let world = World::new();
    let client = world.register(&json!({ "redirect_uris": [URI] })).await;
    let client = client["client_id"].as_str().unwrap();
    let page = world.get(&world.authorize_path(client, &[("redirect_uri", URI)])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_harmless(&page, "the page");
    assert!(!page.text.contains("x='"), "{}", page.text);
    let wrong = [("redirect_uri", URI), ("response_type", "token")];
    let answer = world.get(&world.authorize_path(client, &wrong)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header("location").starts_with(&format!("{URI}&error=")));
    assert_harmless(&answer, "the answer");
}

#[tokio::test]
async fn only_get_begins_a_login() {
    let world = World::new();
    let path = world.authorize_path(&world.client().await, &[]);
    let form = path.split_once('?').unwrap().1;
    for method in ["HEAD", "PUT", "DELETE", "PATCH", "POST", "OPTIONS"] {
        for (path, body) in [(path.as_str(), ""), ("/authorize", form)] {
            let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "none")];
            let answer = world.request(method, path, &headers, body).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!((answer.header("location"), answer.header("set-cookie")), Default::default());
        }
    }
    assert_eq!(world.requests_to_pingone(), 0);
}
