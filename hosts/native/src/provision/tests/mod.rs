//! Runs against the simulated PingOne, in memory. Pauses take no time.

mod drift;
mod interruption;
mod keys;
mod local;
mod webhook;
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
async fn new_scopes_get_the_descriptions_of_the_document() {
    let world = World::new();
    let planned = world.run(Mode::Plan, &[]).await;
    world.run(Mode::Apply, &[]).await;
    let scopes = world.management().await.list(&world.scopes().await, "scopes").await.unwrap();
    for (scope, words) in world::DESCRIPTIONS {
        let made = scopes.iter().find(|made| made["name"] == scope).unwrap();
        assert_eq!(made["description"], words, "{made}");
        let line = planned.lines.iter().find(|line| line.object == format!("scope {scope}")).unwrap();
        assert_eq!((line.verb, line.detail.as_str()), (Verb::Create, words));
    }
}

#[tokio::test]
async fn missing_flow_policy_is_left_to_the_operator() {
    let world = World::new();
    let applied = world.run(Mode::Apply, &[("PINGONE_DV_POLICY_ID", "")]).await;
    let steps = ["consent worker", "connector", "flow", "consent node", "declined consent", "flow policy"];
    assert_eq!(verbs(&applied.lines, Verb::ByHand), steps);
    let steps = details(&applied.lines, Verb::ByHand).join("\n");
    for named in [
        applied.client_id.as_ref().unwrap(),
        "todo:read todo:write",
        &world.sim.config().policy_id,
        &world.sim.config().environment_id,
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
async fn flow_is_compared_as_far_as_the_worker_may_read_it() {
    let world = World::new();
    assert!(world.run(Mode::Apply, &[]).await.error.is_none());
    let change_roles = |change: fn(&mut Vec<String>)| {
        world.sim.configure(|settings| change(&mut settings.tenant.provisioner_roles));
    };
    change_roles(|roles| roles.retain(|role| role != world::READS_FLOWS));
    let verified = world.run(Mode::Verify, &[]).await;
    assert_eq!(verbs(&verified.lines, Verb::Unknown), ["flow"], "{:?}", verified.lines);
    assert!(details(&verified.lines, Verb::Unknown)[0].contains("DaVinci Admin Read Only"));
    change_roles(|roles| roles.push(world::READS_FLOWS.to_owned()));
    let verified = world.run(Mode::Verify, &[]).await;
    assert_eq!(verbs(&verified.lines, Verb::Ok).len(), verified.lines.len(), "{:?}", verified.lines);
    world.sim.configure(|settings| {
        settings.tenant.flow.consent_scopes = Some(vec!["todo:read".to_owned()]);
        settings.tenant.connector.worker_roles.clear();
    });
    let verified = world.run(Mode::Verify, &[]).await;
    assert_eq!(
        verbs(&verified.lines, Verb::ByHand),
        ["consent node", "consent worker"],
        "{:?}",
        verified.lines
    );
    assert!(details(&verified.lines, Verb::ByHand)[0].contains("todo:write"));
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
async fn required_pushed_requests_stay_if_deputy_pushes() {
    let world = World::new();
    let client_id = world.run(Mode::Apply, &[]).await.client_id.unwrap();
    let is_it = |item: &serde_json::Value| item["id"] == *client_id;
    world.edit("/applications", is_it, |app| app["parRequirement"] = json!("REQUIRED")).await;
    let verified = world.run(Mode::Verify, &[]).await;
    assert_eq!(verbs(&verified.lines, Verb::Keep), ["application Deputy"], "{:?}", verified.lines);
    let verified = world.run(Mode::Verify, &[("PINGONE_PAR", "on")]).await;
    assert_eq!(verbs(&verified.lines, Verb::Keep), [""; 0], "{:?}", verified.lines);
    world.sim.configure(|settings| settings.require_pushed_requests = true);
    let verified = world.run(Mode::Verify, &[]).await;
    assert_eq!(verbs(&verified.lines, Verb::Keep), [""; 0], "{:?}", verified.lines);
}

#[tokio::test]
async fn application_made_by_hand_is_not_adopted_by_name() {
    let world = World::new();
    let by_hand = json!({
        "name": "Deputy", "enabled": true, "type": "WEB_APP", "protocol": "OPENID_CONNECT",
        "grantTypes": ["AUTHORIZATION_CODE"], "tokenEndpointAuthMethod": "CLIENT_SECRET_BASIC",
    });
    let application = world.management().await.create("/applications", &by_hand).await.unwrap();
    let client_id = application["id"].as_str().unwrap();
    for mode in [Mode::Plan, Mode::Apply, Mode::Prune] {
        let error = world.run(mode, &[]).await.error.unwrap();
        assert!(error.to_string().contains(&format!("PINGONE_CLIENT_ID={client_id}")), "{error}");
    }
    let path = format!("/applications/{client_id}");
    assert_eq!(world.management().await.get(&path).await.unwrap(), application);
}

#[tokio::test]
async fn application_of_another_address_is_not_adopted_by_name() {
    let world = World::new();
    let applied = world.run(Mode::Apply, &[]).await;
    let local = [("PUBLIC_URL", "http://localhost:8787")];
    let error = world.run(Mode::Apply, &local).await.error.unwrap();
    assert!(matches!(error, ProvisionError::NotAdopted { .. }), "{error}");
    let with_id = [local[0], ("PINGONE_CLIENT_ID", applied.client_id.as_deref().unwrap())];
    assert!(world.run(Mode::Apply, &with_id).await.error.is_none());
}

#[tokio::test]
async fn change_of_an_administrator_during_a_run_stays() {
    let world = World::new();
    let client_id = world.run(Mode::Apply, &[]).await.client_id.unwrap();
    let is_it = |item: &serde_json::Value| item["id"] == *client_id;
    world.edit("/applications", is_it, |app| app["pkceEnforcement"] = json!("OPTIONAL")).await;
    let path = format!("/applications/{client_id}");
    world.edit_before_request(&path, json!({ "homePageUrl": "https://home.example/" }));
    let applied = world.run(Mode::Apply, &[]).await;
    assert_eq!(verbs(&applied.lines, Verb::Change), ["application Deputy"], "{:?}", applied.lines);
    let held = world.management().await.get(&path).await.unwrap();
    assert_eq!(held["homePageUrl"], "https://home.example/");
    assert_eq!(held["pkceEnforcement"], "S256_REQUIRED");
}

#[tokio::test]
async fn wrong_client_secret_that_is_not_written_is_by_hand() {
    let world = World::new();
    assert!(world.run(Mode::Apply, &[]).await.error.is_none());
    let secret = ("PINGONE_CLIENT_SECRET", "another-secret");
    for place in [("--output", "none"), ("PINGONE_CLIENT_SECRET_FILE", "/run/secret")] {
        let applied = world.run(Mode::Apply, &[secret, place]).await;
        assert_eq!(verbs(&applied.lines, Verb::ByHand), ["PINGONE_CLIENT_SECRET"], "{:?}", applied.lines);
        assert_eq!(verbs(&applied.lines, Verb::Change), [""; 0], "{:?}", applied.lines);
    }
    let applied = world.run(Mode::Apply, &[secret]).await;
    assert_eq!(verbs(&applied.lines, Verb::Change), ["PINGONE_CLIENT_SECRET"], "{:?}", applied.lines);
}

#[test]
fn id_that_is_no_part_of_a_path_is_refused() {
    let is_id = |id: serde_json::Value| super::run::id(&json!({ "id": id })).is_ok();
    assert!(is_id(json!("5e1f0000-0000-4000-8000-00000000de90")));
    assert!(is_id(json!("8b560eda9614e47d163c8bb92750ac3b")));
    for wrong in
        [json!(""), json!(null), json!(7), json!("a/b"), json!(".."), json!("a?b"), json!("a".repeat(65))]
    {
        assert!(!is_id(wrong.clone()), "{wrong}");
    }
}
