//! The end of a server.

use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{LENIENT, LONG, SHORT, rest, start};

#[tokio::test]
async fn graceful_shutdown_finishes_requests_and_frees_the_port() {
    let running = start(LENIENT).await;
    let mut idle = running.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await;
    let mut first = [0; 8];
    idle.read_exact(&mut first).await.unwrap();
    let mut fresh = running.connect().await;
    let mut busy = running.send(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n").await;
    sleep(SHORT / 3).await;
    running.shutdown.graceful.cancel();
    assert!(rest(&mut busy).await.ends_with("done"));
    assert!(rest(&mut idle).await.ends_with("hello"));
    assert_eq!(rest(&mut fresh).await, "");
    timeout(LONG, running.server).await.unwrap().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", running.port)).await.is_err());
}

#[tokio::test]
async fn immediate_shutdown_cuts_unfinished_requests() {
    let running = start(LENIENT).await;
    let mut stuck = running.send(b"GET /never HTTP/1.1\r\nHost: here\r\n\r\n").await;
    sleep(SHORT / 3).await;
    running.shutdown.graceful.cancel();
    running.shutdown.immediate.cancel();
    assert_eq!(rest(&mut stuck).await, "");
    timeout(LONG, running.server).await.unwrap().unwrap();
}
