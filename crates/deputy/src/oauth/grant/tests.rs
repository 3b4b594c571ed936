use std::sync::atomic::{AtomicU8, Ordering};

use super::*;
use crate::{
    config::test_config,
    secret::Secret,
    types::{RegisteredId, ScopeError},
};

const NOW: Timestamp = Timestamp(1_000_000);
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CLIENT: u8 = 1;
const OTHER_CLIENT: u8 = 2;
const URI: &str = "https://client.example/cb";

#[test]
fn code_gives_tokens_that_open_the_tokens_of_pingone() {
    let (grant, code) = issued(true);
    let (grant, tokens) = redeem(grant, &code, NOW).unwrap();
    let access = grant.validate_access_token(&tokens.access_token, NOW).unwrap();
    assert_eq!(grant.open_pingone_tokens(&access.key).unwrap().access_token.expose(), "upstream-access");
    assert_eq!((tokens.expires_in, tokens.scopes.to_string()), (3600, "todo:read todo:write".into()));
    assert!(grant.validate_access_token(&tokens.access_token, NOW.plus(3600)).is_none(), "expired");
    assert!(grant.validate_access_token(&tokens.refresh_token, NOW).is_none(), "another kind");
}

#[test]
fn code_with_wrong_client_redirect_or_verifier_is_refused() {
    let (grant, code) = issued(true);
    let redeem = |client, uri: &str, verifier: &str| {
        let redemption = Redemption {
            client_id: &client_id(client),
            by_key: false,
            redirect_uri: Some(uri.to_owned()),
            code_verifier: Secret::new(verifier.to_owned()),
        };
        grant.clone().redeem(&code, &redemption, &config(), NOW, &random).map(|_| ()).unwrap_err()
    };
    assert_eq!(redeem(OTHER_CLIENT, URI, VERIFIER), RedeemError::Client);
    assert_eq!(redeem(CLIENT, "https://client.example/other", VERIFIER), RedeemError::RedirectUri);
    assert_eq!(redeem(CLIENT, URI, CHALLENGE), RedeemError::Verifier);
}

#[test]
fn code_is_refused_after_two_minutes() {
    let (grant, code) = issued(true);
    assert_eq!(redeem(grant, &code, NOW.plus(120)).map(|_| ()), Err(RedeemError::Expired));
}

#[test]
fn redeemed_code_is_a_replay() {
    let (grant, code) = issued(true);
    let (grant, _) = redeem(grant, &code, NOW).unwrap();
    assert_eq!(redeem(grant, &code, NOW).map(|_| ()), Err(RedeemError::Replayed));
}

#[test]
fn rotated_token_gets_same_response_until_successor_is_used() {
    let (grant, first) = connected();
    let (grant, second) = rotate(grant, &first.refresh_token, NOW);
    let Ok(Refreshed::Repeated(again)) = refresh(&grant, &first.refresh_token, NOW.plus(5)) else {
        panic!("refused")
    };
    assert_eq!(again.refresh_token.digest(), second.refresh_token.digest());
    assert_eq!(again.access_token.digest(), second.access_token.digest());
    assert_eq!(again.expires_in, 3595);
    let (grant, _) = rotate(grant, &again.refresh_token, NOW.plus(6));
    assert_eq!(refresh(&grant, &first.refresh_token, NOW.plus(7)).unwrap_err(), RefreshError::Replayed);
}

#[test]
fn rotated_refresh_token_is_accepted_for_two_minutes() {
    let (grant, first) = connected();
    let (grant, _) = rotate(grant, &first.refresh_token, NOW);
    assert!(refresh(&grant, &first.refresh_token, NOW.plus(119)).is_ok());
    assert_eq!(refresh(&grant, &first.refresh_token, NOW.plus(120)).unwrap_err(), RefreshError::Replayed);
}

#[test]
fn access_token_stays_valid_after_rotation() {
    let (grant, first) = connected();
    let (grant, _) = rotate(grant, &first.refresh_token, NOW);
    let access = grant.validate_access_token(&first.access_token, NOW).unwrap();
    assert!(grant.open_pingone_tokens(&access.key).is_some());
}

#[test]
fn refresh_can_narrow_scopes_and_not_widen_them() {
    let (grant, first) = connected();
    let request = |scope: &str| {
        let scopes = Scopes::parse(scope).unwrap();
        grant.clone().refresh(
            &first.refresh_token,
            &client_id(CLIENT),
            Some(&scopes),
            &config(),
            NOW,
            &random,
        )
    };
    let Ok(Refreshed::Rotated(_, issued)) = request("todo:read admin") else { panic!("refused") };
    assert_eq!(issued.scopes.to_string(), "todo:read");
    assert!(matches!(request("admin").unwrap_err(), RefreshError::Scope(ScopeError::NotOffered(_))));
    let error = grant
        .clone()
        .refresh(&first.refresh_token, &client_id(OTHER_CLIENT), None, &config(), NOW, &random)
        .unwrap_err();
    assert_eq!(error, RefreshError::Client);
}

#[test]
fn lease_lets_one_request_refresh_at_a_time() {
    let (grant, first) = connected();
    let key = grant.validate_access_token(&first.access_token, NOW).unwrap().key;
    let grant = grant.begin_refresh([1; 16], NOW).unwrap();
    assert_eq!(grant.clone().begin_refresh([2; 16], NOW).map(|_| ()), Err(LeaseError::Held));
    let stolen = grant.clone().begin_refresh([2; 16], NOW.plus(60)).unwrap();
    assert!(stolen.clone().keep_tokens([1; 16], &pingone_tokens(true), &key, &random).is_none());
    assert!(finish(stolen, NOW).is_none());
    let grant = finish(grant, NOW).unwrap();
    assert_eq!((grant.pingone.generation, grant.pingone.is_leased(NOW)), (1, false));
}

#[test]
fn short_lived_token_is_used_until_the_next_refresh_may_begin() {
    for lifetime in [0, 1, 9, 30, 60] {
        let grant = refreshed(lifetime, RefreshReason::Expiring);
        let Due::NotBefore { until, failed: false } = grant.pingone.due(RefreshReason::Expiring, NOW) else {
            panic!("{lifetime}: {:?}", grant.pingone)
        };
        assert!((10..=36).contains(&until.since(NOW)), "{lifetime}: {until:?}");
        assert!(grant.pingone.expires_at >= until, "{lifetime}");
        assert_eq!(grant.pingone.due(RefreshReason::Expiring, until), Due::Now, "{lifetime}");
    }
    assert_eq!(
        refreshed(61, RefreshReason::Expiring).pingone.due(RefreshReason::Expiring, NOW),
        Due::Nothing
    );
}

#[test]
fn failed_refresh_is_followed_by_a_pause_that_grows() {
    let (mut grant, _) = connected();
    let mut now = NOW.plus(300);
    for (failure, least) in [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60)] {
        let leased = grant.begin_refresh([1; 16], now).unwrap();
        grant = leased.fail_refresh([1; 16], None, now, &random).unwrap();
        let Due::NotBefore { until, failed: true } = grant.pingone.due(RefreshReason::Expiring, now) else {
            panic!("{failure}: {:?}", grant.pingone)
        };
        assert!((least..=least * 3 / 2).contains(&until.since(now)), "{failure}: {}", until.since(now));
        now = until;
    }
    let leased = grant.begin_refresh([1; 16], now).unwrap();
    let failed = leased.fail_refresh([1; 16], Some(9999), now, &random).unwrap();
    let Due::NotBefore { until, .. } = failed.pingone.due(RefreshReason::Expiring, now) else { panic!() };
    assert!((120..=125).contains(&until.since(now)));
}

#[test]
fn clock_set_back_leaves_no_long_pause() {
    let set_back = |grant: &Grant, reason| {
        [1, 86_400].map(|seconds| {
            let now = Timestamp(NOW.0 - seconds);
            matches!(grant.pingone.due(reason, now), Due::Now)
        })
    };
    let leased = refreshed(0, RefreshReason::Expiring).begin_refresh([1; 16], NOW).unwrap();
    let again = RefreshReason::Refused(leased.pingone.generation);
    assert_eq!(set_back(&leased, again), [false, true], "the lease, with which another clock may differ");
    let failed = leased.fail_refresh([1; 16], Some(120), NOW, &random).unwrap();
    assert_eq!(set_back(&failed, again), [false, true]);
    let refused = refreshed(3600, RefreshReason::Refused(0));
    assert_eq!(set_back(&refused, RefreshReason::Refused(1)), [false, true]);
}

#[test]
fn repeated_refusals_by_the_api_lengthen_the_pause() {
    let grant = refreshed(3600, RefreshReason::Refused(0));
    assert_eq!(grant.pingone.due(RefreshReason::Refused(0), NOW), Due::Nothing, "another generation");
    let wait = |grant: &Grant| match grant.pingone.due(RefreshReason::Refused(grant.pingone.generation), NOW)
    {
        Due::NotBefore { until, failed: false } => until.since(NOW),
        other => panic!("{other:?}"),
    };
    let first = wait(&grant);
    let leased = grant.begin_refresh([1; 16], NOW).unwrap();
    let again = leased.finish_refresh([1; 16], RefreshReason::Refused(1), NOW, &random).unwrap();
    assert!((30..=40).contains(&first) && (50..=70).contains(&wait(&again)), "{first}, {}", wait(&again));
    let expiring = refreshed(3600, RefreshReason::Expiring);
    assert_eq!(wait(&expiring), 10);
}

#[test]
fn grant_without_pingone_refresh_token_ends_with_access_token() {
    let (grant, code) = issued(false);
    let (grant, tokens) = redeem(grant, &code, NOW.plus(20)).unwrap();
    assert_eq!((tokens.expires_in, grant.expires_at), (280, NOW.plus(300)));
}

#[test]
fn grant_record_contains_no_usable_token() {
    let (grant, tokens) = connected();
    let keys = config().keys;
    let text = serde_json::to_string(&grant).unwrap();
    for secret in [tokens.access_token.render(&keys), tokens.refresh_token.render(&keys)] {
        assert!(!text.contains(&secret.expose()[40..]), "{text}");
    }
    assert!(!text.contains("upstream-access"));
}

#[test]
fn wrapped_keys_of_expired_tokens_are_dropped() {
    let (grant, first) = connected();
    let (grant, _) = rotate(grant, &first.refresh_token, NOW);
    assert!(grant.refresh_key(&first.refresh_token, NOW.plus(119)).is_some());
    assert!(grant.refresh_key(&first.refresh_token, NOW.plus(120)).is_none());
    let wrapped = |grant: &Grant| serde_json::to_string(grant).unwrap().matches("wrapped").count();
    assert_eq!(wrapped(&grant), 4, "two access tokens, the refresh token and the one before it");
    let later = grant.begin_refresh([1; 16], NOW.plus(3600)).unwrap();
    assert_eq!(wrapped(&later), 1, "the refresh token");
}

/// A grant whose tokens of `PingOne` were refreshed at `NOW`.
fn refreshed(lifetime: u64, reason: RefreshReason) -> Grant {
    let (grant, first) = connected();
    let key = grant.validate_access_token(&first.access_token, NOW).unwrap().key;
    let tokens = PingOneTokens { expires_at: NOW.plus(lifetime), ..pingone_tokens(true) };
    let grant = grant.begin_refresh([1; 16], NOW).unwrap();
    let grant = grant.keep_tokens([1; 16], &tokens, &key, &random).unwrap();
    grant.finish_refresh([1; 16], reason, NOW, &random).unwrap()
}

fn finish(grant: Grant, now: Timestamp) -> Option<Grant> {
    grant.finish_refresh([1; 16], RefreshReason::Expiring, now, &random)
}

fn connected() -> (Grant, Issued) {
    let (grant, code) = issued(true);
    redeem(grant, &code, NOW).unwrap()
}

fn rotate(grant: Grant, token: &ReferenceToken, now: Timestamp) -> (Grant, Issued) {
    match refresh(&grant, token, now) {
        Ok(Refreshed::Rotated(grant, issued)) => (*grant, issued),
        other => panic!("{other:?}"),
    }
}

fn refresh(grant: &Grant, token: &ReferenceToken, now: Timestamp) -> Result<Refreshed, RefreshError> {
    grant.clone().refresh(token, &client_id(CLIENT), None, &config(), now, &random)
}

fn redeem(grant: Grant, code: &ReferenceToken, now: Timestamp) -> Result<(Grant, Issued), RedeemError> {
    let redemption = Redemption {
        client_id: &client_id(CLIENT),
        by_key: false,
        redirect_uri: Some(URI.to_owned()),
        code_verifier: Secret::new(VERIFIER.to_owned()),
    };
    grant.redeem(code, &redemption, &config(), now, &random)
}

fn issued(refreshable: bool) -> (Grant, ReferenceToken) {
    let new = NewGrant {
        id: GrantId([1; 16]),
        user: User { sub: "alice".into(), ..User::default() },
        client_id: client_id(CLIENT),
        needs_key: false,
        client_name: None,
        redirect_uri: RedirectUri::parse(URI).unwrap(),
        code_challenge: CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap(),
        scopes: Scopes::of(["todo:read", "todo:write"]),
        declined: Scopes::default(),
        approved_tools: None,
        login: PingOneLogin { session: None, at: NOW },
        pingone_tokens: pingone_tokens(refreshable),
    };
    Grant::issue(new, NOW, &random)
}

fn pingone_tokens(refreshable: bool) -> PingOneTokens {
    PingOneTokens {
        access_token: Secret::new("upstream-access".into()),
        refresh_token: refreshable.then(|| Secret::new("upstream-refresh".into())),
        expires_at: NOW.plus(300),
        check_at: None,
        subject: "alice".into(),
    }
}

fn client_id(client: u8) -> ClientId {
    ClientId::Registered(RegisteredId::new(&[client; 16]))
}

fn random(buffer: &mut [u8]) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    buffer.fill(NEXT.fetch_add(1, Ordering::Relaxed));
}

fn config() -> Config {
    test_config(&[("ACCESS_TOKEN_LIFETIME", "3600")])
}

/// Older versions stored the capabilities of the client in `agreed`.
#[test]
fn grant_with_a_member_of_an_older_version_is_read() {
    let (grant, code) = issued(true);
    let mut stored = serde_json::to_value(&grant).unwrap();
    stored["agreed"] = serde_json::json!({ "capabilities": { "elicitation": {} }, "log_level": 3 });
    let grant: Grant = serde_json::from_value(stored).unwrap();
    assert!(redeem(grant, &code, NOW).is_ok());
}

#[test]
fn end_of_logins_ends_earlier_logins_of_its_session() {
    let (one, other) = (session_digest("one"), session_digest("other"));
    let (mut grant, _) = connected();
    let mut ends = |login: Option<PingOneLogin>, at: Timestamp, session: Option<Digest>| {
        grant.login = login;
        LoginsEnd { at, session }.ends(&grant)
    };
    let login = Some(PingOneLogin { session: Some(one), at: NOW });
    let before = Timestamp(NOW.0 - 1);
    assert!(ends(login, NOW, None) && ends(login, NOW, Some(one)));
    assert!(!ends(login, NOW, Some(other)));
    assert!(!ends(login, before, None) && !ends(login, before, Some(one)));
    // A grant of an earlier version, and one whose ID token had no `sid`.
    for login in [None, Some(PingOneLogin { session: None, at: NOW })] {
        assert!(ends(login, NOW, None) && !ends(login, NOW, Some(one)) && !ends(login, before, None));
    }
}
