//! `deputy grants` and `deputy clients` against a running Deputy.

use std::{path::Path, process::Output, time::SystemTime};

use deputy::{
    config::Config,
    host::{GrantId, RecordKey, Store as _, Timestamp},
    oauth::{CodeChallenge, Grant, NewGrant, PingOneLogin, PingOneTokens, Redemption},
    secret::Secret,
    types::{ClientId, RedirectUri, Scopes, User},
};
use deputy_native::store::SqliteStore;
use serde_json::Value;

use crate::support::{GOOD, READY, Running, deputy, free_ports, get, rest, run, send, serve, stderr};

const TOKEN: &str = "operator-0123456789abcdef-operator";
const CLIENT: &str = "BwcHBwcHBwcHBwcHBwcHBw";
const OTHER: &str = "https://app.example/client.json";

/// A Deputy with a grant of each of two clients, and the port of its admin interface.
fn start(folder: &Path) -> (Running, [u16; 2]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&folder.join("data")).unwrap();
        for (number, client, user) in [(1, CLIENT, "alice"), (2, OTHER, "bob")] {
            let grant = grant(number, client, user);
            let value = serde_json::to_vec(&grant).unwrap();
            store.put(&RecordKey::Grant(grant.id), value, grant.expires_at).await.unwrap();
        }
    });
    restart(folder)
}

fn restart(folder: &Path) -> (Running, [u16; 2]) {
    restart_with(folder, &[])
}

fn restart_with(folder: &Path, variables: &[(&str, &str)]) -> (Running, [u16; 2]) {
    let ports @ [port, admin] = free_ports();
    let mut command = serve(folder, port);
    command.env("ADMIN_LISTEN", format!("127.0.0.1:{admin}")).env("ADMIN_TOKEN", TOKEN);
    command.envs(variables.iter().copied());
    (Running::start(command, READY), ports)
}

/// A grant whose code was redeemed.
fn grant(number: u8, client: &str, user: &str) -> Grant {
    #[expect(clippy::disallowed_methods, reason = "the clock of the process")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (now, random) =
        (Timestamp(now - 3000 * u64::from(number)), move |bytes: &mut [u8]| bytes.fill(number));
    let lookup = |name: &str| GOOD.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
    let public_url = |name: &str| (name == "PUBLIC_URL").then(|| "http://localhost:1".to_owned());
    let config = Config::parse(|name| lookup(name).or_else(|| public_url(name))).unwrap();
    let client_id = ClientId::parse(client).unwrap();
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let new = NewGrant {
        id: GrantId([number; 16]),
        user: User { sub: user.to_owned(), name: Some(format!("{user}\u{1b}[31m")), ..User::default() },
        client_id: client_id.clone(),
        needs_key: false,
        client_name: Some("A client".to_owned()),
        redirect_uri: RedirectUri::parse("https://client.example/cb").unwrap(),
        code_challenge: CodeChallenge::parse(Some(challenge), Some("S256")).unwrap(),
        scopes: Scopes::parse("todo:read").unwrap(),
        declined: Scopes::default(),
        approved_tools: None,
        login: PingOneLogin { session: None, at: now },
        pingone_tokens: PingOneTokens {
            access_token: Secret::new("from PingOne".to_owned()),
            refresh_token: Some(Secret::new("from PingOne".to_owned())),
            expires_at: now.plus(3600),
            check_at: None,
            subject: user.to_owned(),
        },
    };
    let (grant, code) = Grant::issue(new, now, &random);
    let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
    let redemption =
        Redemption { client_id: &client_id, by_key: false, redirect_uri: None, code_verifier: verifier };
    grant.redeem(&code, &redemption, &config, now, &random).unwrap().0
}

/// `deputy` with these arguments, for the Deputy with this admin port.
fn operator(folder: &Path, port: u16, arguments: &[&str]) -> Output {
    let mut command = deputy(folder, arguments);
    command.env("ADMIN_LISTEN", format!("127.0.0.1:{port}")).env("ADMIN_TOKEN", TOKEN);
    run(command)
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn listed(folder: &Path, port: u16, selection: &[&str]) -> Vec<Value> {
    let output = operator(folder, port, &[&["grants", "list", "--json"], selection].concat());
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    document["grants"].as_array().unwrap().clone()
}

#[test]
fn operator_lists_shows_and_ends_grants_of_a_running_deputy() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (mut running, [_, admin]) = start(folder);

    let table = stdout(&operator(folder, admin, &["grants", "list"]));
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("GRANT ") && lines[3] == "2 grants", "{table}");
    // The oldest login first. A name cannot control the terminal.
    assert!(lines[1].contains("bob (bob[31m)") && lines[2].contains(CLIENT), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    let clients = |selection: &[&str]| -> Vec<String> {
        let grants = listed(folder, admin, selection).into_iter();
        grants.map(|grant| grant["client"]["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(clients(&["--client", CLIENT]), [CLIENT]);
    assert_eq!(clients(&["--user", "bob"]), [OTHER]);
    assert_eq!(clients(&["--older-than", "90m"]), [OTHER]);
    assert_eq!(clients(&["--host", "app.example"]), [OTHER]);

    let id = listed(folder, admin, &["--user", "alice"])[0]["id"].as_str().unwrap().to_owned();
    let shown = stdout(&operator(folder, admin, &["grants", "show", &id]));
    assert!(shown.contains("alice") && shown.contains("todo:read"), "{shown}");

    // Without a terminal and without --yes, nothing is ended.
    let refused = operator(folder, admin, &["grants", "end", "--all"]);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--yes"), "{}", stderr(&refused));
    assert_eq!(clients(&[]).len(), 2);
    for wrong in [&["grants", "end", "--yes"][..], &["grants", "end", "--yes", "--all", "--user", "bob"]] {
        assert_eq!(operator(folder, admin, wrong).status.code(), Some(2), "{wrong:?}");
    }

    let ended = stdout(&operator(folder, admin, &["grants", "end", "--client", OTHER, "--block", "--yes"]));
    assert_eq!(ended, "Blocked. 1 grant ended.\n");
    // The end is durable when the command reports it.
    running.signal("KILL");
    let log = running.ended().2;
    let (mut running, [_, admin]) = restart(folder);
    let blocked = stdout(&operator(folder, admin, &["clients", "blocked"]));
    assert!(blocked.contains(OTHER), "{blocked}");
    let left = listed(folder, admin, &[]);
    assert_eq!((left.len(), left[0]["id"].as_str()), (1, Some(id.as_str())));
    stdout(&operator(folder, admin, &["clients", "unblock", OTHER]));
    let again = operator(folder, admin, &["clients", "unblock", OTHER]);
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    assert_eq!(stdout(&operator(folder, admin, &["grants", "end", &id, "--yes"])), "1 grant ended.\n");
    let gone = operator(folder, admin, &["grants", "show", &id]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("no such grant"), "{}", stderr(&gone));

    running.signal("TERM");
    let log = log + &running.ended().2;
    assert!(log.contains("client blocked") && log.contains("grant ended"), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
    let audit = stdout(&run(deputy(folder, &["audit", "export"])));
    for event in ["client_blocked", "client_unblocked", "\"by\":\"operator\""] {
        assert!(audit.contains(event), "{event}: {audit}");
    }
    assert!(!audit.contains(TOKEN), "{audit}");
}

#[test]
fn admin_interface_is_on_its_own_loopback_port_only() {
    let folder = tempfile::tempdir().unwrap();
    let (_running, [port, admin]) = restart(folder.path());
    let request = |port: u16, host: &str| {
        let bytes = format!(
            "GET /admin/v1/grants HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        );
        rest(&mut send(port, &bytes))
    };
    assert!(request(admin, &format!("localhost:{admin}")).starts_with("HTTP/1.1 200 "));
    assert!(request(admin, "evil.example").starts_with("HTTP/1.1 421 "));
    assert!(request(port, &format!("localhost:{port}")).starts_with("HTTP/1.1 404 "));
    let refused = get(admin, "/admin/v1/grants");
    assert!(refused.starts_with("HTTP/1.1 401 "));
    assert!(refused.to_lowercase().contains("\r\nx-request-id: "), "{refused}");
    for path in ["/", "/mcp", "/health", "/authorize"] {
        assert!(get(admin, path).starts_with("HTTP/1.1 404 "), "{path}");
    }
}

#[test]
fn wrong_settings_of_the_admin_interface_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (variables, text) in [
        (&[("ADMIN_LISTEN", "0.0.0.0:0"), ("ADMIN_TOKEN", TOKEN)][..], "loopback"),
        (&[("ADMIN_LISTEN", "127.0.0.1:0")], "ADMIN_TOKEN"),
        (&[("ADMIN_TOKEN", "short-and-secret")], "ADMIN_TOKEN: must have at least 32 characters"),
    ] {
        let mut command = serve(folder.path(), 0);
        command.envs(variables.iter().copied());
        let output = run(command);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(text), "{}", stderr(&output));
        assert!(!stderr(&output).contains("short-and-secret") && !stderr(&output).contains(TOKEN));
    }
}

#[test]
fn command_without_the_admin_interface_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [free] = free_ports();
    let token = ("ADMIN_TOKEN", TOKEN);
    let url = format!("http://127.0.0.1:{free}");
    let (_running, [port, admin]) = restart(folder);
    let (public, here) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{admin}"));
    for (variables, url, status, text) in [
        (&[][..], Some(url.as_str()), 2, "ADMIN_TOKEN is not set"),
        (&[token], None, 2, "ADMIN_LISTEN"),
        (&[token], Some(&url), 1, "cannot be reached"),
        (&[token], Some("http://deputy.example"), 2, "https"),
        (&[token], Some(&public), 1, "has no admin interface"),
        (&[("ADMIN_TOKEN", "another-0123456789abcdef-operator")], Some(&here), 1, "(401 Unauthorized)"),
    ] {
        let mut arguments = vec!["grants", "list"];
        arguments.extend(url.into_iter().flat_map(|url| ["--url", url]));
        let mut command = deputy(folder, &arguments);
        command.envs(variables.iter().copied());
        let output = run(command);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains(TOKEN), "{}", stderr(&output));
    }
}

#[test]
fn command_reads_the_file_with_variables() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_running, [_, admin]) = start(folder);
    let file = format!("ADMIN_TOKEN={TOKEN}\nADMIN_LISTEN=localhost:{admin}\nADMIN_JSON=true\n");
    for (name, arguments) in
        [(".env", &["grants", "list"][..]), ("other", &["grants", "list", "--env-file", "other"])]
    {
        std::fs::write(folder.join(name), &file).unwrap();
        let printed = stdout(&run(deputy(folder, arguments)));
        let document: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(document["grants"].as_array().map(Vec::len), Some(2), "{printed}");
        std::fs::remove_file(folder.join(name)).unwrap();
    }
}

#[test]
fn records_of_a_running_deputy_are_copied_to_another_store() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (running, [_, admin]) = start(folder);
    stdout(&operator(folder, admin, &["clients", "block", "--host", "evil.example", "--yes"]));
    let url = format!("http://127.0.0.1:{admin}");
    let refused = operator(folder, admin, &["store", "copy", &url, "./copy"]);
    assert!(stderr(&refused).contains("set ADMIN_EXPORT=on"), "{}", stderr(&refused));
    drop(running);
    let (running, [_, admin]) = restart_with(folder, &[("ADMIN_EXPORT", "on")]);
    let before = listed(folder, admin, &[]);
    let url = format!("http://127.0.0.1:{admin}");
    let copied = stdout(&operator(folder, admin, &["store", "copy", &url, "./copy"]));
    assert!(copied.contains("Copied 4 records, 2 of them grants") && copied.contains(&url), "{copied}");
    assert!(copied.contains(&format!("Delete the server at {url}")), "{copied}");
    let again = operator(folder, admin, &["store", "copy", &url, "./copy"]);
    assert!(stderr(&again).contains("has records already"), "{}", stderr(&again));
    let refused = run(deputy(folder, &["store", "copy", &url, "./other"]));
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("ADMIN_TOKEN is not set"), "{}", stderr(&refused));
    let with_password = url.replace("http://", "http://operator:hunter2@");
    let refused = operator(folder, admin, &["store", "copy", &with_password, "./other"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(!stderr(&refused).contains("hunter2"), "{}", stderr(&refused));
    drop(running);
    std::fs::rename(folder.join("data"), folder.join("before")).unwrap();
    std::fs::rename(folder.join("copy"), folder.join("data")).unwrap();
    let (_running, [port, admin]) = restart(folder);
    assert_eq!(listed(folder, admin, &[]), before);
    // The copy of the list, which refuses a login at its beginning.
    let body = r#"{"redirect_uris":["https://evil.example/cb"]}"#;
    let request = format!(
        "POST /register HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let refused = rest(&mut send(port, &request));
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("blocked"), "{refused}");
    let blocked = stdout(&operator(folder, admin, &["clients", "blocked"]));
    assert!(blocked.contains("evil.example"), "{blocked}");
}
