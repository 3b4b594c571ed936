//! Users who share a client or a browser.

use serde_json::json;

use crate::world::{Tokens, World};

#[tokio::test]
async fn two_users_of_one_client_stay_separate() {
    let world = World::new();
    let client = world.client().await;
    let mut tokens = Vec::new();
    for user in ["alice", "bob"] {
        let url = world.authorize_url(&client, &[]);
        let page = world.log_in(&mut world.browser(), user, &url).await;
        tokens.push(Tokens::of(&client, &world.redeem(&client, &page.query("code").unwrap()).await));
    }
    world.call(&tokens[0].access, "create_new_todo", json!({ "text": "Only mine" })).await;
    let list = world.call(&tokens[1].access, "get_my_todo_list", json!({})).await;
    assert!(!list.text.contains("Only mine"), "{}", list.text);
    for (tokens, name) in tokens.iter().zip(["Alice", "Bob"]) {
        let me = world.call(&tokens.access, "who_am_i", json!({})).await;
        assert!(me.text.contains(name), "{}", me.text);
    }
}

#[tokio::test]
async fn next_user_of_the_same_browser_stays_separate() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let mut tokens = Vec::new();
    for (user, prompt) in [("alice", ""), ("bob", "login")] {
        let url = world.authorize_url(&client, &[("prompt", prompt)]);
        let page = world.log_in(&mut browser, user, &url).await;
        tokens.push(Tokens::of(&client, &world.redeem(&client, &page.query("code").unwrap()).await));
    }
    world.call(&tokens[0].access, "create_new_todo", json!({ "text": "Only mine" })).await;
    for (tokens, name, todos) in [(&tokens[0], "Alice Anders", 1), (&tokens[1], "Bob", 0)] {
        let me = world.call(&tokens.access, "who_am_i", json!({})).await;
        assert!(me.text.contains(name), "{}", me.text);
        let list = world.call(&tokens.access, "get_my_todo_list", json!({})).await.json();
        assert_eq!(list["result"]["structuredContent"]["todos"].as_array().map(Vec::len), Some(todos));
    }
}
