//! `deputy serve`, on an operator's ordinary bad day: full, removed or shared folders, signals, logs that nobody reads.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    serve::{READY, serve},
    support::{LONG, Running, deputy, free_ports, get, request, rest, run, send},
};

/// Registers a client and returns the path of a page that names it.
fn register(port: u16) -> String {
    let body = r#"{"redirect_uris":["http://localhost:1/cb"],"token_endpoint_auth_method":"none","client_name":"Kept"}"#;
    let answer = request(port, "POST /register", "application/json", body);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let id = answer.split("\"client_id\":\"").nth(1).unwrap().split('"').next().unwrap();
    format!(
        "/authorize?client_id={id}&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcb&response_type=code&state=s\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    )
}

/// The same command in a shell that first does `before`.
#[cfg(unix)]
fn after(before: &str, command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    shell
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn start_says_version_and_urls_as_one_json_line() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("LOG_FORMAT", "json").env("PUBLIC_URL", "https://deputy.example");
    let running = Running::start(command, "mcp_url");
    let mut line: serde_json::Value = serde_json::from_str(running.printed.trim()).unwrap();
    assert!(line["message"].take().as_str().unwrap().contains(READY));
    let expected = serde_json::json!({
        "level": "INFO", "message": null, "version": env!("CARGO_PKG_VERSION"), "port": port,
        "public_url": "https://deputy.example", "mcp_url": "https://deputy.example/mcp",
        "callback_url": "https://deputy.example/callback",
    });
    assert_eq!(line, expected);
}

#[test]
fn start_says_version_and_urls_to_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let running = Running::start(serve(folder.path(), port), READY);
    for part in [env!("CARGO_PKG_VERSION"), "/callback", "/mcp"] {
        assert!(running.printed.contains(part), "{part} in {}", running.printed);
    }
}

#[test]
fn second_process_on_a_folder_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut first = Running::start(serve(folder.path(), port), READY);
    let output = run(serve(folder.path(), 0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let named = format!("another Deputy (process {}) uses the folder ./data", first.id());
    assert!(text.contains(&named) && text.contains("--data-dir"), "{text}");
    assert!(get(port, "/health").starts_with("HTTP/1.1 200 "));
    first.signal("KILL");
    first.ended();
    Running::start(serve(folder.path(), port), READY);
}

#[test]
fn clean_stop_leaves_the_whole_database_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(serve(folder.path(), port), READY);
    let page = register(port);
    assert!(get(port, &page).contains("Kept"));
    running.signal("TERM");
    assert_eq!(running.ended().0.code(), Some(0));
    assert_eq!(files(&folder.path().join("data")), ["deputy.sqlite3", "lock"]);
}

#[test]
fn backup_is_restored_after_a_stop_and_from_a_running_server() {
    for stopped in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        let mut running = Running::start(serve(folder.path(), port), READY);
        let page = register(port);
        let stop = |running: &mut Running| {
            running.signal("TERM");
            assert_eq!(running.ended().0.code(), Some(0));
        };
        if stopped {
            stop(&mut running);
        }
        let backup = run(deputy(folder.path(), &["backup", "kept.sqlite3"]));
        assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
        if !stopped {
            let refused = run(deputy(folder.path(), &["restore", "kept.sqlite3"]));
            let text = String::from_utf8(refused.stderr).unwrap();
            assert!(text.contains("another Deputy") && text.contains("./data"), "{text}");
            stop(&mut running);
        }
        fs::remove_dir_all(folder.path().join("data")).unwrap();
        let restored = run(deputy(folder.path(), &["restore", "kept.sqlite3"]));
        assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
        let _running = Running::start(serve(folder.path(), port), READY);
        assert!(get(port, &page).contains("Kept"), "stopped: {stopped}");
    }
}

#[test]
fn removed_data_folder_makes_health_fail_and_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(serve(folder.path(), port), READY);
    assert!(get(port, "/health").starts_with("HTTP/1.1 200 "));
    fs::remove_dir_all(folder.path().join("data")).unwrap();
    let started = Instant::now();
    let health = loop {
        let health = get(port, "/health");
        if !health.starts_with("HTTP/1.1 200 ") || started.elapsed() > LONG {
            break health;
        }
        thread::sleep(Duration::from_millis(100));
    };
    assert!(health.starts_with("HTTP/1.1 503 ") && health.contains("\"unavailable\""), "{health}");
    running.signal("TERM");
    let log = running.ended().2;
    assert!(log.contains("a file of the database was removed or replaced"), "{log}");
}

#[test]
fn sighup_finishes_the_request_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(serve(folder.path(), port), READY);
    let head = format!("POST /revoke HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 7\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n\r\ntok";
    let mut stream = send(port, &(head + form));
    thread::sleep(Duration::from_millis(300));
    // As terminals do, more than once.
    running.signal("HUP");
    running.signal("HUP");
    thread::sleep(Duration::from_millis(300));
    stream.write_all(b"en=x").unwrap();
    let answer = rest(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 4") && answer.contains("\"error\""), "{answer}");
    assert_eq!(running.ended().0.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn sighup_is_ignored_where_the_process_was_started_so() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(after("trap '' HUP", &serve(folder.path(), port)), READY);
    running.signal("HUP");
    thread::sleep(Duration::from_millis(500));
    assert!(get(port, "/health").starts_with("HTTP/1.1 200 "));
    running.signal("TERM");
    assert_eq!(running.ended().0.code(), Some(0));
}

#[test]
fn log_that_nobody_reads_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut child = serve(folder.path(), port).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(READY), "{line}");
    // A pipe holds 64 KiB, which is some 500 lines.
    let request = format!("GET /nothing HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    let mut stream = BufReader::new(send(port, ""));
    for _ in 0..2000 {
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        answered(&mut stream);
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < LONG, "it does not end");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Reads one response with a length.
fn answered(stream: &mut impl std::io::BufRead) {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn limit_of_open_files_is_raised_for_the_connections() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(after("ulimit -Sn 64", &serve(folder.path(), 0)), READY);
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: u64 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(soft >= 2 * 512, "{line}");
}

#[cfg(target_os = "linux")]
#[test]
fn connections_that_do_not_fit_the_open_files_are_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(after("ulimit -n 200", &serve(folder.path(), 0)), READY);
    running.signal("TERM");
    let log = running.ended().2;
    assert!(log.contains("MAX_CONNECTIONS=512 needs") && log.contains("LimitNOFILE"), "{log}");
}

#[cfg(target_os = "linux")]
#[test]
fn limit_of_open_files_that_is_too_low_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(after("ulimit -n 64", &serve(folder.path(), 0)));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("may open 64 files, and Deputy needs at least 102"), "{text}");
}

#[test]
fn folder_that_is_a_file_is_refused_as_that() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "").unwrap();
    let output = run(serve(folder.path(), 0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot use ./data") && text.contains("--data-dir"), "{text}");
}
