//! Tools from an OpenAPI document.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::Output,
};

use serde_json::{Value, json};

use crate::support::{GOOD, READY, Running, deputy, free_ports, get, run, serve, stderr};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/invoices/openapi.yaml");
const OVERLAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/invoices/overlay.yaml");

fn tools(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    run(deputy(folder.path(), &[&["tools"], arguments].concat()))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A file with this text in the folder.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn tools_prints_what_agents_see_and_what_is_left_out() {
    let printed = stdout(&tools(&["--openapi", DOCUMENT]));
    for line in [
        "Invoices: 6 tools",
        "deleteInvoice (DELETE /invoices/{id}; invoice.write; asks the user first)",
        "    id (string) The id of the invoice, from listInvoices.",
        "  invoice.read: See your invoices",
        "3 operations not served:",
        "  listInvoices: it is called without the cookie `session`",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    let curated = tools(&["--openapi", DOCUMENT, "--openapi-overlay", OVERLAY, "--json"]);
    let curated: Value = serde_json::from_str(&stdout(&curated)).unwrap();
    assert_eq!((&curated["api"], &curated["warnings"]), (&json!("your invoices"), &json!([])));
    let names: Vec<_> =
        curated["tools"].as_array().unwrap().iter().map(|tool| &tool["tool"]["name"]).collect();
    assert!(names.contains(&&json!("listCustomers")) && !names.contains(&&json!("health")), "{names:?}");
}

#[test]
fn tools_of_a_large_document_are_printed_whole() {
    let folder = tempfile::tempdir().unwrap();
    let operation = json!({ "get": { "description": "x".repeat(1000) } });
    let paths: serde_json::Map<_, _> = (0..2500).map(|n| (format!("/{n}"), operation.clone())).collect();
    let document = json!({ "openapi": "3.1.0", "x-deputy-scopes": [], "paths": paths }).to_string();
    let printed = tools(&["--openapi", &file(folder.path(), "large.json", &document), "--json"]);
    let printed: Value = serde_json::from_str(&stdout(&printed)).unwrap();
    assert_eq!(printed["tools"].as_array().unwrap().len(), 2500);
}

#[test]
fn document_that_is_not_utf_8_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin1.yaml");
    fs::write(&path, b"openapi: 3.0.0\ninfo: { title: B\xfccher }\n").unwrap();
    let output = tools(&["--openapi", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("latin1.yaml is not UTF-8"), "{}", stderr(&output));
}

#[test]
fn check_of_tools_fails_until_every_operation_is_decided() {
    let status = |arguments: &[&str]| tools(arguments).status.code();
    assert_eq!(status(&["--openapi", DOCUMENT]), Some(0));
    assert_eq!(status(&["--openapi", DOCUMENT, "--check"]), Some(1));
    assert_eq!(status(&["--openapi", DOCUMENT, "--openapi-overlay", OVERLAY, "--check"]), Some(0));
}

#[test]
fn diff_of_tools_says_which_approvals_are_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let document =
        |paths: Value| json!({ "openapi": "3.1.0", "x-deputy-scopes": ["a"], "paths": paths }).to_string();
    let old = document(
        json!({ "/1": { "get": {}, "delete": {} }, "/2": { "get": {} }, "/3": { "post": { "x-deputy-read-only": true } } }),
    );
    let new = document(json!({
        "/1": { "get": { "x-deputy-scopes": ["b"] }, "delete": { "x-deputy-destructive": false } },
        "/3": { "post": { "parameters": [{ "name": "q", "in": "query" }] } },
        "/4": { "get": {} },
    }));
    let (old, new) = (file(folder.path(), "old.json", &old), file(folder.path(), "new.json", &new));
    let printed = stdout(&tools(&["--openapi", &new, "--diff", &old]));
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        [
            "- get_2: clients that use it get an error",
            "~ delete_1 no longer asks the user",
            "~ get_1 needs `b` instead of `a`: applications without `b`, and those that could not use it before, need a new approval",
            "~ post_3 may change data now: applications that users approved before need a new approval to use it",
            "~ post_3 has other arguments",
            "+ get_4 (a): applications that users approved before need a new approval to use it",
        ]
    );
    assert_eq!(stdout(&tools(&["--openapi", &new, "--diff", &new])), "no tool differs\n");
}

#[test]
fn document_that_cannot_be_used_is_a_wrong_option() {
    let folder = tempfile::tempdir().unwrap();
    let bad = file(folder.path(), "bad.yaml", "swagger: '2.0'\n");
    let empty = file(folder.path(), "empty.yaml", "openapi: 3.0.0\npaths: {}\n");
    let overlay =
        file(folder.path(), "overlay.yaml", "overlay: 1.0.0\nactions: [{target: $.paths.x, remove: true}]\n");
    let unscoped = r#"{"openapi": "3.0.0", "x-deputy-scopes": [], "paths": {"/a": {"get": {}}}}"#;
    let unscoped = file(folder.path(), "unscoped.json", unscoped);
    for (arguments, reason) in [
        (&["tools"][..], "--openapi (OPENAPI) names a file"),
        (&["tools", "--openapi", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (&["tools", "--openapi", &bad], "it is Swagger 2.0"),
        (
            &["tools", "--openapi", DOCUMENT, "--openapi-overlay", &overlay],
            "action 1: $.paths.x selects nothing",
        ),
        (&["serve", "--openapi", &bad], "it is Swagger 2.0"),
        (&["serve", "--openapi", &empty], "no operation of"),
        (&["serve", "--openapi", &unscoped], "API_SCOPES: is not set"),
        (&["doctor", "--openapi", &bad], "it is Swagger 2.0"),
    ] {
        let mut command = deputy(folder.path(), arguments);
        command.envs(GOOD);
        let output = run(command);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
}

#[test]
fn serve_offers_the_tools_and_scopes_of_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("OPENAPI", DOCUMENT).env("OPENAPI_OVERLAY", OVERLAY);
    let _running = Running::start(command, READY);
    let metadata = get(port, "/.well-known/oauth-protected-resource/mcp");
    assert!(metadata.contains(r#""scopes_supported":["invoice.read","invoice.write"]"#), "{metadata}");
    let home = get(port, "/");
    assert!(home.contains("List invoices") && !home.contains("todo"), "{home}");
}

#[test]
fn check_compares_the_path_of_the_document_with_api_url() {
    let folder = tempfile::tempdir().unwrap();
    let check = |api_url: &str| {
        let mut command = deputy(folder.path(), &["doctor", "--openapi", DOCUMENT]);
        command.envs(GOOD).env("API_URL", api_url);
        stdout(&run(command))
    };
    let other = check("http://localhost:9/api");
    assert!(other.contains("warning  OpenAPI document: 6 tools, 3 operations not served; its first server has the path /v1, and API_URL has /api"), "{other}");
    let same = check("http://localhost:9/v1");
    assert!(same.contains("ok       OpenAPI document: 6 tools, 3 operations not served\n"), "{same}");
}

#[test]
fn doctor_proposes_a_path_of_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let api = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}", api.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for connection in api.incoming() {
            let mut connection = connection.unwrap();
            // The head of a request fits into one segment on this computer.
            let _ = connection.read(&mut [0; 4096]).unwrap();
            connection
                .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
        }
    });
    let paths = r#"{"/berths/{id}": {"get": {}}, "/berths": {"post": {}}, "/boats": {"get": {}}, "/": {"get": {"x-deputy-scopes": []}}}"#;
    let document = format!(r#"{{"openapi": "3.1.0", "x-deputy-scopes": ["berths.read"], "paths": {paths}}}"#);
    let document = file(folder.path(), "berths.json", &document);
    let doctor = |arguments: &[&str]| {
        let mut command = deputy(folder.path(), &[&["doctor"], arguments].concat());
        command.envs(GOOD).env("API_URL", &url);
        stdout(&run(command))
    };
    let with_document = doctor(&["--openapi", &document]);
    assert!(with_document.contains("--api-path (DOCTOR_API_PATH), such as /boats, and"), "{with_document}");
    let without = doctor(&[]);
    assert!(without.contains("(DOCTOR_API_PATH), such as /api/todos, and"), "{without}");
}
