//! The start and the log of `deputy serve`.

use std::{fs, net::TcpListener, thread, time::Duration};

use crate::support::{GOOD, READY, Running, deputy, free_ports, get, rest, run, send, serve, stderr};

#[test]
fn printed_url_is_ready_for_clients() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let running = Running::start(serve(folder.path(), port), READY);
    assert!(running.printed.contains(&format!("http://localhost:{port}/mcp")), "{}", running.printed);
    let metadata = get(port, "/.well-known/oauth-authorization-server");
    assert!(metadata.starts_with("HTTP/1.1 200 "), "{metadata}");
    assert!(metadata.contains(&format!("\"issuer\":\"http://localhost:{port}\"")), "{metadata}");
}

#[test]
fn port_chosen_by_the_system_is_in_the_urls() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(serve(folder.path(), 0), READY);
    let port = running.printed.rsplit("localhost:").next().unwrap().trim_end().strip_suffix("/mcp").unwrap();
    assert!(get(port.parse().unwrap(), "/.well-known/oauth-authorization-server").contains(port));
}

#[test]
fn start_prints_version_and_urls_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("LOG_FORMAT", "json").env("PUBLIC_URL", "https://deputy.example");
    let running = Running::start(command, "mcp_url");
    let mut line: serde_json::Value = serde_json::from_str(running.printed.trim()).unwrap();
    assert!(line["message"].take().as_str().unwrap().contains(READY));
    assert!(line["build"].take().as_str().unwrap().contains("debug"), "{line}");
    let commit = line.as_object_mut().unwrap().remove("commit").unwrap();
    let expected = serde_json::json!({
        "level": "INFO", "message": null, "build": null, "version": env!("CARGO_PKG_VERSION"), "port": port,
        "public_url": "https://deputy.example", "mcp_url": "https://deputy.example/mcp",
        "callback_url": "https://deputy.example/callback",
        "signoff_url": "https://deputy.example/agents",
    });
    assert_eq!(line, expected);
    let health = get(port, "/healthz");
    let health: serde_json::Value = serde_json::from_str(health.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&health["version"], &health["commit"]), (&env!("CARGO_PKG_VERSION").into(), &commit));
    let printed = String::from_utf8(run(deputy(folder.path(), &["--version"])).stdout).unwrap();
    assert!(printed.contains(commit.as_str().unwrap_or("unknown")) && printed.contains("debug"), "{printed}");
}

#[test]
fn start_prints_version_and_urls_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let running = Running::start(serve(folder.path(), port), READY);
    for part in [env!("CARGO_PKG_VERSION"), "/callback", "/mcp"] {
        assert!(running.printed.contains(part), "{part} in {}", running.printed);
    }
}

#[test]
fn busy_port_is_reported_with_its_flag() {
    let folder = tempfile::tempdir().unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let output = run(serve(folder.path(), port));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&format!("port {port} ")) && text.contains("--listen"), "{text}");
}

#[test]
fn unusable_database_is_reported_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/deputy.sqlite3"), "x".repeat(5000)).unwrap();
    let output = run(serve(folder.path(), 0));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("./data/deputy.sqlite3 is damaged") && text.contains("move "), "{text}");
}

#[test]
fn json_log_has_no_query_header_or_secret() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("LOG_FORMAT", "json").env("LOG", "trace");
    let mut running = Running::start(command, READY);
    let request = format!(
        "GET /callback?code=hunter2&state=hunter2 HTTP/1.1\r\nHost: localhost:{port}\r\n\
         Authorization: Bearer hunter2\r\nCookie: a=hunter2\r\nConnection: close\r\n\r\n"
    );
    rest(&mut send(port, &request));
    running.signal("TERM");
    let (_, _, log) = running.ended();
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert!(log.contains(r#""path":"/callback""#), "{log}");
    for secret in ["hunter2", "a-secret-of-the-client", "MDEyMzQ1"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn addresses_named_by_a_proxy_have_separate_limits() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("RATE_LIMITS", "register=2").env("CLIENT_ADDRESS_HEADER", "x-forwarded-for");
    let _running = Running::start(command, READY);
    let body = r#"{"redirect_uris":["http://localhost:1/cb"],"token_endpoint_auth_method":"none"}"#;
    let register = |forwarded: &str| {
        let head = format!(
            "POST /register HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{forwarded}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        rest(&mut send(port, &head))
    };
    // The client may have written every entry but the last.
    for number in 0..2 {
        let response = register(&format!("X-Forwarded-For: 192.0.2.{number}, 203.0.113.7\r\n"));
        assert!(response.starts_with("HTTP/1.1 201 "), "{response}");
    }
    let refused = register("X-Forwarded-For: 192.0.2.9, 203.0.113.7\r\n");
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: "), "{refused}");
    for (other, status) in [
        ("X-Forwarded-For: 203.0.113.8\r\n", 201),
        ("", 201),
        ("X-Forwarded-For: 203.0.113.9, 127.0.0.1\r\n", 201),
        ("", 429),
    ] {
        assert!(register(other).starts_with(&format!("HTTP/1.1 {status} ")), "{other}");
    }
}

#[test]
fn loopback_public_url_of_a_public_port_is_warned_about() {
    let warned = |listen: &str, url: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = deputy(folder.path(), &["serve", "--listen", listen]);
        command.envs(GOOD).env("PUBLIC_URL", url);
        let mut running = Running::start(command, READY);
        running.signal("TERM");
        running.ended().2.contains("leads each of them to itself")
    };
    assert!(warned("0.0.0.0:0", ""));
    assert!(!warned("0.0.0.0:0", "https://deputy.example"));
    assert!(!warned("127.0.0.1:0", ""));
}

#[test]
fn unreachable_issuer_is_warned_about_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(serve(folder.path(), 0), READY);
    thread::sleep(Duration::from_millis(500));
    running.signal("TERM");
    let log = running.ended().2;
    let warning = "PINGONE_ISSUER cannot be used: no user can log in until it is corrected";
    assert!(log.contains(warning) && log.contains("http://localhost:9/env/as"), "{log}");
}

#[test]
fn proxy_without_client_addresses_is_warned_about() {
    let warning = |variables: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = serve(folder.path(), 0);
        command.env("PUBLIC_URL", "https://deputy.example").envs(variables.iter().copied());
        let mut running = Running::start(command, READY);
        running.signal("TERM");
        running.ended().2.contains("CLIENT_ADDRESS_HEADER")
    };
    assert!(warning(&[]));
    assert!(!warning(&[("CLIENT_ADDRESS_HEADER", "x-real-ip")]));
    assert!(!warning(&[("RATE_LIMITS", "off")]));
}

#[test]
fn health_check_of_a_proxy_needs_no_client_address() {
    let warned = |requests: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        let mut command = serve(folder.path(), port);
        command.env("CLIENT_ADDRESS_HEADER", "x-forwarded-for");
        let mut running = Running::start(command, READY);
        for path in requests {
            get(port, path);
        }
        running.signal("TERM");
        running.ended().2.contains("has no client address")
    };
    assert!(!warned(&["/health", "/healthz", "/readyz"]));
    assert!(warned(&["/readyz", "/"]));
}
