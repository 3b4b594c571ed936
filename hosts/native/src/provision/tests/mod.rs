//! Runs against the simulated PingOne, in memory. Pauses take no time.

mod drift;
mod interruption;
mod world;

use pingone_sim::{Failure, ManagementFault};
use serde_json::json;

use super::{ProvisionError, report::Verb};
use world::{Mode, World, details, verbs};

#[tokio::test]
async fn empty_environment_gets_everything_and_then_nothing() {
    let world = World::new();
    let planned = world.run(Mode::Plan, &[]).await;
    assert_eq!(world.objects().await, World::new().objects().await, "a plan changes something");
    let applied = world.run(Mode::Apply, &[]).await;
    assert!(applied.error.is_none(), "{:?}", applied.error);
    // The resource of OpenID Connect is there already.
    assert_eq!(verbs(&applied.lines, Verb::Create), verbs(&planned.lines, Verb::Create));
    assert_eq!(verbs(&applied.lines, Verb::Create).len(), applied.lines.len(), "{:?}", applied.lines);
    let again = world.run(Mode::Apply, &[]).await;
    assert_eq!(verbs(&again.lines, Verb::Ok).len(), again.lines.len(), "{:?}", again.lines);
    assert_eq!(again.lines.len(), applied.lines.len());
    assert_eq!(applied.client_id, again.client_id);
    assert!(applied.client_id.is_some());
}

#[tokio::test]
async fn application_of_the_run_lets_users_log_in() {
    let world = World::new();
    let applied = world.run(Mode::Apply, &[]).await;
    let (client_id, secret) = (applied.client_id.unwrap(), applied.client_secret.unwrap());
    let tokens = world.log_in(&client_id, &secret).await;
    assert_eq!(tokens["scope"], "openid profile offline_access todo:read todo:write", "{tokens}");
    assert!(tokens["refresh_token"].is_string() && tokens["id_token"].is_string(), "{tokens}");
    assert_eq!(world::claims(&tokens["access_token"])["aud"], json!([world::API]));
    assert_eq!(world::claims(&tokens["access_token"])["client_id"], json!(client_id));
}

#[tokio::test]
async fn missing_flow_policy_is_left_to_the_operator() {
    let world = World::new();
    let applied = world.run(Mode::Apply, &[("PINGONE_DV_POLICY_ID", "")]).await;
    assert_eq!(verbs(&applied.lines, Verb::ByHand), ["connector", "flow", "flow policy"]);
    let steps = details(&applied.lines, Verb::ByHand).join("\n");
    for named in [
        applied.client_id.as_ref().unwrap(),
        "todo:read todo:write",
        &world.sim.config().policy_id,
        "access_denied",
    ] {
        assert!(steps.contains(named), "{named}: {steps}");
    }
    let other = world.run(Mode::Apply, &[("PINGONE_DV_POLICY_ID", &"1".repeat(32))]).await;
    assert_eq!(verbs(&other.lines, Verb::ByHand).len(), 1, "{:?}", other.lines);
    world.sim.configure(|settings| settings.tenant.policy.enabled = false);
    let disabled = world.run(Mode::Apply, &[]).await;
    assert!(details(&disabled.lines, Verb::ByHand)[0].contains("disabled"), "{:?}", disabled.lines);
    world.sim.configure(|settings| {
        settings.tenant.policy.enabled = true;
        settings.tenant.policy.trigger = "SCHEDULED".to_owned();
    });
    let trigger = world.run(Mode::Apply, &[]).await;
    assert!(details(&trigger.lines, Verb::ByHand)[0].contains("type PingOne"), "{:?}", trigger.lines);
}

#[tokio::test]
async fn worker_without_a_role_gets_an_error_that_names_it() {
    let world = World::new();
    let with_roles = |roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        world.sim.configure(|settings| settings.tenant.provisioner_roles = roles);
    };
    with_roles(&[]);
    let error = world.run(Mode::Apply, &[]).await.error.unwrap();
    assert!(matches!(error, ProvisionError::SignIn(_)), "{error}");
    for roles in
        [&["Identity Data Admin"][..], &["Configuration Read Only"], &["Client Application Developer"]]
    {
        with_roles(roles);
        let error = world.run(Mode::Apply, &[]).await.error.unwrap();
        assert!(matches!(error, ProvisionError::Roles(_)), "{roles:?}: {error}");
        for named in ["PINGONE_WORKER_CLIENT_ID", "Client Application Developer", "Configuration Read Only"] {
            assert!(error.to_string().contains(named), "{error}");
        }
    }
    with_roles(&["Client Application Developer", "Configuration Read Only"]);
    assert!(world.run(Mode::Apply, &[]).await.error.is_none());
    // The webhook needs one more.
    let error = world.run(Mode::Apply, &[world::WEBHOOK]).await.error.unwrap();
    assert!(error.to_string().starts_with("POST /subscriptions responds with 403"), "{error}");
    with_roles(&["Configuration Read Only"]);
    assert!(world.run(Mode::Plan, &[]).await.error.is_none(), "a plan needs no role that writes");
}

#[tokio::test]
async fn name_of_something_else_is_a_conflict() {
    let world = World::new();
    let audience = ("API_IDENTIFIER", "https://other.example");
    assert!(world.run(Mode::Apply, &[audience]).await.error.is_none());
    let error = world.run(Mode::Apply, &[]).await.error.unwrap();
    assert!(error.to_string().contains("--resource-name"), "{error}");

    let world = World::new();
    let worker = json!({
        "name": "Deputy", "enabled": true, "type": "WORKER", "protocol": "OPENID_CONNECT",
        "grantTypes": ["CLIENT_CREDENTIALS"], "tokenEndpointAuthMethod": "CLIENT_SECRET_BASIC",
    });
    world.management().await.create("/applications", &worker).await.unwrap();
    let error = world.run(Mode::Apply, &[]).await.error.unwrap();
    assert!(error.to_string().contains("--application-name"), "{error}");
    let error = world.run(Mode::Apply, &[("PINGONE_CLIENT_ID", "nothing")]).await.error.unwrap();
    assert!(matches!(error, ProvisionError::NoApplication), "{error}");
}

#[tokio::test]
async fn demanded_pause_is_kept_and_bounded() {
    let world = World::new();
    world.fail(3, ManagementFault::RetryAfter(7));
    assert!(world.run(Mode::Apply, &[]).await.error.is_none());
    assert_eq!(world.pauses(), [7_000]);

    let world = World::new();
    world.fail(3, ManagementFault::RetryAfter(3_600));
    let error = world.run(Mode::Apply, &[]).await.error.unwrap();
    assert!(error.to_string().contains("after 3600 seconds"), "{error}");
    assert_eq!(world.pauses(), [0; 0]);

    let world = World::new();
    world.sim.force_always(Failure::Management(503));
    assert!(world.run(Mode::Apply, &[]).await.error.is_some());
    assert_eq!(world.pauses().len(), 5, "{:?}", world.pauses());
}

#[tokio::test]
async fn key_of_deputy_replaces_the_client_secret() {
    let world = World::new();
    let key = [
        ("PINGONE_CLIENT_AUTH", "private_key_jwt"),
        ("PINGONE_CLIENT_KEY", include_str!("../../../../../tests/requests/pingone_client_key.json")),
    ];
    let applied = world.run(Mode::Apply, &key).await;
    assert!(applied.error.is_none(), "{:?}", applied.error);
    assert_eq!((applied.client_secret, applied.client_id.is_some()), (None, true));
    let again = world.run(Mode::Verify, &key).await;
    assert_eq!(verbs(&again.lines, Verb::Ok).len(), again.lines.len(), "{:?}", again.lines);
    // Without the key, PingOne would accept a secret again: less than before.
    let without = world.run(Mode::Apply, &[]).await;
    assert_eq!(verbs(&without.lines, Verb::Keep), ["application Deputy"], "{:?}", without.lines);
}
