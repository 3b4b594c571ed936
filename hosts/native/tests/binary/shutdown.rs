//! The end of `deputy serve`: signals, and the state that stays.

use std::{fs, io::Write as _, path::Path, thread, time::Duration};

use tokio::time::Instant;

#[cfg(target_os = "linux")]
use crate::support::with_default_sighup;
use crate::support::{READY, Running, after, approval_page, free_ports, get, register, rest, send, serve};

#[test]
fn sigterm_finishes_the_request_in_progress() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(serve(folder.path(), port), READY);
    let body = "grant_type=authorization_code";
    let (first, second) = body.split_at(5);
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = send(port, &(head + first));
    thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    running.signal("TERM");
    thread::sleep(Duration::from_millis(300));
    stream.write_all(second.as_bytes()).unwrap();
    let response = rest(&mut stream);
    assert!(response.starts_with("HTTP/1.1 4") && response.contains("\"error\""), "{response}");
    let (status, _, log) = running.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(started.elapsed() < Duration::from_secs(8), "the end was delayed");
}

#[test]
fn unfinished_request_delays_the_end_until_a_second_signal() {
    let folder = tempfile::tempdir().unwrap();
    let stuck = |port: u16| {
        send(port, &format!("POST /token HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 100\r\n\r\nx"))
    };
    let [one, two] = free_ports();
    let mut patient = Running::start(serve(folder.path(), one), READY);
    let mut command = serve(folder.path(), two);
    command.env("DATA_DIR", "two");
    let mut impatient = Running::start(command, READY);
    let _stuck = [stuck(one), stuck(two)];
    thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    patient.signal("TERM");
    impatient.signal("INT");
    thread::sleep(Duration::from_millis(300));
    impatient.signal("INT");
    assert_eq!(impatient.ended().0.code(), Some(130));
    assert!(started.elapsed() < Duration::from_secs(8), "the second signal was not enough");
    assert_eq!(patient.ended().0.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(14), "it took {:?}", started.elapsed());
}

#[test]
fn confirmed_registration_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(serve(folder.path(), port), READY);
    let id = register(port);
    running.signal("KILL");
    running.ended();
    let _running = Running::start(serve(folder.path(), port), READY);
    assert!(get(port, &approval_page("unknown")).starts_with("HTTP/1.1 400 "));
    let page = get(port, &approval_page(&id));
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("Kept"), "{page}");
}

#[test]
fn clean_shutdown_leaves_one_database_file() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(serve(folder.path(), port), READY);
    let page = approval_page(&register(port));
    assert!(get(port, &page).contains("Kept"));
    running.signal("TERM");
    assert_eq!(running.ended().0.code(), Some(0));
    assert_eq!(files(&folder.path().join("data")), ["audit", "deputy.sqlite3", "lock"]);
}

#[test]
fn draining_server_is_not_ready_and_serves_new_requests() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("DRAIN_SECONDS", "3");
    let mut running = Running::start(command, READY);
    // PingOne is not there.
    assert!(get(port, "/readyz").starts_with("HTTP/1.1 503 "));
    let began = Instant::now();
    running.signal("TERM");
    thread::sleep(Duration::from_millis(500));
    let ready = get(port, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("about to stop"), "{ready}");
    for path in ["/healthz", "/health"] {
        assert!(get(port, path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    register(port);
    assert_eq!(running.ended().0.code(), Some(0));
    assert!(began.elapsed() > Duration::from_secs(3), "{:?}", began.elapsed());
}

#[cfg(target_os = "linux")]
#[test]
fn supervisor_is_told_of_start_watchdog_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(crate::support::LONG)).unwrap();
    let received = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let mut command = serve(folder.path(), 0);
    command.env("NOTIFY_SOCKET", folder.path().join("notify")).env("WATCHDOG_USEC", "200000");
    let mut running = Running::start(command, READY);
    let mut messages: Vec<_> = (0..4).map(|_| received()).collect();
    messages.sort();
    messages.dedup();
    assert_eq!(messages, ["READY=1", "WATCHDOG=1"]);
    running.signal("TERM");
    while received() != "STOPPING=1" {}
    assert_eq!(running.ended().0.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn sighup_finishes_the_request_in_progress() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(with_default_sighup(&serve(folder.path(), port)), READY);
    let head = format!("POST /revoke HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 7\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n\r\ntok";
    let mut stream = send(port, &(head + form));
    thread::sleep(Duration::from_millis(300));
    // Terminals send several.
    running.signal("HUP");
    running.signal("HUP");
    thread::sleep(Duration::from_millis(300));
    stream.write_all(b"en=x").unwrap();
    let response = rest(&mut stream);
    assert!(response.starts_with("HTTP/1.1 4") && response.contains("\"error\""), "{response}");
    assert_eq!(running.ended().0.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn sighup_stays_ignored_under_nohup() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(after("trap '' HUP", &serve(folder.path(), port)), READY);
    running.signal("HUP");
    thread::sleep(Duration::from_millis(500));
    assert!(get(port, "/health").starts_with("HTTP/1.1 200 "));
    running.signal("TERM");
    assert_eq!(running.ended().0.code(), Some(0));
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
