//! The secret of the webhook.

use serde_json::{Value, json};

use super::{
    super::report::Verb,
    world::{Mode, NEW_SECRET, NEW_WEBHOOK, WEBHOOK, World, verbs},
};

/// The headers of each webhook.
async fn headers(world: &World) -> Vec<Value> {
    let webhooks = world.management().await.list("/subscriptions", "subscriptions").await.unwrap();
    webhooks.into_iter().map(|mut webhook| webhook["httpEndpoint"]["headers"].take()).collect()
}

fn bearer(secret: &str) -> Value {
    json!({ "Authorization": format!("Bearer {secret}") })
}

#[tokio::test]
async fn existing_webhook_keeps_its_secret_without_the_variable() {
    let world = World::new();
    assert!(world.run(Mode::Apply, &[WEBHOOK]).await.error.is_none());
    for mode in [Mode::Plan, Mode::Apply, Mode::Prune, Mode::Verify] {
        let ran = world.run(mode, &[NEW_WEBHOOK]).await;
        let expected = ["webhook https://deputy.example.com/pingone/events"];
        assert_eq!(verbs(&ran.lines, Verb::ByHand), expected, "{:?}", ran.lines);
        assert_eq!(verbs(&ran.lines, Verb::Change), [""; 0], "{:?}", ran.lines);
    }
    assert_eq!(headers(&world).await, [bearer(WEBHOOK.1)]);
}

#[tokio::test]
async fn new_secret_waits_for_the_steps_by_hand() {
    let world = World::new();
    let applied = world.run(Mode::Apply, &[NEW_WEBHOOK, ("PINGONE_DV_POLICY_ID", "")]).await;
    assert_eq!(verbs(&applied.lines, Verb::ByHand).len(), 7, "{:?}", applied.lines);
    assert_eq!(headers(&world).await, [json!(null); 0]);
    let applied = world.run(Mode::Apply, &[NEW_WEBHOOK]).await;
    assert_eq!(verbs(&applied.lines, Verb::ByHand), [""; 0], "{:?}", applied.lines);
    assert_eq!(headers(&world).await, [bearer(NEW_SECRET)]);
}

#[tokio::test]
async fn newest_secret_replaces_the_old_one() {
    let world = World::new();
    assert!(world.run(Mode::Apply, &[WEBHOOK]).await.error.is_none());
    let both = format!("{NEW_SECRET},{}", WEBHOOK.1);
    let applied = world.run(Mode::Apply, &[(WEBHOOK.0, &both)]).await;
    assert_eq!(verbs(&applied.lines, Verb::Change).len(), 1, "{:?}", applied.lines);
    assert_eq!(headers(&world).await, [bearer(NEW_SECRET)]);
}

#[tokio::test]
async fn header_in_other_letters_is_replaced() {
    let world = World::new();
    assert!(world.run(Mode::Apply, &[WEBHOOK]).await.error.is_none());
    let lower = json!({ "authorization": "Bearer another", "x-kept": "1" });
    let change = |webhook: &mut Value| webhook["httpEndpoint"]["headers"] = lower;
    world.edit("/subscriptions", |_| true, change).await;
    assert!(world.run(Mode::Apply, &[WEBHOOK]).await.error.is_none());
    let mut expected = bearer(WEBHOOK.1);
    expected["x-kept"] = json!("1");
    assert_eq!(headers(&world).await, [expected]);
}
