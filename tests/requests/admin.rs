//! The admin interface: the operator lists and ends grants.

use std::time::Duration;

use futures_util::future::join;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, Response, Tokens, World, agent_ids, known_name, list_todos, open_question};

pub(crate) fn world() -> World {
    World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN)])
}

fn exporting_world() -> World {
    World::with(&[("ADMIN_TOKEN", ADMIN_TOKEN), ("ADMIN_EXPORT", "on")])
}

/// The list of the selected grants.
async fn listed(world: &World, selection: &str) -> Vec<Value> {
    let response = world.admin("GET", &format!("grants?{selection}"), "").await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    response.json()["grants"].as_array().expect("grants").clone()
}

async fn ids(world: &World, selection: &str) -> Vec<String> {
    listed(world, selection)
        .await
        .iter()
        .map(|grant| grant["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// The id of the only grant.
async fn only(world: &World) -> String {
    let ids = ids(world, "").await;
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids[0].clone()
}

pub(crate) async fn end(world: &World, selection: &str) -> Value {
    let response = world.admin("POST", "grants/end", selection).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    response.json()
}

pub(crate) async fn last_audited(world: &World) -> Value {
    world.audited().await.pop().expect("an event")
}

pub(crate) fn text<'a>(response: &'a Value, name: &str) -> &'a str {
    response[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn admin_interface_without_a_configured_token_is_absent() {
    let world = World::new();
    let absent = world.get("/invented").await;
    for path in ["grants", "blocked", ""] {
        let response = world.admin("GET", path, "").await;
        assert_eq!((response.status, &response.text), (StatusCode::NOT_FOUND, &absent.text), "{path}");
    }
}

#[tokio::test]
async fn admin_request_without_the_token_is_refused() {
    let world = world();
    let tokens = world.connected().await;
    let id = only(&world).await;
    let wrong = format!("Bearer {}x", &ADMIN_TOKEN[..ADMIN_TOKEN.len() - 1]);
    let (right, access) = (format!("Bearer {ADMIN_TOKEN}"), format!("Bearer {}", tokens.access));
    let (basic, half) = (format!("Basic {ADMIN_TOKEN}"), format!("Bearer {}", &ADMIN_TOKEN[..20]));
    let header = "authorization";
    for headers in [
        &[][..],
        &[(header, wrong.as_str())],
        &[(header, &access)],
        &[(header, &basic)],
        &[(header, &half)],
        &[(header, "Bearer ")],
        &[(header, ADMIN_TOKEN)],
        &[(header, &wrong), (header, &right)],
    ] {
        for (method, path) in [
            ("GET", "grants"),
            ("GET", &*format!("grants?access_token={ADMIN_TOKEN}")),
            ("GET", &*format!("grants/{id}")),
            ("DELETE", &*format!("grants/{id}")),
            ("POST", "grants/end"),
            ("POST", "block"),
            ("GET", "records"),
            ("GET", "invented"),
        ] {
            let response = world.request(method, &format!("/admin/v1/{path}"), headers, "").await;
            assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{method} {path} {headers:?}");
            assert!(response.header("www-authenticate").starts_with("Bearer"), "{}", response.text);
        }
    }
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
    // The token of the operator is no token of a client.
    assert_eq!(list_todos(&world, ADMIN_TOKEN).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn page_of_another_origin_gets_no_access_to_the_admin_interface() {
    let world = world();
    let origin = ("origin", "https://evil.example");
    let preflight = [origin, ("access-control-request-method", "POST")];
    for (method, headers) in [("OPTIONS", &preflight[..]), ("GET", &[origin])] {
        let response = world.request(method, "/admin/v1/grants", headers, "").await;
        assert_eq!(response.header("access-control-allow-origin"), "", "{method}");
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{method}");
    }
}

#[tokio::test]
async fn operator_finds_grants_by_client_user_host_and_age() {
    let world = world();
    let old = world.connected().await;
    world.host.advance(100);
    let between = world.now();
    world.host.advance(100);
    let new = world.connected_as("bob", &[("scope", "todo:read")]).await;
    let (alice, bob) = (world.config.users[0].id.clone(), world.config.users[1].id.clone());
    let clients = async |selection: &str| {
        let grants = listed(&world, selection).await;
        let mut clients: Vec<_> =
            grants.iter().map(|grant| text(&grant["client"], "id").to_owned()).collect();
        clients.sort_by_key(|client| client != known_name(&old.client));
        clients
    };
    let (of_old, of_new) =
        (vec![known_name(&old.client).to_owned()], vec![known_name(&new.client).to_owned()]);
    assert_eq!(clients("").await, [&of_old[..], &of_new].concat());
    for (selection, expected) in [
        (format!("client={}", old.client), &of_old),
        (format!("user={alice}"), &of_old),
        (format!("user={bob}"), &of_new),
        (format!("before={between}"), &of_old),
        (format!("host=client.example&client={}", new.client), &of_new),
        (format!("user={bob}&client={}", old.client), &vec![]),
        ("host=other.example".to_owned(), &vec![]),
        ("user=nobody".to_owned(), &vec![]),
    ] {
        assert_eq!(&clients(&selection).await, expected, "{selection}");
    }
    let [grant] = &listed(&world, &format!("client={}", new.client)).await[..] else { panic!("one grant") };
    assert_eq!(
        grant["client"],
        json!({ "id": known_name(&new.client), "name": "Test client", "host": "client.example" })
    );
    assert_eq!((text(&grant["user"], "sub"), &grant["scopes"]), (bob.as_str(), &json!(["todo:read"])));
    assert_eq!(grant["created_at"].as_u64(), Some(world.now()));
}

#[tokio::test]
async fn operator_sees_the_use_of_a_grant() {
    let world = world();
    let tokens = world.connected().await;
    list_todos(&world, &tokens.access).await;
    let id = only(&world).await;
    let mut shown = Value::Null;
    // The use is written after the response.
    for _ in 0..1000 {
        shown = world.admin("GET", &format!("grants/{id}"), "").await.json();
        if !shown["use"]["last_call"].is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((text(&shown, "id"), &shown["use"]["calls_in_a_day"]), (id.as_str(), &json!(1)), "{shown}");
    assert_eq!(shown["use"]["last_call"], json!({ "at": world.now(), "tool": "get_my_todo_list" }));
    for wrong in ["0".repeat(32), "x".to_owned(), id[1..].to_owned(), format!("{id}/x")] {
        let response = world.admin("GET", &format!("grants/{wrong}"), "").await;
        assert_eq!(response.status, StatusCode::NOT_FOUND, "{wrong}");
    }
}

#[tokio::test]
async fn pages_of_a_list_have_every_grant_once() {
    let world = world();
    for _ in 0..5 {
        world.connected().await;
    }
    let (mut all, mut after) = (Vec::new(), String::new());
    for _ in 0..100 {
        let page = world.admin("GET", &format!("grants?limit=2&after={after}"), "").await.json();
        let grants = page["grants"].as_array().expect("grants");
        assert!(grants.len() <= 2, "{page}");
        all.extend(grants.iter().map(|grant| text(grant, "id").to_owned()));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(all, ids(&world, "").await);
    assert_eq!(all.len(), 5);
}

#[tokio::test]
async fn grant_ended_by_the_operator_is_one_that_its_user_ended() {
    let world = world();
    let tokens = world.connected().await;
    let id = only(&world).await;
    let kept = world.connected().await;
    let response = world.admin("DELETE", &format!("grants/{id}"), "").await;
    assert_eq!((response.status, response.json()), (StatusCode::OK, json!({ "ended": [id] })));
    let event = last_audited(&world).await;
    assert_eq!((text(&event, "event"), text(&event, "by")), ("grant_ended", "operator"), "{event}");
    assert_eq!(
        (text(&event, "grant"), text(&event["client"], "id")),
        (&*id, known_name(&tokens.client)),
        "{event}"
    );
    // Not before the client presents a token, which opens PingOne's token.
    assert_eq!(world.pingone.requests("revoke"), 0);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    world.wait_for_revocations_at_pingone(1).await;
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(list_todos(&world, &kept.access).await.status, StatusCode::OK);
    assert!(!ids(&world, "").await.contains(&id));
    let mut browser = world.browser();
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    assert_eq!(agent_ids(&page).len(), 1, "{}", page.text);
    let again = world.admin("DELETE", &format!("grants/{id}"), "").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn grant_ended_by_its_user_is_not_listed() {
    let world = world();
    world.connected().await;
    let mut browser = world.browser();
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    browser.submit(&page, &[], "end").await;
    assert_eq!(listed(&world, "").await, [] as [Value; 0]);
}

#[tokio::test]
async fn running_call_of_a_grant_that_the_operator_ends_is_cut() {
    let world = world();
    let tokens = world.connected().await;
    let mut stream = open_question(&world, &tokens.access).await;
    end(&world, "all=true").await;
    let last = stream.next().await;
    assert_eq!(last["error"]["message"], "the access of this request was ended or narrowed", "{last}");
    world.wait_for_revocations_at_pingone(1).await;
}

#[tokio::test]
async fn end_by_selection_ends_what_it_selects() {
    let world = world();
    let first = world.connected().await;
    let second = world.connected().await;
    let bob = world.connected_as("bob", &[]).await;
    let status = async |tokens: &Tokens| list_todos(&world, &tokens.access).await.status;
    let ended = end(&world, &format!("client={}", first.client)).await;
    assert_eq!((ended["ended"].as_array().map(Vec::len), &ended["next"]), (Some(1), &Value::Null));
    assert_eq!(status(&first).await, StatusCode::UNAUTHORIZED);
    assert_eq!((status(&second).await, status(&bob).await), (StatusCode::OK, StatusCode::OK));
    end(&world, &format!("user={}", world.config.users[0].id)).await;
    assert_eq!((status(&second).await, status(&bob).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    world.start(&[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    end(&world, "all=true").await;
    world.start(&[]);
    assert_eq!(status(&bob).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn end_without_a_clear_selection_ends_nothing() {
    let world = world();
    let tokens = world.connected().await;
    for selection in [
        "",
        "all=",
        "all=yes",
        "limit=5",
        "cilent=x",
        "client=",
        "client=x",
        "user=&all",
        "all=true&user=x",
        "before=tomorrow",
        "user=a&user=b",
    ] {
        let response = world.admin("POST", "grants/end", selection).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{selection}: {}", response.text);
    }
    let authorization = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let response = world.request("POST", "/admin/v1/grants/end", &headers, "all=true").await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST);
    let long = format!("grants?user={}", "x".repeat(20_000));
    let response = world.admin("GET", &long, "").await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST, "a selection that is cut off would select all");
    let response = world.admin("GET", "grants/end?all=true", "").await;
    assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED, "{}", response.text);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn end_wins_against_a_refresh_at_the_same_time() {
    for _ in 0..5 {
        let world = world();
        let tokens = world.connected().await;
        let (ended, refreshed) =
            join(end(&world, "all=true"), world.refresh(&tokens.client, &tokens.refresh)).await;
        assert_eq!(ended["ended"].as_array().map(Vec::len), Some(1), "{ended}");
        let latest = Tokens::of(&tokens.client, &refreshed);
        for token in [&tokens.access, &latest.access].into_iter().filter(|token| !token.is_empty()) {
            assert_eq!(list_todos(&world, token).await.status, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(listed(&world, "").await, [] as [Value; 0]);
    }
}

impl World {
    /// A request of the operator. POST sends `form`.
    pub(crate) async fn admin(&self, method: &str, path: &str, form: &str) -> Response {
        let authorization = format!("Bearer {ADMIN_TOKEN}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.request(method, &format!("/admin/v1/{path}"), &headers, form).await
    }
}

#[tokio::test]
async fn operator_gets_grants_as_they_are_stored() {
    let world = exporting_world();
    let tokens = [world.connected().await, world.connected().await];
    world.admin("POST", "block", "host=app.example").await;
    let (mut records, mut after) = (Vec::new(), String::new());
    loop {
        let response = world.admin("GET", &format!("records?limit=1{after}"), "").await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        for secret in tokens.iter().flat_map(|tokens| [&tokens.access, &tokens.refresh]) {
            assert!(!response.text.contains(secret.split('.').next_back().unwrap()));
        }
        let part = response.json();
        records.extend(part["records"].as_array().expect("records").clone());
        let Some(next) = part["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let kinds = |kind: &str| records.iter().filter(|record| text(record, "kind") == kind).count();
    assert_eq!((kinds("grant"), kinds("blocklist")), (2, 1), "{records:?}");
    // Requests to /authorize and /register read it.
    let copy = records.iter().find(|record| text(record, "name") == "blocklist").expect("a copy");
    assert_eq!(text(copy, "kind"), "client");
    assert!(kinds("user") >= 1);
    let mut names: Vec<_> = ids(&world, "").await;
    names.sort();
    let grants = records.iter().filter(|record| text(record, "kind") == "grant");
    assert_eq!(grants.map(|record| text(record, "name")).collect::<Vec<_>>(), names);
    let exported = last_audited(&world).await;
    assert_eq!(text(&exported, "event"), "records_exported");
}

#[tokio::test]
async fn selection_of_exported_records_is_refused() {
    let world = exporting_world();
    for selection in ["user=x", "client=x", "all=true", "kind=grant", "after=x"] {
        let response = world.admin("GET", &format!("records?{selection}"), "").await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{selection}");
    }
    let response = world.admin("POST", "records", "").await;
    assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn export_is_refused_until_it_is_turned_on() {
    let world = world();
    world.connected().await;
    let response = world.admin("GET", "records", "").await;
    assert_eq!(response.status, StatusCode::FORBIDDEN, "{}", response.text);
    assert!(response.text.contains("ADMIN_EXPORT=on"), "{}", response.text);
    assert_ne!(text(&last_audited(&world).await, "event"), "records_exported");
}
