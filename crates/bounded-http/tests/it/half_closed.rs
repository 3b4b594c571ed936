//! Clients that close their side of a connection.

use std::{io, net};

use bounded_http::Limits;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::{LENIENT, LONG, SHORT, rest, start};

#[tokio::test]
async fn half_closed_client_gets_its_response() {
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

/// The server may read the request and the end of the stream at once.
#[tokio::test]
async fn request_that_arrives_with_its_end_gets_its_response() {
    let running = start(LENIENT).await;
    for request in [
        "GET /slow HTTP/1.1\r\nHost: here\r\n\r\n",
        "POST /slow-echo HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\ndone",
    ] {
        for _ in 0..10 {
            let mut client = std::net::TcpStream::connect(("127.0.0.1", running.port)).unwrap();
            // The server, which has this thread too, cannot run in between.
            io::Write::write_all(&mut client, request.as_bytes()).unwrap();
            client.shutdown(net::Shutdown::Write).unwrap();
            client.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(client).unwrap();
            assert!(rest(&mut stream).await.ends_with("done"), "{request}");
        }
    }
}

#[tokio::test]
async fn client_that_half_closes_within_a_body_is_disconnected() {
    let running = start(LENIENT).await;
    let mut stream = running.send(b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx").await;
    stream.shutdown().await.unwrap();
    let started = Instant::now();
    assert!(!rest(&mut stream).await.starts_with("HTTP/1.1 2"));
    assert!(started.elapsed() < LONG / 2, "the server waited");
}

#[tokio::test]
async fn half_closed_idle_connection_ends_at_once() {
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
async fn client_that_hung_up_is_disconnected() {
    let running = start(Limits { half_closed: SHORT, ..LENIENT }).await;
    let mut stream = running.send(b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n").await;
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}
