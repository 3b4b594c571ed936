//! One request, and what can go wrong at each of its steps: the process ends, or a verb of the store fails before it is done
//! or after. Nothing here is left to chance.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::host::{Host as _, Key};
use http::StatusCode;
use serde_json::{Value, json};

use super::{CALM, End, Failures, Run, Weather, about_to_expire};
use crate::world::{Tokens, World};

/// The requests that change a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// A tool, while PingOne's token is about to expire.
    Call,
    /// Tokens for a code.
    Redeem,
    /// New tokens, while PingOne's are about to expire.
    Refresh,
    /// The end.
    Revoke,
}

const ALL: [Asked; 4] = [Asked::Call, Asked::Redeem, Asked::Refresh, Asked::Revoke];

#[tokio::test]
async fn crash_at_any_step_keeps_responses_and_allows_a_retry() {
    for asked in ALL {
        let world = World::new();
        let mut places = 0;
        for step in 0.. {
            let weather = Weather { crash_after: Some(step), ..CALM };
            let (end, _) = asked.and_then(&world, weather).await;
            if end == End::AllAnswered {
                places = step;
                break;
            }
        }
        // So that it is known to have been there: each has more than three verbs, and two places around each.
        assert!(places > 6, "{asked:?} has {places} steps");
    }
}

#[tokio::test]
async fn store_failure_at_any_step_keeps_responses_and_allows_retry() {
    for asked in ALL {
        let world = World::new();
        for chance in 0.. {
            let weather = Weather { store_failures: Failures::At(chance), ..CALM };
            let (end, chances) = asked.and_then(&world, weather).await;
            assert_eq!(end, End::AllAnswered);
            if chances <= chance {
                assert!(chance > 5, "{asked:?} has {chance} chances to fail");
                break;
            }
        }
    }
}

impl Asked {
    /// Asks in this weather and looks at what holds afterwards. Also says how often the store might have failed.
    async fn and_then(self, world: &World, weather: Weather) -> (End, usize) {
        let mut run = Run::new(world, 0, weather);
        let end = match self {
            Self::Redeem => redeemed(&mut run).await,
            Self::Call | Self::Refresh => renewed(&mut run, self).await,
            Self::Revoke => revoked(&mut run).await,
        };
        (end, run.host.chances())
    }
}

async fn redeemed(run: &mut Run<'_>) -> End {
    let client = run.world.client().await;
    let code = run.world.code(&client).await;
    run.redeem(&client, &code);
    let end = run.until_the_end();
    let answered = run.issued("redeem", &client);
    if let [tokens] = answered.as_slice() {
        let next = works(run, tokens).await;
        is_listed(run.world, &next, true);
    }
    // The code has been seen, by whomever. It gives tokens once in all, and what was given twice is worth nothing.
    let again = run.world.redeem(&client, &code).await;
    if again.status == StatusCode::OK {
        assert!(answered.is_empty(), "a code was redeemed twice");
        works(run, &Tokens::of(&client, &again)).await;
    } else {
        assert_eq!(again.json()["error"], "invalid_grant", "{}", again.text);
        for tokens in &answered {
            assert!(run.is_dead(tokens).await, "a replay went unpunished");
        }
    }
    assert_eq!(run.world.redeem(&client, &code).await.status, StatusCode::BAD_REQUEST);
    end
}

async fn renewed(run: &mut Run<'_>, asked: Asked) -> End {
    let tokens = about_to_expire(run.world).await;
    let before = run.world.pingone.requests("refresh");
    if asked == Asked::Call {
        run.call(&tokens);
    } else {
        run.refresh(&tokens);
    }
    let end = run.until_the_end();
    let answered = run.issued("refresh", &tokens.client);
    // The lease of a process that is gone runs out.
    run.world.host.advance(61);
    if end == (End::Crashed { renewing: true }) {
        // PingOne has rotated its token, and nobody is left who knows the new one. The person logs in again.
        let again = run.world.refresh(&tokens.client, &tokens.refresh).await;
        assert!(matches!(again.status, StatusCode::OK | StatusCode::BAD_REQUEST), "{}", again.text);
        return end;
    }
    let next = works(run, answered.first().unwrap_or(&tokens)).await;
    is_listed(run.world, &next, true);
    // A process that ends while it checks what PingOne has issued has kept the refresh token, and nothing else.
    let most = if end == End::AllAnswered { 1 } else { 2 };
    assert!(
        run.world.pingone.requests("refresh") - before <= most,
        "PingOne was asked {most} times and once more"
    );
    end
}

async fn revoked(run: &mut Run<'_>) -> End {
    let tokens = run.world.connected().await;
    run.revoke(&tokens);
    let end = run.until_the_end();
    if run.outcomes("revoke").iter().all(|outcome| outcome.status != StatusCode::OK) {
        let form = [("client_id", tokens.client.as_str()), ("token", tokens.refresh.as_str())];
        assert_eq!(run.world.post_form("/revoke", &form).await.status, StatusCode::OK);
    }
    assert!(run.is_dead(&tokens).await, "the revoked token lives");
    end
}

/// These tokens call the API, and give others that do.
async fn works(run: &Run<'_>, tokens: &Tokens) -> Tokens {
    let next = run.refreshed(tokens).await;
    let answer = run.world.call(&next.access, "get_my_todo_list", json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    next
}

/// Whether the grant of these tokens is in its person's index, where it can be seen and ended.
pub(super) fn is_listed(world: &World, tokens: &Tokens, expected: bool) {
    let bytes = URL_SAFE_NO_PAD.decode(&tokens.access["dpa_".len()..]).expect("base64url");
    let id = URL_SAFE_NO_PAD.encode(&bytes[..16]);
    let records = world.host.memory().records(world.host.now());
    let index = records.iter().find(|(key, _)| matches!(key, Key::User(_)));
    let index: Value =
        index.map(|(_, record)| serde_json::from_slice(&record.value).expect("JSON")).unwrap_or_default();
    let grants = index["grants"].as_array().map(Vec::as_slice).unwrap_or_default();
    let times = grants.iter().filter(|entry| entry["id"] == id).count();
    assert_eq!(times, usize::from(expected), "{id} in {index}");
}
