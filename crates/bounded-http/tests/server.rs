//! The HTTP server against clients that are slow, large, gone or many. Its limits are shortened.

use std::{convert::Infallible, future::pending, io, net::Shutdown, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use bounded_http::{Limits, Stop, serve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

const SHORT: Duration = Duration::from_millis(300);

/// Longer than [`SHORT`] by so much that a busy machine does not matter.
const LONG: Duration = Duration::from_secs(20);

const LENIENT: Limits = Limits {
    connections: 64,
    head: LONG,
    keep_alive: LONG,
    body: LONG,
    write: LONG,
    half_closed: LONG,
    client_address_header: None,
};

struct Running {
    port: u16,
    stop: Stop,
    server: JoinHandle<()>,
}

async fn start(limits: Limits) -> Running {
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/health", get(async || "well"))
        .route("/echo", post(async |body: Bytes| body))
        .route(
            "/slow",
            get(async || {
                sleep(SHORT).await;
                "done"
            }),
        )
        .route(
            "/slow-echo",
            post(async |body: Bytes| {
                sleep(SHORT).await;
                body
            }),
        )
        .route("/never", get(async || pending::<String>().await))
        .route("/panic", get(async || -> String { panic!("on purpose") }))
        .route(
            "/events",
            get(async || {
                Body::from_stream(futures_util::stream::unfold(0, async |n| {
                    sleep(Duration::from_millis(50)).await;
                    (n < 100).then(|| (Ok::<_, Infallible>(format!("data: {n}\n\n")), n + 1))
                }))
            }),
        )
        .route("/large", get(async || vec![b'x'; 64 * 1024 * 1024]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = Stop::default();
    let server = tokio::spawn(serve("test", vec![listener], router, limits, stop.clone()));
    Running { port, stop, server }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Sends a request and answers everything that comes until the connection ends.
    async fn exchange(&self, bytes: &[u8]) -> String {
        rest(&mut self.send(bytes).await).await
    }
}

/// What still comes, until the connection ends, in whatever way.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 65_536];
    let read = async {
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            bytes.extend_from_slice(&buffer[..read]);
        }
    };
    timeout(LONG, read).await.expect("the connection stays open");
    String::from_utf8(bytes).unwrap()
}

/// A request whose connection stays open.
const KEEP: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_dropped() {
    let running = start(Limits { head: SHORT, ..LENIENT }).await;
    let mut streams = Vec::new();
    for beginning in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: here\r\nX: "] {
        streams.push(running.send(beginning.as_bytes()).await);
    }
    for mut stream in streams {
        assert!(!rest(&mut stream).await.contains("hello"));
    }
}

#[tokio::test]
async fn a_client_that_trickles_its_head_is_dropped_all_the_same() {
    let running = start(Limits { head: SHORT, ..LENIENT }).await;
    let mut stream = running.send(b"GET / HTTP/1.1\r\nX: ").await;
    let started = Instant::now();
    while stream.write_all(b"x").await.is_ok() {
        assert!(started.elapsed() < LONG, "the connection stays open");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_idle_after_an_answer_is_closed() {
    let running = start(Limits { keep_alive: SHORT, ..LENIENT }).await;
    let answer = running.exchange(KEEP).await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn idle_connection_outlives_the_deadline_of_a_head() {
    let running = start(Limits { head: SHORT, ..LENIENT }).await;
    let mut stream = running.send(KEEP).await;
    let mut first = [0; 8];
    stream.read_exact(&mut first).await.unwrap();
    sleep(SHORT * 3).await;
    stream.write_all(GET).await.unwrap();
    assert_eq!(rest(&mut stream).await.matches("hello").count(), 2);
}

#[tokio::test]
async fn second_head_that_trickles_is_dropped() {
    let running = start(Limits { head: SHORT, ..LENIENT }).await;
    let mut stream = running.send(KEEP).await;
    let mut first = [0; 8];
    stream.read_exact(&mut first).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    let started = Instant::now();
    while stream.write_all(b"x").await.is_ok() {
        assert!(started.elapsed() < LONG, "the connection stays open");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn idle_connection_gives_its_place_to_a_request() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let mut idle = running.send(KEEP).await;
    let mut first = [0; 8];
    idle.read_exact(&mut first).await.unwrap();
    let _busy = running.send(b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n").await;
    sleep(SHORT / 3).await;
    let answer = timeout(LONG / 2, running.exchange(GET)).await.expect("an answer");
    assert!(answer.ends_with("hello"), "{answer}");
    assert!(rest(&mut idle).await.ends_with("hello"));
}

#[tokio::test]
async fn full_house_answers_health_checks() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let never = b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n";
    let mut held = vec![running.connect().await];
    for _ in 0..60 {
        held.push(running.send(never).await);
    }
    for _ in 0..3 {
        let answer = running.exchange(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("well"), "{answer}");
    }
}

#[tokio::test]
async fn request_beyond_those_that_may_wait_is_told_to_come_again() {
    let running = start(Limits { connections: 1, ..LENIENT }).await;
    let never = b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..=16 {
        held.push(running.send(never).await);
    }
    sleep(SHORT).await;
    let answer = running.exchange(GET).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_body_is_refused_and_dropped() {
    let running = start(Limits { body: SHORT, ..LENIENT }).await;
    let mut stream = running.send(b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx").await;
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn a_body_in_several_parts_arrives_whole() {
    let running = start(LENIENT).await;
    let mut stream = running
        .send(b"POST /echo HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 6\r\n\r\nab")
        .await;
    for part in [b"cd", b"ef"] {
        sleep(Duration::from_millis(30)).await;
        stream.write_all(part).await.unwrap();
    }
    assert!(rest(&mut stream).await.ends_with("\r\n\r\nabcdef"));
}

#[tokio::test]
async fn a_client_that_takes_no_bytes_is_dropped() {
    let running = start(Limits { write: SHORT, ..LENIENT }).await;
    let mut stream = running.send(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n").await;
    // Longer than the patience of the server; then what the sockets held comes, and not the whole.
    sleep(SHORT * 4).await;
    assert!(rest(&mut stream).await.len() < 64 * 1024 * 1024);
}

#[tokio::test]
async fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let running = start(LENIENT).await;
    for request in [
        "GET /slow HTTP/1.1\r\nHost: here\r\n\r\n",
        "POST /slow-echo HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\ndone",
        "POST /slow-echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndone\r\n0\r\n\r\n",
    ] {
        let mut stream = running.send(request.as_bytes()).await;
        stream.shutdown().await.unwrap();
        let started = Instant::now();
        assert!(rest(&mut stream).await.ends_with("done"), "{request}");
        assert!(started.elapsed() < LONG / 2, "the server waited");
    }
}

/// The request and the end of the client's half may be read in one go.
#[tokio::test]
async fn request_that_arrives_with_its_end_is_answered() {
    let running = start(LENIENT).await;
    for request in [
        "GET /slow HTTP/1.1\r\nHost: here\r\n\r\n",
        "POST /slow-echo HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\ndone",
    ] {
        for _ in 0..10 {
            let mut client = std::net::TcpStream::connect(("127.0.0.1", running.port)).unwrap();
            // Without a chance for the server, which has this thread too, to run in between.
            io::Write::write_all(&mut client, request.as_bytes()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            client.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(client).unwrap();
            assert!(rest(&mut stream).await.ends_with("done"), "{request}");
        }
    }
}

#[tokio::test]
async fn silent_connection_gives_its_place_to_a_request() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let _silent = [running.connect().await, running.connect().await];
    let mut third = running.send(GET).await;
    let answered = timeout(LONG / 2, rest(&mut third)).await.expect("a response before the head's limit");
    assert!(answered.ends_with("hello"), "{answered}");
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_a_body_is_dropped() {
    let running = start(LENIENT).await;
    let mut stream = running.send(b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx").await;
    stream.shutdown().await.unwrap();
    let started = Instant::now();
    assert!(!rest(&mut stream).await.starts_with("HTTP/1.1 2"));
    assert!(started.elapsed() < LONG / 2, "the server waited");
}

#[tokio::test]
async fn a_client_that_ends_an_idle_connection_is_let_go_at_once() {
    let running = start(LENIENT).await;
    let mut stream = running.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await;
    let mut first = [0; 8];
    stream.read_exact(&mut first).await.unwrap();
    stream.shutdown().await.unwrap();
    let started = Instant::now();
    assert!(rest(&mut stream).await.ends_with("hello"));
    assert!(started.elapsed() < LONG / 2, "the server waited");
}

#[tokio::test]
async fn a_client_that_hung_up_is_dropped_in_the_end() {
    let running = start(Limits { half_closed: SHORT, ..LENIENT }).await;
    let mut stream = running.send(b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n").await;
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn events_arrive_while_the_answer_is_being_made() {
    let running = start(LENIENT).await;
    let mut stream = running.send(b"GET /events HTTP/1.1\r\nHost: here\r\n\r\n").await;
    let started = Instant::now();
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    while !seen.contains("data: 1\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the stream ended");
        seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    assert!(!seen.contains("data: 99\n"));
    assert!(started.elapsed() < Duration::from_secs(4), "the events were held back");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let running = start(LENIENT).await;
    let long_header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(3_000));
    let long_query = format!("GET /?{} HTTP/1.1\r\n\r\n", "x".repeat(200_000));
    for (request, status) in [(long_header, "431"), (many_headers, "431"), (long_query, "4")] {
        let mut stream = running.connect().await;
        // The server may close before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert!(running.exchange(GET).await.ends_with("hello"));
}

#[tokio::test]
async fn a_listener_that_nobody_connects_to_takes_no_place() {
    let listeners =
        [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let router = Router::new().route("/", get(async || "hello"));
    let limits = Limits { connections: 1, ..LENIENT };
    tokio::spawn(serve("test", listeners.into(), router, limits, Stop::default()));
    for port in [ports[1], ports[0], ports[1]] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        timeout(LONG, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_others_to_end() {
    let running = start(Limits { connections: 2, head: SHORT * 3, ..LENIENT }).await;
    let _idle = [running.connect().await, running.connect().await];
    let mut third = running.send(GET).await;
    assert!(timeout(SHORT, third.read_u8()).await.is_err(), "answered beside two others");
    assert!(rest(&mut third).await.ends_with("hello"));
}

#[tokio::test]
async fn an_answer_ends_its_connection_when_no_place_is_left() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let started = Instant::now();
    let idle = running.connect().await;
    let mut second = running.send(KEEP).await;
    let mut third = running.send(KEEP).await;
    for stream in [&mut second, &mut third] {
        let answer = rest(stream).await;
        assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"), "{answer}");
    }
    assert!(started.elapsed() < LONG / 2, "the connections idled");
    drop(idle);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request_while_places_are_left() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let mut stream = running.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await;
    let mut first = [0; 8];
    stream.read_exact(&mut first).await.unwrap();
    stream.write_all(GET).await.unwrap();
    assert_eq!(rest(&mut stream).await.matches("hello").count(), 2);
}

#[tokio::test]
async fn a_panic_is_answered_with_500_and_the_server_lives_on() {
    let running = start(LENIENT).await;
    let answer = running.exchange(b"GET /panic HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(!answer.contains("on purpose"));
    assert!(running.exchange(GET).await.ends_with("hello"));
}

#[tokio::test]
async fn a_graceful_stop_finishes_requests_closes_idle_connections_and_frees_the_port() {
    let running = start(LENIENT).await;
    let mut idle = running.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await;
    let mut first = [0; 8];
    idle.read_exact(&mut first).await.unwrap();
    let mut fresh = running.connect().await;
    let mut busy = running.send(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n").await;
    sleep(SHORT / 3).await;
    running.stop.gracefully.cancel();
    assert!(rest(&mut busy).await.ends_with("done"));
    assert!(rest(&mut idle).await.ends_with("hello"));
    assert_eq!(rest(&mut fresh).await, "");
    timeout(LONG, running.server).await.unwrap().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", running.port)).await.is_err());
}

#[tokio::test]
async fn a_stop_at_once_cuts_what_does_not_finish() {
    let running = start(LENIENT).await;
    let mut stuck = running.send(b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n").await;
    sleep(SHORT / 3).await;
    running.stop.gracefully.cancel();
    running.stop.at_once.cancel();
    assert_eq!(rest(&mut stuck).await, "");
    timeout(LONG, running.server).await.unwrap().unwrap();
}
