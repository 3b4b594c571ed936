//! The server against clients that are slow, large, gone or many, with shortened limits.

mod bodies;
mod half_closed;
mod heads;
mod responses;
mod shutdown;
mod slots;

use std::{convert::Infallible, future::pending, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use bounded_http::{Limits, Server, Shutdown};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};

pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Much longer than [`SHORT`], also on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) const LENIENT: Limits =
    Limits { connections: 64, head: LONG, keep_alive: LONG, body: LONG, write: LONG, half_closed: LONG };

pub(crate) struct Running {
    pub(crate) port: u16,
    pub(crate) shutdown: Shutdown,
    pub(crate) server: JoinHandle<()>,
}

pub(crate) async fn start(limits: Limits) -> Running {
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
    let (server, shutdown) = (Server { limits, ..Server::default() }, Shutdown::default());
    let server = tokio::spawn(server.serve(vec![listener], router, shutdown.clone()));
    Running { port, shutdown, server }
}

impl Running {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    pub(crate) async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Sends a request, and returns what arrives until the connection ends.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        rest(&mut self.send(bytes).await).await
    }
}

/// The bytes that arrive until the connection is closed or reset.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
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

/// A request that keeps its connection open.
pub(crate) const KEEP: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
