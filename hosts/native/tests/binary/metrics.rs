//! The metrics of `deputy serve`, and the files that name them: the dashboard, the alert rules and docs/operating.md.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use deputy::metrics::{Kind, METRICS, Metric};
use deputy_native::metrics;

use crate::support::{GOOD, READY, Running, free_ports, get, register, rest, send, serve};

#[test]
fn metrics_are_served_on_their_own_port_only() {
    let folder = tempfile::tempdir().unwrap();
    let [port, metrics_port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("METRICS_LISTEN", format!("127.0.0.1:{metrics_port}"));
    let _running = Running::start(command, READY);
    register(port);
    for path in ["/mcp", "/metrics", "/invented-path", "/health"] {
        get(port, path);
    }
    assert!(get(port, "/metrics").starts_with("HTTP/1.1 404 "));
    assert!(get(metrics_port, "/health").starts_with("HTTP/1.1 404 "));
    let response = get(metrics_port, "/metrics");
    let (head, text) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/plain; version=0.0.4"), "{head}");
    for line in [
        r#"deputy_requests_total{endpoint="register",outcome="ok"} 1"#,
        r#"deputy_requests_total{endpoint="mcp",outcome="missing_token"} 1"#,
        r#"deputy_request_seconds_bucket{endpoint="register",le="+Inf"} 1"#,
        r#"deputy_store_seconds_count{operation="probe"} 1"#,
        r#"http_responses_total{server="deputy",status="4xx"} 4"#,
        r#"http_connection_slots{server="deputy"} 512"#,
        "deputy_store_queue 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("invented"), "{text}");
    let names: BTreeSet<_> = all().map(|metric| metric.name).collect();
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert!(names.contains(name.split(' ').next().unwrap()), "{name}");
    }
    for (name, value) in GOOD {
        assert!(!name.contains("SECRET") && !name.contains("KEY") || !text.contains(value), "{name}");
    }
}

#[test]
fn page_that_rebinds_a_name_reads_no_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let [port, metrics_port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("METRICS_LISTEN", format!("127.0.0.1:{metrics_port}"));
    let _running = Running::start(command, READY);
    let request = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let response = rest(&mut send(metrics_port, request));
    assert!(response.starts_with("HTTP/1.1 421 ") && !response.contains("deputy_"), "{response}");
}

#[test]
fn metrics_on_every_address_are_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve(folder.path(), 0);
    command.env("METRICS_LISTEN", "0.0.0.0:0");
    let mut running = Running::start(command, READY);
    running.signal("TERM");
    let log = running.ended().2;
    assert!(log.contains("METRICS_LISTEN") && log.contains("no authentication"), "{log}");
}

/// `UPDATE_DOCS=1 cargo test -p deputy-native --test binary` writes the table anew.
#[test]
fn table_of_metrics_is_up_to_date() {
    let path = Path::new(ROOT).join("docs/operating.md");
    let committed = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = committed.split_once("<!-- metrics -->\n").expect("the start of the table");
    let (_, after) = rest.split_once("<!-- end of metrics -->").expect("the end of the table");
    let rendered = format!("{before}<!-- metrics -->\n{}<!-- end of metrics -->{after}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
        return;
    }
    assert!(
        committed == rendered,
        "docs/operating.md is out of date. UPDATE_DOCS=1 cargo test -p deputy-native --test binary writes its table anew"
    );
}

#[test]
fn dashboard_and_rules_name_only_metrics_that_exist() {
    let mut known = BTreeSet::new();
    for metric in all() {
        known.insert(metric.name.to_owned());
        if metric.kind == Kind::Histogram {
            known.extend(["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name)));
        }
    }
    for file in ["deploy/grafana/deputy.json", "deploy/prometheus/deputy.rules.yml", "docs/operating.md"] {
        let text = std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        let named: BTreeSet<_> =
            words.filter(|word| word.starts_with("deputy_") || word.starts_with("http_")).collect();
        assert!(named.len() > 5, "{file}: {named:?}");
        for name in named {
            assert!(known.contains(name), "{name} in {file}");
        }
    }
}

fn all() -> impl Iterator<Item = Metric> {
    METRICS.into_iter().chain(metrics::METRICS)
}

fn table() -> String {
    let mut table = "| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for Metric { name, kind, labels, meaning } in all() {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(table, "| `{name}` | {kind} | {} | {meaning} |", labels.join(", "));
    }
    table
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
