//! Drifts: changes of an administrator that differ from the configuration.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

use super::{
    super::report::Verb,
    world::{Mode, WEBHOOK, World, verbs},
};

/// A change in PingOne.
struct Drift {
    name: &'static str,
    object: Object,
    change: fn(&mut Value),
    /// The verbs of the lines that tell it.
    verbs: &'static [Verb],
}

/// The object that changes.
enum Object {
    Application,
    ApiGrant,
    OpenIdGrant,
    Scope,
    Webhook,
}

const CHANGE: &[Verb] = &[Verb::Change];
const KEEP: &[Verb] = &[Verb::Keep];

const DRIFTS: &[Drift] = &[
    application("disabled", |app| app["enabled"] = json!(false), KEEP),
    application(
        "no grant type Refresh Token",
        |app| app["grantTypes"] = json!(["AUTHORIZATION_CODE"]),
        CHANGE,
    ),
    application("grant type Implicit", |app| push(&mut app["grantTypes"], "IMPLICIT"), KEEP),
    application("response type Token", |app| push(&mut app["responseTypes"], "TOKEN"), KEEP),
    application("PKCE optional", |app| app["pkceEnforcement"] = json!("OPTIONAL"), CHANGE),
    application("PKCE with plain", |app| app["pkceEnforcement"] = json!("REQUIRED"), CHANGE),
    application(
        "other authentication",
        |app| app["tokenEndpointAuthMethod"] = json!("CLIENT_SECRET_POST"),
        CHANGE,
    ),
    application(
        "stricter authentication",
        |app| app["tokenEndpointAuthMethod"] = json!("CLIENT_SECRET_JWT"),
        KEEP,
    ),
    application("no redirect URI", |app| app["redirectUris"] = json!([]), CHANGE),
    application("another redirect URI", |app| push(&mut app["redirectUris"], "https://old.example/cb"), KEEP),
    application(
        "another redirect URI instead",
        |app| app["redirectUris"] = json!(["https://old.example/cb"]),
        &[Verb::Change, Verb::Keep],
    ),
    application("wildcards", |app| app["allowWildcardInRedirectUris"] = json!(true), CHANGE),
    application("pushed requests required", |app| app["parRequirement"] = json!("REQUIRED"), KEEP),
    application("signed requests required", |app| app["requireSignedRequestObject"] = json!(true), KEEP),
    application("JWT refresh tokens", |app| app["refreshTokenType"] = json!("JSON_WEB_TOKEN"), CHANGE),
    application(
        "no replay protection",
        |app| app["additionalRefreshTokenReplayProtectionEnabled"] = json!(false),
        CHANGE,
    ),
    application("no grace", |app| app["refreshTokenRollingGracePeriodDuration"] = json!(0), KEEP),
    application("refresh tokens of a day", |app| app["refreshTokenDuration"] = json!(86_400), KEEP),
    application("absolute limit of a day", |app| app["refreshTokenRollingDuration"] = json!(86_400), KEEP),
    Drift { name: "no scope of the API", object: Object::ApiGrant, change: no_scopes, verbs: CHANGE },
    Drift { name: "no OpenID scope", object: Object::OpenIdGrant, change: no_scopes, verbs: CHANGE },
    Drift {
        name: "scope without a description",
        object: Object::Scope,
        change: |scope| scope["description"] = json!(""),
        verbs: CHANGE,
    },
    webhook("suspended webhook", |webhook| webhook["enabled"] = json!(false), CHANGE),
    webhook("webhook in another format", |webhook| webhook["format"] = json!("SPLUNK"), CHANGE),
    webhook("webhook without TLS", |webhook| webhook["verifyTlsCertificates"] = json!(false), CHANGE),
    webhook(
        "webhook with one event",
        |webhook| webhook["filterOptions"]["includedActionTypes"] = json!(["USER.DELETED"]),
        CHANGE,
    ),
    webhook(
        "webhook with another secret",
        |webhook| {
            webhook["httpEndpoint"]["headers"]["Authorization"] =
                json!("Bearer another-secret-of-32-characters!!");
        },
        CHANGE,
    ),
    webhook(
        "webhook with another secret in a header in lower case",
        |webhook| {
            let secret = "Bearer another-secret-of-32-characters!!";
            webhook["httpEndpoint"]["headers"] = json!({ "authorization": secret });
        },
        CHANGE,
    ),
    webhook("webhook without a secret", |webhook| webhook["httpEndpoint"]["headers"] = json!({}), CHANGE),
];

const fn application(name: &'static str, change: fn(&mut Value), verbs: &'static [Verb]) -> Drift {
    Drift { name, object: Object::Application, change, verbs }
}

const fn webhook(name: &'static str, change: fn(&mut Value), verbs: &'static [Verb]) -> Drift {
    Drift { name, object: Object::Webhook, change, verbs }
}

fn no_scopes(grant: &mut Value) {
    grant["scopes"] = json!([]);
}

fn push(list: &mut Value, text: &str) {
    list.as_array_mut().unwrap().push(json!(text));
}

impl Drift {
    async fn happen(&self, world: &World, client_id: &str) {
        let grants = format!("/applications/{client_id}/grants");
        let openid = "0be21d00-0000-4000-8000-000000000001";
        match self.object {
            Object::Application => {
                world.edit("/applications", |item| item["id"] == client_id, self.change).await;
            }
            Object::ApiGrant => {
                world.edit(&grants, |item| item["resource"]["id"] != openid, self.change).await;
            }
            Object::OpenIdGrant => {
                world.edit(&grants, |item| item["resource"]["id"] == openid, self.change).await;
            }
            Object::Scope => {
                world.edit(&world.scopes().await, |item| item["name"] == "todo:read", self.change).await;
            }
            Object::Webhook => world.edit("/subscriptions", |_| true, self.change).await,
        }
    }
}

/// Compares the table of docs/provision.md with `rows`, or replaces it.
fn document(rows: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/provision.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- drifts -->\n\n", "\n<!-- end of drifts -->");
    let (before, rest) = page.split_once(begin).expect("a comment before the table");
    let (held, after) = rest.split_once(end).expect("a comment after the table");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{rows}{end}{after}")).unwrap();
        return;
    }
    let update = "UPDATE_DOCS=1 cargo test -p deputy-native --lib drift";
    assert_eq!(held, rows, "docs/provision.md is out of date; {update} writes it anew");
}

/// The verbs of all lines that tell a difference.
fn differences(lines: &[super::super::report::Line]) -> Vec<Verb> {
    lines.iter().map(|line| line.verb).filter(|verb| *verb != Verb::Ok).collect()
}

/// `UPDATE_DOCS=1 cargo test -p deputy-native --lib drift` writes the table anew.
#[tokio::test]
async fn every_drift_is_told_and_ended() {
    let mut table = "| Change | Line |\n| --- | --- |\n".to_owned();
    for drift in DRIFTS {
        let world = World::new();
        let client_id = world.run(Mode::Apply, &[WEBHOOK]).await.client_id.unwrap();
        drift.happen(&world, &client_id).await;
        let drifted = world.objects().await;
        let verified = world.run(Mode::Verify, &[WEBHOOK]).await;
        assert_eq!(differences(&verified.lines), drift.verbs, "{}: {:?}", drift.name, verified.lines);
        let told = verified.lines.iter().filter(|line| line.verb != Verb::Ok).map(|line| {
            let verb: &str = line.verb.into();
            format!("{verb} {}: {}", line.object, line.detail)
        });
        let _ = writeln!(table, "| {} | {} |", drift.name, told.collect::<Vec<_>>().join("; "));
        assert_eq!(world.objects().await, drifted, "{}", drift.name);
        // Without --prune, exactly the kept ones stay.
        world.run(Mode::Apply, &[WEBHOOK]).await;
        let kept: Vec<_> = drift.verbs.iter().copied().filter(|verb| *verb == Verb::Keep).collect();
        let verified = world.run(Mode::Verify, &[WEBHOOK]).await;
        assert_eq!(differences(&verified.lines), kept, "{}: {:?}", drift.name, verified.lines);
        let pruned = world.run(Mode::Prune, &[WEBHOOK]).await;
        assert!(pruned.error.is_none(), "{}: {:?}", drift.name, pruned.error);
        let verified = world.run(Mode::Verify, &[WEBHOOK]).await;
        assert_eq!(differences(&verified.lines), [], "{}: {:?}", drift.name, verified.lines);
    }
    document(&table);
}

#[tokio::test]
async fn description_of_an_administrator_stays() {
    let world = World::new();
    world.run(Mode::Apply, &[]).await;
    let change = |scope: &mut Value| scope["description"] = json!("Look at the list");
    world.edit(&world.scopes().await, |item| item["name"] == "todo:read", change).await;
    for mode in [Mode::Prune, Mode::Verify] {
        let ran = world.run(mode, &[]).await;
        assert_eq!(differences(&ran.lines), [], "{:?}", ran.lines);
        let line = ran.lines.iter().find(|line| line.object == "scope todo:read").unwrap();
        assert_eq!(line.detail, "PingOne has another description, which stays: Look at the list");
    }
}

#[tokio::test]
async fn extra_object_is_kept_until_a_run_prunes() {
    let world = World::new();
    let client_id = world.run(Mode::Apply, &[WEBHOOK]).await.client_id.unwrap();
    let expected = world.objects().await;
    let management = world.management().await;
    // A second webhook, a grant of another API, another flow policy.
    let webhooks = management.list("/subscriptions", "subscriptions").await.unwrap();
    management.create("/subscriptions", &webhooks[0]).await.unwrap();
    let resource = json!({ "name": "Other", "audience": "https://other.example" });
    let resource = management.create("/resources", &resource).await.unwrap();
    let grant = json!({ "resource": { "id": resource["id"] }, "scopes": [] });
    management.create(&format!("/applications/{client_id}/grants"), &grant).await.unwrap();
    let policy = json!({ "flowPolicy": { "id": "07be4000000000000000000000000001" }, "priority": 1 });
    management.create(&format!("/applications/{client_id}/flowPolicyAssignments"), &policy).await.unwrap();
    let applied = world.run(Mode::Apply, &[WEBHOOK]).await;
    assert_eq!(differences(&applied.lines), [Verb::Keep; 3], "{:?}", applied.lines);
    let pruned = world.run(Mode::Prune, &[WEBHOOK]).await;
    assert_eq!(verbs(&pruned.lines, Verb::Remove).len(), 3, "{:?}", pruned.lines);
    // The resource stays: other applications may use it.
    management.delete(&format!("/resources/{}", resource["id"].as_str().unwrap())).await.unwrap();
    assert_eq!(world.objects().await, expected);
}

#[tokio::test]
async fn sign_on_policy_stands_in_the_way_of_the_flow_policy() {
    let world = World::new();
    let client_id = world.run(Mode::Apply, &[]).await.client_id.unwrap();
    let expected = world.objects().await;
    let management = world.management().await;
    let assignments = format!("/applications/{client_id}/flowPolicyAssignments");
    for assignment in management.list(&assignments, "flowPolicyAssignments").await.unwrap() {
        management.delete(&format!("{assignments}/{}", assignment["id"].as_str().unwrap())).await.unwrap();
    }
    let single = json!({ "signOnPolicy": { "id": "single-factor" }, "priority": 1 });
    let path = format!("/applications/{client_id}/signOnPolicyAssignments");
    management.create(&path, &single).await.unwrap();
    let applied = world.run(Mode::Apply, &[]).await;
    assert_eq!(differences(&applied.lines), [Verb::Keep, Verb::ByHand], "{:?}", applied.lines);
    assert!(world.run(Mode::Prune, &[]).await.error.is_none());
    assert_eq!(world.objects().await, expected);
}

#[tokio::test]
async fn application_made_by_hand_is_adopted_by_its_client_id() {
    let world = World::new();
    let by_hand = json!({
        "name": "Made by hand", "enabled": true, "type": "WEB_APP", "protocol": "OPENID_CONNECT",
        "grantTypes": ["AUTHORIZATION_CODE"], "responseTypes": ["CODE"],
        "tokenEndpointAuthMethod": "CLIENT_SECRET_BASIC", "description": "Ours",
        "redirectUris": ["https://deputy.example.com/callback"], "homePageUrl": "https://home.example/",
    });
    let application = world.management().await.create("/applications", &by_hand).await.unwrap();
    let client_id = application["id"].as_str().unwrap();
    let variables = [("PINGONE_CLIENT_ID", client_id), ("PINGONE_CLIENT_SECRET", "another-secret")];
    let applied = world.run(Mode::Prune, &variables).await;
    assert!(applied.error.is_none(), "{:?}", applied.error);
    assert_eq!(applied.client_id.as_deref(), Some(client_id));
    assert!(verbs(&applied.lines, Verb::Change).contains(&"PINGONE_CLIENT_SECRET"), "{:?}", applied.lines);
    let tokens = world.log_in(client_id, &applied.client_secret.unwrap()).await;
    assert!(tokens["access_token"].is_string(), "{tokens}");
    let kept = world.management().await.get(&format!("/applications/{client_id}")).await.unwrap();
    assert_eq!((&kept["name"], &kept["homePageUrl"]), (&by_hand["name"], &by_hand["homePageUrl"]));
}
