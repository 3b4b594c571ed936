//! Resource indicators (RFC 8707).

use http::StatusCode;

use crate::world::{World, authorization_error};

#[tokio::test]
async fn foreign_resource_is_invalid_target_even_beside_valid_one() {
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
        let overrides: Vec<_> = resources.iter().map(|resource| ("resource", *resource)).collect();
        let path = world.authorize_path(&client, &overrides);
        assert_eq!(authorization_error(&world, &path).await, "invalid_target", "{resources:?}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn resource_spellings_of_real_clients_are_accepted() {
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
async fn refresh_for_another_resource_is_refused_and_keeps_the_token() {
    let world = World::new();
    let tokens = world.connected().await;
    for resource in [
        "https://evil.example/mcp",
        "https://deputy.example/mcp#x",
        "https://deputy.example.evil.example/mcp",
    ] {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", tokens.client.as_str()),
            ("refresh_token", tokens.refresh.as_str()),
            ("resource", resource),
        ];
        assert_eq!(world.post_form("/token", &form).await.json()["error"], "invalid_target", "{resource}");
    }
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
}
