//! *Your agents*: the user sees the connected clients, narrows and ends them.

use harness::browser::{Browser, Page};
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Tokens, World, agent_ids, agents_url, list_todos, open_question, with_expiring_token};

/// A signed-in browser of Alice with the page, after `tokens` were issued.
async fn signed_in(world: &World) -> (Browser, Page) {
    let mut browser = world.browser();
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/agents"), "{}", page.text);
    (browser, page)
}

async fn tool_names(world: &World, token: &str) -> Vec<String> {
    let list = world.mcp(Some(token), &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).await;
    let tools = list.json()["result"]["tools"].as_array().expect("tools").clone();
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

async fn create_status(world: &World, token: &str) -> StatusCode {
    world.call(token, "create_new_todo", json!({ "text": "x" })).await.status
}

#[tokio::test]
async fn user_sees_each_client_with_its_access_and_use() {
    let world = World::new();
    let tokens = world.connected().await;
    world.host.advance(7200);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    for _ in 0..3 {
        list_todos(&world, &tokens.access).await;
    }
    world.connected_as("bob", &[]).await;
    world.host.advance(120);
    let (_, page) = signed_in(&world).await;
    assert_eq!(agent_ids(&page).len(), 1);
    for text in [
        "Test client",
        "The name is not verified",
        "client.example",
        "See your to-do list",
        "2 hours ago",
        "2 minutes ago: Get my todo list",
        "<dd>3</dd>",
        "Alice",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
}

#[tokio::test]
async fn ended_client_is_refused_and_its_pingone_token_revoked() {
    let world = World::new();
    let tokens = world.connected().await;
    let other = world.connected().await;
    let (mut browser, page) = signed_in(&world).await;
    // The client that connected first is the last of the list.
    let ids = agent_ids(&page);
    let page = browser.submit(&page, &[("agent", &ids[1])], "end").await;
    assert!(page.text.contains("is disconnected"), "{}", page.text);
    assert_eq!(agent_ids(&page), ids[..1]);
    let ended = if list_todos(&world, &tokens.access).await.status == StatusCode::OK {
        (&other, &tokens)
    } else {
        (&tokens, &other)
    };
    assert_eq!(list_todos(&world, &ended.0.access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(list_todos(&world, &ended.1.access).await.status, StatusCode::OK);
    assert_eq!(world.refresh(&ended.0.client, &ended.0.refresh).await.json()["error"], "invalid_grant");
    world.wait_for_revocations_at_pingone(1).await;
}

#[tokio::test]
async fn refresh_or_revocation_of_an_ended_client_revokes_at_pingone() {
    for revoke in [true, false] {
        let world = World::new();
        let tokens = world.connected().await;
        let (mut browser, page) = signed_in(&world).await;
        browser.submit(&page, &[], "end").await;
        assert_eq!(world.pingone.requests("revoke"), 0);
        if revoke {
            let form = [("token", tokens.refresh.as_str()), ("client_id", &tokens.client)];
            assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
        } else {
            let refused = world.refresh(&tokens.client, &tokens.refresh).await.json();
            assert_eq!(refused["error"], "invalid_grant");
        }
        world.wait_for_revocations_at_pingone(1).await;
        // The record is gone, and nothing is revoked again.
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
        world.wait_for_revocations_at_pingone(1).await;
    }
}

#[tokio::test]
async fn running_call_of_an_ended_client_is_cut() {
    let world = World::new();
    let tokens = world.connected().await;
    let mut stream = open_question(&world, &tokens.access).await;
    let (mut browser, page) = signed_in(&world).await;
    browser.submit(&page, &[], "end").await;
    let last = stream.next().await;
    assert_eq!(last["error"]["message"], "the access of this request was ended or narrowed", "{last}");
    // The call had the key of the grant, so PingOne's token was revoked at once.
    world.wait_for_revocations_at_pingone(1).await;
}

#[tokio::test]
async fn running_call_that_needs_a_lost_scope_is_cut() {
    let world = World::new();
    let tokens = world.connected().await;
    let mut stream = open_question(&world, &tokens.access).await;
    let (mut browser, page) = signed_in(&world).await;
    browser.submit(&page, &[], "read-only").await;
    assert_eq!(stream.next().await["error"]["message"], "the access of this request was ended or narrowed");
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn narrowed_client_loses_tools_and_is_challenged() {
    let world = World::new();
    let tokens = world.connected().await;
    assert_eq!(create_status(&world, &tokens.access).await, StatusCode::OK);
    let (mut browser, page) = signed_in(&world).await;
    let page = browser.submit(&page, &[("scope", "todo:read")], "narrow").await;
    assert!(page.text.contains("can do only what is listed"), "{}", page.text);
    assert!(!page.text.contains("todo:write"), "{}", page.text);
    let refused = world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.header("www-authenticate").contains("insufficient_scope"));
    assert_eq!(tool_names(&world, &tokens.access).await, ["get_my_todo_list", "who_am_i"]);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn narrowed_client_does_not_get_more_by_a_refresh() {
    let world = World::new();
    let tokens = world.connected().await;
    // The response to a refresh before, which is repeated after.
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["scope"], "todo:read todo:write");
    let (mut browser, page) = signed_in(&world).await;
    browser.submit(&page, &[], "read-only").await;
    let repeated = world.refresh(&tokens.client, &tokens.refresh).await;
    assert_eq!(repeated.json()["scope"], "todo:read", "{}", repeated.text);
    let tokens = Tokens::of(&tokens.client, &repeated);
    assert_eq!(create_status(&world, &tokens.access).await, StatusCode::FORBIDDEN);
    let next = world.refresh(&tokens.client, &tokens.refresh).await;
    assert_eq!(next.json()["scope"], "todo:read", "{}", next.text);
    let next = Tokens::of(&tokens.client, &next);
    let wider = [
        ("grant_type", "refresh_token"),
        ("client_id", &next.client),
        ("refresh_token", &next.refresh),
        ("scope", "todo:write"),
    ];
    assert_eq!(world.post_form("/token", &wider).await.json()["error"], "invalid_scope");
}

#[tokio::test]
async fn narrowing_to_nothing_or_to_new_scopes_changes_nothing() {
    let world = World::new();
    let tokens = world.connected_as("alice", &[("scope", "todo:read")]).await;
    let (mut browser, page) = signed_in(&world).await;
    // One scope cannot be narrowed, so the page has no button for it.
    assert!(!page.text.contains("value=\"narrow\""));
    let id = &agent_ids(&page)[0];
    let token = crate::world::form_token(&page);
    for scope in ["todo:write", "unknown"] {
        let url = page.url.clone();
        let body = format!("action=narrow&agent={id}&token={token}&scope={scope}");
        let after = browser.post(url.clone(), body, &url).await;
        assert!(after.text.contains("keep at least one permission"), "{}", after.text);
    }
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
    assert_eq!(create_status(&world, &tokens.access).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn scope_that_was_not_asked_for_stays_in_the_list() {
    let world = World::new();
    let tokens = world.connected_as("alice", &[("scope", "todo:read")]).await;
    assert!(tool_names(&world, &tokens.access).await.contains(&"create_new_todo".to_owned()));
}

#[tokio::test]
async fn all_clients_are_ended_after_a_confirmation() {
    let world = World::new();
    let all = [world.connected().await, world.connected().await, world.connected().await];
    let bob = world.connected_as("bob", &[]).await;
    let (mut browser, page) = signed_in(&world).await;
    let unconfirmed = browser.submit(&page, &[], "end-all").await;
    assert_eq!(unconfirmed.status, StatusCode::BAD_REQUEST);
    assert_eq!(list_todos(&world, &all[0].access).await.status, StatusCode::OK);
    let page = browser.submit(&page, &[("confirm", "yes"), ("sign-off", "")], "end-all").await;
    assert!(page.text.contains("No application has access"), "{}", page.text);
    assert_eq!(world.pingone.requests("signoff"), 0);
    for tokens in &all {
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(list_todos(&world, &bob.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn grant_of_another_user_is_not_ended_or_narrowed() {
    let world = World::new();
    let (alice, bob) = (world.connected().await, world.connected_as("bob", &[]).await);
    let mut bobs = world.browser();
    let id = agent_ids(&world.sign_in_to_agents(&mut bobs, "bob").await).remove(0);
    let (mut browser, page) = signed_in(&world).await;
    for action in ["end", "narrow", "read-only"] {
        let fields = [("agent", id.as_str()), ("scope", "todo:read")];
        let after = browser.submit(&page, &fields, action).await;
        assert!(after.text.contains("already disconnected"), "{}", after.text);
    }
    for tokens in [&alice, &bob] {
        assert_eq!(create_status(&world, &tokens.access).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn grant_that_ended_elsewhere_is_not_listed() {
    let world = World::new();
    let (first, second) = (world.connected().await, world.connected().await);
    let (mut browser, page) = signed_in(&world).await;
    assert_eq!(agent_ids(&page).len(), 2);
    // A replay ends a grant and leaves its entry in the index.
    let rotated = Tokens::of(&first.client, &world.refresh(&first.client, &first.refresh).await);
    world.refresh(&first.client, &rotated.refresh).await;
    assert_eq!(world.refresh(&first.client, &first.refresh).await.json()["error"], "invalid_grant");
    let page = browser.open(&agents_url()).await;
    assert_eq!((page.status, agent_ids(&page).len()), (StatusCode::OK, 1), "{}", page.text);
    assert_eq!(list_todos(&world, &second.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn name_of_a_client_is_shown_as_text() {
    let world = World::new();
    let name = "<script>alert(1)</script>\u{202e}";
    let metadata = json!({
        "client_name": name, "redirect_uris": [crate::world::CALLBACK], "token_endpoint_auth_method": "none",
    });
    let client = world.register(&metadata).await["client_id"].as_str().expect("an id").to_owned();
    let page = world.log_in_to(&mut world.browser(), &client).await;
    let code = crate::world::code_at_client(&page).expect("a code");
    world.redeem(&client, &code).await;
    let (_, page) = signed_in(&world).await;
    assert!(page.text.contains("&#60;script&#62;"), "{}", page.text);
    assert!(!page.text.contains("<script") && !page.text.contains('\u{202e}'), "{}", page.text);
}

#[tokio::test]
async fn ended_client_causes_no_refresh_at_pingone() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    let (mut browser, page) = signed_in(&world).await;
    browser.submit(&page, &[], "end").await;
    let refreshed: Value = world.refresh(&tokens.client, &tokens.refresh).await.json();
    assert_eq!(refreshed["error"], "invalid_grant");
    assert_eq!(world.pingone.requests("refresh"), 0);
    world.wait_for_revocations_at_pingone(1).await;
}
