//! More connections than there are slots.

use axum::{Router, routing::get};
use bounded_http::{Limits, Server, Shutdown};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

use crate::{GET, KEEP, LENIENT, LONG, SHORT, rest, start};

#[tokio::test]
async fn idle_connection_is_closed() {
    let running = start(Limits { keep_alive: SHORT, ..LENIENT }).await;
    let response = running.exchange(KEEP).await;
    assert!(response.ends_with("hello"), "{response}");
}

#[tokio::test]
async fn idle_connection_yields_its_slot_to_a_request() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let mut idle = running.send(KEEP).await;
    let mut first = [0; 8];
    idle.read_exact(&mut first).await.unwrap();
    let _busy = running.send(b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n").await;
    sleep(SHORT / 3).await;
    let response = timeout(LONG / 2, running.exchange(GET)).await.expect("a response");
    assert!(response.ends_with("hello"), "{response}");
    assert!(rest(&mut idle).await.ends_with("hello"));
}

#[tokio::test]
async fn full_server_responds_to_health_checks() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let never = b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n";
    let mut held = vec![running.connect().await];
    for _ in 0..60 {
        held.push(running.send(never).await);
    }
    for _ in 0..3 {
        let response = running.exchange(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("well"), "{response}");
    }
}

#[tokio::test]
async fn request_beyond_the_waiting_ones_gets_503() {
    let running = start(Limits { connections: 1, ..LENIENT }).await;
    let never = b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..=16 {
        held.push(running.send(never).await);
    }
    sleep(SHORT).await;
    let response = running.exchange(GET).await;
    assert!(
        response.starts_with("HTTP/1.1 503 ") && response.contains("\r\nretry-after: 1\r\n"),
        "{response}"
    );
}

#[tokio::test]
async fn silent_connection_yields_its_slot_to_a_request() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let _silent = [running.connect().await, running.connect().await];
    let mut third = running.send(GET).await;
    let response = timeout(LONG / 2, rest(&mut third)).await.expect("a response before the time for a head");
    assert!(response.ends_with("hello"), "{response}");
}

#[tokio::test]
async fn unused_listener_takes_no_slot() {
    let listeners =
        [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let router = Router::new().route("/", get(async || "hello"));
    let limits = Limits { connections: 1, ..LENIENT };
    tokio::spawn(Server { limits, ..Server::default() }.serve(listeners.into(), router, Shutdown::default()));
    for port in [ports[1], ports[0], ports[1]] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut response = String::new();
        timeout(LONG, stream.read_to_string(&mut response)).await.expect("a response").unwrap();
        assert!(response.ends_with("hello"), "{response}");
    }
}

#[tokio::test]
async fn connection_beyond_the_limit_waits_for_a_slot() {
    let running = start(Limits { connections: 2, head: SHORT * 3, ..LENIENT }).await;
    let _idle = [running.connect().await, running.connect().await];
    let mut third = running.send(GET).await;
    assert!(timeout(SHORT, third.read_u8()).await.is_err(), "served beside two others");
    assert!(rest(&mut third).await.ends_with("hello"));
}

#[tokio::test]
async fn response_that_leaves_no_slot_free_ends_its_connection() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let started = Instant::now();
    let idle = running.connect().await;
    let mut second = running.send(KEEP).await;
    let mut third = running.send(KEEP).await;
    for stream in [&mut second, &mut third] {
        let response = rest(stream).await;
        assert!(response.contains("\r\nconnection: close\r\n") && response.ends_with("hello"), "{response}");
    }
    assert!(started.elapsed() < LONG / 2, "the connections idled");
    drop(idle);
}

#[tokio::test]
async fn connection_is_kept_while_slots_are_free() {
    let running = start(Limits { connections: 2, ..LENIENT }).await;
    let mut stream = running.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await;
    let mut first = [0; 8];
    stream.read_exact(&mut first).await.unwrap();
    stream.write_all(GET).await.unwrap();
    assert_eq!(rest(&mut stream).await.matches("hello").count(), 2);
}
