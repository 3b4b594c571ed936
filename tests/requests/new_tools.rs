//! Deployments with other tools than the ones that the user approved.
//!
//! A deployment under test is a restart of Deputy with the same records, and with or without some of the Todo tools.

use harness::{
    browser::{Browser, Page},
    deployment::VARIABLE,
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Response, Tokens, World, agent_ids, code_at_client, list_todos};

const NEW: &str = "New since you last approved this:";
/// A deployment in which `create_new_todo` and the prompt are missing.
const BEFORE: &str = "-create_new_todo -plan_my_day";

/// Deploys these changes of the tools, in a Deputy that remembers approvals of every client.
fn deploy(world: &World, changes: &str) {
    world.start(&[("CLIENT_APPROVAL", "remember"), (VARIABLE, changes)]);
}

/// Deploys every tool, unchanged.
fn deploy_all(world: &World) {
    deploy(world, "");
}

/// A world before the deployment of `create_new_todo`.
fn world_before() -> World {
    let world = World::new();
    deploy(&world, BEFORE);
    world
}

/// The tokens of `client` after a login that ended on `page`.
async fn tokens(world: &World, client: &str, page: &Page) -> Tokens {
    let code = code_at_client(page).unwrap_or_else(|| panic!("no code at {}:\n{}", page.url, page.text));
    Tokens::of(client, &world.redeem(client, &code).await)
}

async fn create(world: &World, tokens: &Tokens) -> Response {
    world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await
}

async fn get(world: &World, tokens: &Tokens, method: &str, params: Value) -> StatusCode {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    world.mcp(Some(&tokens.access), &message).await.status
}

async fn lists(world: &World, tokens: &Tokens, tool: &str) -> bool {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    world.mcp(Some(&tokens.access), &message).await.text.contains(&format!("\"name\":\"{tool}\""))
}

/// Whether Deputy shows the approval page to a browser that has approved this client.
async fn asks(world: &World, browser: &Browser, client: &str) -> bool {
    let page = browser.clone().open(&world.authorize_url(client, &[])).await;
    page.url.path() == "/authorize"
}

#[tokio::test]
async fn new_tool_under_a_granted_scope_needs_an_approval() {
    let world = world_before();
    let (client, mut browser) = (world.client().await, world.browser());
    let page = world.log_in_to(&mut browser, &client).await;
    let old = tokens(&world, &client, &page).await;
    deploy_all(&world);
    assert!(lists(&world, &old, "create_new_todo").await, "it is visible");
    let refused = create(&world, &old).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"todo:read todo:write\""), "{challenge}");
    // Some clients read a parameter up to a comma.
    let description =
        "error_description=\"this is new since the user approved the client and needs another approval\",";
    assert!(challenge.contains(description), "{challenge}");
    assert_eq!(list_todos(&world, &old.access).await.status, StatusCode::OK, "the other tools work");
    let page = browser.open(&world.authorize_url(&client, &[("scope", "todo:read todo:write")])).await;
    assert!(page.text.contains("Tools: Create a todo,"), "{}", page.text);
    let page = browser.submit(&page, &[], "approve").await;
    let page = world.finish_at_pingone(&mut browser, "alice", page).await;
    let new = tokens(&world, &client, &page).await;
    let created = create(&world, &new).await;
    assert_eq!((created.status, &created.json()["result"]["isError"]), (StatusCode::OK, &json!(false)));
    assert_eq!(create(&world, &old).await.status, StatusCode::FORBIDDEN, "the old grant is as it was");
}

#[tokio::test]
async fn refresh_does_not_approve_a_new_tool() {
    let world = world_before();
    let old = world.connected().await;
    deploy_all(&world);
    let new = Tokens::of(&old.client, &world.refresh(&old.client, &old.refresh).await);
    assert_eq!(new.response["scope"], "todo:read todo:write");
    assert_eq!(create(&world, &new).await.status, StatusCode::FORBIDDEN);
    assert_eq!(list_todos(&world, &new.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn refused_call_of_a_new_tool_is_audited_with_its_reason() {
    let world = world_before();
    let old = world.connected().await;
    deploy_all(&world);
    create(&world, &old).await;
    let events = world.audited().await;
    let refused = events.iter().find(|event| event["event"] == "call_refused").expect("an event");
    assert_eq!((&refused["tool"], &refused["reason"]), (&json!("create_new_todo"), &json!("not_approved")));
}

#[tokio::test]
async fn remembered_approval_asks_again_for_a_new_tool() {
    let world = world_before();
    let (client, mut browser) = (world.client().await, world.browser());
    world.log_in_to(&mut browser, &client).await;
    assert!(!asks(&world, &browser, &client).await);
    deploy_all(&world);
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    assert_eq!(page.url.path(), "/authorize");
    let marked = format!("{NEW} <b>Create a todo</b>, <b>plan_my_day</b><");
    assert!(page.text.contains(&marked), "{}", page.text);
    let page = browser.submit(&page, &[], "approve").await;
    let new = tokens(&world, &client, &world.finish_at_pingone(&mut browser, "alice", page).await).await;
    assert_eq!(create(&world, &new).await.status, StatusCode::OK);
    assert!(!asks(&world, &browser, &client).await, "once");
}

#[tokio::test]
async fn new_tool_under_a_declined_scope_asks_nothing() {
    let world = world_before();
    let (client, mut browser) = (world.client().await, world.browser());
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let page = browser.submit(&page, &[("scope", "todo:read")], "approve").await;
    let old = tokens(&world, &client, &world.finish_at_pingone(&mut browser, "alice", page).await).await;
    deploy(&world, "-plan_my_day");
    assert!(!lists(&world, &old, "create_new_todo").await, "it stays hidden");
    assert!(!asks(&world, &browser, &client).await);
    // A new tool under the other scope is asked about, with the choice of the last time.
    deploy_all(&world);
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    assert!(page.text.contains(&format!("{NEW} <b>plan_my_day</b><")), "{}", page.text);
    assert!(page.text.contains("value=\"todo:read\" checked>"), "{}", page.text);
    assert!(page.text.contains("value=\"todo:write\">"), "{}", page.text);
}

#[tokio::test]
async fn equal_or_narrower_deployment_asks_nothing() {
    let world = World::new();
    deploy_all(&world);
    let (client, mut browser) = (world.client().await, world.browser());
    let page = world.log_in_to(&mut browser, &client).await;
    let tokens = tokens(&world, &client, &page).await;
    // A tool is gone, needs a scope that opens less, or declares that it changes nothing.
    for changes in ["", BEFORE, "delete_todo=admin", "toggle_todo_status!", "get_my_todo_list=todo:write"] {
        deploy(&world, changes);
        assert!(!asks(&world, &browser, &client).await, "{changes}");
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK, "{changes}");
    }
    deploy_all(&world);
    assert!(!asks(&world, &browser, &client).await, "a tool that is back");
    assert_eq!(create(&world, &tokens).await.status, StatusCode::OK, "a tool that is back");
}

#[tokio::test]
async fn tool_moved_under_a_granted_scope_needs_an_approval() {
    let world = World::new();
    deploy(&world, "get_my_todo_list=todo:write");
    let (client, mut browser) = (world.client().await, world.browser());
    let url = world.authorize_url(&client, &[("scope", "todo:read")]);
    let page = world.log_in(&mut browser, "alice", &url).await;
    let tokens = tokens(&world, &client, &page).await;
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::FORBIDDEN);
    deploy_all(&world);
    let refused = list_todos(&world, &tokens.access).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.header("www-authenticate").contains("scope=\"todo:read\""));
    let page = browser.open(&url).await;
    assert!(page.text.contains(&format!("{NEW} <b>Get my todo list</b><")), "{}", page.text);
}

#[tokio::test]
async fn tool_that_no_longer_only_reads_needs_an_approval() {
    let world = World::new();
    deploy(&world, "create_new_todo!");
    let (client, mut browser) = (world.client().await, world.browser());
    let page = world.log_in_to(&mut browser, &client).await;
    let tokens = tokens(&world, &client, &page).await;
    assert_eq!(create(&world, &tokens).await.status, StatusCode::OK);
    deploy_all(&world);
    assert_eq!(create(&world, &tokens).await.status, StatusCode::FORBIDDEN);
    assert!(asks(&world, &browser, &client).await);
}

#[tokio::test]
async fn new_prompt_or_resource_needs_an_approval() {
    let world = World::new();
    deploy(&world, "-plan_my_day -todo://list");
    let tokens = world.connected().await;
    deploy_all(&world);
    for (method, params) in [
        ("prompts/get", json!({ "name": "plan_my_day" })),
        ("resources/read", json!({ "uri": "todo://list" })),
        ("resources/subscribe", json!({ "uri": "todo://list" })),
    ] {
        assert_eq!(get(&world, &tokens, method, params).await, StatusCode::FORBIDDEN, "{method}");
    }
    let tokens = world.connected().await;
    let params = json!({ "name": "plan_my_day" });
    assert_eq!(get(&world, &tokens, "prompts/get", params).await, StatusCode::OK);
}

#[tokio::test]
async fn new_tool_without_a_scope_needs_an_approval() {
    let world = World::new();
    deploy(&world, "-who_am_i");
    let (client, mut browser) = (world.client().await, world.browser());
    let page = world.log_in_to(&mut browser, &client).await;
    let old = tokens(&world, &client, &page).await;
    deploy_all(&world);
    let refused = world.call(&old.access, "who_am_i", json!({})).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.header("www-authenticate").contains("scope=\"todo:read todo:write\""));
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    assert!(page.text.contains(&format!("{NEW} <b>Who am I?</b><")), "{}", page.text);
    assert!(page.text.contains("Tools that need no permission: Who am I?<"), "{}", page.text);
    let page = browser.submit(&page, &[("scope", "todo:read")], "approve").await;
    let new = tokens(&world, &client, &world.finish_at_pingone(&mut browser, "alice", page).await).await;
    assert_eq!(world.call(&new.access, "who_am_i", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn two_versions_side_by_side_serve_the_grants_of_either() {
    let world = world_before();
    let (client, mut browser) = (world.client().await, world.browser());
    let page = world.log_in_to(&mut browser, &client).await;
    let of_old = tokens(&world, &client, &page).await;
    deploy_all(&world);
    let page = world.log_in_to(&mut browser, &client).await;
    let mut of_new = tokens(&world, &client, &page).await;
    for _ in 0..2 {
        // The old version does not know the tool. It asks nothing, and a refresh there keeps what was approved.
        deploy(&world, BEFORE);
        assert!(!asks(&world, &browser, &client).await);
        for tokens in [&of_old, &of_new] {
            assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
        }
        of_new = Tokens::of(&client, &world.refresh(&client, &of_new.refresh).await);
        let page = browser.open(&world.authorize_url(&client, &[])).await;
        let silent = tokens(&world, &client, &page).await;
        deploy_all(&world);
        assert!(!asks(&world, &browser, &client).await);
        assert_eq!(create(&world, &of_old).await.status, StatusCode::FORBIDDEN);
        assert_eq!(create(&world, &of_new).await.status, StatusCode::OK);
        assert_eq!(
            create(&world, &silent).await.status,
            StatusCode::OK,
            "approved before, at the new version"
        );
    }
}

#[tokio::test]
async fn page_approves_only_the_tools_that_it_showed() {
    for (fields, button) in
        [(&[][..], "approve"), (&[("scope", "todo:write")], "approve"), (&[], "read-only")]
    {
        let world = world_before();
        let (client, mut browser) = (world.client().await, world.browser());
        let page = browser.open(&world.authorize_url(&client, &[])).await;
        deploy_all(&world);
        let page = browser.submit(&page, fields, button).await;
        let page = world.finish_at_pingone(&mut browser, "alice", page).await;
        let tokens = tokens(&world, &client, &page).await;
        assert_eq!(create(&world, &tokens).await.status, StatusCode::FORBIDDEN);
        let params = json!({ "name": "plan_my_day" });
        assert_eq!(get(&world, &tokens, "prompts/get", params).await, StatusCode::FORBIDDEN);
        assert!(asks(&world, &browser, &client).await);
    }
}

#[tokio::test]
async fn page_of_the_new_version_is_approved_at_the_old_one() {
    let world = World::new();
    deploy_all(&world);
    let (client, mut browser) = (world.client().await, world.browser());
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    deploy(&world, BEFORE);
    let page = browser.submit(&page, &[], "approve").await;
    let page = world.finish_at_pingone(&mut browser, "alice", page).await;
    let tokens = tokens(&world, &client, &page).await;
    deploy_all(&world);
    assert_eq!(create(&world, &tokens).await.status, StatusCode::OK);
}

#[tokio::test]
async fn tool_of_a_removed_scope_that_moves_needs_an_approval() {
    let world = World::new();
    deploy(&world, "get_my_todo_list=todo:write");
    let (client, mut browser) = (world.client().await, world.browser());
    let page = world.log_in_to(&mut browser, &client).await;
    let tokens = tokens(&world, &client, &page).await;
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
    let page = world.sign_in_to_agents(&mut browser, "alice").await;
    let agent = agent_ids(&page).pop().expect("an agent");
    browser.submit(&page, &[("agent", &agent), ("scope", "todo:read")], "narrow").await;
    deploy_all(&world);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::FORBIDDEN);
}
