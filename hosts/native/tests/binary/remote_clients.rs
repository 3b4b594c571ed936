//! `deputy serve` against clients that send too much or too little.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use tokio::time::Instant;

use crate::support::{READY, Running, free_ports, get, request, rest, send, serve};

#[test]
fn unfinished_heads_are_disconnected_and_delay_no_response() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let _running = Running::start(serve(folder.path(), port), READY);
    let started = Instant::now();
    let slow: Vec<_> =
        (0..200).map(|_| send(port, "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")).collect();
    let health = get(port, "/health");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    for mut stream in slow {
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        // Any response may precede the end.
        if let Err(error) = stream.read_to_end(&mut Vec::new()) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the connection is kept");
        }
    }
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}

#[test]
fn oversized_body_is_refused_without_being_kept() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let running = Running::start(serve(folder.path(), port), READY);
    // Allocates what every request needs.
    get(port, "/health");
    let before = peak(&running);
    for chunked in [false, true] {
        for (path, content_type) in [
            ("/register", "application/json"),
            ("/token", "application/x-www-form-urlencoded"),
            ("/revoke", "application/x-www-form-urlencoded"),
            ("/approve", "application/x-www-form-urlencoded"),
            ("/mcp", "application/json"),
        ] {
            let response = response_to_forty_megabytes(port, path, content_type, chunked);
            let status = response.split(' ').nth(1).unwrap_or_default();
            assert!(["400", "401", "413"].contains(&status), "{path}, chunked: {chunked}: {response:?}");
        }
    }
    assert!(get(port, "/health").starts_with("HTTP/1.1 200 "));
    if let (Some(before), Some(after)) = (before, peak(&running)) {
        let grown = after.saturating_sub(before);
        assert!(grown < 16 * 1024, "memory grew by {grown} KiB");
    }
}

#[test]
fn body_in_tiny_chunks_takes_no_more_memory() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let running = Running::start(serve(folder.path(), port), READY);
    get(port, "/health");
    let before = peak(&running);
    let head = format!(
        "POST /approve HTTP/1.1\r\nHost: localhost:{port}\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n"
    );
    let pieces = "1\r\na\r\n".repeat(65_000);
    // All of them are open at the same time.
    let mut streams: Vec<_> = (0..20).map(|_| send(port, &(head.clone() + &pieces))).collect();
    for stream in &mut streams {
        stream.write_all(b"0\r\n\r\n").unwrap();
        assert!(read_to_end(stream).starts_with("HTTP/1.1 400 "));
    }
    if let (Some(before), Some(after)) = (before, peak(&running)) {
        let grown = after.saturating_sub(before);
        assert!(grown < 16 * 1024, "memory grew by {grown} KiB");
    }
}

#[test]
fn client_that_reads_after_sending_gets_the_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let _running = Running::start(serve(folder.path(), port), READY);
    let body = "x".repeat(2 * 1024 * 1024);
    for (path, status) in [("/mcp", "401"), ("/register", "413"), ("/token", "413"), ("/nowhere", "404")] {
        let response = request(port, &format!("POST {path}"), "application/json", &body);
        assert_eq!(response.split(' ').nth(1), Some(status), "{path}: {response}");
    }
}

#[test]
fn expect_100_continue_is_refused_without_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let _running = Running::start(serve(folder.path(), port), READY);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    );
    let response = read_to_end(&mut send(port, &head));
    assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
}

#[test]
fn foreign_repeated_or_missing_host_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let _running = Running::start(serve(folder.path(), port), READY);
    let own = format!("Host: localhost:{port}\r\n");
    let response = |hosts: &str| {
        let head = format!(
            "GET /.well-known/oauth-authorization-server HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"
        );
        rest(&mut send(port, &head))
    };
    assert!(response(&own).starts_with("HTTP/1.1 200 "));
    for hosts in ["", "Host: evil\r\n", &format!("{own}Host: evil\r\n"), &format!("Host: evil\r\n{own}")] {
        let refused = response(hosts);
        assert!(refused.starts_with("HTTP/1.1 4"), "{hosts}: {refused}");
    }
}

/// RFC 9112 §3.2.2.
#[test]
fn target_in_absolute_form_overrides_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let _running = Running::start(serve(folder.path(), port), READY);
    let ours = format!("localhost:{port}");
    for (target, host, status) in [
        (ours.as_str(), ours.as_str(), "200"),
        (&ours, "evil.example", "200"),
        ("evil.example", &ours, "421"),
        (&format!("evil@{ours}"), &ours, "421"),
    ] {
        let head =
            format!("GET http://{target}/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let response = rest(&mut send(port, &head));
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {host}: {response}");
    }
}

#[test]
fn three_hundred_registrations_all_get_a_response() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let _running = Running::start(serve(folder.path(), port), READY);
    let body = r#"{"redirect_uris":["http://localhost:1/cb"],"token_endpoint_auth_method":"none"}"#;
    for _ in 0..300 {
        let response = request(port, "POST /register", "application/json", body);
        assert!(response.starts_with("HTTP/1.1 201 ") || response.starts_with("HTTP/1.1 429 "), "{response}");
    }
    assert!(get(port, "/health").starts_with("HTTP/1.1 200 "));
}

/// The response while 40 MB are being sent. The connection may be closed before all of them are sent.
fn response_to_forty_megabytes(port: u16, path: &str, content_type: &str, chunked: bool) -> String {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 40 * 1024 * 1024 / PIECE;
    let length = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", PIECE * PIECES)
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: {content_type}\r\nConnection: close\r\n\
         {length}\r\n\r\n"
    );
    let mut stream = send(port, &head);
    let reader = thread::spawn({
        let mut stream = stream.try_clone().unwrap();
        move || read_to_end(&mut stream)
    });
    let piece = "x".repeat(PIECE);
    let piece = if chunked { format!("{PIECE:x}\r\n{piece}\r\n") } else { piece };
    for _ in 0..PIECES {
        if stream.write_all(piece.as_bytes()).is_err() {
            break;
        }
    }
    if chunked {
        // The connection may be closed already.
        let _ = stream.write_all(b"0\r\n\r\n");
    }
    reader.join().unwrap()
}

/// Reads a connection to its end, which may be abrupt.
fn read_to_end(stream: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(bytes).unwrap()
}

/// Peak memory of the process in KiB, on systems with `/proc`.
fn peak(running: &Running) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", running.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Longer than an unfinished request is kept.
const LONGEST: Duration = Duration::from_secs(70);
