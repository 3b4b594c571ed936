//! Responses that are slow, large, streamed or missing.

use std::time::Duration;

use bounded_http::Limits;
use tokio::{
    io::AsyncReadExt as _,
    time::{Instant, sleep},
};

use crate::{GET, LENIENT, SHORT, rest, start};

#[tokio::test]
async fn client_that_reads_nothing_is_disconnected() {
    let running = start(Limits { write: SHORT, ..LENIENT }).await;
    let mut stream = running.send(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n").await;
    // Longer than the write timeout. Only what the sockets buffered arrives.
    sleep(SHORT * 4).await;
    assert!(rest(&mut stream).await.len() < 64 * 1024 * 1024);
}

#[tokio::test]
async fn streamed_events_arrive_one_by_one() {
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
async fn panic_gets_500_and_the_server_goes_on() {
    let running = start(LENIENT).await;
    let response = running.exchange(b"GET /panic HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 500 "), "{response}");
    assert!(!response.contains("on purpose"));
    assert!(running.exchange(GET).await.ends_with("hello"));
}
