//! Metrics: each step of a login and of a tool call is counted, and a client cannot create a series.

use std::time::Duration;

use deputy::metrics::METRICS;
use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use pingone_sim::Failure;
use serde_json::json;

use crate::world::{HOUR, World, create_call};

/// The metrics of this thread.
struct Recording {
    handle: PrometheusHandle,
    _guard: LocalRecorderGuard<'static>,
}

impl Recording {
    fn begin() -> Self {
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let guard = metrics::set_default_local_recorder(recorder);
        deputy::metrics::enable(|| Duration::ZERO);
        Self { handle: recorder.handle(), _guard: guard }
    }

    /// The lines of the metrics, sorted.
    fn lines(&self) -> Vec<String> {
        let text = self.handle.render();
        let mut lines: Vec<_> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }

    #[track_caller]
    fn assert_has(&self, expected: &[&str]) {
        let lines = self.lines();
        for line in expected {
            assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
        }
    }
}

#[tokio::test]
async fn login_and_tool_call_are_counted_at_each_step() {
    let metrics = Recording::begin();
    let world = World::new();
    let token = world.connected().await.access;
    world.call(&token, "get_my_todo_list", json!({})).await;
    metrics.assert_has(&[
        r#"deputy_login_steps_total{step="authorize",outcome="asked"} 1"#,
        r#"deputy_login_steps_total{step="approval",outcome="ok"} 1"#,
        r#"deputy_login_steps_total{step="pingone",outcome="ok"} 1"#,
        r#"deputy_login_steps_total{step="callback",outcome="ok"} 1"#,
        r#"deputy_login_steps_total{step="redemption",outcome="ok"} 1"#,
        r#"deputy_requests_total{endpoint="register",outcome="ok"} 1"#,
        r#"deputy_requests_total{endpoint="mcp",outcome="ok"} 1"#,
        r#"deputy_request_seconds_count{endpoint="mcp"} 1"#,
        r#"deputy_tool_calls_total{tool="get_my_todo_list",outcome="ok"} 1"#,
        r#"deputy_tool_call_seconds_count{tool="get_my_todo_list"} 1"#,
        r#"deputy_pingone_requests_total{request="code",outcome="2xx"} 1"#,
        r#"deputy_pingone_requests_total{request="discovery",outcome="2xx"} 1"#,
        r#"deputy_api_requests_total{outcome="2xx"} 1"#,
        "deputy_api_request_seconds_count 1",
    ]);
}

#[tokio::test]
async fn refusals_and_failures_are_counted_by_their_kind() {
    let metrics = Recording::begin();
    let world = World::new();
    let tokens = world.connected().await;
    world.mcp(None, &create_call()).await;
    world.mcp(Some("x"), &create_call()).await;
    world.request("POST", "/token", &[], "").await;
    world.post_form("/token", &[("grant_type", "password")]).await;
    world.pingone.force(Failure::RefreshInvalidGrant);
    world.host.advance(2 * HOUR);
    world.refresh(&tokens.client, &tokens.refresh).await;
    metrics.assert_has(&[
        r#"deputy_requests_total{endpoint="mcp",outcome="missing_token"} 1"#,
        r#"deputy_requests_total{endpoint="mcp",outcome="invalid_token"} 1"#,
        r#"deputy_requests_total{endpoint="token",outcome="media_type"} 1"#,
        r#"deputy_requests_total{endpoint="token",outcome="request"} 1"#,
        r#"deputy_requests_total{endpoint="token",outcome="login_ended"} 1"#,
        r#"deputy_refreshes_total{outcome="ended"} 1"#,
        r#"deputy_pingone_requests_total{request="refresh",outcome="4xx"} 1"#,
    ]);
}

#[tokio::test]
async fn events_of_pingone_are_counted_by_type_and_outcome() {
    let metrics = Recording::begin();
    let world = World::with_webhook(&[]);
    let mut failed = world.event("USER.DELETED", "alice");
    failed["result"]["status"] = json!("FAILED");
    let events = json!([
        world.event("USER.LOCKED", "alice"),
        world.event("INVENTED", "alice"),
        world.event("x\"y", "alice"),
        failed,
    ]);
    world.post_events(&events).await;
    world.post_events_as("Bearer x", "[]").await;
    metrics.assert_has(&[
        r#"deputy_pingone_events_total{event="USER.LOCKED",outcome="accepted"} 1"#,
        r#"deputy_pingone_events_total{event="USER.DELETED",outcome="unsuccessful"} 1"#,
        r#"deputy_pingone_events_total{event="other",outcome="type"} 2"#,
        r#"deputy_requests_total{endpoint="pingone_events",outcome="ok"} 1"#,
        r#"deputy_requests_total{endpoint="pingone_events",outcome="unauthorized"} 1"#,
    ]);
}

#[tokio::test]
async fn client_with_invented_names_creates_no_series() {
    let metrics = Recording::begin();
    let world = World::new();
    let token = world.connected().await.access;
    let traffic = async |name: &str| {
        world.call(&token, name, json!({})).await;
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": name, "params": { "name": name } });
        world.mcp(Some(&token), &call).await;
        for path in [format!("/{name}"), format!("/mcp/{name}"), format!("/authorize?client_id={name}")] {
            world.get(&path).await;
        }
        world.request(name, "/token", &[], "").await;
        world.post_form("/token", &[("grant_type", name), ("client_id", name), ("code", name)]).await;
        world.post_json("/register", &json!({ "client_name": name })).await;
    };
    traffic("first").await;
    let series = |metrics: &Recording| -> Vec<String> {
        let lines = metrics.lines();
        lines.iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    let before = series(&metrics);
    for name in ["second", "get_my_todo_list2", "GET"] {
        traffic(name).await;
    }
    assert_eq!(series(&metrics), before);
    assert!(before.iter().all(|series| !series.contains("first")), "{before:#?}");
    metrics.assert_has(&[r#"deputy_tool_calls_total{tool="unknown",outcome="rpc_error"} 4"#]);
    for series in before {
        let known = METRICS.iter().any(|metric| series.starts_with(metric.name));
        assert!(known, "{series}");
    }
}
