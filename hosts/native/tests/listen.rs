//! Listening on an address.

use axum::{Router, routing::get};
use deputy_native::{
    http_server::{Server, Shutdown, serve},
    listen::Listen,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test]
async fn localhost_serves_both_loopback_addresses() {
    let listening = Listen::localhost(0).bind("--port").await.unwrap();
    let router = Router::new().route("/", get(async || "hello"));
    tokio::spawn(serve(Server::default(), listening.listeners, router, Shutdown::default()));
    let exchange = async |mut stream: TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.ends_with("\r\n\r\nhello"), "{response}");
    };
    exchange(TcpStream::connect(("127.0.0.1", listening.port)).await.unwrap()).await;
    // A machine without IPv6 has no such address.
    if let Ok(stream) = TcpStream::connect(("::1", listening.port)).await {
        exchange(stream).await;
    }
}

#[tokio::test]
async fn busy_port_error_names_the_setting() {
    let busy = Listen::localhost(0).bind("--port").await.unwrap();
    let error = Listen::localhost(busy.port).bind("--listen (LISTEN)").await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "port {} of 127.0.0.1 is in use by another program. Stop that program, or choose another port with \
             --listen (LISTEN)",
            busy.port
        )
    );
}
