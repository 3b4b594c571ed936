//! Request bodies that are slow.

use std::time::Duration;

use bounded_http::Limits;
use tokio::{io::AsyncWriteExt as _, time::sleep};

use crate::{LENIENT, SHORT, rest, start};

#[tokio::test]
async fn unfinished_body_is_refused_and_ends_the_connection() {
    let running = start(Limits { body: SHORT, ..LENIENT }).await;
    let mut stream = running.send(b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx").await;
    let response = rest(&mut stream).await;
    assert!(response.starts_with("HTTP/1.1 4"), "{response}");
}

#[tokio::test]
async fn body_in_several_parts_arrives_whole() {
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
