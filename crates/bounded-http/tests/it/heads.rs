//! Request heads that are slow or large.

use std::time::Duration;

use bounded_http::Limits;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

use crate::{GET, KEEP, LENIENT, LONG, SHORT, rest, start};

#[tokio::test]
async fn unfinished_head_ends_the_connection() {
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
async fn trickled_head_ends_the_connection() {
    let running = start(Limits { head: SHORT, ..LENIENT }).await;
    let mut stream = running.send(b"GET / HTTP/1.1\r\nX: ").await;
    let started = Instant::now();
    while stream.write_all(b"x").await.is_ok() {
        assert!(started.elapsed() < LONG, "the connection stays open");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn idle_connection_outlives_the_time_for_a_head() {
    let running = start(Limits { head: SHORT, ..LENIENT }).await;
    let mut stream = running.send(KEEP).await;
    let mut first = [0; 8];
    stream.read_exact(&mut first).await.unwrap();
    sleep(SHORT * 3).await;
    stream.write_all(GET).await.unwrap();
    assert_eq!(rest(&mut stream).await.matches("hello").count(), 2);
}

#[tokio::test]
async fn trickled_second_head_ends_the_connection() {
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
async fn oversized_head_is_refused() {
    let running = start(LENIENT).await;
    let long_header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(3_000));
    let long_query = format!("GET /?{} HTTP/1.1\r\n\r\n", "x".repeat(200_000));
    for (request, status) in [(long_header, "431"), (many_headers, "431"), (long_query, "4")] {
        let mut stream = running.connect().await;
        // The server may close before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let response = rest(&mut stream).await;
        assert!(response.is_empty() || response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
    }
    assert!(running.exchange(GET).await.ends_with("hello"));
}
