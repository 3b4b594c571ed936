//! One request, with a failure at each of its steps in turn: the process ends, or an operation of the store fails before or
//! after its effect. Nothing is random.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::host::RecordKey;
use http::StatusCode;
use serde_json::{Value, json};

use super::{End, Failures, Faults, NO_FAULTS, Run};
use crate::world::{Tokens, World, with_expiring_token};

/// The requests that change a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrantRequest {
    /// A tool call, while PingOne's token is about to expire.
    Call,
    Redeem,
    /// A refresh by the client, while PingOne's token is about to expire.
    Refresh,
    /// PingOne's report of an event.
    Report,
    Revoke,
}

const ALL: [GrantRequest; 5] = [
    GrantRequest::Call,
    GrantRequest::Redeem,
    GrantRequest::Refresh,
    GrantRequest::Report,
    GrantRequest::Revoke,
];

#[tokio::test]
async fn crash_at_any_step_keeps_responses_and_allows_a_retry() {
    for request in ALL {
        let world = World::with_webhook(&[]);
        let mut places = 0;
        for step in 0.. {
            let faults = Faults { crash_after: Some(step), ..NO_FAULTS };
            let (end, _) = request.run_and_check(&world, faults).await;
            if end == End::AllFinished {
                places = step;
                break;
            }
        }
        // Each request has more than two operations, and two steps around each of them.
        assert!(places > 4, "{request:?} has {places} steps");
    }
}

#[tokio::test]
async fn store_failure_at_any_step_keeps_responses_and_allows_retry() {
    for request in ALL {
        let world = World::with_webhook(&[]);
        for chance in 0.. {
            let faults = Faults { store_failures: Failures::At(chance), ..NO_FAULTS };
            let (end, chances) = request.run_and_check(&world, faults).await;
            assert_eq!(end, End::AllFinished);
            if chances <= chance {
                assert!(chance > 5, "{request:?} has {chance} chances to fail");
                break;
            }
        }
    }
}

impl GrantRequest {
    /// Sends the request with these faults and checks the invariants. Also returns how often the store could have failed.
    async fn run_and_check(self, world: &World, faults: Faults) -> (End, usize) {
        let mut run = Run::new(world, 0, faults);
        let end = match self {
            Self::Redeem => redeemed(&mut run).await,
            Self::Call | Self::Refresh => refreshed(&mut run, self).await,
            Self::Report => reported(&mut run).await,
            Self::Revoke => revoked(&mut run).await,
        };
        (end, run.host.chances())
    }
}

async fn redeemed(run: &mut Run<'_>) -> End {
    let client = run.world.client().await;
    let code = run.world.code(&client).await;
    run.redeem(&client, &code);
    let end = run.run_to_end();
    let answered = run.issued("redeem", &client);
    if let [tokens] = answered.as_slice() {
        let next = works(run, tokens).await;
        is_listed(run.world, &next, true);
    }
    // A code gives tokens at most once. A second redemption revokes them.
    let again = run.world.redeem(&client, &code).await;
    if again.status == StatusCode::OK {
        assert!(answered.is_empty(), "a code was redeemed twice");
        works(run, &Tokens::of(&client, &again)).await;
    } else {
        assert_eq!(again.json()["error"], "invalid_grant", "{}", again.text);
        for tokens in &answered {
            assert!(run.is_revoked(tokens).await, "a replay went unpunished");
        }
    }
    assert_eq!(run.world.redeem(&client, &code).await.status, StatusCode::BAD_REQUEST);
    end
}

async fn refreshed(run: &mut Run<'_>, request: GrantRequest) -> End {
    let tokens = with_expiring_token(run.world, 30).await;
    let before = run.world.pingone.requests("refresh");
    if request == GrantRequest::Call {
        run.call(&tokens);
    } else {
        run.refresh(&tokens);
    }
    let end = run.run_to_end();
    for outcome in run.outcomes("call") {
        let text = outcome.json.to_string();
        assert!(!text.contains("API cannot be reached"), "the API is well: {text}");
    }
    let answered = run.issued("refresh", &tokens.client);
    // The lease of the crashed process expires.
    run.world.host.advance(61);
    if end == (End::Crashed { refreshing: true }) {
        // PingOne has rotated its refresh token, and the new one is lost. The user has to log in again.
        let again = run.world.refresh(&tokens.client, &tokens.refresh).await;
        assert!(matches!(again.status, StatusCode::OK | StatusCode::BAD_REQUEST), "{}", again.text);
        return end;
    }
    let next = works(run, answered.first().unwrap_or(&tokens)).await;
    is_listed(run.world, &next, true);
    // A process that ends while it verifies the new access token has stored the new refresh token only.
    let most = if end == End::AllFinished { 1 } else { 2 };
    assert!(
        run.world.pingone.requests("refresh") - before <= most,
        "PingOne was asked {most} times and once more"
    );
    end
}

async fn reported(run: &mut Run<'_>) -> End {
    let tokens = run.world.connected().await;
    run.report();
    let end = run.run_to_end();
    if !run.succeeded("report") {
        // PingOne delivers it again.
        let again = run.world.event("USER.LOCKED", "alice");
        assert_eq!(run.world.post_events(&again).await.status, StatusCode::OK);
    }
    assert!(run.is_revoked(&tokens).await, "the grant of a locked user lives");
    run.world.host.advance(1);
    end
}

async fn revoked(run: &mut Run<'_>) -> End {
    let tokens = run.world.connected().await;
    run.revoke(&tokens);
    let end = run.run_to_end();
    if run.outcomes("revoke").iter().all(|outcome| outcome.status != StatusCode::OK) {
        let form = [("client_id", tokens.client.as_str()), ("token", tokens.refresh.as_str())];
        assert_eq!(run.world.post_form("/revoke", &form).await.status, StatusCode::OK);
    }
    assert!(run.is_revoked(&tokens).await, "the revoked token lives");
    end
}

/// Checks that these tokens can be refreshed, and that the new ones call the API.
async fn works(run: &Run<'_>, tokens: &Tokens) -> Tokens {
    let next = run.refreshed(tokens).await;
    let response = run.world.call(&next.access, "get_my_todo_list", json!({})).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    next
}

/// Checks whether the grant of these tokens is in the index of its user.
pub(super) fn is_listed(world: &World, tokens: &Tokens, expected: bool) {
    let bytes = URL_SAFE_NO_PAD.decode(&tokens.access["dpa_".len()..]).expect("base64url");
    let id = URL_SAFE_NO_PAD.encode(&bytes[..16]);
    let records = world.host.memory().records(world.host.now());
    let index = records.iter().find(|(key, _)| matches!(key, RecordKey::User(_)));
    let index: Value =
        index.map(|(_, record)| serde_json::from_slice(&record.value).expect("JSON")).unwrap_or_default();
    let grants = index["grants"].as_array().map(Vec::as_slice).unwrap_or_default();
    let times = grants.iter().filter(|entry| entry["id"] == id).count();
    assert_eq!(times, usize::from(expected), "{id} in {index}");
}
