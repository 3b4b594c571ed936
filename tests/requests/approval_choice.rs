//! Scopes that the user leaves out on the approval page.

use harness::browser::{Browser, Page};
use http::StatusCode;
use serde_json::json;

use crate::world::{DEPUTY, Tokens, World, agents_url, code_at_client, list_todos};

/// The page of PingOne after Alice has approved `client` with these fields and this button.
async fn approved(
    world: &World,
    browser: &mut Browser,
    client: &str,
    (fields, button): (&[(&str, &str)], &str),
) -> Page {
    let page = browser.open(&world.authorize_url(client, &[])).await;
    browser.submit(&page, fields, button).await
}

/// The tokens after Alice has approved a new client with these fields and this button.
async fn tokens(world: &World, fields: &[(&str, &str)], button: &str) -> Tokens {
    let (client, mut browser) = (world.client().await, world.browser());
    let page = approved(world, &mut browser, &client, (fields, button)).await;
    let page = world.finish_at_pingone(&mut browser, "alice", page).await;
    let code = code_at_client(&page).unwrap_or_else(|| panic!("no code at {}:\n{}", page.url, page.text));
    Tokens::of(&client, &world.redeem(&client, &code).await)
}

async fn tool_names(world: &World, token: &str) -> Vec<String> {
    let list = world.mcp(Some(token), &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).await;
    let tools = list.json()["result"]["tools"].as_array().expect("tools").clone();
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn approval_page_shows_each_scope_with_its_tools() {
    let world = World::new();
    let client = world.client().await;
    let page = world.get(&world.authorize_path(&client, &[])).await.text;
    for text in [
        "<input type=\"checkbox\" name=\"scope\" value=\"todo:read\" checked>",
        "<input type=\"checkbox\" name=\"scope\" value=\"todo:write\" checked>",
        "Tools: Get my todo list<",
        "Tools: Create a todo, Delete a todo, Mark a todo as done or open<",
        "value=\"read-only\"",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // A single scope leaves no choice.
    let page = world.get(&world.authorize_path(&client, &[("scope", "todo:read")])).await.text;
    assert!(page.contains("todo:read") && !page.contains("name=\"scope\""), "{page}");
    assert!(!page.contains("value=\"read-only\""), "{page}");
}

#[tokio::test]
async fn scope_left_out_is_not_granted_and_its_tools_are_hidden() {
    for (fields, button) in [(&[("scope", "todo:read")][..], "approve"), (&[], "read-only")] {
        let world = World::new();
        let tokens = tokens(&world, fields, button).await;
        assert_eq!(tokens.response["scope"], "todo:read");
        // A client of another user has the whole list, which is written once.
        let bob = world.connected_as("bob", &[]).await;
        assert_eq!(tool_names(&world, &bob.access).await.len(), 5);
        assert_eq!(tool_names(&world, &tokens.access).await, ["get_my_todo_list", "who_am_i"]);
        assert_eq!(tool_names(&world, &bob.access).await.len(), 5);
        assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
        let refused = world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.header("www-authenticate").contains("scope=\"todo:read todo:write\""));
        // PingOne was not asked for it either.
        let exchanges = world.network.exchanges();
        let urls = exchanges.iter().map(|exchange| exchange.request.uri().to_string());
        let asked = urls.filter(|url| url.contains("/as/authorize?")).take(1).collect::<Vec<_>>();
        assert!(!asked.is_empty() && asked.iter().all(|url| !url.contains("todo%3Awrite")), "{asked:?}");
    }
}

#[tokio::test]
async fn approval_of_no_scope_is_refused_and_the_page_stays_open() {
    let world = World::new();
    let (client, mut browser) = (world.client().await, world.browser());
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let handle = crate::world::handle_in(&page.text).expect("a handle");
    let url = page.url.join("/approve").expect("a URL");
    let body = format!("handle={handle}&choice=yes&decision=approve");
    let refused = browser.post(url, body, &page.url).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("You left every box empty"), "{}", refused.text);
    let page = browser.submit(&page, &[], "approve").await;
    assert!(page.url.as_str().contains("/as/authorize"), "{}", page.url);
}

#[tokio::test]
async fn scope_that_the_page_did_not_show_is_not_granted() {
    let world = World::new();
    let (client, mut browser) = (world.client().await, world.browser());
    let url = world.authorize_url(&client, &[("scope", "todo:read")]);
    let page = browser.open(&url).await;
    let handle = crate::world::handle_in(&page.text).expect("a handle");
    let target = page.url.join("/approve").expect("a URL");
    let body =
        format!("handle={handle}&choice=yes&scope=todo:read&scope=todo:write&scope=p1:all&decision=approve");
    let page = browser.post(target, body, &page.url).await;
    let scope = page.url.query_pairs().find(|(name, _)| name == "scope").expect("a scope").1.into_owned();
    assert_eq!(scope, "openid profile offline_access todo:read");
}

#[tokio::test]
async fn remembered_approval_keeps_the_choice() {
    let world = World::with(&[("CLIENT_APPROVAL", "remember")]);
    let (client, mut browser) = (world.client().await, world.browser());
    let page = approved(&world, &mut browser, &client, (&[("scope", "todo:read")], "approve")).await;
    world.finish_at_pingone(&mut browser, "alice", page).await;
    let again = browser.open(&world.authorize_url(&client, &[])).await;
    let code = code_at_client(&again).unwrap_or_else(|| panic!("{}:\n{}", again.url, again.text));
    let tokens = Tokens::of(&client, &world.redeem(&client, &code).await);
    assert_eq!(tokens.response["scope"], "todo:read");
    assert_eq!(tool_names(&world, &tokens.access).await, ["get_my_todo_list", "who_am_i"]);
    // A client that asks for the rest alone has the user asked.
    let rest = browser.open(&world.authorize_url(&client, &[("scope", "todo:write")])).await;
    assert_eq!(rest.url.path(), "/authorize");
}

#[tokio::test]
async fn change_on_your_agents_forgets_the_remembered_approval() {
    for button in ["end", "read-only", "end-all"] {
        let world = World::with(&[("CLIENT_APPROVAL", "remember")]);
        let (client, mut browser) = (world.client().await, world.browser());
        for client in [&client, &world.client().await] {
            let page = world.log_in_to(&mut browser, client).await;
            world.redeem(client, &code_at_client(&page).expect("a code")).await;
            world.host.advance(1);
        }
        assert_ne!(browser.clone().open(&world.authorize_url(&client, &[])).await.url.path(), "/authorize");
        let page = world.sign_in_to_agents(&mut browser, "alice").await;
        // The client that connected first is the last of the list.
        let agent = crate::world::agent_ids(&page).pop().expect("an agent");
        browser.submit(&page, &[("agent", &agent), ("confirm", "yes")], button).await;
        let page = browser.open(&world.authorize_url(&client, &[])).await;
        assert_eq!(page.url.path(), "/authorize", "{button}");
        let all = browser.cookie(DEPUTY, "__Host-mcp-approved").is_none();
        assert_eq!(all, button == "end-all", "the other approval stays");
        assert_eq!(browser.open(&agents_url()).await.status, StatusCode::OK);
    }
}
