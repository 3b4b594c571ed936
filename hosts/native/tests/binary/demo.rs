//! `deputy demo`, as somebody who is curious meets it.

use std::{fs, net::TcpListener, path::Path, process::Command};

use crate::support::{Running, deputy, free_ports, get, request, rest, run, send};

const READY: &str = "Control-C stops";

fn demo(folder: &Path, ports: [u16; 3]) -> Command {
    let [port, todo_api, pingone] = ports.map(|port| port.to_string());
    deputy(folder, &["demo", "--port", &port, "--todo-api-port", &todo_api, "--pingone-port", &pingone])
}

/// The body of an answer, as JSON.
fn json(answer: &str) -> serde_json::Value {
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn it_says_what_to_do_next_and_all_three_servers_answer() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let running = Running::start(demo(folder.path(), ports), READY);
    let [port, todo_api, pingone] = ports;
    for text in [&format!("http://localhost:{port}/mcp"), "claude mcp add", "code --add-mcp", "password "] {
        assert!(running.printed.contains(text), "{text} in {}", running.printed);
    }
    let metadata = json(&get(port, "/.well-known/oauth-protected-resource/mcp"));
    assert_eq!(metadata["resource"], format!("http://localhost:{port}/mcp"));
    assert!(get(todo_api, "/api/todos").starts_with("HTTP/1.1 401 "));
    assert!(get(pingone, "/").starts_with("HTTP/1.1 "));
}

#[test]
fn a_name_that_leads_here_by_rebinding_reaches_none_of_the_three_servers() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let _running = Running::start(demo(folder.path(), ports), READY);
    for (port, path) in ports.into_iter().zip(["/health", "/api/todos", "/sim/state"]) {
        let answer = |host: &str| {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            rest(&mut send(port, &head))
        };
        for host in
            [format!("evil.example:{port}"), "localhost".to_owned(), format!("localhost:{port}.evil.example")]
        {
            assert!(answer(&host).starts_with("HTTP/1.1 421 "), "{host}{path}");
        }
        for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}")] {
            assert!(!answer(&host).starts_with("HTTP/1.1 421 "), "{host}{path}");
        }
    }
}

#[test]
fn a_busy_port_is_named_with_its_own_flag() {
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
fn a_registration_is_kept_until_a_reset() {
    let folder = tempfile::tempdir().unwrap();
    let ports @ [port, _, _] = free_ports();
    let mut running = Running::start(demo(folder.path(), ports), READY);
    let body = r#"{"redirect_uris":["http://localhost:1/cb"],"token_endpoint_auth_method":"none","client_name":"Kept"}"#;
    let registered = json(&request(port, "POST /register", "application/json", body));
    let path = format!(
        "/authorize?client_id={}&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcb&response_type=code&state=s\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
        registered["client_id"].as_str().unwrap()
    );
    running.signal("TERM");
    assert_eq!(running.ended().0.code(), Some(0));
    let mut again = Running::start(demo(folder.path(), ports), READY);
    assert!(get(port, &path).contains("Kept"));
    again.signal("TERM");
    again.ended();
    let mut command = demo(folder.path(), ports);
    command.arg("--reset");
    let _reset = Running::start(command, READY);
    assert!(get(port, &path).starts_with("HTTP/1.1 400 "));
}
