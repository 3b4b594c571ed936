//! `deputy serve` under faults: removed and shared folders, low limits, unread logs; backups.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use tokio::time::Instant;

use crate::support::{
    LONG, READY, Running, after, approval_page, deputy, free_ports, get, register, run, send, serve,
};

#[test]
fn second_process_on_a_folder_is_refused() {
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
fn backup_of_a_running_or_stopped_server_is_restored() {
    for stopped in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        let mut running = Running::start(serve(folder.path(), port), READY);
        let page = approval_page(&register(port));
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
fn unread_log_does_not_block_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut child = serve(folder.path(), port).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(READY), "{line}");
    // A pipe holds 64 KiB, some 500 lines.
    let request = format!("GET /nothing HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    let mut stream = BufReader::new(send(port, ""));
    for _ in 0..2000 {
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        read_response(&mut stream);
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < LONG, "the process does not end");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Reads one response with a length.
fn read_response(stream: &mut impl std::io::BufRead) {
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
fn connections_beyond_the_open_files_are_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(after("ulimit -n 200", &serve(folder.path(), 0)), READY);
    running.signal("TERM");
    let log = running.ended().2;
    assert!(log.contains("MAX_CONNECTIONS=512 needs") && log.contains("LimitNOFILE"), "{log}");
}

#[cfg(target_os = "linux")]
#[test]
fn too_low_limit_of_open_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(after("ulimit -n 64", &serve(folder.path(), 0)));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("may open 64 files, and Deputy needs at least 102"), "{text}");
}

#[test]
fn data_folder_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "").unwrap();
    let output = run(serve(folder.path(), 0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot use ./data") && text.contains("--data-dir"), "{text}");
}
