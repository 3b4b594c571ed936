//! `deputy demo`.

use std::{fs, net::TcpListener, path::Path, process::Command};

use crate::support::{Running, approval_page, deputy, free_ports, get, register, rest, run, send};

const READY: &str = "Control-C stops";

/// An empty demo would not show what a list looks like.
#[test]
fn users_of_the_demo_begin_with_todos_unless_it_is_empty() {
    for (empty, expected) in [(false, 6), (true, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = demo(folder.path(), free_ports());
        if empty {
            command.arg("--empty");
        }
        let running = Running::start(command, READY);
        drop(running);
        let file = folder.path().join("data/demo/todo-api/todos.sqlite3");
        let todos = rusqlite::Connection::open(file).unwrap();
        let count: u32 = todos.query_row("SELECT count(*) FROM todos", (), |row| row.get(0)).unwrap();
        assert_eq!(count, expected);
    }
}

fn demo(folder: &Path, ports: [u16; 3]) -> Command {
    let [port, todo_api, pingone] = ports.map(|port| port.to_string());
    deputy(folder, &["demo", "--port", &port, "--todo-api-port", &todo_api, "--pingone-port", &pingone])
}

/// The JSON body of a response.
fn json(response: &str) -> serde_json::Value {
    let body = response.split_once("\r\n\r\n").map(|(_, body)| body);
    body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_else(|| panic!("{response}"))
}

#[test]
fn demo_prints_instructions_and_serves_all_three_ports() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let running = Running::start(demo(folder.path(), ports), READY);
    let [port, todo_api, pingone] = ports;
    assert!(running.printed.contains("\nLogins and todos are kept in"), "{}", running.printed);
    for text in [&format!("http://localhost:{port}/mcp"), "claude mcp add", "code --add-mcp", "password "] {
        assert!(running.printed.contains(text), "{text} in {}", running.printed);
    }
    let metadata = json(&get(port, "/.well-known/oauth-protected-resource/mcp"));
    assert_eq!(metadata["resource"], format!("http://localhost:{port}/mcp"));
    assert!(get(todo_api, "/api/todos").starts_with("HTTP/1.1 401 "));
    assert!(get(pingone, "/").starts_with("HTTP/1.1 "));
}

#[test]
fn demo_serves_another_api_with_scopes_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let mut command = demo(folder.path(), ports);
    command.args(["--scopes", "notes.read notes.write", "--api-url", "http://localhost:3000"]);
    command.args(["--api-identifier", "https://notes.example"]).env("ACCESS_TOKEN_LIFETIME", "60");
    // Those for a real PingOne have no effect.
    command.env("PINGONE_CLIENT_AUTH", "client_secret_post").env("API_SCOPES", "other");
    let running = Running::start(command, READY);
    let issuer = format!("http://localhost:{}/", ports[2]);
    for text in [
        "API          http://localhost:3000",
        &issuer,
        "/as/jwks\n",
        "aud          https://notes.example\n",
        "\nLogins are kept in",
    ] {
        assert!(running.printed.contains(text), "{text} in {}", running.printed);
    }
    let key_set =
        running.printed.lines().find_map(|line| line.trim().strip_prefix("key set")).unwrap().trim();
    let path = key_set.strip_prefix(issuer.trim_end_matches('/')).unwrap();
    assert!(json(&get(ports[2], path))["keys"].is_array(), "{path}");
    let metadata = json(&get(ports[0], "/.well-known/oauth-authorization-server"));
    assert_eq!(
        metadata["scopes_supported"],
        serde_json::json!(["notes.read", "notes.write", "offline_access"])
    );
    assert!(TcpListener::bind(("127.0.0.1", ports[1])).is_ok(), "there is no Todo API");
}

#[test]
fn demo_refuses_a_wrong_setting_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = demo(folder.path(), free_ports());
    command.env("ACCESS_TOKEN_LIFETIME", "1");
    let output = run(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ACCESS_TOKEN_LIFETIME"), "{output:?}");
}

#[test]
fn rebound_name_reaches_no_server_of_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let _running = Running::start(demo(folder.path(), ports), READY);
    for (port, path) in ports.into_iter().zip(["/health", "/api/todos", "/sim/state"]) {
        let response = |host: &str| {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            rest(&mut send(port, &head))
        };
        for host in
            [format!("evil.example:{port}"), "localhost".to_owned(), format!("localhost:{port}.evil.example")]
        {
            assert!(response(&host).starts_with("HTTP/1.1 421 "), "{host}{path}");
        }
        for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}")] {
            assert!(!response(&host).starts_with("HTTP/1.1 421 "), "{host}{path}");
        }
    }
}

#[test]
fn busy_port_of_the_demo_is_reported_with_its_flag() {
    for (index, flag) in ["--port", "--todo-api-port", "--pingone-port"].into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = free_ports();
        ports[index] = busy.local_addr().unwrap().port();
        let output = run(demo(folder.path(), ports));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains(&format!("port {} ", ports[index])) && text.contains(&format!("with {flag}")),
            "{text}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
    }
}

#[test]
fn registration_is_kept_until_the_demo_is_reset() {
    let folder = tempfile::tempdir().unwrap();
    let ports @ [port, _, _] = free_ports();
    let mut running = Running::start(demo(folder.path(), ports), READY);
    let page = approval_page(&register(port));
    running.signal("TERM");
    assert_eq!(running.ended().0.code(), Some(0));
    let mut again = Running::start(demo(folder.path(), ports), READY);
    assert!(get(port, &page).contains("Kept"));
    again.signal("TERM");
    again.ended();
    let mut command = demo(folder.path(), ports);
    command.arg("--reset");
    let _reset = Running::start(command, READY);
    assert!(get(port, &page).starts_with("HTTP/1.1 400 "));
}

#[test]
fn demo_serves_invoices_document_with_its_scopes() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let mut command = demo(folder.path(), ports);
    command.args(["--openapi", INVOICES]);
    let running = Running::start(command, READY);
    let url = format!("http://localhost:{}/v1", ports[1]);
    let mcp = format!("http://localhost:{}/mcp", ports[0]);
    for text in [
        format!("API          {url}"),
        "ask for something of Invoices".to_owned(),
        format!("claude mcp add --transport http invoices {mcp}"),
        format!("codex mcp add invoices --url {mcp}"),
        "\nLogins and the data of the API are kept in".to_owned(),
    ] {
        assert!(!running.printed.contains("todos"), "{}", running.printed);
        assert!(running.printed.contains(&text), "{text} in {}", running.printed);
    }
    let metadata = json(&get(ports[0], "/.well-known/oauth-authorization-server"));
    let scopes = serde_json::json!(["invoice.read", "invoice.write", "offline_access"]);
    assert_eq!(metadata["scopes_supported"], scopes);
    assert!(get(ports[1], "/v1/invoices").starts_with("HTTP/1.1 401 "));
    assert!(get(ports[1], "/v1/health").starts_with("HTTP/1.1 200 "));
}

#[test]
fn demo_of_another_document_needs_the_url_of_its_api() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("openapi.yaml");
    let text = "openapi: 3.1.0\nx-deputy-scopes: [notes.read]\npaths: {/notes: {get: {responses: {}}}}\n";
    fs::write(&document, text).unwrap();
    let mut command = demo(folder.path(), free_ports());
    command.arg("--openapi").arg(&document);
    let output = run(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--api-url (DEMO_API_URL)"), "{output:?}");
    let mut command = demo(folder.path(), free_ports());
    command.args(["--api-url", "http://localhost:3000", "--openapi"]).arg(&document);
    let running = Running::start(command, READY);
    assert!(running.printed.contains("API          http://localhost:3000"), "{}", running.printed);
}

const INVOICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/invoices/openapi.yaml");
