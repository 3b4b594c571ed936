//! Logins that fail: `deputy logins` names the step and the cause.

use deputy::{
    history::{self, Login, State},
    host::LoginStep as Step,
};
use pingone_sim::{Failure, Signature};
use serde_json::json;

use crate::world::{CALLBACK, DEPUTY, VERIFIER, World, finished_at_pingone, known_name};

/// The login that the world saw last.
async fn explained(world: &World) -> Login {
    let lines: Vec<_> = world.audited().await.iter().map(ToString::to_string).collect();
    history::logins(lines, world.now()).into_iter().next().expect("a login")
}

fn assert_explained(name: &str, login: &Login, state: State, at: Step, cause: &str) {
    assert_eq!((login.state, login.at), (state, at), "{name}: {login:?}");
    let text = login.cause.as_deref().unwrap_or_default();
    assert!(text.contains(cause), "{name}: {cause:?} is not in {text:?}");
    let is_the_users_decision = state == State::Denied;
    assert!(login.fix.is_some() || is_the_users_decision, "{name}: no remedy, {login:?}");
}

#[tokio::test]
async fn refused_authorization_request_is_explained() {
    let long = "s".repeat(5000);
    for (overrides, cause) in [
        (&[("client_id", "AAAAAAAAAAAAAAAAAAAAAA")][..], "not registered here"),
        (&[("client_id", "https://nowhere.example/client.json")], "document"),
        (&[("client_id", "https://nowhere.example/")], "client_id"),
        (&[("redirect_uri", "https://other.example/")], "has not registered"),
        (&[("code_challenge", "short")], "code_challenge"),
        (&[("code_challenge_method", "plain")], "code_challenge_method"),
        (&[("response_type", "token")], "response_type must be code"),
        (&[("response_mode", "fragment")], "response_mode must be query"),
        (&[("scope", "invoices:read")], "the scopes that can be are: todo:read"),
        (&[("resource", "https://other.example/mcp")], "resource is not the MCP endpoint"),
        (&[("state", &long)], "state is too long"),
    ] {
        let world = World::new();
        let client = world.client().await;
        world.get(&world.authorize_path(&client, overrides)).await;
        let login = explained(&world).await;
        assert_explained(&format!("{overrides:.60?}"), &login, State::Refused, Step::Authorize, cause);
    }
}

#[tokio::test]
async fn login_that_ends_at_the_approval_page_is_explained() {
    for (name, state, cause) in [
        ("denied", State::Denied, "the user denied"),
        ("another browser", State::Refused, "not opened in this browser"),
        ("late", State::Refused, "has expired"),
        ("every box empty", State::Refused, "every scope was left out"),
        ("closed", State::GivenUp, "closed the approval page"),
    ] {
        let world = World::new();
        let client = world.client().await;
        let (mut browser, mut other) = (world.browser(), world.browser());
        let page = browser.open(&world.authorize_url(&client, &[])).await;
        match name {
            "denied" => drop(browser.submit(&page, &[], "deny").await),
            "another browser" => drop(other.submit(&page, &[], "approve").await),
            "late" => {
                world.host.advance(600);
                browser.submit(&page, &[], "approve").await;
            }
            "every box empty" => {
                let handle = crate::world::handle_in(&page.text).expect("a handle");
                let form = [("handle", handle), ("decision", "approve"), ("choice", "yes")];
                world.post_form("/approve", &form).await;
            }
            _ => world.host.advance(600),
        }
        assert_explained(name, &explained(&world).await, state, Step::Approval, cause);
    }
}

#[tokio::test]
async fn login_that_does_not_reach_pingone_is_explained() {
    for (failure, cause) in [
        (Failure::Discovery(500), "500"),
        (Failure::DiscoveryIssuer("https://other.example".to_owned()), "PINGONE_ISSUER"),
    ] {
        let world = World::new();
        let client = world.client().await;
        let name = format!("{failure:?}");
        world.pingone.force(failure);
        world.log_in_to(&mut world.browser(), &client).await;
        assert_explained(&name, &explained(&world).await, State::Refused, Step::Pingone, cause);
    }
}

#[tokio::test]
async fn login_that_does_not_come_back_from_pingone_is_explained() {
    let world = World::new();
    let client = world.client().await;
    let leave_at_pingone = async || {
        let mut browser = world.browser();
        let page = browser.open(&world.authorize_url(&client, &[])).await;
        browser.submit(&page, &[], "approve").await;
    };
    leave_at_pingone().await;
    let login = explained(&world).await;
    assert_eq!((login.state, login.at, login.cause), (State::UnderWay, Step::Pingone, None));
    world.host.advance(600);
    let login = explained(&world).await;
    assert_explained("window closed", &login, State::GivenUp, Step::Pingone, "did not come back");
    for _ in 0..2 {
        leave_at_pingone().await;
    }
    world.host.advance(600);
    let login = explained(&world).await;
    assert_explained(
        "none comes back",
        &login,
        State::GivenUp,
        Step::Pingone,
        "is probably not a redirect URI",
    );
}

#[tokio::test]
async fn login_that_pingone_refuses_is_explained() {
    for (code, cause) in [
        ("access_denied", "declined"),
        ("server_error", "PingOne failed"),
        ("interaction_required", "needs the user's consent or another step"),
        ("login_required", "was not completed"),
        ("invalid_request", "PINGONE_DV_POLICY_ID is not a flow policy"),
        ("unsupported_response_type", "lacks the response type"),
        ("invalid_scope", "is not granted all of API_SCOPES"),
        ("invalid_target", "API_IDENTIFIER is not the audience"),
        ("unauthorized_client", "PINGONE_CLIENT_ID"),
        ("temporarily_unavailable", "temporarily unavailable"),
        ("flow_says_no", "error of the DaVinci flow's own"),
    ] {
        let login = failed_with(Failure::CallbackError(code.to_owned())).await;
        assert_explained(code, &login, State::Refused, Step::Callback, cause);
    }
}

/// A login of a user for whom PingOne fails like this.
async fn failed_with(failure: Failure) -> Login {
    let world = World::new();
    let client = world.client().await;
    world.pingone.force(failure);
    world.log_in_to(&mut world.browser(), &client).await;
    explained(&world).await
}

#[tokio::test]
async fn tokens_that_deputy_rejects_are_explained() {
    let now = World::new().now();
    let other = || json!("other");
    for (failure, cause) in [
        (Failure::Token(401, json!({ "error": "invalid_client" }).to_string()), "PINGONE_CLIENT_SECRET"),
        (Failure::Token(400, json!({ "error": "invalid_grant" }).to_string()), "refuses the code"),
        (Failure::Token(400, json!({ "error": "x" }).to_string()), "with status 400"),
        (Failure::TokenMember("scope".into(), json!("openid")), "none of the requested scopes"),
        (Failure::TokenMember("id_token".into(), json!(null)), "no ID token"),
        (Failure::IdTokenClaim("acr".into(), other()), "PINGONE_DV_POLICY_ID"),
        (Failure::IdTokenClaim("aud".into(), other()), "PINGONE_CLIENT_ID"),
        (Failure::IdTokenClaim("iss".into(), other()), "PINGONE_ISSUER"),
        (Failure::IdTokenClaim("nonce".into(), other()), "nonce"),
        (Failure::IdTokenClaim("exp".into(), json!(1_767_225_000)), "expired before it was issued"),
        (Failure::IdTokenClaim("iat".into(), json!(now + 900)), "clock"),
        (Failure::IdTokenSignature(Signature::OtherKey), "signature"),
        (Failure::AccessTokenClaim("aud".into(), other()), "API_IDENTIFIER"),
        (Failure::AccessTokenClaim("client_id".into(), other()), "PINGONE_CLIENT_ID"),
        (Failure::Jwks(500), "keys cannot be read"),
    ] {
        let name = format!("{failure:?}");
        assert_explained(&name, &failed_with(failure).await, State::Refused, Step::Callback, cause);
    }
}

#[tokio::test]
async fn return_from_pingone_that_cannot_be_used_is_explained() {
    for (name, cause) in
        [("late", "longer than ten minutes"), ("another browser", "not started in this browser")]
    {
        let world = World::new();
        let client = world.client().await;
        let (mut browser, mut other) = (world.browser(), world.browser());
        let callback = finished_at_pingone(&world, &mut browser, &client).await;
        if name == "late" {
            world.host.advance(600);
            browser.open(callback.as_str()).await;
        } else {
            other.open(callback.as_str()).await;
        }
        assert_explained(name, &explained(&world).await, State::Refused, Step::Callback, cause);
    }
}

#[tokio::test]
async fn code_that_is_not_redeemed_is_explained() {
    let other_verifier = VERIFIER.replace('d', "e");
    for (name, state, cause) in [
        ("never", State::GivenUp, "never redeemed its code"),
        ("late", State::Refused, "the code has expired"),
        ("other verifier", State::Refused, "code_verifier does not match"),
        ("other redirect URI", State::Refused, "redirect_uri is not the one"),
        ("other client", State::Refused, "belongs to another client"),
        ("unknown client", State::Refused, "client authentication failed"),
    ] {
        let world = World::new();
        let (client, other) = (world.client().await, world.client().await);
        let code = world.code(&client).await;
        let redeem = async |client: &str, verifier: &str, redirect_uri: &str| {
            let form = [
                ("grant_type", "authorization_code"),
                ("client_id", client),
                ("code", &code),
                ("code_verifier", verifier),
                ("redirect_uri", redirect_uri),
            ];
            world.post_form("/token", &form).await
        };
        match name {
            "never" => world.host.advance(120),
            "late" => {
                world.host.advance(120);
                redeem(&client, VERIFIER, CALLBACK).await;
            }
            "other verifier" => drop(redeem(&client, &other_verifier, CALLBACK).await),
            "other redirect URI" => drop(redeem(&client, VERIFIER, DEPUTY).await),
            "other client" => drop(redeem(&other, VERIFIER, CALLBACK).await),
            _ => drop(redeem("AAAAAAAAAAAAAAAAAAAAAA", VERIFIER, CALLBACK).await),
        }
        assert_explained(name, &explained(&world).await, state, Step::Redemption, cause);
    }
}

#[tokio::test]
async fn finished_login_needs_no_explanation() {
    let world = World::new();
    let tokens = world.connected().await;
    let login = explained(&world).await;
    assert_eq!((login.state, login.cause, login.fix), (State::Finished, None, None));
    assert_eq!((login.client_id, login.steps.len()), (Some(known_name(&tokens.client).to_owned()), 6));
    world.host.advance(1);
    world.sign_in_to_agents(&mut world.browser(), "alice").await;
    let login = explained(&world).await;
    assert_eq!((login.state, login.client_id, login.user.is_some()), (State::Finished, None, true));
}

#[tokio::test]
async fn page_error_and_audit_event_have_the_same_reference() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let reference = explained(&world).await.reference;
    assert!(page.text.contains(&format!("Reference {reference}")), "{}", page.text);
    world.pingone.force(Failure::CallbackError("server_error".to_owned()));
    let page = browser.submit(&page, &[], "approve").await;
    let page = world.log_in(&mut browser, "alice", page.url.as_str()).await;
    let told = page.query("error_description").expect("a description");
    assert!(told.ends_with(&format!("(reference {reference})")), "{told}");
    let reused = world.browser().open(&format!("{DEPUTY}/authorize?client_id=x")).await;
    assert!(reused.text.contains("Reference ") && !reused.text.contains(&reference), "{}", reused.text);
}
